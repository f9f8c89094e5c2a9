//! The graph convolution of GCNII, with initial residual and identity mapping.

use connectome_components::{Normalization, TensorLayout};
use serde::{Deserialize, Serialize};

use super::{BuildError, Initialization, Layer};
use crate::{
    operators::{add, aggregate, linear},
    program::{Program, Value},
};

/// `P[i] = (1 - alpha) (sum over edges j -> i and i itself of s[ij] X[j]) + alpha X_0[i]` and
/// `Y[i] = (1 - beta) P[i] + beta P[i] W`, with `s` of `D^-1/2 (A + I) D^-1/2` (Chen et al., "Simple and deep graph
/// convolutional networks", ICML 2020, eq. 5, before its nonlinearity), with the weights of the edges in `A` and degrees
/// by target.
///
/// `X`, `X_0`, `P` and `Y` are `[N, F]`, dense, `W` is `[F, F]` and called `weight1`. `X_0` is the value that a stack of
/// these began with ([`Gcn2Conv::convolve`]; [`Gcnii`](super::Gcnii) is such a stack); of a layer by itself it is `X`.
/// Costs `(E + N) F + N F F` multiplications. Border: a node without incoming edges keeps its own features in place of the
/// sum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gcn2Conv {
    /// The share of the initial value.
    #[serde(default = "one_tenth")]
    pub alpha: f32,
    /// The share of the linear map; what is left to 1 is the identity's.
    pub beta: f32,
    /// Decay of this layer's parameters; the optimizer's if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f32>,
}

fn one_tenth() -> f32 {
    0.1
}

impl Gcn2Conv {
    /// A layer with these shares of the initial value and of the linear map.
    pub fn new(alpha: f32, beta: f32) -> Self {
        Self { alpha, beta, weight_decay: None }
    }

    /// `Y` for a stack that began with `initial`.
    ///
    /// # Errors
    /// If a value is sparse or not on nodes, the two are of different width, or `alpha` or `beta` cannot be.
    pub fn convolve(&self, program: &mut Program, input: Value, initial: Value) -> Result<Value, BuildError> {
        let Self { alpha, beta, weight_decay } = *self;
        if !(0.0..=1.0).contains(&alpha) {
            let reason = format!("goes back to its beginning with a share of {alpha}; give one from 0 to 1");
            return Err(program.error(reason));
        }
        if !(0.0..=f32::MAX).contains(&beta) {
            let reason = format!("weighs its linear map by {beta}; give a number from 0 up, usually below 1");
            return Err(program.error(reason));
        }
        let width = input.width();
        let layout = TensorLayout { shape: vec![width, width], transposed: false };
        let weight = program.parameter("weight1", [width, width], layout, Initialization::Glorot, weight_decay)?;
        let sums = aggregate(program, input, Normalization::Symmetric)?;
        let residual = add(program, [(sums, 1.0 - alpha), (initial, alpha)])?;
        let mapped = linear(program, residual, &weight, None)?;
        add(program, [(mapped, beta), (residual, 1.0 - beta)])
    }
}

impl Layer for Gcn2Conv {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        self.convolve(program, input, input)
    }
}
