//! The graph attention network of Brody et al.

use connectome_components::Signal;
use serde::{Deserialize, Serialize};

use super::{
    BuildError, Initialization, Layer, LayerBuilder,
    affine::Affine,
    heads::{Heads, fifth, one, yes},
};
use crate::{
    kernels::Activation,
    stages::{Attention, EdgeTerms, Epilogue, activate, add, gather_ends, head_scores, linear, mean_from_others},
};

/// `y[i] = sum over j of alpha[ij] (L x[j] + l) + b` for each head, over the sources `j` of the edges that come to `i` and
/// over `i` itself, with `alpha[ij] = exp(s[ij]) / sum over k of exp(s[ik])` and
/// `s[ij] = a . LeakyReLU(R x[i] + r + L x[j] + l + U e[ij])` (Brody, Alon & Yahav, "How attentive are graph attention
/// networks?", ICLR 2022, eq. 7; the term of the edges is PyTorch Geometric's). Unlike in [`GatConv`](super::GatConv)
/// each node may rank its neighbours in another order.
///
/// `X` is `[N, F]`, dense or sparse, `L` and `R` `[F, H C]`, `a` `[H, C]`; the output is `[N, H C]`, or `[N, C]` as the
/// mean of the heads. Costs `2 N F H C + 3 (E + N) H C` multiplications, and columns of `[E, H C]`.
///
/// The node's own part replaces the self-loops that the graph has; the features of this added loop are the mean of those
/// of the edges from other nodes. So a node without edges keeps its own `L x[i] + l`. Without `self_loops` its output is
/// the bias.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gatv2Conv {
    /// Columns of each head.
    pub width: usize,
    /// How many heads.
    #[serde(default = "one")]
    pub heads: usize,
    /// Whether the output is the mean of the heads; they are put side by side otherwise.
    #[serde(default)]
    pub mean: bool,
    /// Slope of the rectifier below 0.
    #[serde(default = "fifth")]
    pub negative_slope: f32,
    /// Probability with which a weight of attention is dropped while training.
    #[serde(default)]
    pub dropout: f32,
    /// Whether features of the edges count.
    #[serde(default)]
    pub edges: bool,
    /// Whether each node attends to itself, once, whatever self-loops the graph has.
    #[serde(default = "yes")]
    pub self_loops: bool,
    /// Decay of this layer's parameters; the optimizer's if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f32>,
}

impl Gatv2Conv {
    /// A layer of one head of so many columns.
    pub fn new(width: usize) -> Self {
        Self {
            width,
            heads: one(),
            mean: false,
            negative_slope: fifth(),
            dropout: 0.0,
            edges: false,
            self_loops: yes(),
            weight_decay: None,
        }
    }
}

impl Layer for Gatv2Conv {
    fn build(&self, input: Signal, layer: &mut LayerBuilder) -> Result<Signal, BuildError> {
        let &Self { width, heads: count, mean, dropout, weight_decay, .. } = self;
        let heads = Heads { count, width, mean, dropout, weight_decay };
        let columns = heads.columns(layer)?;
        let vectors = heads.vectors(layer, "att")?;
        let bias = layer.vector("bias", heads.output_columns(layer)?, Initialization::ZEROS, weight_decay)?;
        let activation = Activation::LeakyRelu(self.negative_slope);
        let map = |name| Affine {
            name,
            width: columns,
            bias: true,
            initialization: Some(Initialization::Glorot),
            weight_decay,
        };

        layer.messages();
        let source = map("lin_l").of(layer, input)?;
        let target = map("lin_r").of(layer, input)?;
        layer.release(input);
        let features = if self.edges { Some(layer.edges()?) } else { None };
        let weight = match features {
            Some(features) => Some(layer.weight("lin_edge.weight", [features.width(), columns], weight_decay)?),
            None => None,
        };
        let map_edges = |layer: &mut LayerBuilder, features: Signal| {
            weight.as_ref().map(|weight| linear(layer, features, weight, Epilogue::default())).transpose()
        };
        let score = |layer: &mut LayerBuilder, sums: Signal| -> Result<Signal, BuildError> {
            let rectified = activate(layer, sums, activation)?;
            layer.release(sums);
            let scores = head_scores(layer, rectified, &vectors)?;
            layer.release(rectified);
            Ok(scores)
        };
        let edge = match features {
            Some(features) => map_edges(layer, features)?,
            None => None,
        };
        let terms = [Some(source), Some(target), edge].map(|signal| signal.map(|signal| (signal, 1.0)));
        let sums = gather_ends(
            layer,
            EdgeTerms { source: terms[0], target: terms[1], edge: terms[2], ..EdgeTerms::default() },
        )?;
        if let Some(edge) = edge {
            layer.release(edge);
        }
        let others = score(layer, sums)?;
        let own = if self.self_loops {
            let mut sums = add(layer, [(source, 1.0), (target, 1.0)])?;
            if let Some(features) = features {
                let mean = mean_from_others(layer, features)?;
                if let Some(edge) = map_edges(layer, mean)? {
                    sums = add(layer, [(sums, 1.0), (edge, 1.0)])?;
                }
            }
            Some(score(layer, sums)?)
        } else {
            None
        };
        let weights = heads.weigh(layer, Attention { others, own })?;
        heads.attend(layer, source, weights, Epilogue::bias(&bias))
    }
}
