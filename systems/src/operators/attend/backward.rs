//! The backward pass of attention.

use super::specification::AttentionSpec;
use crate::{
    error::BuildError,
    kernels::{Attending, Link, Part, Score, TargetStates, Tile, add_rows, dot, multiply_heads},
    operators::relation::Relation,
    program::{Cost, Footprint, Operation, Operator, Partition, Shape, Step, Tape, Value, kernel},
};
use connectome_components::Matrix;

const NAME: &str = "attend_backward";

/// The inputs of each operation here: those of [`AttentionSpec::of`], and the states of the targets.
const INPUTS: [usize; 9] = [0, 1, 2, 3, 4, 5, 6, 7, 8];

/// What links read of their targets, side by side, because they are read in no order: `[N, 2 H + H C]` and the targets' term
/// of the scores.
#[derive(Clone, Copy, Debug)]
struct States {
    heads: usize,
    /// The width of the output.
    width: usize,
    /// The width of the targets' term, if there is one.
    targets: Option<usize>,
}

impl States {
    fn of(specification: &AttentionSpec) -> Self {
        let AttentionSpec { heads, width, targets, .. } = *specification;
        Self { heads, width, targets: targets.map(|_| specification.scored_width()) }
    }

    fn width(&self) -> usize {
        2 * self.heads + self.targets.unwrap_or(0) + self.width
    }

    /// Attention that reads them, and they themselves.
    #[inline(always)]
    fn read<'a>(&self, attending: Attending<'a>, states: &'a Matrix<'a>) -> (Attending<'a>, TargetStates<'a>) {
        let Self { heads, width, targets } = *self;
        let gradients = 2 * heads + targets.unwrap_or(0);
        let states_of_targets = TargetStates {
            logarithms: Part::new(states, 0, heads),
            products: Part::new(states, heads, heads),
            gradients: Part::new(states, gradients, width),
        };
        let targets = targets.map(|targets| Part::new(states, 2 * heads, targets));
        (Attending { targets, ..attending }, states_of_targets)
    }

    /// Computes them from the logarithms, the gradient with respect to the output, the output and, by their index if there are
    /// such, the gradient with respect to the logarithms, the bias and the targets' term.
    fn operator(self, optional: [Option<usize>; 3]) -> impl Operator {
        let [has_by_logarithms, has_bias, has_targets] = optional.map(|input| input.is_some());
        let [by_logarithms, bias, targets] = optional.map(Option::unwrap_or_default);
        kernel("attend_states", Footprint::Same, move |step: &mut Step<'_>| {
            step.write_rows(
                Partition::Uniform,
                [0, 1, 2, by_logarithms, bias, targets],
                #[inline(always)]
                move |_, [logarithms, gradients, outputs, by_logarithms, bias, targets], rows, states| {
                    let heads = self.heads;
                    let features = self.width / heads;
                    let bias = bias.rows().next().filter(|_| has_bias);
                    for (row, state) in rows.zip(states.chunks_exact_mut(self.width())) {
                        let (gradient, output) = (gradients.row(row), outputs.row(row));
                        let (first, last) = state.split_at_mut(state.len() - self.width);
                        last.copy_from_slice(gradient);
                        let (first, term) = first.split_at_mut(2 * heads);
                        if has_targets {
                            term.copy_from_slice(targets.row(row));
                        }
                        let (copies, products) = first.split_at_mut(heads);
                        copies.copy_from_slice(logarithms.row(row));
                        multiply_heads(gradient, output, products);
                        for (head, product) in products.iter_mut().enumerate() {
                            let range = head * features..(head + 1) * features;
                            *product -= bias.map_or(0.0, |bias| dot(&gradient[range.clone()], &bias[range]));
                            if has_by_logarithms {
                                *product -= by_logarithms.row(row)[head];
                            }
                        }
                    }
                },
            );
        })
    }
}

/// Records the gradients with respect to the inputs of attention but the bias, from those with respect to its output and, if
/// needed, its logarithms.
pub(super) fn record(
    specification: &AttentionSpec,
    operation: &Operation,
    bias: Option<usize>,
    gradient: Value,
    by_logarithms: Option<Value>,
    tape: &mut Tape<'_>,
) -> Result<(), BuildError> {
    let &[output, logarithms, ..] = &operation.outputs[..] else { return Ok(()) };
    let AttentionSpec { relation, sources, targets, edges, self_loop_edges, vectors, .. } = *specification;
    let read = |input: usize| operation.inputs[input];

    let mut known = vec![logarithms, gradient, output];
    let mut add = |value: Option<Value>| {
        known.extend(value);
        value.map(|_| known.len() - 1)
    };
    let optional = [by_logarithms, bias.map(read), targets.map(read)].map(&mut add);
    let layout = States::of(specification);
    let shape = Shape::new(output.domain(), layout.width());
    let states = tape.compute(layout.operator(optional), &known, shape)?;

    let inputs: Vec<Value> = specification.inputs().map(read).into_iter().chain([states]).collect();
    match (targets.map(read), operation.outputs.get(2)) {
        (Some(targets), Some(slopes)) => tape.gradient(targets, by_slopes(layout), &[states, *slopes])?,
        (Some(targets), None) => tape.gradient(targets, by_targets(*specification), &inputs)?,
        (None, _) => {}
    }
    if let Some(edges) = edges.map(read) {
        tape.gradient(edges, by_links(*specification, Some(relation)), &inputs)?;
    }
    if let Some(edges) = self_loop_edges.map(read) {
        tape.gradient(edges, by_links(*specification, None), &inputs)?;
    }
    let values = read(0);
    if let Some(sources) = sources.map(read) {
        return tape.gradients_of(&[values, sources], by_sources(*specification), &inputs);
    }
    // Each row contributes a term to the gradient of the vectors.
    let shapes = [values.shape(); 2];
    let [by_values, terms] = tape.compute_pair(by_sources(*specification), &inputs, shapes)?;
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

/// The gradient with respect to the targets' term of decomposed scores: with the sums of the slopes and of the values times
/// them, `g . (sum of v m x) - p (sum of v)`; see [`Attending::add_by_slopes`].
fn by_slopes(layout: States) -> impl Operator {
    kernel(NAME, Footprint::Same, move |step: &mut Step<'_>| {
        step.write_rows(
            Partition::Uniform,
            [0, 1],
            #[inline(always)]
            move |_, [states, slopes], rows, target| {
                let States { heads, width, .. } = layout;
                for (row, target) in rows.zip(target.chunks_exact_mut(heads)) {
                    let (state, (sums, values)) = (states.row(row), slopes.row(row).split_at(heads));
                    multiply_heads(&state[state.len() - width..], values, target);
                    let terms = target.iter_mut().zip(&state[heads..2 * heads]).zip(sums);
                    terms.for_each(|((target, product), sum)| *target -= product * sum);
                }
            },
        );
    })
    .with_cost(Cost { per_row: layout.width, per_entry: 0 })
}

fn by_targets(specification: AttentionSpec) -> impl Operator {
    let AttentionSpec { heads, width, relation, .. } = specification;
    // Of targets, their self-loops and their states.
    let of_row = [2, 4, 8];
    let (scored, layout) = (specification.scored_width(), States::of(&specification));
    kernel(NAME, relation.footprint(), move |step: &mut Step<'_>| {
        step.write_rows(
            relation.partition(),
            INPUTS,
            #[inline(always)]
            move |topology, matrices, rows, target| {
                let (attending, states) = layout.read(specification.of(matrices), matrices[8]);
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
                            attending.differentiate(tile, &states);
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
    let (scored, layout) = (specification.scored_width(), States::of(&specification));
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
                let (attending, states) = layout.read(specification.of(matrices), matrices[8]);
                let link = |row: usize| match relation {
                    None => Some(Link::self_loop(row)),
                    Some(relation) => {
                        let [source, target] = relation.ends(topology, row)?.map(|row| row as u32);
                        specification.counts(target, source).then_some(Link {
                            target,
                            source,
                            edge: Some(row as u32),
                            soon: source,
                        })
                    }
                };
                output.fill(0.0);
                Tile::new(heads).for_each(
                    rows.len(),
                    #[inline(always)]
                    |index| link(rows.start + index),
                    #[inline(always)]
                    |tile| {
                        attending.differentiate(tile, &states);
                        for (link, links) in tile.each_link() {
                            let index = link.edge.unwrap_or(link.target) as usize - rows.start;
                            let output = &mut output[index * scored..(index + 1) * scored];
                            attending.add_by_source(links, output);
                            if let Score::ScaledDot { .. } = specification.score {
                                attending.add_by_values(links, &states, output);
                            }
                        }
                    },
                );
            },
        );
    })
    .reading([3, 6], of_links)
    .reading([2, 4, 7, 8], of_targets)
    .with_cost(Cost { per_row: width + 2 * scored, per_entry: 0 })
}

/// The gradients with respect to the values and to the sources; with additive scores, in place of the second, each
/// row's term of the gradient with respect to the vectors.
fn by_sources(specification: AttentionSpec) -> impl Operator {
    let AttentionSpec { heads, width, relation, .. } = specification;
    let (scored, layout) = (specification.scored_width(), States::of(&specification));
    kernel(NAME, relation.footprint_back(), move |step: &mut Step<'_>| {
        step.write_row_groups(
            relation.partition_back(),
            INPUTS,
            #[inline(always)]
            move |topology, matrices, rows, [values, sources]| {
                let (attending, states) = layout.read(specification.of(matrices), matrices[8]);
                let mut tile = Tile::new(heads);
                let outputs = values.chunks_exact_mut(width).zip(sources.chunks_exact_mut(scored));
                for (row, (value, source)) in rows.zip(outputs) {
                    value.fill(0.0);
                    source.fill(0.0);
                    attending.begin_slopes(&mut tile);
                    specification.for_each_tile_back(
                        topology,
                        row,
                        &mut tile,
                        #[inline(always)]
                        |target| attending.prefetch_target(&states, target),
                        #[inline(always)]
                        |tile| {
                            if let Score::Decomposed { .. } = specification.score {
                                return attending.add_by_slopes(tile, &states, row, [&mut *value, &mut *source]);
                            }
                            attending.differentiate(tile, &states);
                            attending.add_by_values(tile.all(), &states, value);
                            match specification.score {
                                Score::Additive { .. } => {
                                    attending.add_by_source(tile.all(), value);
                                    attending.add_by_vectors(tile.all(), source);
                                }
                                _ => attending.add_by_source(tile.all(), source),
                            }
                        },
                    );
                    if let Score::Decomposed { .. } = specification.score {
                        attending.end_slopes(&mut tile, source);
                    }
                }
            },
        );
    })
    .reading([0, 1], Footprint::Same)
    .with_cost(Cost { per_row: 0, per_entry: 2 * width + 2 * scored })
}
