//! Edge features of added self-loops.

use connectome_components::Topology;

use crate::{
    error::BuildError,
    program::{Cost, Domain, Footprint, Operation, Operator, Partition, Program, Shape, Step, Tape, Value, kernel},
};

/// `Y[i] = mean of X[e]` over the incoming edges of `i` from other nodes, on nodes; zeros where there are none.
///
/// PyTorch Geometric gives these features to the self-loops it adds after removing those of the graph.
///
/// If it reads nothing but inputs that do not change from step to step, it is computed when these or the edges change,
/// and its output keeps a column.
///
/// # Errors
/// If the value is sparse, or not on edges.
pub fn self_loop_mean(program: &mut Program, input: Value) -> Result<Value, BuildError> {
    let input = program.dense(input)?;
    program.record_one(SelfLoopMean { edges: program.edges(), nodes: program.nodes() }, &[input])
}

/// [`self_loop_mean`].
#[derive(Clone, Copy, Debug, PartialEq)]
struct SelfLoopMean {
    edges: Domain,
    nodes: Domain,
}

impl Operator for SelfLoopMean {
    fn name(&self) -> &'static str {
        "self_loop_mean"
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        if inputs[0].domain() != self.edges {
            return Err("takes the mean over edges, but its input is on other rows; give a value on edges".to_owned());
        }
        Ok(vec![Shape::new(self.nodes, inputs[0].width())])
    }

    fn footprint(&self, _: usize) -> Footprint {
        Footprint::IncomingEdges
    }

    fn is_worth_keeping(&self) -> bool {
        true
    }

    fn cost(&self, inputs: &[Value], _: &[Value]) -> Cost {
        Cost { per_row: 0, per_entry: inputs[0].width() }
    }

    fn run(&self, step: &mut Step<'_>) {
        step.write_rows(
            Partition::Incoming,
            [0],
            #[inline(always)]
            |topology, [values], rows, output| {
                for (row, output) in rows.zip(output.chunks_exact_mut(values.width())) {
                    output.fill(0.0);
                    let weight = inverse_count(topology, row);
                    for edge in edges_from_others(topology, row) {
                        output.iter_mut().zip(values.row(edge)).for_each(|(mean, value)| *mean += weight * value);
                    }
                }
            },
        );
    }

    fn differentiate(&self, operation: &Operation, gradient: Value, tape: &mut Tape<'_>) -> Result<(), BuildError> {
        let width = gradient.width();
        let divide = kernel("self_loop_mean_weights", Footprint::Same, move |step: &mut Step<'_>| {
            step.write_rows(
                Partition::Incoming,
                [],
                #[inline(always)]
                |topology, [], rows, gradient| {
                    for (row, gradient) in rows.zip(gradient.chunks_exact_mut(width)) {
                        let weight = inverse_count(topology, row);
                        gradient.iter_mut().for_each(|gradient| *gradient *= weight);
                    }
                },
            );
        });
        let weighted = tape.update(gradient, divide, &[])?;
        let backward = kernel("self_loop_mean_backward", Footprint::Target, |step: &mut Step<'_>| {
            step.write_rows(
                Partition::Uniform,
                [0],
                #[inline(always)]
                |topology, [gradient], rows, target| {
                    for (row, target) in rows.zip(target.chunks_exact_mut(gradient.width())) {
                        match topology.endpoints[row] {
                            // Both ends of a dangling edge are equal as well.
                            [from, to] if from != to => target.copy_from_slice(gradient.row(to as usize)),
                            _ => target.fill(0.0),
                        }
                    }
                },
            );
        });
        tape.gradient(operation.inputs[0], backward, &[weighted])
    }
}

#[inline(always)]
fn edges_from_others(topology: &Topology, row: usize) -> impl Iterator<Item = usize> {
    let adjacency = &topology.incoming;
    let entries = adjacency.entries(row);
    let edges = adjacency.edges[entries.clone()].iter().zip(&adjacency.neighbors[entries]);
    edges.filter(move |(_, source)| **source as usize != row).map(|(edge, _)| *edge as usize)
}

/// One over the number of edges from other nodes.
#[inline(always)]
fn inverse_count(topology: &Topology, row: usize) -> f32 {
    1.0 / edges_from_others(topology, row).count().max(1) as f32
}
