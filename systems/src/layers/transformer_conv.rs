//! The graph transformer of Shi et al.

use connectome_components::{Parameter, Signal};
use serde::{Deserialize, Serialize};

use super::{
    BuildError, Layer, LayerBuilder,
    affine::Affine,
    heads::{Heads, one, yes},
};
use crate::{
    kernels::Activation,
    stages::{Attention, Epilogue, Relation, Scores, Weight, activate, add, attend, linear, mean_heads, multiply},
};

/// `y[i] = S x[i] + s + sum over j of alpha[ij] (V x[j] + v + U e[ij])` for each head, over the sources `j` of the edges
/// that come to `i`, with `alpha[ij] = exp(s[ij]) / sum over k of exp(s[ik])` and
/// `s[ij] = (Q x[i] + q) . (K x[j] + k + U e[ij]) / sqrt(C)` (Shi et al., "Masked label prediction: unified message passing
/// model for semi-supervised classification", IJCAI 2021, eq. 3 and 4). With `beta` the two parts are weighed by a gate,
/// `y = g r + (1 - g) m` with `r = S x + s`, the sum `m` and `g = sigmoid(B [m, r, m - r])` (eq. 5).
///
/// `X` is `[N, F]`, dense or sparse, `Q`, `K` and `V` `[F, H C]`; the output is `[N, H C]`, or `[N, C]` as the mean of the
/// heads. Costs `4 N F H C + 2 E H C` multiplications; nothing of a size `[E, H C]` is made unless the edges have
/// features.
///
/// A node without incoming edges has `m = 0`. Self-loops are edges like others, and none are added.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransformerConv {
    /// Columns of each head.
    pub width: usize,
    /// How many heads.
    #[serde(default = "one")]
    pub heads: usize,
    /// Whether the heads are concatenated; the output is their mean otherwise.
    #[serde(default = "yes")]
    pub concat: bool,
    /// Whether a gate weighs the node's own part against that of its neighbours.
    #[serde(default)]
    pub beta: bool,
    /// Whether there is a part of the node's own.
    #[serde(default = "yes")]
    pub root: bool,
    /// Probability with which a weight of attention is dropped while training.
    #[serde(default)]
    pub dropout: f32,
    /// Whether features of the edges count.
    #[serde(default)]
    pub edge_features: bool,
    /// Decay of this layer's parameters; the optimizer's if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f32>,
}

impl TransformerConv {
    /// A layer of one head of so many columns.
    pub fn new(width: usize) -> Self {
        Self {
            width,
            heads: one(),
            concat: yes(),
            beta: false,
            root: yes(),
            dropout: 0.0,
            edge_features: false,
            weight_decay: None,
        }
    }
}

impl Layer for TransformerConv {
    fn build(&self, input: Signal, layer: &mut LayerBuilder) -> Result<Signal, BuildError> {
        let &Self { width, heads: count, concat, dropout, weight_decay, .. } = self;
        if self.beta && !self.root {
            return Err(layer.refuse("has a gate between a node and its neighbours, so leave out `root: false`"));
        }
        let heads = Heads { count, width, concat, weight_decay };
        let (columns, output_columns) = (heads.columns(layer)?, heads.output_columns(layer)?);
        let map = |name, width, bias| Affine { name, width, bias, initialization: None, weight_decay };

        layer.messages();
        let keys = map("lin_key", columns, true).of(layer, input)?;
        let queries = map("lin_query", columns, true).of(layer, input)?;
        let values = map("lin_value", columns, true).of(layer, input)?;
        let skip = if self.root { Some(map("lin_skip", output_columns, true).of(layer, input)?) } else { None };
        layer.release(input);
        let edges = match self.edge_features {
            true => {
                let features = layer.edges()?;
                Some(map("lin_edge", columns, false).of(layer, features)?)
            }
            false => None,
        };
        let factor = 1.0 / (width.max(1) as f32).sqrt();
        let scores = Scores::Product { keys, queries, factor };
        let attention = Attention { heads: count, scores, edges, own: false, own_edges: None, dropout };
        let mut sums = attend(layer, values, attention, Relation::Neighbours, None)?;
        [keys, queries, values].into_iter().chain(edges).for_each(|signal| layer.release(signal));
        if !concat && count > 1 {
            sums = mean_heads(layer, sums, count, Epilogue::default())?;
        }
        let Some(skip) = skip else { return Ok(sums) };
        if !self.beta {
            layer.last_stage();
            return add(layer, [(sums, 1.0), (skip, 1.0)]);
        }
        let beta = layer.weight("lin_beta.weight", [3 * output_columns, 1], weight_decay)?;
        gate(layer, sums, skip, &beta)
    }
}

/// `m - g (m - r)` with `g = sigmoid(B [m, r, m - r])`.
fn gate(layer: &mut LayerBuilder, sums: Signal, skip: Signal, beta: &Parameter) -> Result<Signal, BuildError> {
    let difference = add(layer, [(sums, 1.0), (skip, -1.0)])?;
    let mut total: Option<Signal> = None;
    for (place, signal) in [sums, skip, difference].into_iter().enumerate() {
        let rows = place * signal.width()..(place + 1) * signal.width();
        let part = linear(layer, signal, Weight::rows(beta, rows), Epilogue::default())?;
        total = Some(match total {
            Some(total) => add(layer, [(total, 1.0), (part, 1.0)])?,
            None => part,
        });
    }
    let Some(total) = total else { return Ok(sums) };
    let gate = activate(layer, total, Activation::Sigmoid)?;
    let taken = multiply(layer, difference, gate)?;
    layer.last_stage();
    add(layer, [(sums, 1.0), (taken, -1.0)])
}
