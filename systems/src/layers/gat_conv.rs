//! The graph attention network of Veličković et al.

use serde::{Deserialize, Serialize};

use super::{
    Initialization, Layer,
    heads::{Heads, fifth, one, yes},
};
use crate::{
    error::BuildError,
    operators::{Attention, Scores, head_scores, linear, self_loop_mean},
    program::{Program, Value},
};

/// `y[i] = sum over j of alpha[ij] W x[j] + b` for each head, over the sources `j` of the edges that end at `i` and
/// over `i` itself, with `alpha[ij] = exp(s[ij]) / sum over k of exp(s[ik])` and
/// `s[ij] = LeakyReLU(a_target . W x[i] + a_source . W x[j] + a_edge . U e[ij])` (Veličković et al., "Graph attention
/// networks", ICLR 2018, eq. 1-6; the term of the edges as in PyTorch Geometric).
///
/// `X` is `[N, F]`, dense or sparse, `W` `[F, H C]`, each `a` `[H, C]`; the output is `[N, H C]`, or `[N, C]` as the
/// mean of the heads. Costs `N F H C + (E + N) H C` multiplications; no buffer of `[E, H C]` is needed without edge
/// features.
///
/// An added self-loop replaces those of the graph; its edge features are the mean of those of the incoming edges from
/// other nodes. Border: the output of a node without incoming edges is `W x[i] + b`, or the bias without
/// `add_self_loops`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatConv {
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

impl GatConv {
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

impl Layer for GatConv {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        let &Self { width, heads: count, concat, dropout, add_self_loops, weight_decay, .. } = self;
        let features = program.source_features(input)?;
        let heads = Heads { count, width, concat, weight_decay };
        let total_width = heads.total_width(program)?;
        let is_relation = program.sources() != program.nodes();
        let name = if is_relation { "lin_src.weight" } else { "lin.weight" };
        let weight = program.weight(name, [features.width(), total_width], weight_decay)?;
        let by_source = heads.vectors(program, "att_src")?;
        let by_target = heads.vectors(program, "att_dst")?;
        let bias = program.vector("bias", heads.output_width(program)?, Initialization::ZEROS, weight_decay)?;

        let values = linear(program, features, &weight, None)?;
        let [sources, targets] = if is_relation {
            let weight = program.weight("lin_dst.weight", [input.width(), total_width], weight_decay)?;
            let own = linear(program, input, &weight, None)?;
            let ([sources], [targets]) =
                (head_scores(program, values, [&by_source])?, head_scores(program, own, [&by_target])?);
            [sources, targets]
        } else {
            head_scores(program, values, [&by_source, &by_target])?
        };
        let edges = if self.edge_features { Some(edge_scores(program, &heads, total_width)?) } else { None };
        let self_loop_edges = match edges {
            Some(edges) if add_self_loops => Some(self_loop_mean(program, edges)?),
            _ => None,
        };
        let scores = Scores::Decomposed { sources, targets: Some(targets), slope: self.negative_slope };
        let attention = Attention { heads: count, scores, edges, add_self_loops, self_loop_edges, dropout };
        heads.attend(program, values, attention, &bias)
    }
}

/// `a_edge . U e` for each edge.
fn edge_scores(program: &mut Program, heads: &Heads, width: usize) -> Result<Value, BuildError> {
    let edges = program.edge_features()?;
    let weight = program.weight("lin_edge.weight", [edges.width(), width], heads.weight_decay)?;
    let vectors = heads.vectors(program, "att_edge")?;
    let values = linear(program, edges, &weight, None)?;
    let [scores] = head_scores(program, values, [&vectors])?;
    Ok(scores)
}
