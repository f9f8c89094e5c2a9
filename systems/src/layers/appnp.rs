//! Personalised propagation of predictions.

use connectome_components::Normalization;
use serde::{Deserialize, Serialize};

use super::{BuildError, Layer};
use crate::{
    operators::{EdgeCoefficients, EdgeDropout, add, aggregate},
    program::{Program, Value},
};

/// `Z_k[i] = (1 - alpha) (sum over edges j -> i and i itself of s[ij] Z_(k-1)[j]) + alpha X[i]`, `K` times from `Z_0 = X`,
/// with `s` of `D^-1/2 (A + I) D^-1/2` (Gasteiger, Bojchevski & Günnemann, "Predict then propagate: graph neural networks
/// meet personalized PageRank", ICLR 2019, eq. 4), with the weights of the edges in `A` and degrees by target.
///
/// `X` and `Z` are `[N, F]`, dense. Has no parameters: it spreads what layers before it predict, however far, without
/// growing alike, for every hop goes back to `X`. Costs `K (E + N) F` multiplications in two columns, in training as well.
/// Border: a node without incoming edges keeps its own features at each hop.
///
/// In training `dropout` sets each coefficient `s[ij]` and `s[ii]` to 0 with this probability and divides the others by
/// `1 - dropout`, each hop by a draw of its own, as in the authors' code. (PyTorch Geometric drops what is left of the hop
/// before: after ten hops with a rate of 0.5 hardly any edge is left, and Cora is not learned.)
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Appnp {
    /// How often features are sent on, `K`.
    #[serde(default = "ten")]
    pub hops: usize,
    /// The share of the input in each hop: how soon a walk goes back to where it began.
    #[serde(default = "one_tenth")]
    pub alpha: f32,
    /// The share of the coefficients that training leaves out.
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
    /// So many hops with this share of the input in each, without dropout.
    pub fn new(hops: usize, alpha: f32) -> Self {
        Self { hops, alpha, dropout: 0.0 }
    }
}

impl Default for Appnp {
    /// The 10 hops of the paper, with a share of 0.1.
    fn default() -> Self {
        Self::new(ten(), one_tenth())
    }
}

impl Layer for Appnp {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        let Self { hops, alpha, dropout } = *self;
        if !(0.0..=1.0).contains(&alpha) {
            return Err(program.error(format!("returns to its input with a share of {alpha}; give one from 0 to 1")));
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
