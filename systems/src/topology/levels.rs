//! Derivation of the levels of directed acyclic graphs.

use connectome_components::{Adjacency, Cycle, Direction, KeyOrder, Levels, Rows, Topology};

/// Reusable buffers of [`derive`].
#[derive(Default)]
pub(super) struct Scratch {
    /// For each node the number of predecessors whose level is not known yet.
    missing: Vec<u32>,
    /// The level of each node, or a lower bound of it as long as predecessors are missing.
    level_of: Vec<u32>,
    /// Nodes in an order in which predecessors come first.
    sorted: Vec<u32>,
    /// The next index of each level.
    next: Vec<u32>,
}

/// Derives the levels of all required directions, or finds a cycle.
pub(super) fn derive(topology: &mut Topology, scratch: &mut Scratch) {
    if topology.other_sources.is_some() {
        // No operator passes through the levels of a relation, which has none.
        return;
    }
    let mut all = core::mem::take(&mut topology.levels);
    for levels in &mut all {
        let [predecessors, successors] = topology.neighbors(levels.direction);
        levels.cycle = None;
        if scratch.sort(predecessors, successors, topology.nodes.len()) {
            scratch.fill(levels, &topology.node_order);
        } else {
            levels.rows.clear();
            levels.offsets.clear();
            let cycle = scratch.find_cycle(predecessors, &topology.node_order, levels.direction);
            levels.cycle = Some(described(&cycle, &topology.nodes));
        }
    }
    topology.levels = all;
}

impl Scratch {
    /// Finds the level of each node, predecessors first (Kahn, "Topological sorting of large networks", CACM 1962); returns
    /// whether all have one.
    fn sort(&mut self, predecessors: &Adjacency, successors: &Adjacency, nodes: usize) -> bool {
        let Self { missing, level_of, sorted, .. } = self;
        missing.clear();
        missing.extend(predecessors.offsets.array_windows().map(|[start, end]| end - start));
        level_of.clear();
        level_of.resize(nodes, 0);
        sorted.clear();
        sorted.extend((0..).zip(&*missing).filter(|(_, missing)| **missing == 0).map(|(row, _): (u32, _)| row));
        let mut index = 0;
        while let Some(row) = sorted.get(index).copied() {
            index += 1;
            let level = level_of[row as usize] + 1;
            for successor in &successors.neighbors[successors.entries(row as usize)] {
                let to = *successor as usize;
                level_of[to] = level_of[to].max(level);
                missing[to] -= 1;
                if missing[to] == 0 {
                    sorted.push(*successor);
                }
            }
        }
        sorted.len() == nodes
    }

    /// Sorts the rows by their levels, in the order of keys.
    fn fill(&mut self, levels: &mut Levels, order: &KeyOrder) {
        let Self { level_of, next, .. } = self;
        let count = level_of.iter().max().map_or(0, |last| *last as usize + 1);
        let Levels { rows, offsets, is_sorted, is_ascending, .. } = levels;
        offsets.clear();
        offsets.resize(count + 1, 0);
        level_of.iter().for_each(|level| offsets[*level as usize + 1] += 1);
        super::sort::prefix_sums(offsets, next);
        rows.clear();
        rows.resize(level_of.len(), 0);
        for rank in 0..level_of.len() {
            let row = order.permutation().map_or(rank, |order| order[rank] as usize);
            let next = &mut next[level_of[row] as usize];
            rows[*next as usize] = row as u32;
            *next += 1;
        }
        *is_sorted = (0..).zip(&*rows).all(|(place, row)| place == *row);
        *is_ascending = !order.is_permuted;
    }

    /// A cycle among the nodes without a level, along the edges: from the first of them in the order of keys always on to
    /// the first predecessor that has no level either, of which there is one, until a node comes again.
    fn find_cycle(&mut self, predecessors: &Adjacency, order: &KeyOrder, direction: Direction) -> Vec<u32> {
        let Self { missing, level_of: step_of, sorted: path, .. } = self;
        let lacks_level = |row: &usize| missing[*row] > 0;
        let by_key = |rank: usize| order.permutation().map_or(rank, |order| order[rank] as usize);
        step_of.fill(0);
        path.clear();
        let mut next = (0..missing.len()).map(by_key).find(lacks_level);
        while let Some(row) = next {
            if step_of[row] > 0 {
                let mut cycle = path.split_off(step_of[row] as usize - 1);
                if direction == Direction::Forward {
                    cycle.reverse();
                }
                return cycle;
            }
            path.push(row as u32);
            step_of[row] = path.len() as u32;
            let neighbors = &predecessors.neighbors[predecessors.entries(row)];
            next = neighbors.iter().map(|neighbor| *neighbor as usize).find(lacks_level);
        }
        Vec::new()
    }
}

fn described(cycle: &[u32], nodes: &Rows) -> Cycle {
    let entity = |row: &u32| nodes.entities()[*row as usize];
    Cycle { nodes: cycle.iter().take(Cycle::MAX_NODES).map(entity).collect(), length: cycle.len() }
}
