//! The graph attention network of Brody et al.

use serde::{Deserialize, Serialize};

use super::{
    Initialization, Layer,
    affine::Affine,
    heads::{Heads, fifth, one, yes},
};
use crate::{
    error::BuildError,
    operators::{Attention, Scores, linear, self_loop_mean},
    program::{Program, Value},
};

/// `y[i] = sum over j of alpha[ij] (L x[j] + l) + b` for each head, over the sources `j` of the edges that end at `i`
/// and over `i` itself, with `alpha[ij] = exp(s[ij]) / sum over k of exp(s[ik])` and
/// `s[ij] = a . LeakyReLU(R x[i] + r + L x[j] + l + U e[ij])` (Brody, Alon & Yahav, "How attentive are graph attention
/// networks?", ICLR 2022, eq. 7; the term of the edges as in PyTorch Geometric). Unlike in [`GatConv`](super::GatConv),
/// nodes may rank the same neighbors differently.
///
/// `X` is `[N, F]`, dense or sparse, `L` and `R` `[F, H C]`, `a` `[H, C]`; the output is `[N, H C]`, or `[N, C]` as the
/// mean of the heads. Costs `2 N F H C + 2 (E + N) H C` multiplications; no buffer of `[E, H C]` is needed without edge
/// features.
///
/// An added self-loop replaces those of the graph; its edge features are the mean of those of the incoming edges from
/// other nodes. Border: the output of a node without incoming edges is `L x[i] + l + b`, or the bias without
/// `add_self_loops`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gatv2Conv {
    /// Output width of each head.
    pub width: usize,
    /// Number of attention heads.
    #[serde(default = "one")]
    pub heads: usize,
    /// Whether the heads are concatenated; otherwise the output is their mean.
    #[serde(default = "yes")]
    pub concat: bool,
    /// Slope of the leaky ReLU below 0.
    #[serde(default = "fifth")]
    pub negative_slope: f32,
    /// Dropout probability of the attention weights in training.
    #[serde(default)]
    pub dropout: f32,
    /// Whether edge features are read.
    #[serde(default)]
    pub edge_features: bool,
    /// Whether each node attends to itself exactly once, with or without self-loops in the graph.
    #[serde(default = "yes")]
    pub add_self_loops: bool,
    /// Weight decay of this layer's parameters; the optimizer's if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f32>,
}

impl Gatv2Conv {
    /// A layer with one head of this output width.
    pub fn new(width: usize) -> Self {
        Self {
            width,
            heads: one(),
            concat: yes(),
            negative_slope: fifth(),
            dropout: 0.0,
            edge_features: false,
            add_self_loops: yes(),
            weight_decay: None,
        }
    }
}

impl Layer for Gatv2Conv {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        let &Self { width, heads: count, concat, dropout, add_self_loops, weight_decay, .. } = self;
        let features = program.source_features(input)?;
        let heads = Heads { count, width, concat, weight_decay };
        let total_width = heads.total_width(program)?;
        let vectors = heads.vectors(program, "att")?;
        let bias = program.vector("bias", heads.output_width(program)?, Initialization::ZEROS, weight_decay)?;
        let map = |name| Affine {
            name,
            width: total_width,
            bias: true,
            initialization: Some(Initialization::Glorot),
            weight_decay,
        };

        let sources = map("lin_l").of(program, features)?;
        let targets = map("lin_r").of(program, input)?;
        let (mut edges, mut self_loop_edges) = (None, None);
        if self.edge_features {
            let features = program.edge_features()?;
            let weight = program.weight("lin_edge.weight", [features.width(), total_width], weight_decay)?;
            edges = Some(linear(program, features, &weight, None)?);
            if add_self_loops {
                let mean = self_loop_mean(program, features)?;
                self_loop_edges = Some(linear(program, mean, &weight, None)?);
            }
        }
        let scores = Scores::Additive { targets, vectors, slope: self.negative_slope };
        let attention = Attention { heads: count, scores, edges, add_self_loops, self_loop_edges, dropout };
        heads.attend(program, sources, attention, &bias)
    }
}
