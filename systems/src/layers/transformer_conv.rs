//! The graph transformer of Shi et al.

use serde::{Deserialize, Serialize};

use super::{
    Layer,
    affine::Affine,
    heads::{Heads, one, yes},
};
use crate::{
    error::BuildError,
    kernels::Activation,
    operators::{Attention, Relation, Scores, activate, add, attend, linear, mean_heads, multiply},
    program::{Program, Value, Weight},
};

/// `y[i] = S x[i] + s + sum over j of alpha[ij] (V x[j] + v + U e[ij])` for each head, over the sources `j` of the
/// edges that end at `i`, with `alpha[ij] = exp(s[ij]) / sum over k of exp(s[ik])` and
/// `s[ij] = (Q x[i] + q) . (K x[j] + k + U e[ij]) / sqrt(C)` (Shi et al., "Masked label prediction: unified message
/// passing model for semi-supervised classification", IJCAI 2021, eq. 3 and 4). With `beta` a gate weights the two
/// terms, `y = g r + (1 - g) m` with `r = S x + s`, the sum `m` and `g = sigmoid(B [m, r, m - r])` (eq. 5).
///
/// `X` is `[N, F]`, dense or sparse, `Q`, `K` and `V` `[F, H C]`; the output is `[N, H C]`, or `[N, C]` as the mean of
/// the heads. Costs `4 N F H C + 2 E H C` multiplications; no buffer of `[E, H C]` is needed without edge features.
///
/// Border: for a node without incoming edges `m` is 0. Self-loops are treated as other edges, and none are added.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransformerConv {
    /// Output width of each head.
    pub width: usize,
    /// Number of attention heads.
    #[serde(default = "one")]
    pub heads: usize,
    /// Whether the heads are concatenated; otherwise the output is their mean.
    #[serde(default = "yes")]
    pub concat: bool,
    /// Whether a gate weights the term of the node itself against that of its neighbors.
    #[serde(default)]
    pub beta: bool,
    /// Whether the node itself is read, by `S` and `s`.
    #[serde(default = "yes")]
    pub root: bool,
    /// Dropout probability of the attention weights in training.
    #[serde(default)]
    pub dropout: f32,
    /// Whether edge features are read.
    #[serde(default)]
    pub edge_features: bool,
    /// Weight decay of this layer's parameters; the optimizer's if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f32>,
}

impl TransformerConv {
    /// A layer with one head of this output width.
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
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        let &Self { width, heads: count, concat, dropout, weight_decay, .. } = self;
        let sources = program.source_features(input)?;
        if self.beta && !self.root {
            return Err(program.error("has a gate between a node and its neighbors; remove `root: false`, or `beta`"));
        }
        let heads = Heads { count, width, concat, weight_decay };
        let (total_width, output_width) = (heads.total_width(program)?, heads.output_width(program)?);
        let map = |name, width, bias| Affine { name, width, bias, initialization: None, weight_decay };

        let keys = map("lin_key", total_width, true).of(program, sources)?;
        let queries = map("lin_query", total_width, true).of(program, input)?;
        let values = map("lin_value", total_width, true).of(program, sources)?;
        let skip = if self.root { Some(map("lin_skip", output_width, true).of(program, input)?) } else { None };
        let edges = match self.edge_features {
            true => {
                let features = program.edge_features()?;
                Some(map("lin_edge", total_width, false).of(program, features)?)
            }
            false => None,
        };
        let factor = 1.0 / (width.max(1) as f32).sqrt();
        let scores = Scores::ScaledDot { keys, queries, factor };
        let attention =
            Attention { heads: count, scores, edges, add_self_loops: false, self_loop_edges: None, dropout };
        let mut sums = attend(program, values, attention, Relation::Neighbors, None)?;
        if !concat && count > 1 {
            sums = mean_heads(program, sums, count)?;
        }
        let Some(skip) = skip else { return Ok(sums) };
        if !self.beta {
            return add(program, [(sums, 1.0), (skip, 1.0)]);
        }
        let beta = program.weight("lin_beta.weight", [3 * output_width, 1], weight_decay)?;
        gate(program, sums, skip, &beta)
    }
}

/// `m - g (m - r)` with `g = sigmoid(B [m, r, m - r])`.
fn gate(program: &mut Program, sums: Value, skip: Value, beta: &Weight) -> Result<Value, BuildError> {
    let (width, difference) = (sums.width(), add(program, [(sums, 1.0), (skip, -1.0)])?);
    let mut total = linear(program, sums, &beta.rows(0..width), None)?;
    for (value, start) in [(skip, width), (difference, 2 * width)] {
        let term = linear(program, value, &beta.rows(start..start + width), None)?;
        total = add(program, [(total, 1.0), (term, 1.0)])?;
    }
    let gate = activate(program, total, Activation::Sigmoid)?;
    let gated = multiply(program, difference, gate)?;
    add(program, [(sums, 1.0), (gated, -1.0)])
}
