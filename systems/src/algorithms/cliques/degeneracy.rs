//! How densely a graph is knit, and an order that makes use of it.

use crate::algorithms::{ParallelGraph, SimpleGraph};

/// An order of the nodes in which each has few neighbours among those after it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Degeneracy {
    /// The nodes by rising core numbers, each with no more neighbours after it than its core number, `[N]`.
    pub order: Vec<u32>,
    /// The core number of each node, `[N]`: the largest `c` such that it lies in a part of the graph in which all have `c`
    /// neighbours or more.
    pub cores: Vec<u32>,
    /// The largest core number, or 0 for the empty graph. No node has more neighbours after it in the order, and no clique
    /// has more than one node more.
    pub degeneracy: usize,
}

/// Takes away nodes with few neighbours over and over, as Matula and Beck (1983) do, in the linear time of Batagelj and
/// Zaveršnik (2003), `N + E`.
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
    let nodes = graph.node_count();
    let mut cores: Vec<u32> = graph.nodes().map(|node| graph.degree(node) as u32).collect();
    // Where the nodes of each degree begin among all, sorted by what is left of their degree.
    let largest = cores.iter().max().map_or(0, |degree| *degree as usize);
    let mut starts = vec![0_u32; largest + 2];
    for degree in &cores {
        starts[*degree as usize + 1] += 1;
    }
    for degree in 0..=largest {
        starts[degree + 1] += starts[degree];
    }
    let mut next = starts.clone();
    let (mut order, mut places) = (vec![0; nodes], vec![0_u32; nodes]);
    for (node, degree) in (0..).zip(&cores) {
        let place = &mut next[*degree as usize];
        order[*place as usize] = node;
        places[node as usize] = *place;
        *place += 1;
    }
    for place in 0..nodes {
        let node = order[place];
        let core = cores[node as usize];
        for &neighbour in graph.neighbours(node) {
            let degree = cores[neighbour as usize];
            if degree > core {
                // It changes places with the first of its degree, and then is the last of the next lower one.
                let (here, first) = (places[neighbour as usize], starts[degree as usize]);
                let other = order[first as usize];
                order.swap(here as usize, first as usize);
                places[other as usize] = here;
                places[neighbour as usize] = first;
                starts[degree as usize] = first + 1;
                cores[neighbour as usize] = degree - 1;
            }
        }
    }
    let degeneracy = cores.iter().max().map_or(0, |core| *core as usize);
    Degeneracy { order, cores, degeneracy }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn cores_are_what_is_left_when_nodes_with_few_neighbours_go(
            nodes in 0..13_usize,
            edges in proptest::collection::vec([0..13_u32, 0..13_u32], 0..60),
        ) {
            let graph = SimpleGraph::new(nodes, edges);
            let found = degeneracy(&graph);
            for core in 0..=13 {
                let mut left: Vec<u32> = graph.nodes().collect();
                let degree = |left: &[u32], node: u32| left.iter().filter(|other| graph.are_joined(node, **other)).count();
                while let Some(place) = left.iter().position(|node| degree(&left, *node) < core) {
                    left.remove(place);
                }
                let expected: Vec<u32> = graph.nodes().filter(|node| found.cores[*node as usize] as usize >= core).collect();
                prop_assert_eq!(left, expected);
            }
            let core = |node: &u32| found.cores[*node as usize];
            prop_assert!(found.order.is_sorted_by_key(core));
            for (place, node) in found.order.iter().enumerate() {
                let later = found.order[place..].iter().filter(|other| graph.are_joined(*node, **other)).count();
                prop_assert!(later <= core(node) as usize);
            }
            let mut sorted = found.order.clone();
            sorted.sort_unstable();
            prop_assert!(graph.nodes().eq(sorted));
            prop_assert_eq!(found.degeneracy, found.cores.iter().max().map_or(0, |core| *core as usize));
        }
    }
}
