//! Approximate personalized propagation of neural predictions.

use connectome_components::Normalization;
use serde::{Deserialize, Serialize};

use super::Layer;
use crate::{
    error::BuildError,
    operators::{EdgeCoefficients, EdgeDropout, add, aggregate},
    program::{Program, Value},
};

/// `Z_k[i] = (1 - alpha) (sum over edges j -> i and i itself of s[ij] Z_(k-1)[j]) + alpha X[i]`, `K` times from
/// `Z_0 = X`, with the coefficients `s` of [`GcnConv`](super::GcnConv) (Gasteiger, Bojchevski & Günnemann, "Predict
/// then propagate: graph neural networks meet personalized PageRank", ICLR 2019, eq. 4).
///
/// `X` and `Z` are `[N, F]`, dense. Has no parameters: it propagates the predictions of the layers before it, and does
/// not oversmooth, because every hop adds `X` again. Costs `K (E + N) F` multiplications and two buffers of `[N, F]`,
/// also in training. Border: a node without incoming edges keeps its features at each hop.
///
/// In training `dropout` sets each coefficient `s[ij]` and `s[ii]` to 0 with this probability and divides the others by
/// `1 - dropout`, independently for each hop, as in the authors' code. (PyTorch Geometric drops from the coefficients
/// that remain after the previous hop: after ten hops with a rate of 0.5 hardly any edge is left, and Cora is not
/// learned.)
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Appnp {
    /// Number of propagation steps, `K`.
    #[serde(default = "ten")]
    pub hops: usize,
    /// The teleport probability: the fraction of the input in each hop.
    #[serde(default = "one_tenth")]
    pub alpha: f32,
    /// Dropout probability of the coefficients in training.
    #[serde(default)]
    pub dropout: f32,
}

fn ten() -> usize {
    10
}

fn one_tenth() -> f32 {
    0.1
}

impl Appnp {
    /// A layer with this number of hops and this teleport probability, without dropout.
    pub fn new(hops: usize, alpha: f32) -> Self {
        Self { hops, alpha, dropout: 0.0 }
    }
}

impl Default for Appnp {
    /// The 10 hops and the teleport probability of 0.1 of the paper.
    fn default() -> Self {
        Self::new(ten(), one_tenth())
    }
}

impl Layer for Appnp {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        let Self { hops, alpha, dropout } = *self;
        if !(0.0..=1.0).contains(&alpha) {
            return Err(program.error(format!("has the teleport probability {alpha}; give one from 0 to 1")));
        }
        let input = program.dense(input)?;
        let mut value = input;
        for _ in 0..hops {
            let mask = EdgeDropout::draw(program, dropout)?;
            let coefficients = EdgeCoefficients::from(Normalization::Symmetric).masked(mask);
            let sums = aggregate(program, value, coefficients)?;
            value = add(program, [(sums, 1.0 - alpha), (input, alpha)])?;
        }
        Ok(value)
    }
}
