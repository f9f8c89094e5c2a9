//! The best nodes of each subgraph.

use crate::{
    error::BuildError,
    program::{Domain, Footprint, Operation, Operator, Partition, Program, Shape, Step, Tape, Value},
};

/// 1 for the `ceil(ratio n)` of the `n` nodes of each subgraph whose scores `[N, 1]` are the highest, else 0; `[N, 1]`.
/// Of equal scores that of the lower key counts as higher. No gradient flows through it.
///
/// Costs a selection for each subgraph. Border: nodes in no subgraph are not kept; a score of NaN is the lowest.
///
/// # Errors
/// If the value is sparse, not on nodes, or not one score; if the ratio is not above 0 and at most 1.
pub fn keep_top(program: &mut Program, scores: Value, ratio: f32) -> Result<Value, BuildError> {
    if !(ratio > 0.0 && ratio <= 1.0) {
        let reason = format!("keeps {ratio} of all nodes; write a ratio above 0 and at most 1");
        return Err(program.setting_error("ratio", reason));
    }
    let scores = program.dense(scores)?;
    Ok(program.record_one(KeepTop(ratio), &[scores])?.detached())
}

/// How many of so many nodes are kept.
pub(crate) fn kept_count(nodes: usize, ratio: f32) -> usize {
    // A ratio such as 0.2 is a little more than a fifth.
    ((nodes as f64 * f64::from(ratio) * (1.0 - 1e-6)).ceil() as usize).clamp(usize::from(nodes > 0), nodes)
}

/// Nodes, given with their scores, in falling order of these; equal ones stay as they are.
pub(crate) fn in_falling_order(mut scored: Vec<(u32, f32)>) -> Vec<u32> {
    let rank = |score: f32| if score.is_nan() { f32::NEG_INFINITY } else { score };
    scored.sort_by(|(_, one), (_, other)| rank(*other).total_cmp(&rank(*one)));
    scored.into_iter().map(|(node, _)| node).collect()
}

/// [`keep_top`].
#[derive(Clone, Copy, Debug, PartialEq)]
struct KeepTop(f32);

impl Operator for KeepTop {
    fn name(&self) -> &'static str {
        "keep_top"
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        let shape = inputs[0].shape();
        if matches!(shape, Shape { domain: Domain::Nodes(_), width: 1 }) {
            return Ok(vec![shape]);
        }
        Err(format!("ranks nodes by {shape}; give one score for each node"))
    }

    fn footprint(&self, _: usize) -> Footprint {
        Footprint::All
    }

    fn run(&self, step: &mut Step<'_>) {
        let (topology, scores, ratio) = (step.topology(), step.input(0), self.0);
        let keep = |subgraph: usize| {
            let members = topology.members.neighbors[topology.members.entries(subgraph)].iter();
            // They are in the order of their keys.
            let mut members = in_falling_order(members.map(|node| (*node, scores.row(*node as usize)[0])).collect());
            members.truncate(kept_count(members.len(), ratio));
            members
        };
        let kept = step.workers().map(topology.members.offsets.len().saturating_sub(1), keep);
        let mut mask = vec![0.0; scores.row_count()];
        kept.iter().flatten().for_each(|node| mask[*node as usize] = 1.0);
        step.write_rows(Partition::Uniform, [], |_, [], rows, output| output.copy_from_slice(&mask[rows]));
    }

    fn differentiate(&self, _: &Operation, _: Value, _: &mut Tape<'_>) -> Result<(), BuildError> {
        Ok(())
    }
}
