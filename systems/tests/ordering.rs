//! Every order is a permutation, whatever the edges; the order of Cuthill and McKee makes the band of a graph narrow that
//! has a narrow one, wherever its nodes stood before. A failure names the bandwidth or the edges.

use connectome_systems::{
    algorithms::ordering::{bandwidth, order_by_degree, positions, reverse_cuthill_mckee},
    random::{Philox, RandomStream},
};
use proptest::{collection::vec, prelude::*};

fn check_permutation(order: &[u32], nodes: usize) {
    let mut sorted = order.to_vec();
    sorted.sort_unstable();
    assert_eq!(sorted, (0..nodes as u32).collect::<Vec<_>>());
    let places = positions(order);
    assert!((0..).zip(order).all(|(place, node)| places[*node as usize] == place));
}

/// The edges between nodes.
fn inner(nodes: usize, edges: &[[u32; 2]]) -> impl Iterator<Item = &[u32; 2]> {
    edges.iter().filter(move |endpoints| endpoints.iter().all(|end| (*end as usize) < nodes))
}

/// Which nodes can be reached from each, by the lowest of them.
fn components(nodes: usize, edges: &[[u32; 2]]) -> Vec<u32> {
    let mut lowest: Vec<u32> = (0..nodes as u32).collect();
    loop {
        let before = lowest.clone();
        for [one, other] in inner(nodes, edges).map(|endpoints| endpoints.map(|end| end as usize)) {
            let least = lowest[one].min(lowest[other]);
            (lowest[one], lowest[other]) = (least, least);
        }
        if lowest == before {
            return lowest;
        }
    }
}

proptest! {
    /// Loops, parallel edges, nodes without edges and ends that are no nodes are among the edges.
    #[test]
    fn orders_are_permutations(nodes in 0_usize..40, edges in vec([0_u32..42, 0_u32..42], 0..120)) {
        let order = order_by_degree(nodes, &edges);
        check_permutation(&order, nodes);
        let degree = |node: u32| inner(nodes, &edges).flatten().filter(|end| **end == node).count();
        prop_assert!(order.windows(2).all(|pair| (degree(pair[1]), pair[0]) < (degree(pair[0]), pair[1])), "{:?}", order);

        let order = reverse_cuthill_mckee(nodes, &edges);
        check_permutation(&order, nodes);
        // A component stands in one piece.
        let of = components(nodes, &edges);
        let mut pieces: Vec<u32> = order.iter().map(|node| of[*node as usize]).collect();
        pieces.dedup();
        let count = pieces.len();
        pieces.sort_unstable();
        pieces.dedup();
        prop_assert_eq!(pieces.len(), count, "{:?}", order);
        prop_assert_eq!(reverse_cuthill_mckee(nodes, &edges), order);
        // Directions, loops and parallel edges mean nothing to it.
        let mut others: Vec<[u32; 2]> = edges.iter().map(|[one, other]| [*other, *one]).collect();
        others.extend(edges.iter().map(|[one, _]| [*one; 2]).chain(edges.iter().copied()));
        prop_assert_eq!(reverse_cuthill_mckee(nodes, &others), reverse_cuthill_mckee(nodes, &edges));
    }

    #[test]
    fn a_shuffled_grid_gets_its_band_back(width in 1_u32..8, height in 8_u32..20, seed: u64) {
        let mut numbers: Vec<u32> = (0..width * height).collect();
        RandomStream::new(Philox::new(seed, 0, 0)).shuffle(&mut numbers);
        let node = |x: u32, y: u32| numbers[(y * width + x) as usize];
        let mut edges = Vec::new();
        for (x, y) in (0..height).flat_map(|y| (0..width).map(move |x| (x, y))) {
            if x + 1 < width {
                edges.push([node(x, y), node(x + 1, y)]);
            }
            if y + 1 < height {
                edges.push([node(x, y), node(x, y + 1)]);
            }
        }
        let order = reverse_cuthill_mckee(numbers.len(), &edges);
        prop_assert!(bandwidth(&order, &edges) <= width as usize + 1, "{}", bandwidth(&order, &edges));
    }
}

#[test]
fn a_shuffled_path_lies_in_a_row() {
    let mut numbers: Vec<u32> = (0..1000).collect();
    RandomStream::new(Philox::new(3, 0, 0)).shuffle(&mut numbers);
    let edges: Vec<[u32; 2]> = numbers.windows(2).map(|pair| [pair[0], pair[1]]).collect();
    let given: Vec<u32> = (0..1000).collect();
    assert!(bandwidth(&given, &edges) > 900);
    assert_eq!(bandwidth(&reverse_cuthill_mckee(1000, &edges), &edges), 1);
}

#[test]
fn ties_go_to_the_lowest_number() {
    // Two stars of three leaves, and a node alone.
    let edges = [[0, 1], [0, 2], [0, 3], [4, 5], [4, 6], [4, 7]];
    assert_eq!(order_by_degree(9, &edges), [0, 4, 1, 2, 3, 5, 6, 7, 8]);
    // Turned round: 8; then 1 with its centre 0 and the others; then 5 likewise.
    assert_eq!(reverse_cuthill_mckee(9, &edges), [7, 6, 4, 5, 3, 2, 0, 1, 8]);
    assert_eq!(reverse_cuthill_mckee(0, &[[0, 1]]), [0; 0]);
}
