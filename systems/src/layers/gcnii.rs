//! A deep stack of GCNII convolutions.

use serde::{Deserialize, Serialize};

use super::{Gcn2Conv, Layer};
use crate::{
    error::BuildError,
    kernels::Activation,
    operators::{activate, dropout},
    program::{Program, Value},
};

/// `X_l = ReLU((1 - b_l) P_l + b_l P_l W_l)` for `l = 1..=layers`, where `P_l = (1 - alpha) S X_(l-1) + alpha X_0` with
/// `S` of [`GcnConv`](super::GcnConv), `b_l = ln(lambda / l + 1)`, and `X_0` the input, which each layer reads (Chen et
/// al., "Simple and deep graph convolutional networks", ICML 2020, eq. 5): GCNII, each layer of which is a
/// [`Gcn2Conv`]. In training dropout is applied to `X_(l-1)`.
///
/// The input is `[N, F]`, dense, and so is every layer's output; put a [`Linear`](super::Linear) and a ReLU before it
/// and a `Linear` after it. Parameters are called `convs.0.weight1` and so on, `[F, F]`. Costs `layers ((E + N) F + N F
/// F)` multiplications; inference needs two buffers of `[N, F]` besides the input, training two more for each layer.
/// Border: for a node without incoming edges the sum is `X_(l-1)[i]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gcnii {
    /// Number of convolutions.
    pub layers: usize,
    /// The fraction of the input in each convolution.
    #[serde(default = "one_tenth")]
    pub alpha: f32,
    /// Sets the fraction of the linear map in layer `l` to `ln(lambda / l + 1)`. At least 0; above 1.7 the identity has
    /// a negative coefficient in the first layers.
    #[serde(default = "one_half")]
    pub lambda: f32,
    /// Dropout probability before each convolution.
    #[serde(default)]
    pub dropout: f32,
    /// Weight decay of these layers' parameters; the optimizer's if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f32>,
}

fn one_tenth() -> f32 {
    0.1
}

fn one_half() -> f32 {
    0.5
}

impl Gcnii {
    /// A stack of this number of convolutions, with `alpha` 0.1 and `lambda` 0.5 as in the paper, without dropout.
    pub fn new(layers: usize) -> Self {
        Self { layers, alpha: one_tenth(), lambda: one_half(), dropout: 0.0, weight_decay: None }
    }

    /// Convolution `l`, counted from 1.
    fn convolution(&self, l: usize) -> Gcn2Conv {
        let beta = (f64::from(self.lambda) / l as f64).ln_1p() as f32;
        Gcn2Conv { alpha: self.alpha, beta, weight_decay: self.weight_decay }
    }
}

impl Layer for Gcnii {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        if self.layers == 0 {
            return Err(program.error("has no convolutions; give at least one"));
        }
        (1..=self.layers).try_fold(input, |value, l| {
            let block = Block { convolution: self.convolution(l), dropout: self.dropout, initial: input };
            program.nested(&format!("convs.{}", l - 1), &block, value)
        })
    }
}

/// Dropout, a convolution and a ReLU.
struct Block {
    convolution: Gcn2Conv,
    dropout: f32,
    initial: Value,
}

impl Layer for Block {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        let dropped = dropout(program, input, self.dropout)?;
        let output = self.convolution.convolve(program, dropped, self.initial)?;
        activate(program, output, Activation::Relu)
    }
}
