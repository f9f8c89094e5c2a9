//! Networks whose neurons are the nodes of a directed acyclic graph.

use connectome_components::{Adjacency, Direction, Matrix, Normalization, Topology};

use super::{Rows, Terms, ends, footprint, of_one_kind, on_nodes, partitions};
use crate::{
    error::BuildError,
    kernels::{Activation, dot, gather_rows},
    program::{
        Cost, Domain, Footprint, LevelPass, Operation, Operator, Partition, Program, Shape, Step, Tape, Value, kernel,
    },
};

/// `Y[i] = X[i]` for a node without predecessors, and otherwise `Y[i] = f(sum over edges e: j -> i of w[e] Y[j] + X[i])`,
/// level by level; against the edges in [`Direction::Reverse`].
///
/// `X` is `[N, F]`. `w` is a value on the edges, `[E, 1]`, or without one the
/// [`EdgeWeight`](connectome_components::EdgeWeight)s, with respect to which there is no gradient. Costs `E F`
/// multiplications, and twice as many backward.
///
/// # Errors
/// If a value is sparse, `X` is not on nodes, or `w` not on edges or wider than 1.
pub fn dag_network(
    program: &mut Program,
    input: Value,
    weights: Option<Value>,
    activation: Activation,
    direction: Direction,
) -> Result<Value, BuildError> {
    of_one_kind(program)?;
    let mut inputs = vec![program.dense(input)?];
    if let Some(weights) = weights {
        inputs.push(program.dense(weights)?);
    }
    let edges = program.edges();
    program.record_one(DagNetwork { activation, direction, edges, has_weights: weights.is_some() }, &inputs)
}

/// [`dag_network`]: reads the values and, if it has them, the weights of the edges.
#[derive(Clone, Copy, Debug)]
struct DagNetwork {
    activation: Activation,
    direction: Direction,
    edges: Domain,
    has_weights: bool,
}

impl Operator for DagNetwork {
    fn name(&self) -> &'static str {
        "dag_network"
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        on_nodes(&inputs[0])?;
        match inputs.get(1) {
            Some(weights) if weights.shape() != Shape::new(self.edges, 1) => Err(format!(
                "reads a weight of each edge from a value of shape {}; give one of width 1 on edges",
                weights.shape()
            )),
            _ => Ok(vec![inputs[0].shape()]),
        }
    }

    fn direction(&self) -> Option<Direction> {
        Some(self.direction)
    }

    fn normalization(&self) -> Option<Normalization> {
        (!self.has_weights).then_some(Normalization::WeightedSum)
    }

    fn footprint(&self, _: usize) -> Footprint {
        Footprint::All
    }

    fn cost(&self, inputs: &[Value], _: &[Value]) -> Cost {
        Cost { per_row: inputs[0].width(), per_entry: inputs[0].width() }
    }

    fn run(&self, step: &mut Step<'_>) {
        let (network, values, weights) = (*self, step.input(0), self.has_weights.then(|| step.input(1)));
        step.write_levels(
            self.pass(values.width(), false),
            #[inline(always)]
            |topology, written, rows, [output], _| {
                let [predecessors, _] = topology.neighbors(network.direction);
                sum_weighted(topology, predecessors, weights.as_ref(), Rows::Listed(rows), written.output(0), output);
                for (row, output) in rows.iter().zip(output.chunks_exact_mut(values.width())) {
                    let value = values.row(*row as usize);
                    if predecessors.entries(*row as usize).is_empty() {
                        output.copy_from_slice(value);
                    } else {
                        output.iter_mut().zip(value).for_each(|(output, value)| *output += value);
                        network.activation.apply(output);
                    }
                }
            },
        );
    }

    fn differentiate(&self, operation: &Operation, gradient: Value, tape: &mut Tape<'_>) -> Result<(), BuildError> {
        let (input, output) = (operation.inputs[0], operation.outputs[0]);
        let weights = self.has_weights.then(|| operation.inputs[1]);
        // What the derivative of the activation is computed from.
        let known = if self.activation.derivative_from_output() {
            output
        } else {
            let inputs: Vec<Value> = [input, output].into_iter().chain(weights).collect();
            tape.compute(self.sums(), &inputs, input.shape())?
        };
        let inputs: Vec<Value> = [gradient, known].into_iter().chain(weights).collect();
        let by_input = tape.compute(self.backward(), &inputs, input.shape())?;
        if let Some(weights) = weights {
            tape.gradient(weights, self.weight_gradient(), &[output, by_input])?;
        }
        tape.add_term(input, by_input)
    }
}

impl DagNetwork {
    fn pass(&self, width: usize, descends: bool) -> LevelPass {
        LevelPass { direction: self.direction, descends, block: [64, 256], cost: 8 * width, buffer: 0 }
    }

    /// The sums to which the activation was applied: reads `X`, `Y` and the weights.
    fn sums(self) -> impl Operator {
        let [partition, _] = partitions(self.direction);
        kernel("dag_network_sums", footprint(partition), move |step: &mut Step<'_>| {
            step.write_rows(
                partition,
                [0, 1, if self.has_weights { 2 } else { 1 }],
                #[inline(always)]
                move |topology, [values, states, weights], rows, output| {
                    let [predecessors, _] = topology.neighbors(self.direction);
                    let weights = self.has_weights.then_some(weights);
                    sum_weighted(topology, predecessors, weights, Rows::From(rows.start), (states, 0), output);
                    output.iter_mut().zip(values.slice(rows)).for_each(|(output, value)| *output += value);
                },
            );
        })
    }

    /// `D[i] = f'(..) (G[i] + sum over edges e: i -> j of w[e] D[j])`, without `f'` for a node without predecessors: reads
    /// the gradient `G`, what `f'` is computed from, and the weights. This is the gradient with respect to `X`.
    fn backward(self) -> impl Operator {
        kernel("dag_network_backward", Footprint::All, move |step: &mut Step<'_>| {
            let (gradients, known) = (step.input(0), step.input(1));
            let weights = self.has_weights.then(|| step.input(2));
            let from_output = self.activation.derivative_from_output();
            step.write_levels(
                self.pass(known.width(), true),
                #[inline(always)]
                |topology, written, rows, [output], _| {
                    let [predecessors, successors] = topology.neighbors(self.direction);
                    sum_weighted(topology, successors, weights.as_ref(), Rows::Listed(rows), written.output(0), output);
                    for (row, output) in rows.iter().zip(output.chunks_exact_mut(known.width())) {
                        let row = *row as usize;
                        output.iter_mut().zip(gradients.row(row)).for_each(|(sum, gradient)| *sum += gradient);
                        if predecessors.entries(row).is_empty() {
                            continue;
                        }
                        if from_output {
                            self.activation.chain_from_output(known.row(row), output);
                        } else {
                            self.activation.chain(known.row(row), output);
                        }
                    }
                },
            );
        })
        .by_levels(self.direction)
    }

    /// `<Y[j], D[i]>` for each edge `j -> i`; 0 for dangling ones.
    fn weight_gradient(self) -> impl Operator {
        kernel("dag_network_weights", Footprint::Endpoints, move |step: &mut Step<'_>| {
            step.write_rows(
                Partition::Uniform,
                [0, 1],
                #[inline(always)]
                move |topology, [states, gradients], edges, output| {
                    for (edge, output) in edges.zip(output) {
                        *output = ends(topology, edge, self.direction)
                            .map_or(0.0, |[from, to]| dot(states.row(from), gradients.row(to)));
                    }
                },
            );
        })
    }
}

/// The sums of `weight * source[neighbor]` over the neighbors of rows; `source` begins with the row `first`.
#[inline(never)]
fn sum_weighted(
    topology: &Topology,
    adjacency: &Adjacency,
    weights: Option<&Matrix>,
    rows: Rows,
    (source, first): (&Matrix, usize),
    output: &mut [f32],
) {
    let count = output.len() / source.width();
    if let Some(weights) = weights {
        let coefficient = |_: usize, _: usize, edge: usize| weights.row(edge)[0];
        let terms = |index: usize| Terms { adjacency, row: rows.at(index), first, coefficient };
        gather_rows(0..count, terms, source, false, output);
    } else if let Some(weights) = topology.coefficients(adjacency, Normalization::WeightedSum) {
        let coefficient = |_: usize, entry: usize, _: usize| weights.edges[entry];
        let terms = |index: usize| Terms { adjacency, row: rows.at(index), first, coefficient };
        gather_rows(0..count, terms, source, false, output);
    }
}
