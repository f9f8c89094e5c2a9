//! GraphSAGE.

use connectome_components::{Normalization, Signal};
use serde::{Deserialize, Serialize};

use super::{
    BuildError, Layer, LayerBuilder,
    mlp::{torch_linear, torch_weight},
};
use crate::{
    kernels::Activation,
    stages::{Blend, Epilogue, Reduction, Relation, aggregate, linear, linear_of_two, normalize_rows, reduce},
};

/// `Y[i] = W_l^T mean(X[j] over the edges j -> i) + b + W_r^T X[i]`, or with another reduction than the mean (Hamilton, Ying
/// & Leskovec, "Inductive representation learning on large graphs", NeurIPS 2017, algorithm 1 with the map of both put side
/// by side taken apart).
///
/// `X` is `[N, F]`, dense, or sparse where it is mapped before it is reduced; `W_l` and `W_r` are `[F, width]`, `b`
/// `[width]`. Sums and means commute with the map, so the narrower of the two widths is sent along the edges: costs
/// `2 N F width + E min(F, width)`, and `E F` comparisons for extremes. Weights of edges are not read. Border: a node
/// without incoming edges has `b + W_r^T X[i]`.
///
/// Parameters are called `lin_l.weight`, `lin_l.bias`, `lin_r.weight`; and `lin.weight`, `lin.bias` with `project`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SageConv {
    /// Output width.
    pub width: usize,
    /// What is made of the neighbours.
    #[serde(default = "mean")]
    pub aggregation: Reduction,
    /// Whether the neighbours' features go through a linear map and a rectifier first: with the maximum, the pooling
    /// aggregator of the paper (eq. 3).
    #[serde(default)]
    pub project: bool,
    /// Whether a node's own features are read.
    #[serde(default = "yes")]
    pub root_weight: bool,
    /// Whether each row is divided by its length at last (line 7 of the algorithm).
    #[serde(default)]
    pub normalize: bool,
    /// Decay of this layer's parameters; the optimizer's if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f32>,
}

fn mean() -> Reduction {
    Reduction::Mean
}

fn yes() -> bool {
    true
}

impl SageConv {
    /// The mean of the neighbours and the node itself to so many outputs.
    pub fn new(width: usize) -> Self {
        let (aggregation, root_weight) = (mean(), yes());
        Self { width, aggregation, project: false, root_weight, normalize: false, weight_decay: None }
    }

    /// The same with another reduction.
    pub fn with_aggregation(self, aggregation: Reduction) -> Self {
        Self { aggregation, ..self }
    }

    /// The same with rows of length 1.
    pub fn normalized(self) -> Self {
        Self { normalize: true, ..self }
    }

    /// The coefficients by which a reduction is a weighted sum, if it is one.
    fn normalization(&self) -> Option<Normalization> {
        match self.aggregation {
            Reduction::Sum => Some(Normalization::Sum),
            Reduction::Mean => Some(Normalization::Mean),
            Reduction::Max | Reduction::Min => None,
        }
    }

    /// What of the neighbours is mapped: their features, or what the projection makes of them.
    fn features(&self, layer: &mut LayerBuilder, input: Signal) -> Result<Signal, BuildError> {
        if !self.project {
            return Ok(input);
        }
        layer.messages();
        let (weight, bias) = torch_linear(layer, "lin", [input.width(); 2], self.weight_decay)?;
        linear(layer, input, &weight, Epilogue { activation: Activation::Relu, ..Epilogue::bias(&bias) })
    }

    fn combine(&self, layer: &mut LayerBuilder, input: Signal) -> Result<Signal, BuildError> {
        let features = self.features(layer, input)?;
        let (weight, bias) = torch_linear(layer, "lin_l", [features.width(), self.width], self.weight_decay)?;
        let own = [input.width(), self.width];
        let own_weight = self.root_weight.then(|| torch_weight(layer, "lin_r", own, self.weight_decay)).transpose()?;
        let mut epilogue = Epilogue::bias(&bias);
        let is_sparse = matches!(features, Signal::Sparse { .. });
        let release_features = |layer: &mut LayerBuilder| {
            if self.project {
                layer.release(features);
            }
        };
        let reduced = match self.normalization() {
            Some(normalization) if self.width < features.width() || is_sparse => {
                layer.messages();
                let messages = linear(layer, features, &weight, Epilogue::default())?;
                release_features(layer);
                if let Some(weight) = &own_weight {
                    let signal = linear(layer, input, weight, Epilogue::default())?;
                    epilogue.blend = Some(Blend { own: 1.0, signal, factor: 1.0 });
                }
                self.end(layer);
                return aggregate(layer, messages, normalization, epilogue);
            }
            Some(normalization) => aggregate(layer, features, normalization, Epilogue::default())?,
            None => reduce(layer, features, Relation::Neighbours, self.aggregation)?,
        };
        release_features(layer);
        self.end(layer);
        match &own_weight {
            Some(own_weight) => {
                linear_of_two(layer, [(reduced, (&weight).into()), (input, own_weight.into())], epilogue)
            }
            None => linear(layer, reduced, &weight, epilogue),
        }
    }

    /// Says that the next stage is the last one, if it is.
    fn end(&self, layer: &mut LayerBuilder) {
        if !self.normalize {
            layer.last_stage();
        }
    }
}

impl Layer for SageConv {
    fn build(&self, input: Signal, layer: &mut LayerBuilder) -> Result<Signal, BuildError> {
        let output = self.combine(layer, input)?;
        if !self.normalize {
            return Ok(output);
        }
        layer.last_stage();
        normalize_rows(layer, output)
    }
}
