//! The backward pass of attention.

use super::specification::AttentionSpec;
use crate::{
    error::BuildError,
    kernels::{Link, Score, Tile, add_rows, dot},
    operators::relation::Relation,
    program::{Cost, Footprint, Operation, Operator, Partition, Step, Tape, Value, kernel},
};

const NAME: &str = "attend_backward";

/// The inputs of each operation here: those of [`AttentionSpec::of`], the states of the targets, and the gradient with
/// respect to the output.
const INPUTS: [usize; 10] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

/// For each head of a row the logarithm of the sum of the exponentials of its scores, and the dot product of its output
/// with the gradient with respect to the output, less that with respect to the logarithm. Reads the logarithms, the gradient,
/// the output and, if there are such, the gradient with respect to the logarithms and the bias.
pub(super) fn states(has_by_logarithms: bool, has_bias: bool) -> impl Operator {
    let by_logarithms = if has_by_logarithms { 3 } else { 0 };
    let bias = if has_bias { 3 + usize::from(has_by_logarithms) } else { 0 };
    kernel("attend_states", Footprint::Same, move |step: &mut Step<'_>| {
        step.write_rows(
            Partition::Uniform,
            [0, 1, 2, by_logarithms, bias],
            #[inline(always)]
            move |_, [logarithms, gradients, outputs, by_logarithms, bias], rows, states| {
                let heads = logarithms.width();
                let features = outputs.width() / heads;
                let bias = bias.rows().next().filter(|_| has_bias);
                for (row, state) in rows.zip(states.chunks_exact_mut(2 * heads)) {
                    let (state, means) = state.split_at_mut(heads);
                    state.copy_from_slice(logarithms.row(row));
                    let (gradient, output) = (gradients.row(row), outputs.row(row));
                    for (head, mean) in means.iter_mut().enumerate() {
                        let range = head * features..(head + 1) * features;
                        let gradient = &gradient[range.clone()];
                        *mean = dot(gradient, &output[range.clone()])
                            - bias.map_or(0.0, |bias| dot(gradient, &bias[range]));
                        if has_by_logarithms {
                            *mean -= by_logarithms.row(row)[head];
                        }
                    }
                }
            },
        );
    })
}

/// Records the gradients with respect to the inputs of attention, from the states of the targets and the gradient with
/// respect to its output.
pub(super) fn record(
    specification: AttentionSpec,
    operation: &Operation,
    known: [Value; 2],
    tape: &mut Tape<'_>,
) -> Result<(), BuildError> {
    let AttentionSpec { relation, sources, targets, edges, self_loop_edges, vectors, .. } = specification;
    let read = |input: usize| operation.inputs[input];
    let inputs: Vec<Value> = specification.inputs().map(read).into_iter().chain(known).collect();
    if let Some(targets) = targets.map(read) {
        tape.gradient(targets, by_targets(specification), &inputs)?;
    }
    if let Some(edges) = edges.map(read) {
        tape.gradient(edges, by_links(specification, Some(relation)), &inputs)?;
    }
    if let Some(edges) = self_loop_edges.map(read) {
        tape.gradient(edges, by_links(specification, None), &inputs)?;
    }
    let values = read(0);
    if let Some(sources) = sources.map(read) {
        return tape.gradients_of(&[values, sources], by_sources(specification), &inputs);
    }
    // Each row contributes a term to the gradient of the vectors.
    let shapes = [values.shape(); 2];
    let [by_values, terms] = tape.compute_pair(by_sources(specification), &inputs, shapes)?;
    tape.add_term(values, by_values)?;
    let Some((vectors, weight)) = vectors else { return Ok(()) };
    let range = weight.range();
    let sum = kernel("vectors_gradient", Footprint::All, move |step: &mut Step<'_>| {
        step.sum_rows(
            [0],
            range.clone(),
            #[inline(always)]
            |[terms], rows, sum| {
                sum.fill(0.0);
                add_rows(terms.slice(rows), sum);
            },
        );
    });
    tape.weight_gradient(read(vectors), weight.range(), sum.accumulating(), &[terms])
}

fn by_targets(specification: AttentionSpec) -> impl Operator {
    let AttentionSpec { heads, width, relation, .. } = specification;
    // Of targets, their self-loops, their states and their gradients.
    let of_row = [2, 4, 8, 9];
    let scored = specification.scored_width();
    kernel(NAME, relation.footprint(), move |step: &mut Step<'_>| {
        step.write_rows(
            relation.partition(),
            INPUTS,
            #[inline(always)]
            move |topology, matrices, rows, target| {
                let attending = specification.of(matrices);
                let mut tile = Tile::new(heads);
                for (row, target) in rows.zip(target.chunks_exact_mut(scored)) {
                    target.fill(0.0);
                    specification.for_each_tile(
                        topology,
                        row,
                        &mut tile,
                        #[inline(always)]
                        |source| attending.prefetch_source(source),
                        #[inline(always)]
                        |tile| {
                            attending.differentiate(tile, matrices[8], matrices[9]);
                            attending.add_by_target(tile.all(), target);
                        },
                    );
                }
            },
        );
    })
    .reading(of_row, Footprint::Same)
    .with_cost(Cost { per_row: 0, per_entry: width + 2 * scored })
}

/// The gradient with respect to the links' terms of the scores; without a relation, to those of the added self-loops.
fn by_links(specification: AttentionSpec, relation: Option<Relation>) -> impl Operator {
    let AttentionSpec { heads, width, .. } = specification;
    let scored = specification.scored_width();
    let (footprint, of_links, of_targets) = match relation {
        None => (Footprint::Same, Footprint::IncomingEdges, Footprint::Same),
        Some(Relation::Neighbors | Relation::Edges) => (Footprint::Endpoints, Footprint::Endpoints, Footprint::Target),
        Some(Relation::Members) => (Footprint::Membership, Footprint::Membership, Footprint::Membership),
    };
    kernel(NAME, footprint, move |step: &mut Step<'_>| {
        step.write_rows(
            Partition::Uniform,
            INPUTS,
            #[inline(always)]
            move |topology, matrices, rows, output| {
                let attending = specification.of(matrices);
                let link = |row: usize| match relation {
                    None => Some(Link { target: row as u32, source: row as u32, edge: None }),
                    Some(relation) => {
                        let [source, target] = relation.ends(topology, row)?.map(|row| row as u32);
                        specification.counts(target, source).then_some(Link { target, source, edge: Some(row as u32) })
                    }
                };
                output.fill(0.0);
                Tile::new(heads).for_each(
                    rows.len(),
                    #[inline(always)]
                    |index| link(rows.start + index),
                    #[inline(always)]
                    |tile| {
                        attending.differentiate(tile, matrices[8], matrices[9]);
                        for (link, links) in tile.each_link(heads) {
                            let index = link.edge.unwrap_or(link.target) as usize - rows.start;
                            let output = &mut output[index * scored..(index + 1) * scored];
                            attending.add_by_source(links, output);
                            if let Score::ScaledDot { .. } = specification.score {
                                attending.add_by_values(links, matrices[9], output);
                            }
                        }
                    },
                );
            },
        );
    })
    .reading([3, 6], of_links)
    .reading([2, 4, 7, 8, 9], of_targets)
    .with_cost(Cost { per_row: width + 2 * scored, per_entry: 0 })
}

/// The gradients with respect to the values and to the sources; with additive scores, in place of the second, each
/// row's term of the gradient with respect to the vectors.
fn by_sources(specification: AttentionSpec) -> impl Operator {
    let AttentionSpec { heads, width, relation, .. } = specification;
    let scored = specification.scored_width();
    kernel(NAME, relation.footprint_back(), move |step: &mut Step<'_>| {
        step.write_row_pairs(
            relation.partition_back(),
            INPUTS,
            #[inline(always)]
            move |topology, matrices, rows, [values, sources]| {
                let attending = specification.of(matrices);
                let mut tile = Tile::new(heads);
                let outputs = values.chunks_exact_mut(width).zip(sources.chunks_exact_mut(scored));
                for (row, (value, source)) in rows.zip(outputs) {
                    value.fill(0.0);
                    source.fill(0.0);
                    specification.for_each_tile_back(
                        topology,
                        row,
                        &mut tile,
                        #[inline(always)]
                        |target| attending.prefetch_target(matrices[8], matrices[9], target),
                        #[inline(always)]
                        |tile| {
                            attending.differentiate(tile, matrices[8], matrices[9]);
                            attending.add_by_values(tile.all(), matrices[9], value);
                            match specification.score {
                                Score::Additive { .. } => {
                                    attending.add_by_source(tile.all(), value);
                                    attending.add_by_vectors(tile.all(), source);
                                }
                                _ => attending.add_by_source(tile.all(), source),
                            }
                        },
                    );
                }
            },
        );
    })
    .reading([0, 1], Footprint::Same)
    .with_cost(Cost { per_row: 0, per_entry: 2 * width + 2 * scored })
}
