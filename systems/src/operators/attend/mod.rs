//! Attention: weighted sums over rows, with learned weights.

mod backward;
mod merge;
mod specification;
mod weights;

use std::sync::Arc;

use super::{dropout::draw_mask, epilogue::bias_gradient, relation::Relation};
use crate::{
    error::BuildError,
    kernels::Tile,
    program::{Cost, Footprint, InInference, Operation, Operator, Program, Shape, Step, Tape, Value, Weight},
};
pub use merge::merge_attention;
use specification::AttentionSpec;

/// How a row attends to others: for each head, by the softmax of their scores.
#[derive(Clone, Copy, Debug)]
pub struct Attention {
    /// Number of heads, among which the features are divided.
    pub heads: usize,
    /// How a row is scored.
    pub scores: Scores,
    /// The edges' term of the score, as wide as those of the nodes.
    pub edges: Option<Value>,
    /// Whether a self-loop is added to each node, in place of those of the graph.
    pub add_self_loops: bool,
    /// The added self-loops' term of the score, on nodes.
    pub self_loop_edges: Option<Value>,
    /// Dropout probability of the attention weights in training.
    pub dropout: f32,
}

/// The score `s[ij, h]` of source `j` for target `i` along link `l`.
#[derive(Clone, Copy, Debug)]
pub enum Scores {
    /// `LeakyReLU(S[j, h] + T[i, h] + E[l, h])`.
    Decomposed {
        /// `S`, `[N, H]`.
        sources: Value,
        /// `T`, on the targets.
        targets: Option<Value>,
        /// Slope of the rectifier below 0; 1 for none.
        slope: f32,
    },
    /// `a[h] . LeakyReLU(X[j, h] + T[i, h] + E[l, h])` with the values `X`.
    Additive {
        /// `T`, `[N, H C]`.
        targets: Value,
        /// `a`, `[H, C]`.
        vectors: Weight,
        /// Slope of the rectifier below 0.
        slope: f32,
    },
    /// `factor * Q[i, h] . (K[j, h] + E[l, h])`; `E` is added to the value as well.
    ScaledDot {
        /// `K`, `[N, H C]`.
        keys: Value,
        /// `Q`, on the targets.
        queries: Value,
        /// The scale of the product.
        factor: f32,
    },
}

/// `Y[i, h] = sum over j of w[ij, h] X[j, h] + b` over the sources `j` of `i`, with
/// `w[ij, h] = exp(s[ij, h]) / sum over k of exp(s[ik, h])`: of the `H C` features of `X`, head `h` has the features
/// `h C` to `(h + 1) C`. A row without sources has the bias.
///
/// No column of the links is needed, forward or backward, but the dropout mask `[E, H]`: the backward pass recomputes
/// the weights from one number for each head of a row. The largest score is subtracted first, so no exponential overflows.
/// Each pass costs `(E + N) H` exponentials and `(E + N) H C` multiplications, twice as many in training; the backward pass of
/// additive and scaled-dot scores is made once by target and once by source, with up to three times as many. For
/// decomposed scores training keeps a column `[N, H + H C]` instead.
///
/// If the program [keeps attention](Program::keep_attention), the weights of edges are a value of their own that is kept.
///
/// # Errors
/// If a value is sparse, or on the wrong rows, or of the wrong width; if the width of `X` is not
/// a multiple of the heads, or there are more than 256.
pub fn attend(
    program: &mut Program,
    input: Value,
    attention: Attention,
    relation: Relation,
    bias: Option<&Weight>,
) -> Result<Value, BuildError> {
    attend_in_part(program, input, attention, relation, bias).map(|part| part.output)
}

/// Attention to some of the rows that a row attends to, which [`merge_attention`] puts together with that to others.
#[derive(Clone, Copy, Debug)]
pub struct PartialAttention {
    /// What [`attend`] gives, `[M, H C]`.
    pub output: Value,
    /// For each head the logarithm of the sum of the exponentials of the scores, `[M, H]`; minus infinity without sources.
    pub logarithms: Value,
}

/// As [`attend`], with what it takes to put the result together with attention to other rows.
///
/// # Errors
/// As [`attend`].
pub fn attend_in_part(
    program: &mut Program,
    input: Value,
    attention: Attention,
    relation: Relation,
    bias: Option<&Weight>,
) -> Result<PartialAttention, BuildError> {
    let mut inputs = vec![program.dense(input)?];
    let specification = AttentionSpec::new(program, &attention, relation, &mut inputs)?;
    let scored = inputs.len();
    let mut add = |value: Value| {
        inputs.push(value);
        inputs.len() - 1
    };
    let bias = bias.map(|bias| add(bias.value()));
    let (heads, rate, [_, to, links]) = (attention.heads, attention.dropout, specification.domains);
    let edges = draw_mask(program, links, heads, rate)?.map(&mut add);
    let self_loops = if attention.add_self_loops { draw_mask(program, to, heads, rate)?.map(&mut add) } else { None };
    let masks = edges.map(|edges| [edges, self_loops.unwrap_or(edges)]);
    let has_slopes = specification.has_slopes();
    let attend = Attend { specification: AttentionSpec { masks, ..specification }, bias, has_slopes };
    let [output, logarithms, ..] = program.record(attend, &inputs)?[..] else {
        return Err(program.error("attends without logarithms of its sums; report this as a bug"));
    };
    if program.keeps_attention() && relation == Relation::Neighbors {
        let weights = weights::record(program, specification, &inputs[..scored], logarithms)?;
        program.keep(weights);
    }
    Ok(PartialAttention { output, logarithms })
}

/// [`attend`]: reads the values, the terms of the scores, the bias and then the masks. Its second output is, for each
/// head of a row, the logarithm of the sum of the exponentials of its scores; its third, if there is one, its slopes:
/// [`Attending::add`](crate::kernels::Attending::add).
#[derive(Clone, Copy, Debug)]
struct Attend {
    specification: AttentionSpec,
    bias: Option<usize>,
    has_slopes: bool,
}

impl Operator for Attend {
    fn name(&self) -> &'static str {
        "attend"
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        let AttentionSpec { heads, width, .. } = self.specification;
        self.specification.check(inputs)?;
        if let Some(bias) = self.bias.map(|bias| inputs[bias]).filter(|bias| bias.width() != width) {
            let found = bias.width();
            return Err(format!("adds a bias {found} wide to a value {width} wide; give both one width"));
        }
        let [_, to, _] = self.specification.domains;
        let slopes = self.has_slopes.then_some(Shape::new(to, heads + width));
        Ok([Shape::new(to, width), Shape::new(to, heads)].into_iter().chain(slopes).collect())
    }

    fn footprint(&self, input: usize) -> Footprint {
        let AttentionSpec { relation, sources, edges, masks, .. } = self.specification;
        if input == 0 || sources == Some(input) {
            return relation.footprint();
        }
        let by_link = edges == Some(input) || masks.is_some_and(|[edges, _]| edges == input);
        match relation {
            _ if !by_link => Footprint::Same,
            Relation::Members => Footprint::Members,
            Relation::Neighbors | Relation::Edges => Footprint::IncomingEdges,
        }
    }

    fn cost(&self, _: &[Value], _: &[Value]) -> Cost {
        let per_entry = self.specification.width + self.specification.scored_width();
        Cost { per_row: if self.specification.add_self_loops { per_entry } else { 0 }, per_entry }
    }

    fn in_inference(&self, inputs: &[Value]) -> InInference {
        let masks = self.specification.masks;
        if masks.is_none() && !self.has_slopes {
            return InInference::Same;
        }
        // They come last, so the others keep their indices.
        let remaining = (0..inputs.len()).filter(|input| !masks.is_some_and(|masks| masks.contains(input))).collect();
        let specification = AttentionSpec { masks: None, ..self.specification };
        InInference::Replaced(Arc::new(Self { specification, has_slopes: false, ..*self }), remaining)
    }

    fn run(&self, step: &mut Step<'_>) {
        let specification = self.specification;
        let (AttentionSpec { heads, width, relation, .. }, has_bias) = (specification, self.bias.is_some());
        let [values, sources, targets, edges, self_loop_edges, vectors, masks, self_loop_masks] =
            specification.inputs();
        let bias = self.bias.unwrap_or(0);
        let slopes_width = if self.has_slopes { heads + width } else { 0 };
        step.write_row_groups(
            relation.partition(),
            [values, sources, targets, edges, self_loop_edges, vectors, masks, self_loop_masks, bias],
            #[inline(always)]
            move |topology, matrices, rows, [output, logarithms, slopes]| {
                let attending = specification.of(matrices);
                let bias = matrices[8].rows().next().filter(|_| has_bias);
                let mut tile = Tile::new(heads);
                let outputs = output.chunks_exact_mut(width).zip(logarithms.chunks_exact_mut(heads));
                for ((index, row), (output, logarithms)) in rows.enumerate().zip(outputs) {
                    let slopes = &mut slopes[index * slopes_width..(index + 1) * slopes_width];
                    attending.begin(&mut tile, output, slopes);
                    specification.for_each_tile(
                        topology,
                        row,
                        &mut tile,
                        #[inline(always)]
                        |source| attending.prefetch_source(source),
                        #[inline(always)]
                        |tile| attending.add(tile, output, slopes),
                    );
                    attending.end(&mut tile, output, logarithms, slopes);
                    if let Some(bias) = bias {
                        output.iter_mut().zip(bias).for_each(|(value, bias)| *value += bias);
                    }
                }
            },
        );
    }

    fn differentiate_outputs(
        &self,
        operation: &Operation,
        gradients: &[Option<Value>],
        tape: &mut Tape<'_>,
    ) -> Result<(), BuildError> {
        let &[Some(gradient), by_logarithms, ..] = gradients else {
            return Err(tape.error("cannot learn by the logarithms of attention alone; merge it with its output"));
        };
        if let Some(bias) = self.bias {
            bias_gradient(operation.inputs[bias], gradient, tape)?;
        }
        backward::record(&self.specification, operation, self.bias, gradient, by_logarithms, tape)
    }
}
