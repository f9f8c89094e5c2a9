//! Dot products of the endpoints of edges.

use connectome_components::Topology;

use crate::{
    error::BuildError,
    program::{Cost, Domain, Footprint, Operation, Operator, Partition, Program, Shape, Step, Tape, Value},
};

/// `y[e] = <X[source of e], Z[target of e]>`, one number on each edge; 0 for dangling ones. Both may be one value.
///
/// # Errors
/// If a value is sparse, or not on nodes, or they differ in width.
pub fn edge_dot(program: &mut Program, sources: Value, targets: Value) -> Result<Value, BuildError> {
    let inputs = [program.dense(sources)?, program.dense(targets)?];
    let domains = [program.sources(), program.nodes(), program.edges()];
    program.record_one(EdgeDot { domains }, &inputs)
}

/// [`edge_dot`].
#[derive(Clone, Copy, Debug, PartialEq)]
struct EdgeDot {
    /// Those of sources, targets and edges.
    domains: [Domain; 3],
}

impl Operator for EdgeDot {
    fn name(&self) -> &'static str {
        "edge_dot"
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        if inputs.iter().zip(self.domains).any(|(input, domain)| input.domain() != domain) {
            return Err(
                "compares the endpoints of edges, but its input is on other rows; give a value on nodes".to_owned()
            );
        }
        let widths = [inputs[0].width(), inputs[1].width()];
        if widths[0] != widths[1] {
            return Err(format!(
                "compares sources {} wide with targets {} wide; give both one width",
                widths[0], widths[1]
            ));
        }
        Ok(vec![Shape::new(self.domains[2], 1)])
    }

    fn footprint(&self, _: usize) -> Footprint {
        Footprint::Endpoints
    }

    fn cost(&self, inputs: &[Value], _: &[Value]) -> Cost {
        Cost { per_row: inputs[0].width(), per_entry: 0 }
    }

    fn run(&self, step: &mut Step<'_>) {
        step.write_rows(
            Partition::Uniform,
            [0, 1],
            #[inline(always)]
            |topology, [sources, targets], rows, output| {
                for (row, output) in rows.zip(output) {
                    let [source, target] = topology.endpoints[row];
                    *output = if source == Topology::NO_ROW {
                        0.0
                    } else {
                        let pairs = sources.row(source as usize).iter().zip(targets.row(target as usize));
                        pairs.map(|(source, target)| source * target).sum()
                    };
                }
            },
        );
    }

    fn differentiate(&self, operation: &Operation, gradient: Value, tape: &mut Tape<'_>) -> Result<(), BuildError> {
        let &[sources, targets] = &operation.inputs[..] else { return Ok(()) };
        tape.gradient(sources, EdgeDotBackward(Partition::Outgoing), &[gradient, targets])?;
        tape.gradient(targets, EdgeDotBackward(Partition::Incoming), &[gradient, sources])
    }
}

/// `target[i] = sum over edges e of gradient[e] * values[other endpoint of e]`, over the edges on one side.
#[derive(Clone, Copy, Debug, PartialEq)]
struct EdgeDotBackward(Partition);

impl Operator for EdgeDotBackward {
    fn name(&self) -> &'static str {
        "edge_dot_backward"
    }

    fn footprint(&self, input: usize) -> Footprint {
        match (self.0, input) {
            (Partition::Outgoing, 0) => Footprint::OutgoingEdges,
            (Partition::Outgoing, _) => Footprint::Outgoing,
            (_, 0) => Footprint::IncomingEdges,
            (..) => Footprint::Incoming,
        }
    }

    fn cost(&self, inputs: &[Value], _: &[Value]) -> Cost {
        Cost { per_row: 0, per_entry: inputs[1].width() }
    }

    fn run(&self, step: &mut Step<'_>) {
        let partition = self.0;
        step.write_rows(
            partition,
            [0, 1],
            #[inline(always)]
            move |topology, [gradient, values], rows, target| {
                let adjacency = partition.adjacency(topology).unwrap_or(&topology.incoming);
                for (row, target) in rows.zip(target.chunks_exact_mut(values.width())) {
                    target.fill(0.0);
                    let entries = adjacency.entries(row);
                    for (neighbor, edge) in adjacency.neighbors[entries.clone()].iter().zip(&adjacency.edges[entries]) {
                        let factor = gradient.row(*edge as usize)[0];
                        let terms = target.iter_mut().zip(values.row(*neighbor as usize));
                        terms.for_each(|(target, value)| *target += factor * value);
                    }
                }
            },
        );
    }
}
