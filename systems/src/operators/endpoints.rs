//! Sums of the features of an edge and its endpoints.

use connectome_components::Topology;
use std::sync::Arc;

use super::{epilogue::Epilogue, relation::Uniform};
use crate::{
    error::BuildError,
    kernels::gather_rows,
    program::{
        Cost, Domain, Footprint, Fusion, Operation, Operator, Partition, Program, Shape, Step, Tape, Value, kernel,
    },
};

/// The terms of an edge: values of its source, its target and itself, each with a factor, all of one width.
///
/// A linear map of the concatenation of source, target and edge is the sum of a map of each, two of them on nodes.
#[derive(Clone, Copy, Debug, Default)]
pub struct EdgeTerms {
    /// The value of the source node.
    pub source: Option<(Value, f32)>,
    /// The value of the target node.
    pub target: Option<(Value, f32)>,
    /// The value of the edge itself.
    pub edge: Option<(Value, f32)>,
}

/// `Z[e] = s S[source of e] + t T[target of e] + c E[e]`, on edges; zeros for dangling ones.
///
/// # Errors
/// If a value is sparse, on the wrong rows, or of another width than the others; or if there is none.
pub fn gather_endpoints(program: &mut Program, terms: EdgeTerms) -> Result<Value, BuildError> {
    let mut inputs = Vec::new();
    let mut factors = [None; 3];
    for (term, factor) in [terms.source, terms.target, terms.edge].into_iter().zip(&mut factors) {
        let Some((value, given)) = term else { continue };
        *factor = Some((inputs.len(), given));
        inputs.push(program.dense(value)?);
    }
    let domains = [program.sources(), program.nodes(), program.edges()];
    program.record_one(GatherEndpoints { terms: factors, domains, epilogue: Epilogue::default() }, &inputs)
}

/// [`gather_endpoints`]: reads its terms, and then the inputs of the epilogue.
#[derive(Clone, Copy, Debug)]
struct GatherEndpoints {
    /// Input and factor of the source, of the target and of the edge itself.
    terms: [Option<(usize, f32)>; 3],
    /// Their domains.
    domains: [Domain; 3],
    epilogue: Epilogue,
}

impl GatherEndpoints {
    fn is_node(&self, input: usize) -> bool {
        self.terms[..2].iter().flatten().any(|(term, _)| *term == input)
    }
}

impl Operator for GatherEndpoints {
    fn name(&self) -> &'static str {
        "gather_endpoints"
    }

    fn describe(&self) -> String {
        self.epilogue.describe(self.name())
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        let Some(width) = inputs.first().map(Value::width) else {
            return Err("has no terms for its edges; give at least one value".to_owned());
        };
        let fits = |(input, _): (usize, f32), domain| inputs[input].shape() == Shape::new(domain, width);
        if self.terms.iter().zip(self.domains).all(|(term, domain)| term.is_none_or(|term| fits(term, domain))) {
            return Ok(vec![Shape::new(self.domains[2], width)]);
        }
        Err("gathers values of different widths, or not on nodes and edges; give all one width, on their rows"
            .to_owned())
    }

    fn footprint(&self, input: usize) -> Footprint {
        if self.is_node(input) { Footprint::Endpoints } else { Footprint::Same }
    }

    fn cost(&self, _: &[Value], outputs: &[Value]) -> Cost {
        let width = outputs.first().map_or(0, Value::width);
        Cost { per_row: width * self.terms.iter().flatten().count(), per_entry: 0 }
    }

    fn run(&self, step: &mut Step<'_>) {
        let (epilogue, [bias, blended]) = self.epilogue.prepare(step);
        let [source, target, edge] = self.terms.map(|term| term.map_or(0, |(input, _)| input));
        let factors = self.terms.map(|term| term.map(|(_, factor)| factor));
        step.write_rows(
            Partition::Uniform,
            [source, target, edge, bias, blended],
            #[inline(always)]
            move |topology, [source, target, edge, bias, blended], rows, output| {
                let (matrices, width) = ([source, target, edge], source.width());
                for (row, output) in rows.clone().zip(output.chunks_exact_mut(width)) {
                    output.fill(0.0);
                    let [from, to] = topology.endpoints[row];
                    if from == Topology::NO_ROW {
                        continue;
                    }
                    for ((matrix, factor), row) in matrices.iter().zip(factors).zip([from as usize, to as usize, row]) {
                        let Some(factor) = factor else { continue };
                        output.iter_mut().zip(matrix.row(row)).for_each(|(output, value)| *output += factor * value);
                    }
                }
                epilogue.apply([bias, blended], rows, output, width);
            },
        );
    }

    fn differentiate(&self, operation: &Operation, gradient: Value, tape: &mut Tape<'_>) -> Result<(), BuildError> {
        let (gradient, scale) = self.epilogue.backward(operation, gradient, tape)?;
        let ([source, target, edge], width) = (self.terms, gradient.width());
        if let Some((input, factor)) = source {
            let backward = node_gradient(Partition::Outgoing, Footprint::OutgoingEdges, scale * factor, width);
            tape.gradient(operation.inputs[input], backward, &[gradient])?;
        }
        if let Some((input, factor)) = target {
            let backward = node_gradient(Partition::Incoming, Footprint::IncomingEdges, scale * factor, width);
            tape.gradient(operation.inputs[input], backward, &[gradient])?;
        }
        if let Some((input, factor)) = edge {
            tape.gradient(operation.inputs[input], edge_gradient(scale * factor), &[gradient])?;
        }
        self.epilogue.backward_blend(operation, None, gradient, tape)
    }

    fn fuse(&self, next: &Operation, input: usize, context: Fusion<'_>) -> Option<Arc<dyn Operator>> {
        let epilogue = self.epilogue.absorb(next, input, context)?;
        Some(Arc::new(Self { epilogue, ..*self }))
    }
}

/// The gradient with respect to the value of the endpoints on one side: the sum over their edges.
fn node_gradient(partition: Partition, footprint: Footprint, factor: f32, width: usize) -> impl Operator {
    kernel("gather_endpoints_backward", footprint, move |step: &mut Step<'_>| {
        let adds = step.accumulates();
        step.write_rows(
            partition,
            [0],
            #[inline(always)]
            move |topology, [gradient], rows, target| {
                let adjacency = partition.adjacency(topology).unwrap_or(&topology.incoming);
                let terms = |row| Uniform { rows: &adjacency.edges[adjacency.entries(row)], coefficient: factor };
                gather_rows(rows, terms, gradient, adds, target);
            },
        );
    })
    .accumulating()
    .with_cost(Cost { per_row: 0, per_entry: width })
}

/// The gradient with respect to the value of the edges.
fn edge_gradient(factor: f32) -> impl Operator {
    kernel("gather_endpoints_backward", Footprint::Same, move |step: &mut Step<'_>| {
        step.write_rows(
            Partition::Uniform,
            [0],
            #[inline(always)]
            move |topology, [gradient], rows, target| {
                for (row, target) in rows.zip(target.chunks_exact_mut(gradient.width())) {
                    let factor = if topology.endpoints[row][0] == Topology::NO_ROW { 0.0 } else { factor };
                    target.iter_mut().zip(gradient.row(row)).for_each(|(target, gradient)| *target = factor * gradient);
                }
            },
        );
    })
}
