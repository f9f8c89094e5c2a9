//! Soft clusters of the nodes of each subgraph: what assignments, nodes and clusters say about each other.
//!
//! All three operators are one trilinear form, `sum over i, k, f of S[i, k] X[i, f] P[g of i][k, f]`, without one of
//! its factors, so each is the derivative of the others.

use connectome_components::{Matrix, Topology};

use crate::{
    error::BuildError,
    kernels::dot,
    program::{Cost, Domain, Footprint, Operation, Operator, Partition, Program, Shape, Step, Tape, Value},
};

/// `P[g][k] = sum over nodes i of g of S[i, k] X[i]`: pools the values `X` `[N, F]` by the assignments `S` `[N, K]` to
/// the `K` clusters of each subgraph, `[G, K F]`, cluster by cluster.
///
/// Costs `N K F` multiplications. Border: nodes in no subgraph are ignored, and clusters without nodes are 0.
///
/// # Errors
/// If a value is sparse or not on nodes.
pub fn pool_clusters(program: &mut Program, assignment: Value, values: Value) -> Result<Value, BuildError> {
    record(program, Form::Pool, [assignment, values])
}

/// `X[i] = sum over k of S[i, k] P[g of i][k]`: takes the values `P` `[G, K F]` of clusters back to the nodes, `[N,
/// F]`, by their assignments `S` `[N, K]`.
///
/// Costs as [`pool_clusters`]. Border: nodes in no subgraph are 0.
///
/// # Errors
/// If a value is sparse, on the wrong rows, or the width of the clusters is no multiple of `K`.
pub fn unpool_clusters(program: &mut Program, assignment: Value, clusters: Value) -> Result<Value, BuildError> {
    record(program, Form::Unpool, [assignment, clusters])
}

/// `S[i, k] = P[g of i][k] . X[i]`: scores the nodes `X` `[N, F]` for the clusters `P` `[G, K F]` of their subgraph,
/// `[N, K]`.
///
/// Costs as [`pool_clusters`]. Border: nodes in no subgraph are 0.
///
/// # Errors
/// If a value is sparse, on the wrong rows, or the width of the clusters is no multiple of `F`.
pub fn score_clusters(program: &mut Program, clusters: Value, values: Value) -> Result<Value, BuildError> {
    record(program, Form::Score, [clusters, values])
}

fn record(program: &mut Program, form: Form, inputs: [Value; 2]) -> Result<Value, BuildError> {
    let inputs = [program.dense(inputs[0])?, program.dense(inputs[1])?];
    program.record_one(Clusters { form, domains: [program.nodes(), program.subgraphs()] }, &inputs)
}

/// Which factor of the form is computed from the others.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    /// The clusters, from assignments and nodes.
    Pool,
    /// The nodes, from assignments and clusters.
    Unpool,
    /// The assignments, from clusters and nodes.
    Score,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Clusters {
    form: Form,
    /// The nodes and the subgraphs.
    domains: [Domain; 2],
}

impl Operator for Clusters {
    fn name(&self) -> &'static str {
        match self.form {
            Form::Pool => "pool_clusters",
            Form::Unpool => "unpool_clusters",
            Form::Score => "score_clusters",
        }
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        let [nodes, subgraphs] = self.domains;
        let [first, second] = [inputs[0].shape(), inputs[1].shape()];
        let (domains, shape) = match self.form {
            Form::Pool => ([nodes, nodes], Some(Shape::new(subgraphs, first.width.saturating_mul(second.width)))),
            Form::Unpool => {
                ([nodes, subgraphs], quotient(second.width, first.width).map(|width| Shape::new(nodes, width)))
            }
            Form::Score => {
                ([subgraphs, nodes], quotient(first.width, second.width).map(|width| Shape::new(nodes, width)))
            }
        };
        if [first.domain, second.domain] != domains {
            let [one, other] = domains;
            return Err(format!("reads values on other rows than its own; give one on {one} and one on {other}"));
        }
        let (first, second) = (first.width, second.width);
        shape.map(|shape| vec![shape]).ok_or_else(|| {
            format!("divides clusters among widths {first} and {second}; give one that is a multiple of the other")
        })
    }

    fn footprint(&self, input: usize) -> Footprint {
        match (self.form, input) {
            (Form::Pool, _) => Footprint::Members,
            (Form::Unpool, 0) | (Form::Score, 1) => Footprint::Same,
            _ => Footprint::Membership,
        }
    }

    fn cost(&self, inputs: &[Value], _: &[Value]) -> Cost {
        let [first, second] = [inputs[0].width(), inputs[1].width()];
        match self.form {
            Form::Pool => Cost { per_row: 0, per_entry: first.saturating_mul(second) },
            Form::Unpool => Cost { per_row: second, per_entry: 0 },
            Form::Score => Cost { per_row: first, per_entry: 0 },
        }
    }

    fn run(&self, step: &mut Step<'_>) {
        let form = self.form;
        let width = step.output(0).width();
        let partition = if form == Form::Pool { Partition::Members } else { Partition::Uniform };
        step.write_rows(
            partition,
            [0, 1],
            #[inline(always)]
            move |topology, inputs, rows, output| {
                for (row, output) in rows.zip(output.chunks_exact_mut(width)) {
                    match form {
                        Form::Pool => pool(topology, inputs, row, output),
                        Form::Unpool => unpool(topology, inputs, row, output),
                        Form::Score => score(topology, inputs, row, output),
                    }
                }
            },
        );
    }

    fn differentiate(&self, operation: &Operation, gradient: Value, tape: &mut Tape<'_>) -> Result<(), BuildError> {
        let &[first, second] = &operation.inputs[..] else { return Ok(()) };
        let of = |form| Self { form, ..*self };
        match self.form {
            Form::Pool => {
                tape.gradient(first, of(Form::Score), &[gradient, second])?;
                tape.gradient(second, of(Form::Unpool), &[first, gradient])
            }
            Form::Unpool => {
                tape.gradient(first, of(Form::Score), &[second, gradient])?;
                tape.gradient(second, of(Form::Pool), &[first, gradient])
            }
            Form::Score => {
                tape.gradient(first, of(Form::Pool), &[gradient, second])?;
                tape.gradient(second, of(Form::Unpool), &[gradient, first])
            }
        }
    }
}

fn quotient(width: usize, divisor: usize) -> Option<usize> {
    (divisor > 0 && width.is_multiple_of(divisor)).then(|| width / divisor)
}

#[inline(always)]
fn pool(topology: &Topology, [assignment, values]: [&Matrix; 2], row: usize, output: &mut [f32]) {
    output.fill(0.0);
    for node in &topology.members.neighbors[topology.members.entries(row)] {
        let (weights, values) = (assignment.row(*node as usize), values.row(*node as usize));
        for (output, weight) in output.chunks_exact_mut(values.len()).zip(weights) {
            output.iter_mut().zip(values).for_each(|(output, value)| *output += weight * value);
        }
    }
}

#[inline(always)]
fn unpool(topology: &Topology, [assignment, clusters]: [&Matrix; 2], row: usize, output: &mut [f32]) {
    output.fill(0.0);
    let Some(subgraph) = subgraph_of(topology, row) else { return };
    for (cluster, weight) in clusters.row(subgraph).chunks_exact(output.len()).zip(assignment.row(row)) {
        output.iter_mut().zip(cluster).for_each(|(output, value)| *output += weight * value);
    }
}

#[inline(always)]
fn score(topology: &Topology, [clusters, values]: [&Matrix; 2], row: usize, output: &mut [f32]) {
    let Some(subgraph) = subgraph_of(topology, row) else { return output.fill(0.0) };
    let values = values.row(row);
    let clusters = clusters.row(subgraph).chunks_exact(values.len());
    output.iter_mut().zip(clusters).for_each(|(output, cluster)| *output = dot(cluster, values));
}

/// The row of the subgraph of a node.
#[inline(always)]
pub(super) fn subgraph_of(topology: &Topology, node: usize) -> Option<usize> {
    let subgraphs = &topology.membership.neighbors[topology.membership.entries(node)];
    subgraphs.first().map(|subgraph| *subgraph as usize)
}
