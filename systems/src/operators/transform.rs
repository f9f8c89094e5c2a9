//! Messages through a matrix for each edge.

use connectome_components::Topology;

use crate::{
    error::BuildError,
    program::{Cost, Domain, Footprint, Operation, Operator, Partition, Program, Shape, Step, Tape, Value, kernel},
};

/// `Z[e] = M[e]^T X[source of e]`, on edges, with the matrices `M[e]` `[F, width]`, row by row; zeros for dangling
/// edges.
///
/// `X` is `[N, F]`, `M` `[E, F width]`, `Z` `[E, width]`. Costs `E F width` multiplications.
///
/// # Errors
/// If a value is sparse or on the wrong rows, or the matrices are not of this shape.
pub fn transform_along_edges(
    program: &mut Program,
    nodes: Value,
    matrices: Value,
    width: usize,
) -> Result<Value, BuildError> {
    let inputs = [program.dense(nodes)?, program.dense(matrices)?];
    let domains = [program.sources(), program.edges()];
    program.record_one(TransformAlongEdges { domains, width }, &inputs)
}

/// [`transform_along_edges`].
#[derive(Clone, Copy, Debug, PartialEq)]
struct TransformAlongEdges {
    /// The rows that send values, and the edges.
    domains: [Domain; 2],
    width: usize,
}

impl Operator for TransformAlongEdges {
    fn name(&self) -> &'static str {
        "transform_along_edges"
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        let ([x, m], width) = ([inputs[0].shape(), inputs[1].shape()], self.width);
        if [x.domain, m.domain] != self.domains {
            return Err(
                "sends nodes through matrices of edges, but its inputs are on other rows; give it values of nodes and \
                        of edges"
                    .to_owned(),
            );
        }
        if x.width.checked_mul(width) != Some(m.width) {
            let (from, found) = (x.width, m.width);
            return Err(format!(
                "maps {from} features to {width}, but the matrices have {found} elements; give them {from} by {width}"
            ));
        }
        Ok(vec![Shape::new(m.domain, width)])
    }

    fn footprint(&self, input: usize) -> Footprint {
        if input == 0 { Footprint::Endpoints } else { Footprint::Same }
    }

    fn cost(&self, inputs: &[Value], _: &[Value]) -> Cost {
        Cost { per_row: inputs[1].width(), per_entry: 0 }
    }

    fn run(&self, step: &mut Step<'_>) {
        let width = self.width;
        step.write_rows(
            Partition::Uniform,
            [0, 1],
            #[inline(always)]
            move |topology, [x, m], rows, output| {
                for (row, output) in rows.zip(output.chunks_exact_mut(width)) {
                    output.fill(0.0);
                    let source = topology.endpoints[row][0];
                    if source == Topology::NO_ROW {
                        continue;
                    }
                    for (feature, matrix_row) in x.row(source as usize).iter().zip(m.row(row).chunks_exact(width)) {
                        output.iter_mut().zip(matrix_row).for_each(|(output, entry)| *output += feature * entry);
                    }
                }
            },
        );
    }

    fn differentiate(&self, operation: &Operation, gradient: Value, tape: &mut Tape<'_>) -> Result<(), BuildError> {
        let &[nodes, matrices] = &operation.inputs[..] else { return Ok(()) };
        let cost = Cost { per_row: 0, per_entry: matrices.width() };
        tape.gradient(nodes, node_gradient(cost), &[gradient, matrices])?;
        tape.gradient(matrices, MatrixGradient { width: self.width }, &[gradient, nodes])
    }
}

/// `target[j] = sum of M[e] G[e] over the edges e that start at j`.
fn node_gradient(cost: Cost) -> impl Operator {
    kernel("transform_along_edges_backward", Footprint::OutgoingEdges, |step: &mut Step<'_>| {
        step.write_rows(
            Partition::Outgoing,
            [0, 1],
            #[inline(always)]
            |topology, [gradient, matrices], rows, target| {
                let (adjacency, width) = (&topology.outgoing, gradient.width());
                for (row, target) in rows.zip(target.chunks_exact_mut(matrices.width() / width)) {
                    target.fill(0.0);
                    for edge in &adjacency.edges[adjacency.entries(row)] {
                        let gradient = gradient.row(*edge as usize);
                        let terms = target.iter_mut().zip(matrices.row(*edge as usize).chunks_exact(width));
                        for (target, matrix_row) in terms {
                            *target +=
                                matrix_row.iter().zip(gradient).map(|(entry, gradient)| entry * gradient).sum::<f32>();
                        }
                    }
                }
            },
        );
    })
    .with_cost(cost)
}

/// `target[e] = X[source of e] G[e]^T`, row by row; zeros for dangling edges.
#[derive(Clone, Copy, Debug, PartialEq)]
struct MatrixGradient {
    width: usize,
}

impl Operator for MatrixGradient {
    fn name(&self) -> &'static str {
        "transform_along_edges_backward"
    }

    fn footprint(&self, input: usize) -> Footprint {
        if input == 0 { Footprint::Same } else { Footprint::Endpoints }
    }

    fn run(&self, step: &mut Step<'_>) {
        let width = self.width;
        step.write_rows(
            Partition::Uniform,
            [0, 1],
            #[inline(always)]
            move |topology, [gradient, x], rows, target| {
                for (row, target) in rows.zip(target.chunks_exact_mut(width * x.width())) {
                    let source = topology.endpoints[row][0];
                    if source == Topology::NO_ROW {
                        target.fill(0.0);
                        continue;
                    }
                    for (feature, target) in x.row(source as usize).iter().zip(target.chunks_exact_mut(width)) {
                        let terms = target.iter_mut().zip(gradient.row(row));
                        terms.for_each(|(target, gradient)| *target = feature * gradient);
                    }
                }
            },
        );
    }
}
