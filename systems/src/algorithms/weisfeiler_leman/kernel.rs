//! The Weisfeiler-Leman subtree kernel, a measure of the similarity of graphs.

use core::{borrow::Borrow, ops::Range};

use super::refiner::Refiner;
use crate::{algorithms::LabeledGraph, parallel::Workers};

/// The kernels between all pairs of graphs, `[G, G]`, symmetric and positive semidefinite.
#[derive(Clone, Debug, PartialEq)]
pub struct GramMatrix {
    size: usize,
    /// Row-major.
    values: Vec<f64>,
}

impl GramMatrix {
    /// Number of graphs.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The kernels of a graph with all graphs.
    ///
    /// # Panics
    /// If there is no such graph.
    pub fn row(&self, graph: usize) -> &[f64] {
        &self.values[graph * self.size..(graph + 1) * self.size]
    }

    /// Divides the kernel of two graphs by the roots of those of each with itself, so that the diagonal is 1. A graph
    /// without nodes has 0 with all, itself included.
    pub fn normalized(mut self) -> Self {
        let roots: Vec<f64> = (0..self.size).map(|graph| self.row(graph)[graph].sqrt()).collect();
        for (values, root) in self.values.chunks_mut(self.size.max(1)).zip(&roots) {
            for (value, other) in values.iter_mut().zip(&roots) {
                *value /= (root * other).max(f64::MIN_POSITIVE);
            }
        }
        for graph in (0..self.size).filter(|graph| roots[*graph] > 0.0) {
            self.values[graph * self.size + graph] = 1.0;
        }
        self
    }
}

/// The Weisfeiler-Leman subtree kernel of two graphs; see [`subtree_kernels`].
pub fn subtree_kernel(one: &LabeledGraph, other: &LabeledGraph, iterations: usize, workers: &Workers) -> f64 {
    subtree_kernels(&[one, other], iterations, workers).row(0)[1]
}

/// The Weisfeiler-Leman subtree kernels between all pairs of graphs: the sum over all colors, of the labels and of each
/// of the `iterations` of refinement, of the product of their counts in both graphs.
///
/// N. Shervashidze, P. Schweitzer, E. J. van Leeuwen, K. Mehlhorn and K. M. Borgwardt, *Weisfeiler-Lehman Graph
/// Kernels*, Journal of Machine Learning Research 12, 2011, definition 6. Values are integers, exact up to 2^53.
///
/// A color class that several iterations do not split is counted once, with their number; so the cost does not grow
/// with the iterations after refinement has become stable.
///
/// ```
/// use connectome_systems::{Workers, algorithms::{LabeledGraph, weisfeiler_leman::subtree_kernels}};
///
/// let path = LabeledGraph::new(vec![0; 3], [([0, 1], 0), ([1, 2], 0)]);
/// let pair = LabeledGraph::new(vec![0; 2], [([0, 1], 0)]);
/// // Labels: 3 * 2. First iteration: two endpoints of the path are like the two nodes of the pair, 2 * 2.
/// assert_eq!(subtree_kernels(&[path, pair], 1, &Workers::single()).row(0), [9.0 + 5.0, 6.0 + 4.0]);
/// ```
pub fn subtree_kernels(graphs: &[impl Borrow<LabeledGraph>], iterations: usize, workers: &Workers) -> GramMatrix {
    let size = graphs.len();
    let features = Features::of(graphs, iterations, workers);
    let upper = workers.map(size, |graph| features.row(graph, size));
    let mut values = vec![0.0; size * size];
    for (graph, row) in upper.iter().enumerate() {
        values[graph * size + graph..][..row.len()].copy_from_slice(row);
    }
    for graph in 1..size {
        let (above, below) = values.split_at_mut(graph * size);
        below[..graph].iter_mut().zip(above.chunks_exact(size)).for_each(|(value, row)| *value = row[graph]);
    }
    GramMatrix { size, values }
}

/// The number of nodes of a graph in a class.
#[derive(Clone, Copy)]
struct Count {
    graph: u32,
    nodes: u32,
}

/// A class that a graph shares with later graphs.
struct SharedClass {
    /// The counts of the class, from that of the graph on.
    counts: Range<usize>,
    /// The number of rounds in which the class existed.
    rounds: f64,
}

/// The counts of all classes of all rounds.
struct Features {
    /// Those of each class by ascending graph.
    counts: Vec<Count>,
    /// For each graph the classes that it shares with others.
    shared: Vec<Vec<SharedClass>>,
    /// For each graph the kernel with itself over the classes that it shares with no other.
    unshared: Vec<f64>,
}

impl Features {
    fn of(graphs: &[impl Borrow<LabeledGraph>], iterations: usize, workers: &Workers) -> Self {
        let mut refiner = Refiner::new(graphs, workers);
        let starts = &refiner.graph.starts;
        let mut graph_of = vec![0; refiner.graph.node_count()];
        for (graph, nodes) in (0..).zip(starts.windows(2)) {
            graph_of[nodes[0]..nodes[1]].fill(graph);
        }
        let shared = graphs.iter().map(|_| Vec::new()).collect();
        let mut features = Self { counts: Vec::new(), shared, unshared: vec![0.0; graphs.len()] };
        // The first round of the class that starts at a position.
        let mut first_round = vec![0; graph_of.len()];
        let mut round = 0;
        let mut members = Vec::new();
        while round < iterations && refiner.step() {
            round += 1;
            for class in refiner.split_classes() {
                members.clear();
                members.extend(refiner.nodes(class.clone()).iter().map(|node| graph_of[*node as usize]));
                members.sort_unstable();
                features.add(&members, (round - first_round[class.start]) as f64);
                refiner.classes_within(class.clone()).for_each(|class| first_round[class.start] = round);
            }
        }
        for class in refiner.classes() {
            members.clear();
            members.extend(refiner.nodes(class.clone()).iter().map(|node| graph_of[*node as usize]));
            members.sort_unstable();
            features.add(&members, (iterations - first_round[class.start]) as f64 + 1.0);
        }
        features
    }

    /// Adds a class with nodes of these graphs, in ascending order.
    fn add(&mut self, members: &[u32], rounds: f64) {
        if let [first, .., last] | [first @ last] = members
            && first == last
        {
            self.unshared[*first as usize] += rounds * (members.len() as f64).powi(2);
            return;
        }
        let start = self.counts.len();
        let count = |members: &[u32]| Count { graph: members[0], nodes: members.len() as u32 };
        self.counts.extend(members.chunk_by(|one, other| one == other).map(count));
        let end = self.counts.len();
        for index in start..end {
            self.shared[self.counts[index].graph as usize].push(SharedClass { counts: index..end, rounds });
        }
    }

    /// The kernels of a graph with itself and all later ones.
    fn row(&self, graph: usize, size: usize) -> Vec<f64> {
        let mut row = vec![0.0; size - graph];
        row[0] = self.unshared[graph];
        for SharedClass { counts, rounds } in &self.shared[graph] {
            let counts = &self.counts[counts.clone()];
            let factor = rounds * f64::from(counts[0].nodes);
            counts.iter().for_each(|count| row[count.graph as usize - graph] += factor * f64::from(count.nodes));
        }
        row
    }
}
