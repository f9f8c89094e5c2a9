//! How densely a graph is knit, and an order that makes use of it.

use crate::algorithms::{ParallelGraph, SimpleGraph};

/// An order of the nodes in which each has few neighbors among those after it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Degeneracy {
    /// The nodes by rising core numbers, each with no more neighbors after it than its core number, `[N]`.
    pub order: Vec<u32>,
    /// The core number of each node, `[N]`: the largest `c` such that it lies in a part of the graph in which all have `c`
    /// neighbors or more.
    pub cores: Vec<u32>,
    /// The largest core number, or 0 for the empty graph. No node has more neighbors after it in the order, and no clique
    /// has more than one node more.
    pub degeneracy: usize,
}

/// Takes away nodes with few neighbors over and over (Matula and Beck 1983), in linear time, `N + E`.
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
    // What is left of the degree of each node; of those that went, what was left when they did.
    let mut cores: Vec<u32> = graph.nodes().map(|node| graph.degree(node) as u32).collect();
    // One place more than nodes, since what comes after the last one is written as well.
    let mut order = vec![0; cores.len() + 1];
    let mut count = 0;
    let mut left: Vec<u32> = graph.nodes().collect();
    while let Some(core) = left.iter().map(|node| cores[*node as usize]).min() {
        let mut gone = count;
        // A node is looked at once for each core up to its own, of which it has as many later neighbors.
        for node in &left {
            order[count] = *node;
            count += usize::from(cores[*node as usize] == core);
        }
        while gone < count {
            for &neighbor in graph.neighbors(order[gone]) {
                // Without branches: no processor foresees who has gone.
                let degree = &mut cores[neighbor as usize];
                let stays = *degree > core;
                *degree -= u32::from(stays);
                order[count] = neighbor;
                count += usize::from(stays & (*degree == core));
            }
            gone += 1;
        }
        left.retain(|node| cores[*node as usize] > core);
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
        fn cores_are_what_is_left_when_nodes_with_few_neighbors_go(
            nodes in 0..13_usize,
            edges in proptest::collection::vec([0..13_u32, 0..13_u32], 0..60),
        ) {
            let graph = SimpleGraph::new(nodes, edges);
            let found = degeneracy(&graph);
            for core in 0..=13 {
                let mut left: Vec<u32> = graph.nodes().collect();
                let degree = |left: &[u32], node: u32| left.iter().filter(|other| graph.has_edge(node, **other)).count();
                while let Some(place) = left.iter().position(|node| degree(&left, *node) < core) {
                    left.remove(place);
                }
                let expected: Vec<u32> = graph.nodes().filter(|node| found.cores[*node as usize] as usize >= core).collect();
                prop_assert_eq!(left, expected);
            }
            let core = |node: &u32| found.cores[*node as usize];
            prop_assert!(found.order.is_sorted_by_key(core));
            for (place, node) in found.order.iter().enumerate() {
                let later = found.order[place..].iter().filter(|other| graph.has_edge(*node, **other)).count();
                prop_assert!(later <= core(node) as usize);
            }
            let mut sorted = found.order.clone();
            sorted.sort_unstable();
            prop_assert!(graph.nodes().eq(sorted));
            prop_assert_eq!(found.degeneracy, found.cores.iter().max().map_or(0, |core| *core as usize));
        }
    }
}
