//! Hidden edges, for link prediction.

use std::collections::HashSet;

use connectome_components::Split;

use super::graph_data::GraphData;
use connectome_systems::random::{Philox, RandomStream};

/// The random stream of hidden edges; those of a model's operations count from 0.
const HIDDEN_EDGES: u32 = 0xED6E_0000;

/// A graph with some of its edges hidden, and the pairs of nodes to classify.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LinkSplit {
    /// Source and target of each visible edge, in the order of the data.
    pub messages: Vec<[u32; 2]>,
    /// The index of each of these edges in the data, for its weight and features.
    pub message_numbers: Vec<u32>,
    /// Pairs of each split. Training pairs are all positive; negative ones are drawn for each step.
    pub pairs: Vec<CandidatePair>,
}

/// Two nodes, and whether an edge connects them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CandidatePair {
    /// The nodes, the smaller number first.
    pub endpoints: [u32; 2],
    /// The split of the pair.
    pub split: Split,
    /// Whether the graph has this edge, in one direction at least.
    pub positive: bool,
}

/// Hides fractions of the edges, for validation and test, and draws as many pairs of nodes without an edge.
///
/// As in T. N. Kipf and M. Welling, *Variational Graph Auto-Encoders*, 2016. Both directions of an edge are
/// one and are hidden together; self-loops stay. Fractions are rounded down. The same seed hides the same edges. If the
/// graph has fewer pairs without an edge than needed, all are taken; a scene that needs more is refused.
pub fn hide_edges(data: &GraphData, validation: f32, test: f32, seed: u64) -> LinkSplit {
    let edges = undirected_edges(data);
    let counts = Hidden::of(edges.len(), validation, test);
    let mut draws = RandomStream::new(Philox::new(seed, HIDDEN_EDGES, 0));
    let mut shuffled = edges.clone();
    draws.shuffle(&mut shuffled);
    let non_edges = draw_non_edges(data.nodes, &edges, counts.both(), &mut draws);

    let (hidden, visible) = shuffled.split_at_mut(counts.both());
    // Visible edges are in the order of the nodes, whatever was drawn.
    visible.sort_unstable();
    let pair = |split, positive| move |&endpoints: &[u32; 2]| CandidatePair { endpoints, split, positive };
    let mut pairs: Vec<CandidatePair> = visible.iter().map(pair(Split::Train, true)).collect();
    for (split, range) in [(Split::Validation, 0..counts.validation), (Split::Test, counts.validation..counts.both())] {
        pairs.extend(hidden[range.clone()].iter().map(pair(split, true)));
        pairs.extend(non_edges.iter().take(range.end).skip(range.start).map(pair(split, false)));
    }
    hidden.sort_unstable();
    let is_hidden = |endpoints: &[u32; 2]| hidden.binary_search(&ordered(*endpoints)).is_ok();
    let (message_numbers, messages) = (0..).zip(&data.edges).filter(|(_, endpoints)| !is_hidden(endpoints)).unzip();
    LinkSplit { messages, message_numbers, pairs }
}

/// Numbers of hidden edges.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hidden {
    pub validation: usize,
    pub test: usize,
}

impl Hidden {
    /// The fractions of this number of edges, together no more than all.
    pub fn of(edges: usize, validation: f32, test: f32) -> Self {
        // A fraction such as 0.7 may be a little below what was written.
        let count = |share: f32| (f64::from(share) * edges as f64 * (1.0 + 1e-6)) as usize;
        let validation = count(validation).min(edges);
        Self { validation, test: count(test).min(edges - validation) }
    }

    /// Number of edges hidden for validation and test together.
    pub fn both(self) -> usize {
        self.validation + self.test
    }
}

/// Each pair of different nodes with an edge, once, sorted.
pub(crate) fn undirected_edges(data: &GraphData) -> Vec<[u32; 2]> {
    let mut edges: Vec<[u32; 2]> =
        data.edges.iter().filter(|[source, target]| source != target).map(|&endpoints| ordered(endpoints)).collect();
    edges.sort_unstable();
    edges.dedup();
    edges
}

/// Number of pairs of different nodes without an edge.
pub(crate) fn non_edge_count(nodes: usize, edges: usize) -> u64 {
    let nodes = nodes as u64;
    // Nodes are numbered with 32 bits, so this does not overflow.
    (nodes * nodes.saturating_sub(1) / 2).saturating_sub(edges as u64)
}

fn ordered([one, other]: [u32; 2]) -> [u32; 2] {
    [one.min(other), one.max(other)]
}

/// Draws `wanted` different pairs that are not among the sorted `edges`, or all if there are fewer.
fn draw_non_edges(nodes: usize, edges: &[[u32; 2]], wanted: usize, draws: &mut RandomStream) -> Vec<[u32; 2]> {
    let free = non_edge_count(nodes, edges.len());
    // In a graph this dense pairs are few enough to list; in any other, one draw in two hits a free one.
    if free <= 3 * edges.len() as u64 {
        let mut all = list_non_edges(nodes as u32, edges);
        draws.shuffle(&mut all);
        all.truncate(wanted);
        return all;
    }
    let mut taken = HashSet::with_capacity(wanted);
    let mut drawn = Vec::with_capacity(wanted);
    while drawn.len() < wanted {
        let endpoints = ordered([draws.below(nodes as u64) as u32, draws.below(nodes as u64) as u32]);
        if endpoints[0] != endpoints[1] && edges.binary_search(&endpoints).is_err() && taken.insert(endpoints) {
            drawn.push(endpoints);
        }
    }
    drawn
}

fn list_non_edges(nodes: u32, edges: &[[u32; 2]]) -> Vec<[u32; 2]> {
    let mut edges = edges.iter().peekable();
    let pairs = (0..nodes).flat_map(|one| (one + 1..nodes).map(move |other| [one, other]));
    pairs.filter(|pair| edges.next_if_eq(&pair).is_none()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn graph(nodes: usize, edges: Vec<[u32; 2]>) -> GraphData {
        GraphData { nodes, edges, ..GraphData::default() }
    }

    fn check(data: &GraphData, validation: f32, test: f32, seed: u64) {
        let split = hide_edges(data, validation, test, seed);
        let edges = undirected_edges(data);
        let counts = Hidden::of(edges.len(), validation, test);
        let free = non_edge_count(data.nodes, edges.len()) as usize;
        let of = |part, positive| {
            let pairs = split.pairs.iter().filter(move |pair| pair.split == part && pair.positive == positive);
            pairs.map(|pair| pair.endpoints).collect::<Vec<_>>()
        };
        assert_eq!(of(Split::Validation, true).len(), counts.validation);
        assert_eq!(of(Split::Test, true).len(), counts.test);
        assert_eq!(of(Split::Train, true).len(), edges.len() - counts.both());
        assert_eq!(of(Split::Train, false), Vec::<[u32; 2]>::new());
        assert_eq!(of(Split::Validation, false).len(), counts.validation.min(free));
        assert_eq!(of(Split::Test, false).len(), counts.test.min(free.saturating_sub(counts.validation)));

        // Every edge is in one split, every pair without an edge is listed once, and messages show nothing hidden.
        let mut positive: Vec<_> = split.pairs.iter().filter(|pair| pair.positive).map(|pair| pair.endpoints).collect();
        positive.sort_unstable();
        assert_eq!(positive, edges);
        let negative: Vec<_> = split.pairs.iter().filter(|pair| !pair.positive).map(|pair| pair.endpoints).collect();
        assert_eq!(negative.iter().collect::<HashSet<_>>().len(), negative.len());
        assert!(
            negative.iter().all(|endpoints| endpoints[0] < endpoints[1] && edges.binary_search(endpoints).is_err())
        );
        let visible = of(Split::Train, true);
        let expected: Vec<_> = (0_u32..)
            .zip(data.edges.iter().copied())
            .filter(|&(_, endpoints)| endpoints[0] == endpoints[1] || visible.contains(&ordered(endpoints)))
            .collect();
        let kept: Vec<_> = split.message_numbers.iter().copied().zip(split.messages.iter().copied()).collect();
        assert_eq!(kept, expected);
        assert_eq!(split, hide_edges(data, validation, test, seed));
    }

    proptest! {
        #[test]
        fn edges_are_parted_and_pairs_without_an_edge_drawn(
            (nodes, edges) in (1_u32..12).prop_flat_map(|nodes| {
                (Just(nodes as usize), proptest::collection::vec([0..nodes, 0..nodes], 0..60))
            }),
            validation in 0.0_f32..0.5,
            test in 0.0_f32..0.5,
            seed: u64,
        ) {
            check(&graph(nodes, edges), validation, test, seed);
        }
    }

    #[test]
    fn large_sparse_and_complete_graphs_are_split() {
        let ring = (0..5000).flat_map(|node| [[node, (node + 1) % 5000], [(node + 1) % 5000, node]]).collect();
        check(&graph(5000, ring), 0.05, 0.1, 3);
        let complete = (0..40).flat_map(|one| (one + 1..40).map(move |other| [one, other])).collect();
        check(&graph(40, complete), 0.2, 0.7, 3);
        check(&graph(0, Vec::new()), 0.05, 0.1, 0);
    }

    #[test]
    fn shares_are_those_that_were_written() {
        let counts = Hidden::of(10, 0.7, 0.1);
        assert_eq!((counts.validation, counts.test), (7, 1));
        // Cora, as the paper's own code splits it.
        let counts = Hidden::of(5278, 0.05, 0.1);
        assert_eq!((counts.validation, counts.test), (263, 527));
    }

    #[test]
    fn seeds_hide_different_edges() {
        let ring = graph(100, (0..100).map(|node| [node, (node + 1) % 100]).collect());
        assert_ne!(hide_edges(&ring, 0.1, 0.1, 0), hide_edges(&ring, 0.1, 0.1, 1));
    }
}
