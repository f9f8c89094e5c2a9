//! How alike graphs are.

use core::{borrow::Borrow, ops::Range};

use super::refiner::Refiner;
use crate::{algorithms::LabeledGraph, parallel::Workers};

/// The kernel of each of some graphs with each other, `[G, G]`, symmetric and positive semidefinite.
#[derive(Clone, Debug, PartialEq)]
pub struct GramMatrix {
    size: usize,
    /// Row after row.
    values: Vec<f64>,
}

impl GramMatrix {
    /// How many graphs there are.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The kernel of a graph with each.
    ///
    /// # Panics
    /// If there is no such graph.
    pub fn row(&self, graph: usize) -> &[f64] {
        &self.values[graph * self.size..(graph + 1) * self.size]
    }

    /// The kernels divided by the root of those of both graphs with themselves: 1 for a graph with itself. A graph without
    /// nodes has 0 with each, itself included.
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

/// The Weisfeiler-Leman subtree kernels between graphs: for each color of each round, the labels and so many
/// `iterations` of refinement, the product of how often both graphs have it, summed up.
///
/// N. Shervashidze, P. Schweitzer, E. J. van Leeuwen, K. Mehlhorn and K. M. Borgwardt, *Weisfeiler-Lehman Graph Kernels*,
/// Journal of Machine Learning Research 12, 2011, definition 6. Values are whole numbers, exact up to 2^53.
///
/// A class of nodes that some rounds leave whole is counted once, with the number of these rounds; so is what remains when
/// refinement has become stable, however many iterations there are.
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
        let (above, own) = values.split_at_mut(graph * size);
        own[..graph].iter_mut().zip(above.chunks_exact(size)).for_each(|(value, row)| *value = row[graph]);
    }
    GramMatrix { size, values }
}

/// So many nodes of a graph in a class.
#[derive(Clone, Copy)]
struct Count {
    graph: u32,
    nodes: u32,
}

/// What a graph has in common with those that come after it in a class.
struct Share {
    /// The counts of the class, from the graph's own on.
    counts: Range<usize>,
    /// How many rounds the class was whole.
    rounds: f64,
}

/// The classes that have been, by class and by graph.
struct Features {
    /// Those of each class by rising graph.
    counts: Vec<Count>,
    /// For each graph.
    shares: Vec<Vec<Share>>,
    /// What each graph has in common with itself beyond that, from classes that no other is in.
    alone: Vec<f64>,
}

impl Features {
    fn of(graphs: &[impl Borrow<LabeledGraph>], iterations: usize, workers: &Workers) -> Self {
        let mut refiner = Refiner::new(graphs, workers);
        let starts = &refiner.graph.starts;
        let mut graph_of = vec![0; refiner.graph.node_count()];
        for (graph, nodes) in (0..).zip(starts.windows(2)) {
            graph_of[nodes[0]..nodes[1]].fill(graph);
        }
        let shares = graphs.iter().map(|_| Vec::new()).collect();
        let mut features = Self { counts: Vec::new(), shares, alone: vec![0.0; graphs.len()] };
        // The round in which the class that begins at a place came to be.
        let mut born = vec![0; graph_of.len()];
        let mut round = 0;
        let mut members = Vec::new();
        while round < iterations && refiner.step() {
            round += 1;
            for places in refiner.parted() {
                members.clear();
                members.extend(refiner.nodes(places.clone()).iter().map(|node| graph_of[*node as usize]));
                members.sort_unstable();
                features.add(&members, (round - born[places.start]) as f64);
                refiner.classes_within(places.clone()).for_each(|class| born[class.start] = round);
            }
        }
        for class in refiner.classes() {
            members.clear();
            members.extend(refiner.nodes(class.clone()).iter().map(|node| graph_of[*node as usize]));
            members.sort_unstable();
            features.add(&members, (iterations - born[class.start]) as f64 + 1.0);
        }
        features
    }

    /// Adds a class with nodes of these graphs, in rising order.
    fn add(&mut self, members: &[u32], rounds: f64) {
        if let [first, .., last] | [first @ last] = members
            && first == last
        {
            self.alone[*first as usize] += rounds * (members.len() as f64).powi(2);
            return;
        }
        let start = self.counts.len();
        let count = |members: &[u32]| Count { graph: members[0], nodes: members.len() as u32 };
        self.counts.extend(members.chunk_by(|one, other| one == other).map(count));
        let end = self.counts.len();
        for place in start..end {
            self.shares[self.counts[place].graph as usize].push(Share { counts: place..end, rounds });
        }
    }

    /// The kernels of a graph with itself and all that come after it.
    fn row(&self, graph: usize, size: usize) -> Vec<f64> {
        let mut row = vec![0.0; size - graph];
        row[0] = self.alone[graph];
        for Share { counts, rounds } in &self.shares[graph] {
            let counts = &self.counts[counts.clone()];
            let factor = rounds * f64::from(counts[0].nodes);
            counts.iter().for_each(|count| row[count.graph as usize - graph] += factor * f64::from(count.nodes));
        }
        row
    }
}
