//! Colors of nodes that are comparable between all graphs, as they are hashes.

use connectome_systems::algorithms::{LabeledGraph, ParallelGraph};
use xxhash_rust::xxh3::xxh3_64;

/// The maximum number of rounds of refinement of a [`canonical_hash`]: few graphs are stable later, and those cost time
/// alone, since copies are verified.
const MAX_ROUNDS: usize = 16;

/// A hash of numbers.
pub(crate) fn hash<const N: usize>(numbers: [u64; N]) -> u64 {
    let mut bytes = [[0; 8]; N];
    bytes.iter_mut().zip(numbers).for_each(|(bytes, number)| *bytes = number.to_le_bytes());
    xxh3_64(bytes.as_flattened())
}

/// The color of each node. Unlike those of [`refine`](connectome_systems::algorithms::weisfeiler_leman::refine), which
/// are exact within one call, they are comparable between graphs of different times, but may collide.
pub(crate) struct Colors(pub Vec<u64>);

impl Colors {
    pub fn of_labels(graph: &LabeledGraph) -> Self {
        Self(graph.labels().iter().map(|label| hash([(*label).into()])).collect())
    }

    pub fn of_degrees(graph: &LabeledGraph) -> Self {
        Self(graph.nodes().map(|node| hash([graph.graph().degree(node) as u64])).collect())
    }

    /// The colors after one more round: each node by its own color, and those of its neighbors with the labels of the
    /// edges to them.
    pub fn refined(&self, graph: &LabeledGraph) -> Self {
        // The sum of hashes is one of a multiset: nothing has to be sorted.
        let mut sums = vec![0_u64; self.0.len()];
        for ([one, other], label) in graph.labeled_edges() {
            let [one, other] = [one as usize, other as usize];
            sums[one] = sums[one].wrapping_add(hash([self.0[other], label.into()]));
            sums[other] = sums[other].wrapping_add(hash([self.0[one], label.into()]));
        }
        Self(self.0.iter().zip(sums).map(|(color, sum)| hash([*color, sum])).collect())
    }

    /// The number of distinct colors.
    fn count(&self) -> usize {
        let mut colors = self.0.clone();
        colors.sort_unstable();
        colors.dedup();
        colors.len()
    }
}

/// A hash that isomorphic graphs have in common, and few others: that of the counts of nodes of each color after as many
/// rounds as split a color. The second result are the colors before and after the first round.
pub(crate) fn canonical_hash(graph: &LabeledGraph) -> (u64, [Colors; 2]) {
    let labels = Colors::of_labels(graph);
    let first = labels.refined(graph);
    let mut count = [labels.count(), first.count()];
    let mut last = Colors(first.0.clone());
    let mut rounds = 1;
    while count[0] < count[1] && count[1] < last.0.len() && rounds < MAX_ROUNDS {
        last = last.refined(graph);
        count = [count[1], last.count()];
        rounds += 1;
    }
    let sum = last.0.iter().fold(0, |sum: u64, color| sum.wrapping_add(hash([*color])));
    (hash([graph.node_count() as u64, graph.graph().edge_count() as u64, sum]), [labels, first])
}
