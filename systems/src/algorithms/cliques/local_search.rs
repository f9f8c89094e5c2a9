//! Tabu search for a first large clique.

use super::{
    bits::Bits,
    limits::{Stop, Watch},
    ordered::{LocalIndices, Ordered},
};
use crate::{
    kernels::vectorize,
    random::{Philox, RandomStream},
};

/// The maximum number of nodes that are searched, the last ones of the order.
const MAX_NODES: usize = 512;

/// Looks for a clique larger than `clique` among the nodes from position `start` on, for a number of steps that grows with
/// the size of the largest one, or until the time limit. Returns that.
///
/// Each step adds a node that is adjacent to all of the clique, or swaps in one that is adjacent to all but one, or removes
/// one; removed nodes stay outside for some steps (Wu, Hao and Glover, *Multi-neighborhood tabu search for the maximum
/// weight clique problem*, 2012). A step costs one pass over the clique, with a set of nodes for each of its nodes.
pub(super) fn improve(graph: &Ordered, start: usize, clique: Vec<u32>, stop: &Stop) -> Vec<u32> {
    let start = start.max(graph.len().saturating_sub(MAX_NODES));
    vectorize(
        #[inline(always)]
        || match graph.len() - start {
            0 => clique,
            1..=64 => search::<[u64; 1]>(graph, start, clique, stop),
            65..=128 => search::<[u64; 2]>(graph, start, clique, stop),
            129..=256 => search::<[u64; 4]>(graph, start, clique, stop),
            _ => search::<[u64; 8]>(graph, start, clique, stop),
        },
    )
}

#[inline(always)]
fn search<B: Bits>(graph: &Ordered, start: usize, mut largest: Vec<u32>, stop: &Stop) -> Vec<u32> {
    let mut watch = Watch::new(stop);
    let mut search = TabuSearch::<B>::new(graph, start, &largest);
    while search.step < steps(largest.len()) && !watch.is_over() {
        search.step();
        if search.clique.len() > largest.len() {
            largest = search.clique.iter().map(|index| graph.node(start + index)).collect();
        }
    }
    largest
}

/// The number of steps with a largest clique of this size.
fn steps(size: usize) -> usize {
    /// The maximum number of nodes of all cliques together, about a millisecond.
    const MAX_WORK: usize = 1 << 18;
    // Small cliques are found soon, and if there are no large ones, a proof takes less time than a longer search.
    (size.saturating_pow(4) / 256).min(MAX_WORK / size.max(1))
}

struct TabuSearch<B> {
    nodes: B,
    /// For each node those that are not adjacent to it, itself included; nodes are identified by their index here.
    strangers: Vec<B>,
    clique: Vec<usize>,
    /// The step from which on each node may join the clique.
    free_from: Vec<usize>,
    step: usize,
    random: RandomStream,
}

impl<B: Bits> TabuSearch<B> {
    #[inline(always)]
    fn new(graph: &Ordered, start: usize, clique: &[u32]) -> Self {
        let members = &graph.found.order[start..];
        let count = members.len();
        let nodes = B::full(count);
        let mut strangers = vec![nodes.clone(); count];
        let mut inner = Vec::new();
        LocalIndices::new(graph).with(members, |indices| {
            let index = |node: &u32| (indices[*node as usize] as usize).checked_sub(1);
            inner.extend(clique.iter().filter_map(index));
            for (one, member) in members.iter().enumerate() {
                for other in graph.later(*member).iter().filter_map(index) {
                    strangers[one].remove(other);
                    strangers[other].remove(one);
                }
            }
        });
        let random = RandomStream::new(Philox::new(0, 0, 0));
        Self { nodes, strangers, clique: inner, free_from: vec![0; count], step: 0, random }
    }

    #[inline(always)]
    fn step(&mut self) {
        /// The number of steps for which a removed node stays outside, at least.
        const TENURE: usize = 7;
        self.step += 1;
        // The nodes with a stranger in the clique, and those with several.
        let mut some = B::empty(self.strangers.len());
        let mut several = some.clone();
        for node in &self.clique {
            several.add(&some.intersection(&self.strangers[*node]));
            some.add(&self.strangers[*node]);
        }
        let mut free = self.nodes.clone();
        free.subtract(&some);
        if let Some(node) = self.longest_outside(&free) {
            self.clique.push(node);
            return;
        }
        let mut swappable = some;
        swappable.subtract(&several);
        self.clique.iter().for_each(|node| swappable.remove(*node));
        if let Some(node) = self.longest_outside(&swappable) {
            let strangers = &self.strangers[node];
            if let Some(member) = self.clique.iter_mut().find(|member| strangers.contains(**member)) {
                let extra = self.random.below(swappable.count() as u64) as usize;
                self.free_from[*member] = self.step + TENURE + extra;
                *member = node;
            }
        } else if !self.clique.is_empty() {
            let index = self.random.below(self.clique.len() as u64) as usize;
            self.free_from[self.clique.swap_remove(index)] = self.step + TENURE;
        }
    }

    /// Of these nodes the one that may have joined for longest, if one may.
    #[inline(always)]
    fn longest_outside(&self, nodes: &B) -> Option<usize> {
        let mut longest = None;
        let mut least = self.step + 1;
        nodes.for_each(
            #[inline(always)]
            |node| {
                if self.free_from[node] < least {
                    (least, longest) = (self.free_from[node], Some(node));
                }
            },
        );
        longest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{algorithms::SimpleGraph, parallel::Workers};

    #[test]
    fn a_hidden_clique_is_found_by_sets_of_each_width() {
        for nodes in [60, 120, 250, 500, 700] {
            let mut random = RandomStream::new(Philox::new(1, 0, 0));
            // Each ninth node is in the clique, and two in three pairs of others are adjacent.
            let is_edge = |[one, other]: &[u32; 2]| (one % 9 == 0 && other % 9 == 0) || random.below(3) > 0;
            let pairs = (0..nodes).flat_map(|one| (0..one).map(move |other| [one, other]));
            let graph = SimpleGraph::new(nodes as usize, pairs.filter(is_edge));
            let ordered = Ordered::new(&graph, &Workers::single());
            let has_edge = |one: u32, other: u32| one == other || graph.has_edge(one, other);
            let mut first = Vec::new();
            for node in 0..nodes {
                if first.iter().all(|other| has_edge(node, *other)) {
                    first.push(node);
                }
            }
            let found = improve(&ordered, 0, first.clone(), &Stop::new(None));
            assert!(found.iter().all(|one| found.iter().all(|other| has_edge(*one, *other))));
            let expected = if nodes as usize <= MAX_NODES { nodes.div_ceil(9) as usize } else { first.len() };
            assert!(found.len() >= expected, "{} of {expected} in {nodes}, {} at first", found.len(), first.len());
            let stopped = Stop::new(None);
            stopped.now();
            assert_eq!(improve(&ordered, 0, first.clone(), &stopped), first);
            assert_eq!(improve(&ordered, nodes as usize, first.clone(), &Stop::new(None)), first);
        }
    }
}
