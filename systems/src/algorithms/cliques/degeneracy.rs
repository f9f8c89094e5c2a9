//! Core decomposition and degeneracy order.

use crate::algorithms::{ParallelGraph, SimpleGraph};

/// An order of the nodes in which each has few later neighbors, and the core numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Degeneracy {
    /// The nodes by ascending core number, `[N]`. A node has at most its core number of neighbors after it.
    pub order: Vec<u32>,
    /// The core number of each node, `[N]`: the largest `c` for which it is in a subgraph of minimum degree `c`.
    pub cores: Vec<u32>,
    /// The largest core number, 0 for the empty graph. No node has more neighbors after it in the order, and a clique
    /// has at most one node more.
    pub degeneracy: usize,
}

/// Computes core numbers and a degeneracy order by removing nodes of minimum degree (Matula and Beck 1983), in time
/// linear in `N + E`.
///
/// ```
/// use connectome_systems::algorithms::{SimpleGraph, cliques::degeneracy};
///
/// // A triangle with a tail.
/// let graph = SimpleGraph::new(4, [[0, 1], [1, 2], [2, 0], [2, 3]]);
/// let found = degeneracy(&graph);
/// assert_eq!((found.degeneracy, found.order[0]), (2, 3));
/// assert_eq!(found.cores, [2, 2, 2, 1]);
/// ```
pub fn degeneracy(graph: &SimpleGraph) -> Degeneracy {
    // The remaining degree of each node; of a removed node that at its removal, which is its core number.
    let mut cores: Vec<u32> = graph.nodes().map(|node| graph.degree(node) as u32).collect();
    // One entry more than nodes: the branchless writes below also write the entry after the last one.
    let mut order = vec![0; cores.len() + 1];
    let mut count = 0;
    let mut left: Vec<u32> = graph.nodes().collect();
    let mut core = 0;
    while !left.is_empty() {
        let (mut removed, before) = (count, count);
        // Each node is visited once for each core up to its core number, which is at most its degree.
        let mut kept = 0;
        for index in 0..left.len() {
            // Without branches, which would be mispredicted.
            let node = left[index];
            let degree = cores[node as usize];
            (order[count], left[kept]) = (node, node);
            count += usize::from(degree == core);
            kept += usize::from(degree > core);
        }
        left.truncate(kept);
        while removed < count {
            for &neighbor in graph.neighbors(order[removed]) {
                let degree = &mut cores[neighbor as usize];
                order[count] = neighbor;
                count += usize::from(*degree == core + 1);
                *degree -= u32::from(*degree > core);
            }
            removed += 1;
        }
        core += 1;
        if count == before {
            core = left.iter().map(|node| cores[*node as usize]).min().unwrap_or(core);
        }
    }
    order.truncate(count);
    let degeneracy = cores.iter().max().map_or(0, |core| *core as usize);
    Degeneracy { order, cores, degeneracy }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn cores_remain_when_nodes_of_low_degree_are_removed(
            nodes in 0..13_usize,
            edges in proptest::collection::vec([0..13_u32, 0..13_u32], 0..60),
        ) {
            let graph = SimpleGraph::new(nodes, edges);
            let found = degeneracy(&graph);
            for core in 0..=13 {
                let mut left: Vec<u32> = graph.nodes().collect();
                let degree = |left: &[u32], node: u32| left.iter().filter(|other| graph.has_edge(node, **other)).count();
                while let Some(index) = left.iter().position(|node| degree(&left, *node) < core) {
                    left.remove(index);
                }
                let expected: Vec<u32> = graph.nodes().filter(|node| found.cores[*node as usize] as usize >= core).collect();
                prop_assert_eq!(left, expected);
            }
            let core = |node: &u32| found.cores[*node as usize];
            prop_assert!(found.order.is_sorted_by_key(core));
            for (index, node) in found.order.iter().enumerate() {
                let later = found.order[index..].iter().filter(|other| graph.has_edge(*node, **other)).count();
                prop_assert!(later <= core(node) as usize);
            }
            let mut sorted = found.order.clone();
            sorted.sort_unstable();
            prop_assert!(graph.nodes().eq(sorted));
            prop_assert_eq!(found.degeneracy, found.cores.iter().max().map_or(0, |core| *core as usize));
        }
    }
}
