//! The graph convolution of GCNII, with initial residual and identity mapping.

use connectome_components::{Normalization, TensorLayout};
use serde::{Deserialize, Serialize};

use super::{Initialization, Layer};
use crate::{
    error::BuildError,
    operators::{add, aggregate, linear},
    program::{Program, Value},
};

/// `P[i] = (1 - alpha) (sum over edges j -> i and i itself of s[ij] X[j]) + alpha X_0[i]` and
/// `Y[i] = (1 - beta) P[i] + beta P[i] W`, with the coefficients `s` of [`GcnConv`](super::GcnConv) (Chen et al.,
/// "Simple and deep graph convolutional networks", ICML 2020, eq. 5, without its nonlinearity).
///
/// `X`, `X_0`, `P` and `Y` are `[N, F]`, dense, `W` is `[F, F]` and called `weight1`. `X_0` is the input of a stack of
/// these layers ([`Gcn2Conv::convolve`]; [`Gcnii`](super::Gcnii) is such a stack); for a single layer it is `X`. Costs
/// `(E + N) F + N F F` multiplications. Border: for a node without incoming edges the sum is `X[i]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gcn2Conv {
    /// The fraction of the initial value.
    #[serde(default = "one_tenth")]
    pub alpha: f32,
    /// The fraction of the linear map; the identity has `1 - beta`.
    pub beta: f32,
    /// Weight decay of this layer's parameters; the optimizer's if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f32>,
}

fn one_tenth() -> f32 {
    0.1
}

impl Gcn2Conv {
    /// A layer with these fractions of the initial value and of the linear map.
    pub fn new(alpha: f32, beta: f32) -> Self {
        Self { alpha, beta, weight_decay: None }
    }

    /// Records `Y` with `X_0 = initial`.
    ///
    /// # Errors
    /// If a value is sparse or not on nodes, their widths differ, or `alpha` or `beta` is invalid.
    pub fn convolve(&self, program: &mut Program, input: Value, initial: Value) -> Result<Value, BuildError> {
        let Self { alpha, beta, weight_decay } = *self;
        if !(0.0..=1.0).contains(&alpha) {
            let reason = format!("has alpha {alpha}; give one from 0 to 1");
            return Err(program.error(reason));
        }
        if !(0.0..=f32::MAX).contains(&beta) {
            let reason = format!("has beta {beta}; give one of at least 0, usually below 1");
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
