//! Networks over directed acyclic graphs, level by level.
//!
//! The formulas are written here a second time, node after node in 64-bit floats, and differentiated by central differences;
//! the levels are derived by their definition. What differs between narrow and wide levels, tables, histories and numbers of
//! workers is compared bit by bit.

mod bits;
mod cycles;
mod formulas;

use crate::common;

use common::{differences::Case, numbers};
use connectome_components::Direction;

/// The same case without cycles: edges lead along a random order of the nodes.
fn acyclic(mut case: Case) -> Case {
    let place = numbers(case.seed, 9, (case.node_count, 1));
    case.links.retain(|link| link.source != link.target);
    for link in &mut case.links {
        if place[[link.source, 0]] > place[[link.target, 0]] {
            core::mem::swap(&mut link.source, &mut link.target);
        }
    }
    case
}

/// The predecessors of each node in a direction, each with the number of the edge.
fn predecessors(case: &Case, direction: Direction) -> Vec<Vec<(usize, usize)>> {
    let mut predecessors = vec![Vec::new(); case.node_count];
    for (edge, link) in case.links.iter().enumerate() {
        let [from, to] = match direction {
            Direction::Forward => [link.source, link.target],
            Direction::Reverse => [link.target, link.source],
        };
        predecessors[to].push((from, edge));
    }
    predecessors
}

/// The level of each node, by the definition.
fn levels(predecessors: &[Vec<(usize, usize)>]) -> Vec<usize> {
    let mut levels = vec![0; predecessors.len()];
    for _ in 0..predecessors.len() {
        for node in 0..predecessors.len() {
            levels[node] = predecessors[node].iter().map(|(from, _)| levels[*from] + 1).max().unwrap_or(0);
        }
    }
    levels
}

/// The nodes in an order in which predecessors come first.
fn sorted(predecessors: &[Vec<(usize, usize)>]) -> Vec<usize> {
    let levels = levels(predecessors);
    let mut nodes: Vec<usize> = (0..levels.len()).collect();
    nodes.sort_by_key(|node| levels[*node]);
    nodes
}
