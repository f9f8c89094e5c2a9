//! The graph isomorphism network with edge features.

use serde::{Deserialize, Serialize};

use super::{Layer, Mlp, gin_conv::eps, mlp::torch_linear};
use crate::{
    error::BuildError,
    kernels::Activation,
    operators::{EdgeTerms, Reduction, Relation, activate, add, gather_endpoints, linear, reduce, scale_by},
    program::{Program, Value},
};

/// `Y[i] = nn((1 + eps) X[i] + sum of ReLU(X[j] + E[e] W + b) over the edges e: j -> i)` (Hu et al., "Strategies for
/// pre-training graph neural networks", ICLR 2020, eq. 4 of its appendix A, with a ReLU as in PyTorch Geometric).
///
/// `X` is `[N, F]`, dense, the edge features `E` are `[E, D]`, `W` is `[D, F]`, `Y` `[N, last width of nn]`. Costs `nn`
/// on `N` rows and `E D F` multiplications. Border: the output of a node without incoming edges is `nn((1 + eps)
/// X[i])`.
///
/// Parameters are called `eps`, `nn.*` and `lin.*`; an `eps` that is not trained is saved as a buffer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GineConv {
    /// The perceptron after the sum.
    pub nn: Mlp,
    /// Initial value of `eps`.
    #[serde(default)]
    pub epsilon: f32,
    /// Whether `eps` is trained.
    #[serde(default)]
    pub train_epsilon: bool,
    /// Whether edge features are mapped to the width of the node features by `W` and `b`; otherwise they must have that
    /// width.
    #[serde(default = "yes")]
    pub edge_features: bool,
}

fn yes() -> bool {
    true
}

impl GineConv {
    /// A layer with this perceptron, a map of the edge features, and an `eps` of 0 that is not trained.
    pub fn new(nn: Mlp) -> Self {
        Self { nn, epsilon: 0.0, train_epsilon: false, edge_features: true }
    }

    /// The same, with a trained `eps`.
    pub fn train_epsilon(self) -> Self {
        Self { train_epsilon: true, ..self }
    }
}

impl Layer for GineConv {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        let (sources, mut edges) = (program.source_features(input)?, program.edge_features()?);
        if self.edge_features {
            let (weight, bias) = torch_linear(program, "lin", [edges.width(), sources.width()], None)?;
            edges = linear(program, edges, &weight, Some(&bias))?;
        } else if edges.width() != sources.width() {
            let (edges, nodes) = (edges.width(), sources.width());
            let reason = format!(
                "adds edge features of width {edges} to node features of width {nodes}; use equal widths, or set \
                 `edge_features`"
            );
            return Err(program.error(reason));
        }
        let [source, edge] = [sources, edges].map(|value| Some((value, 1.0)));
        let terms = gather_endpoints(program, EdgeTerms { source, target: None, edge })?;
        let messages = activate(program, terms, Activation::Relu)?;
        let sums = reduce(program, messages, Relation::Edges, Reduction::Sum)?;
        let eps = eps(program, self.epsilon, self.train_epsilon)?;
        let root = scale_by(program, input, &eps, 1.0)?;
        let features = add(program, [(root, 1.0), (sums, 1.0)])?;
        program.nested("nn", &self.nn, features)
    }
}
