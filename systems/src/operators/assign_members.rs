//! Assignments of the nodes of each subgraph to slots.

use connectome_components::{Matrix, Topology};
use serde::{Deserialize, Serialize};

use super::clusters::subgraph_of;
use crate::{
    error::BuildError,
    kernels::{exp, ln},
    parallel::Workers,
    program::{Domain, Footprint, Operation, Operator, Program, Shape, Step, Tape, Value, kernel},
    transport::{Problem, Sinkhorn},
};

/// How the nodes of a subgraph share its slots.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum MemberAssignment {
    /// The softmax over the nodes, slot by slot.
    Softmax,
    /// The plan of Sinkhorn's rounds at the cost `-scores`, whose sum is 1 for each of the `K` slots, and `K / n` for
    /// each of the `n` nodes: no node is in none, and none in all.
    Sinkhorn {
        /// The weight of the entropy.
        epsilon: f32,
        /// The rounds; the gradient goes through all of them.
        rounds: usize,
    },
}

/// Assigns the nodes of each subgraph to `K` slots by their scores, `[N, K]` to `[N, K]`.
///
/// Costs `N K` exponentials, or twice as many a round. Border: nodes in no subgraph have zeros. If scores are not
/// finite, so is nothing in the subgraph.
///
/// # Errors
/// If the value is sparse or not on nodes, or a setting is out of range.
pub fn assign_members(program: &mut Program, scores: Value, assignment: MemberAssignment) -> Result<Value, BuildError> {
    if let MemberAssignment::Sinkhorn { epsilon, rounds } = assignment {
        if !(epsilon.is_finite() && epsilon > 0.0) {
            let reason = format!("has the epsilon {epsilon}; write a finite number above 0");
            return Err(program.setting_error("epsilon", reason));
        }
        if rounds == 0 {
            return Err(program.setting_error("rounds", "has 0 rounds; write at least 1"));
        }
    }
    let scores = program.dense(scores)?;
    program.record_one(AssignMembers(assignment), &[scores])
}

/// [`assign_members`].
#[derive(Clone, Copy, Debug, PartialEq)]
struct AssignMembers(MemberAssignment);

impl Operator for AssignMembers {
    fn name(&self) -> &'static str {
        "assign_members"
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        match inputs[0].domain() {
            Domain::Nodes(_) => Ok(vec![inputs[0].shape()]),
            _ => {
                Err("assigns the nodes of subgraphs, but its input is on other rows; give a value on nodes".to_owned())
            }
        }
    }

    fn footprint(&self, _: usize) -> Footprint {
        // All members of its own subgraph, which no other footprint says.
        Footprint::All
    }

    fn run(&self, step: &mut Step<'_>) {
        let assignment = self.0;
        write_by_subgraph(step, &|topology, [scores]: &[Matrix; 1], subgraph| {
            assignment.assign(&transposed(topology, scores, subgraph), scores.width())
        });
    }

    fn differentiate(&self, operation: &Operation, gradient: Value, tape: &mut Tape<'_>) -> Result<(), BuildError> {
        let (input, assignment) = (operation.inputs[0], self.0);
        let backward = kernel("assign_members_backward", Footprint::All, move |step: &mut Step<'_>| {
            write_by_subgraph(step, &|topology, [gradient, scores]: &[Matrix; 2], subgraph| {
                let slots = scores.width();
                let [gradient, scores] = [gradient, scores].map(|values| transposed(topology, values, subgraph));
                assignment.differentiate(&scores, &gradient, slots)
            });
        });
        tape.gradient(input, backward, &[gradient, input])
    }
}

impl MemberAssignment {
    /// The assignments `[K, n]` from scores `[K, n]`.
    fn assign(self, scores: &[f32], slots: usize) -> Vec<f32> {
        let nodes = scores.len() / slots;
        match self {
            Self::Softmax => scores.chunks_exact(nodes).flat_map(softmax).collect(),
            Self::Sinkhorn { epsilon, rounds } => transport(scores, slots, |problem| {
                Some(Sinkhorn::new(epsilon, rounds).solve(problem, &Workers::single()).ok()?.plan)
            }),
        }
    }

    /// The gradient with respect to the scores.
    fn differentiate(self, scores: &[f32], gradient: &[f32], slots: usize) -> Vec<f32> {
        let nodes = scores.len() / slots;
        match self {
            Self::Softmax => {
                let rows = scores.chunks_exact(nodes).map(softmax).zip(gradient.chunks_exact(nodes));
                rows.flat_map(|(shares, gradient)| {
                    let mean: f32 = shares.iter().zip(gradient).map(|(share, gradient)| share * gradient).sum();
                    shares.into_iter().zip(gradient).map(move |(share, gradient)| share * (gradient - mean))
                })
                .collect()
            }
            Self::Sinkhorn { epsilon, rounds } => transport(scores, slots, |problem| {
                let (solver, workers) = (Sinkhorn::new(epsilon, rounds), Workers::single());
                let found = solver.solve(problem, &workers).ok()?;
                let by_cost = solver.gradient(problem, &found, gradient, &workers).ok()?;
                Some(by_cost.into_iter().map(|gradient| -gradient).collect())
            }),
        }
    }
}

fn softmax(scores: &[f32]) -> Vec<f32> {
    let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = scores.iter().map(|score| exp(score - most)).sum();
    let log_sum = most + ln(sum);
    scores.iter().map(|score| exp(score - log_sum)).collect()
}

/// What is done with the problem of transport of some scores `[K, n]`; NaN where it cannot be solved.
fn transport(scores: &[f32], slots: usize, solve: impl FnOnce(Problem) -> Option<Vec<f32>>) -> Vec<f32> {
    let nodes = scores.len() / slots;
    let cost: Vec<f32> = scores.iter().map(|score| -score).collect();
    let (source, target) = (vec![1.0; slots], vec![slots as f32 / nodes as f32; nodes]);
    solve(Problem { cost: &cost, source: &source, target: &target }).unwrap_or_else(|| vec![f32::NAN; scores.len()])
}

/// The rows of the members of a subgraph, transposed: `[K, n]`.
fn transposed(topology: &Topology, values: &Matrix, subgraph: usize) -> Vec<f32> {
    let members = &topology.members.neighbors[topology.members.entries(subgraph)];
    let column = |feature: usize| members.iter().map(move |node| values.row(*node as usize)[feature]);
    (0..values.width()).flat_map(column).collect()
}

/// What a subgraph's members get, `[K, n]`.
type OfSubgraph<'a, const INPUTS: usize> = dyn Fn(&Topology, &[Matrix; INPUTS], usize) -> Vec<f32> + Sync + 'a;

/// Computes the output of the members of each subgraph together, several subgraphs at once.
fn write_by_subgraph<const INPUTS: usize>(step: &mut Step<'_>, compute: &OfSubgraph<'_, INPUTS>) {
    let (topology, workers) = (step.topology(), step.workers());
    let inputs: [Matrix; INPUTS] = core::array::from_fn(|input| step.input(input));
    let members = &topology.members;
    let compute = |subgraph: usize| {
        if members.entries(subgraph).is_empty() { Vec::new() } else { compute(topology, &inputs, subgraph) }
    };
    let found = workers.map(members.offsets.len().saturating_sub(1), compute);
    // The place of each node among the members of its subgraph.
    let mut places = vec![0; topology.membership.offsets.len()];
    for subgraph in 0..found.len() {
        let members = &members.neighbors[members.entries(subgraph)];
        members.iter().enumerate().for_each(|(place, node)| places[*node as usize] = place);
    }
    for (node, output) in step.output(0).rows_mut().enumerate() {
        let Some(subgraph) = subgraph_of(topology, node) else {
            output.fill(0.0);
            continue;
        };
        let nodes = members.entries(subgraph).len();
        for (slot, output) in output.iter_mut().enumerate() {
            *output = found[subgraph][slot * nodes + places[node]];
        }
    }
}
