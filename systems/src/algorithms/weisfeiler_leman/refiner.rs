//! Rounds of color refinement.

use core::{borrow::Borrow, mem, ops::Range};

use rayon::slice::ParallelSliceMut;

use super::disjoint_union::DisjointUnion;
use super::signature::{Entry, Signatures, Token, hash};
use crate::{
    algorithms::LabeledGraph,
    parallel::{Blocks, RowsMut, Workers},
};

/// The approximate number of tokens, or entries, of a block.
const BLOCK: usize = 1 << 13;

/// The minimum number of entries that are sorted in parallel.
const MIN_PARALLEL_SORT: usize = 1 << 13;

/// If more than one in this many nodes has changed, all nodes check their neighbors; otherwise the changed nodes mark
/// theirs.
const CHANGED_FRACTION: usize = 8;

/// Color classes, and their refinement.
///
/// The nodes are ordered by class, and a class is identified by the position where it starts, which depends on the
/// structure alone. The first class of a split keeps its identifier. The next round examines only nodes with a neighbor
/// whose identifier has changed: all others of their class still have equal neighborhoods, and no neighbor of a new
/// class; they become the first class of the split.
pub(super) struct Refiner<'a> {
    workers: &'a Workers,
    pub graph: DisjointUnion<'a>,
    /// The nodes by class.
    order: Vec<u32>,
    /// The position of each node in the order.
    position_of: Vec<u32>,
    /// The class of each node.
    class_of: Vec<u32>,
    /// The end of the class that starts at a position.
    ends: Vec<u32>,
    /// The nodes to examine in the next round, in classes of two or more.
    touched: Vec<u32>,
    /// Whether a node is among them.
    is_touched: Vec<bool>,
    /// The positions of the classes that the last round has split.
    split_classes: Vec<Range<usize>>,
}

impl<'a> Refiner<'a> {
    /// Starts with a class for each label of nodes.
    pub fn new(graphs: &'a [impl Borrow<LabeledGraph>], workers: &'a Workers) -> Self {
        let graph = DisjointUnion::of(graphs);
        let count = graph.node_count();
        let mut order: Vec<u32> = (0..count as u32).collect();
        order.sort_by_key(|node| graph.labels[*node as usize]);
        let mut refiner = Self {
            workers,
            position_of: vec![0; count],
            class_of: vec![0; count],
            ends: vec![0; count],
            touched: Vec::new(),
            is_touched: vec![false; count],
            split_classes: Vec::new(),
            order,
            graph,
        };
        let mut start = 0;
        let classes = refiner
            .order
            .chunk_by(|one, other| refiner.graph.labels[*one as usize] == refiner.graph.labels[*other as usize]);
        for class in classes {
            refiner.ends[start] = (start + class.len()) as u32;
            for (position, node) in (start as u32..).zip(class) {
                refiner.position_of[*node as usize] = position;
                refiner.class_of[*node as usize] = start as u32;
            }
            start += class.len();
        }
        refiner.touched = (0..count as u32).filter(|node| !refiner.is_singleton(*node)).collect();
        refiner
    }

    /// The positions of each class.
    pub fn classes(&self) -> impl Iterator<Item = Range<usize>> {
        self.classes_within(0..self.order.len())
    }

    /// The positions of each class within these, which must be those of whole classes.
    pub fn classes_within(&self, positions: Range<usize>) -> impl Iterator<Item = Range<usize>> {
        let mut start = positions.start;
        core::iter::from_fn(move || {
            (start < positions.end).then(|| {
                let class = start..self.ends[start] as usize;
                start = class.end;
                class
            })
        })
    }

    /// The positions of the classes that the last round has split.
    pub fn split_classes(&self) -> &[Range<usize>] {
        &self.split_classes
    }

    /// The nodes at these positions; those of a class in no particular order.
    pub fn nodes(&self, positions: Range<usize>) -> &[u32] {
        &self.order[positions]
    }

    /// Colors of all nodes, counted from 0 in the order of the classes.
    pub fn colors(&self) -> Vec<u32> {
        let mut colors = vec![0; self.order.len()];
        for (color, class) in (0..).zip(self.classes()) {
            self.nodes(class).iter().for_each(|node| colors[*node as usize] = color);
        }
        colors
    }

    /// Splits classes by the neighborhoods of their nodes; returns whether any was split.
    pub fn step(&mut self) -> bool {
        if self.graph.has_edge_labels() {
            self.split(hash::<u64>)
        } else {
            self.split(hash::<u32>)
        }
        !self.split_classes.is_empty()
    }

    /// Whether no other node has the color of this one.
    fn is_singleton(&self, node: u32) -> bool {
        let class = self.class_of[node as usize];
        self.ends[class as usize] == class + 1
    }

    fn split<T: Token>(&mut self, hash: impl Fn(&[T]) -> u64 + Sync) {
        let touched = mem::take(&mut self.touched);
        let mut offsets = Vec::with_capacity(touched.len() + 1);
        offsets.push(0);
        offsets.extend(touched.iter().scan(0, |end, node| {
            *end += self.graph.degree(*node);
            Some(*end)
        }));
        let (tokens, mut entries) = self.write_signatures(&touched, &offsets, hash);
        let tokens_of = |entry: &Entry| &tokens[offsets[entry.index()]..offsets[entry.index() + 1]];
        if self.workers.count() > 1 && entries.len() >= MIN_PARALLEL_SORT {
            self.workers.install(|| entries.par_sort_unstable());
        } else {
            entries.sort_unstable();
        }
        let mut steps = self.compare(&entries, tokens_of);
        if steps.contains(&Step::Collision) {
            let key = |entry: &Entry| (entry.key(), tokens_of(entry), entry.index());
            entries.sort_unstable_by(|one, other| key(one).cmp(&key(other)));
            steps = self.compare(&entries, tokens_of);
        }
        let changed = self.rearrange(&touched, &entries, &steps);
        touched.iter().for_each(|node| self.is_touched[*node as usize] = false);
        self.touched = touched;
        self.touch(&changed);
    }

    /// The tokens and the entry of each node.
    fn write_signatures<T: Token>(
        &self,
        nodes: &[u32],
        offsets: &[usize],
        hash: impl Fn(&[T]) -> u64 + Sync,
    ) -> (Vec<T>, Vec<Entry>) {
        let mut tokens = vec![T::default(); offsets[nodes.len()]];
        let mut entries = vec![Entry::default(); nodes.len()];
        let boundaries = block_boundaries(offsets);
        let output = Signatures { tokens: &mut tokens, entries: &mut entries, offsets };
        self.workers.for_each_block(Blocks::Boundaries(&boundaries), 16, output, |rows, output| {
            let Signatures { mut tokens, entries, offsets } = output;
            for ((index, entry), limits) in rows.zip(entries).zip(offsets.windows(2)) {
                let (written, rest) = tokens.split_at_mut(limits[1] - limits[0]);
                T::write(&self.graph, nodes[index], &self.class_of, written);
                *entry = Entry::new(self.class_of[nodes[index] as usize], hash(written), index as u32);
                tokens = rest;
            }
        });
        (tokens, entries)
    }

    /// How each entry differs from the one before it.
    fn compare<'t, T: Token + 't>(&self, entries: &[Entry], tokens_of: impl Fn(&Entry) -> &'t [T] + Sync) -> Vec<Step> {
        let mut steps = vec![Step::Other; entries.len()];
        let blocks = Blocks::Uniform { start: 0, rows: entries.len(), size: BLOCK };
        self.workers.for_each_block(blocks, 16, RowsMut::new(&mut steps, 1), |rows, output| {
            for (row, step) in rows.zip(output.data).filter(|(row, _)| *row > 0) {
                let [before, entry] = [&entries[row - 1], &entries[row]];
                *step = match before.key() == entry.key() {
                    false => Step::Other,
                    true if tokens_of(before) == tokens_of(entry) => Step::Same,
                    true => Step::Collision,
                };
            }
        });
        steps
    }

    /// Splits classes where entries differ; returns the nodes whose class has another identifier now.
    fn rearrange(&mut self, nodes: &[u32], entries: &[Entry], steps: &[Step]) -> Vec<u32> {
        self.split_classes.clear();
        let mut changed = Vec::new();
        let mut row = 0;
        for entries in entries.chunk_by(|one, other| one.class() == other.class()) {
            let steps = &steps[row..row + entries.len()];
            row += entries.len();
            let start = entries[0].class() as usize;
            let end = self.ends[start] as usize;
            let first = end - entries.len();
            if first == start && steps[1..].iter().all(|step| *step == Step::Same) {
                continue;
            }
            let mut class = start;
            for (position, (entry, step)) in (first..end).zip(entries.iter().zip(steps)) {
                if position > start && *step != Step::Same {
                    self.ends[class] = position as u32;
                    class = position;
                }
                if class > start {
                    let node = nodes[entry.index()];
                    self.class_of[node as usize] = class as u32;
                    changed.push(node);
                }
            }
            self.ends[class] = end as u32;
            self.split_classes.push(start..end);
            if first == start {
                for (position, entry) in (first..end).zip(entries) {
                    let node = nodes[entry.index()];
                    self.order[position] = node;
                    self.position_of[node as usize] = position as u32;
                }
                continue;
            }
            // From the last to the first, so that no swap moves a node that is in its final position.
            for (position, entry) in (first..end).zip(entries).rev() {
                self.swap(nodes[entry.index()], position);
            }
        }
        changed
    }

    /// Swaps a node with the one at a position.
    fn swap(&mut self, node: u32, position: usize) {
        let (other, from) = (self.order[position], self.position_of[node as usize]);
        self.order[from as usize] = other;
        self.position_of[other as usize] = from;
        self.order[position] = node;
        self.position_of[node as usize] = position as u32;
    }

    /// Finds the nodes in classes of two or more that have a changed neighbor.
    fn touch(&mut self, changed: &[u32]) {
        let mut touched = mem::take(&mut self.touched);
        let mut is_touched = mem::take(&mut self.is_touched);
        touched.clear();
        if changed.len() > self.order.len() / CHANGED_FRACTION {
            let mut is_changed = vec![false; self.order.len()];
            changed.iter().for_each(|node| is_changed[*node as usize] = true);
            let blocks = Blocks::Uniform { start: 0, rows: self.order.len(), size: BLOCK };
            self.workers.for_each_block(blocks, 16, RowsMut::new(&mut is_touched, 1), |rows, output| {
                for (node, is_touched) in rows.zip(output.data) {
                    let mut neighbors = self.graph.neighbors(node as u32).iter();
                    *is_touched =
                        !self.is_singleton(node as u32) && neighbors.any(|neighbor| is_changed[*neighbor as usize]);
                }
            });
            touched.extend((0..self.order.len() as u32).filter(|node| is_touched[*node as usize]));
        } else {
            for node in changed.iter().flat_map(|node| self.graph.neighbors(*node)) {
                if !is_touched[*node as usize] && !self.is_singleton(*node) {
                    is_touched[*node as usize] = true;
                    touched.push(*node);
                }
            }
        }
        (self.touched, self.is_touched) = (touched, is_touched);
    }
}

/// How an entry differs from the one before it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Same,
    /// It has another class or hash.
    Other,
    /// It has the same class and hash, but other tokens.
    Collision,
}

/// Boundaries of blocks of rows with about equally many tokens, by the offsets of the tokens of each row.
fn block_boundaries(offsets: &[usize]) -> Vec<usize> {
    let rows = offsets.len() - 1;
    let mut boundaries = vec![0];
    let mut last = 0;
    for row in 1..rows {
        // A row costs time even without tokens.
        if offsets[row] + row - (offsets[last] + last) >= BLOCK {
            boundaries.push(row);
            last = row;
        }
    }
    boundaries.push(rows);
    boundaries
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Philox;

    #[test]
    fn hash_collisions_change_the_identifiers_only() {
        let mut ends = [0.0; 600];
        Philox::new(3, 0, 0).fill_uniform(&mut ends);
        let edges = ends.as_chunks::<2>().0.iter().map(|ends| (ends.map(|end| (end * 200.0) as u32), 0));
        let graph = LabeledGraph::new(vec![0; 200], edges);
        let workers = Workers::new(2).unwrap();
        let run = |hash: fn(&[u32]) -> u64| {
            let graphs = [&graph];
            let mut refiner = Refiner::new(&graphs, &workers);
            let mut counts = vec![refiner.classes().count()];
            loop {
                refiner.split(hash);
                if refiner.split_classes.is_empty() {
                    break (counts, refiner.colors());
                }
                counts.push(refiner.classes().count());
            }
        };
        let (counts, colors) = run(hash);
        for worse in [(|_| 0) as fn(&[u32]) -> u64, |tokens| tokens.len() as u64 % 2] {
            let (other_counts, other_colors) = run(worse);
            assert_eq!(counts, other_counts);
            let mut pairs: Vec<_> = colors.iter().zip(&other_colors).collect();
            pairs.sort_unstable();
            pairs.dedup();
            assert_eq!(pairs.len(), *counts.last().unwrap());
        }
    }
}
