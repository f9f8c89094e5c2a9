//! The graph isomorphism network.

use connectome_components::Normalization;
use serde::{Deserialize, Serialize};

use super::{Initialization, Layer, Mlp};
use crate::{
    error::BuildError,
    operators::{EdgeCoefficients, add, add_bias, aggregate, linear, scale_by},
    program::{Program, Value, Weight},
};

/// `Y[i] = nn((1 + eps) X[i] + sum of X[j] over the edges j -> i)` (Xu, Hu, Leskovec & Jegelka, "How powerful are graph
/// neural networks?", ICLR 2019, eq. 4.1).
///
/// `X` is `[N, F]`, dense or sparse, `Y` `[N, last width of nn]`. The sum commutes with the first linear map of `nn`,
/// so the narrower of its input and output is aggregated: costs `nn` on `N` rows and `E min(F, widths[0])` additions.
/// Edge weights are not read. Border: the output of a node without incoming edges is `nn((1 + eps) X[i])`.
///
/// Parameters are called `eps` and `nn.*`; an `eps` that is not trained is saved as a buffer, as in PyTorch Geometric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GinConv {
    /// The perceptron after the sum.
    pub nn: Mlp,
    /// Initial value of `eps`.
    #[serde(default)]
    pub epsilon: f32,
    /// Whether `eps` is trained.
    #[serde(default)]
    pub train_epsilon: bool,
}

impl GinConv {
    /// A layer with this perceptron and an `eps` of 0 that is not trained.
    pub fn new(nn: Mlp) -> Self {
        Self { nn, epsilon: 0.0, train_epsilon: false }
    }

    /// The same, with a trained `eps`.
    pub fn train_epsilon(self) -> Self {
        Self { train_epsilon: true, ..self }
    }
}

impl Layer for GinConv {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        let (weight, bias) = self.nn.first(program, "nn", input.width())?;
        let eps = eps(program, self.epsilon, self.train_epsilon)?;
        if program.sources() != program.nodes() {
            // The node itself is no row of the sources.
            let sources = program.source_features(input)?;
            let (root, sums) = (scale_by(program, input, &eps, 1.0)?, aggregate(program, sources, Normalization::Sum)?);
            let features = add(program, [(root, 1.0), (sums, 1.0)])?;
            return program.nested("nn", &self.nn, features);
        }
        let coefficients = EdgeCoefficients::from(Normalization::Sum).with_self_loop(&eps);
        if program.sums_first(input, weight.shape()[1]) {
            let sums = aggregate(program, input, coefficients)?;
            return program.nested("nn", &self.nn, sums);
        }
        let mapped = linear(program, input, &weight, None)?;
        let sums = aggregate(program, mapped, coefficients)?;
        let hidden = add_bias(program, sums, &bias)?;
        program.nested("nn", &self.nn.after_first(), hidden)
    }
}

/// The parameter `eps`: `X[i]` is multiplied by `1 + eps`.
pub(super) fn eps(program: &mut Program, epsilon: f32, is_trained: bool) -> Result<Weight, BuildError> {
    let initialization = Initialization::Constant(epsilon);
    if is_trained { program.vector("eps", 1, initialization, None) } else { program.buffer("eps", 1, initialization) }
}
