//! Rounds of color refinement.

use core::{borrow::Borrow, mem, ops::Range};

use rayon::slice::ParallelSliceMut;

use super::disjoint_union::DisjointUnion;
use super::signature::{Entry, Signatures, Token, digest};
use crate::{
    algorithms::LabeledGraph,
    parallel::{Blocks, RowsMut, Workers},
};

/// About how many tokens, or entries, a block has.
const BLOCK: usize = 1 << 13;

/// So many entries are sorted by several workers.
const WORTH_SHARING: usize = 1 << 13;

/// If more than this part of the nodes has changed, every node looks for changed neighbors; else changed nodes tell
/// theirs.
const MANY: usize = 8;

/// Classes of nodes of the same color, and how to part them further.
///
/// The nodes stand in order of their classes, and each class is called by the place where it begins, which depends on the
/// structure alone. The first part of a parted class keeps its name. In the next round only nodes with a neighbor that
/// has another name since are looked at: all others of their class still see the same as each other, and none of the new
/// names; they become the first part.
pub(super) struct Refiner<'a> {
    workers: &'a Workers,
    pub graph: DisjointUnion,
    /// The nodes by class.
    order: Vec<u32>,
    /// Where each node stands in the order.
    place_of: Vec<u32>,
    /// The class of each node.
    class_of: Vec<u32>,
    /// Where the class that begins at a place ends.
    ends: Vec<u32>,
    /// The nodes to look at in the next round, in classes of two or more.
    touched: Vec<u32>,
    /// Whether a node is among them.
    is_touched: Vec<bool>,
    /// The places of classes that the last round has parted.
    parted: Vec<Range<usize>>,
}

impl<'a> Refiner<'a> {
    /// Begins with a class for each label of nodes.
    pub fn new(graphs: &[impl Borrow<LabeledGraph>], workers: &'a Workers) -> Self {
        let graph = DisjointUnion::of(graphs);
        let count = graph.node_count();
        let mut order: Vec<u32> = (0..count as u32).collect();
        order.sort_by_key(|node| graph.labels[*node as usize]);
        let mut refiner = Self {
            workers,
            place_of: vec![0; count],
            class_of: vec![0; count],
            ends: vec![0; count],
            touched: Vec::new(),
            is_touched: vec![false; count],
            parted: Vec::new(),
            order,
            graph,
        };
        let mut start = 0;
        let classes = refiner
            .order
            .chunk_by(|one, other| refiner.graph.labels[*one as usize] == refiner.graph.labels[*other as usize]);
        for class in classes {
            refiner.ends[start] = (start + class.len()) as u32;
            for (place, node) in (start as u32..).zip(class) {
                refiner.place_of[*node as usize] = place;
                refiner.class_of[*node as usize] = start as u32;
            }
            start += class.len();
        }
        refiner.touched = (0..count as u32).filter(|node| !refiner.is_alone(*node)).collect();
        refiner
    }

    /// The places of each class.
    pub fn classes(&self) -> impl Iterator<Item = Range<usize>> {
        self.classes_within(0..self.order.len())
    }

    /// The places of each class among these, which must be whole classes.
    pub fn classes_within(&self, places: Range<usize>) -> impl Iterator<Item = Range<usize>> {
        let mut start = places.start;
        core::iter::from_fn(move || {
            (start < places.end).then(|| {
                let class = start..self.ends[start] as usize;
                start = class.end;
                class
            })
        })
    }

    /// The places of those classes that the last round has parted.
    pub fn parted(&self) -> &[Range<usize>] {
        &self.parted
    }

    /// The nodes at these places; those of a class in any order.
    pub fn nodes(&self, places: Range<usize>) -> &[u32] {
        &self.order[places]
    }

    /// Colors of all nodes, counted from 0 in the order of the classes.
    pub fn colors(&self) -> Vec<u32> {
        let mut colors = vec![0; self.order.len()];
        for (color, class) in (0..).zip(self.classes()) {
            self.nodes(class).iter().for_each(|node| colors[*node as usize] = color);
        }
        colors
    }

    /// Parts classes by the neighbors of their nodes; tells whether there was anything to part.
    pub fn step(&mut self) -> bool {
        if self.graph.has_edge_labels() {
            self.part(digest::<u64>)
        } else {
            self.part(digest::<u32>)
        }
        !self.parted.is_empty()
    }

    /// Whether no other node has the color of this one.
    fn is_alone(&self, node: u32) -> bool {
        let class = self.class_of[node as usize];
        self.ends[class as usize] == class + 1
    }

    fn part<T: Token>(&mut self, digest: impl Fn(&[T]) -> u64 + Sync) {
        let touched = mem::take(&mut self.touched);
        let mut offsets = Vec::with_capacity(touched.len() + 1);
        offsets.push(0);
        offsets.extend(touched.iter().scan(0, |end, node| {
            *end += self.graph.degree(*node);
            Some(*end)
        }));
        let (tokens, mut entries) = self.write_signatures(&touched, &offsets, digest);
        let tokens_of = |entry: &Entry| &tokens[offsets[entry.place()]..offsets[entry.place() + 1]];
        if self.workers.count() > 1 && entries.len() >= WORTH_SHARING {
            self.workers.install(|| entries.par_sort_unstable());
        } else {
            entries.sort_unstable();
        }
        let mut steps = self.compare(&entries, tokens_of);
        if steps.contains(&Step::Collision) {
            let key = |entry: &Entry| (entry.kind(), tokens_of(entry), entry.place());
            entries.sort_unstable_by(|one, other| key(one).cmp(&key(other)));
            steps = self.compare(&entries, tokens_of);
        }
        let changed = self.rearrange(&touched, &entries, &steps);
        touched.iter().for_each(|node| self.is_touched[*node as usize] = false);
        self.touched = touched;
        self.touch(&changed);
    }

    /// The tokens of each node, and an entry for it.
    fn write_signatures<T: Token>(
        &self,
        nodes: &[u32],
        offsets: &[usize],
        digest: impl Fn(&[T]) -> u64 + Sync,
    ) -> (Vec<T>, Vec<Entry>) {
        let mut tokens = vec![T::default(); offsets[nodes.len()]];
        let mut entries = vec![Entry::default(); nodes.len()];
        let boundaries = cut(offsets);
        let output = Signatures { tokens: &mut tokens, entries: &mut entries, offsets };
        self.workers.for_each_block(Blocks::Boundaries(&boundaries), 16, output, |rows, output| {
            let Signatures { mut tokens, entries, offsets } = output;
            for ((place, entry), limits) in rows.zip(entries).zip(offsets.windows(2)) {
                let (own, others) = tokens.split_at_mut(limits[1] - limits[0]);
                T::write(&self.graph, nodes[place], &self.class_of, own);
                *entry = Entry::new(self.class_of[nodes[place] as usize], digest(own), place as u32);
                tokens = others;
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
                *step = match before.kind() == entry.kind() {
                    false => Step::Other,
                    true if tokens_of(before) == tokens_of(entry) => Step::Same,
                    true => Step::Collision,
                };
            }
        });
        steps
    }

    /// Parts classes where entries differ; returns the nodes whose class has another name now.
    fn rearrange(&mut self, nodes: &[u32], entries: &[Entry], steps: &[Step]) -> Vec<u32> {
        self.parted.clear();
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
            for (place, (entry, step)) in (first..end).zip(entries.iter().zip(steps)) {
                if place > start && *step != Step::Same {
                    self.ends[class] = place as u32;
                    class = place;
                }
                if class > start {
                    let node = nodes[entry.place()];
                    self.class_of[node as usize] = class as u32;
                    changed.push(node);
                }
            }
            self.ends[class] = end as u32;
            // From the last to the first, none takes the place of one that stands where it belongs.
            for (place, entry) in (first..end).zip(entries).rev() {
                self.swap(nodes[entry.place()], place);
            }
            self.parted.push(start..end);
        }
        changed
    }

    /// Lets a node stand at a place, and the node from there where that one stood.
    fn swap(&mut self, node: u32, place: usize) {
        let (other, from) = (self.order[place], self.place_of[node as usize]);
        self.order[from as usize] = other;
        self.place_of[other as usize] = from;
        self.order[place] = node;
        self.place_of[node as usize] = place as u32;
    }

    /// Finds the nodes that have a neighbor among those that have changed, and are not alone in their class.
    fn touch(&mut self, changed: &[u32]) {
        let mut touched = mem::take(&mut self.touched);
        let mut is_touched = mem::take(&mut self.is_touched);
        touched.clear();
        if changed.len() > self.order.len() / MANY {
            let mut is_changed = vec![false; self.order.len()];
            changed.iter().for_each(|node| is_changed[*node as usize] = true);
            let blocks = Blocks::Uniform { start: 0, rows: self.order.len(), size: BLOCK };
            self.workers.for_each_block(blocks, 16, RowsMut::new(&mut is_touched, 1), |rows, output| {
                for (node, is_touched) in rows.zip(output.data) {
                    let mut neighbors = self.graph.neighbors(node as u32).iter();
                    *is_touched =
                        !self.is_alone(node as u32) && neighbors.any(|neighbor| is_changed[*neighbor as usize]);
                }
            });
            touched.extend((0..self.order.len() as u32).filter(|node| is_touched[*node as usize]));
        } else {
            for node in changed.iter().flat_map(|node| self.graph.neighbors(*node)) {
                if !is_touched[*node as usize] && !self.is_alone(*node) {
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
    /// It has another class or digest.
    Other,
    /// It has the same digest, but other tokens.
    Collision,
}

/// Boundaries of blocks of rows with about as many tokens each, by where the tokens of each row begin.
fn cut(offsets: &[usize]) -> Vec<usize> {
    let rows = offsets.len() - 1;
    let mut boundaries = vec![0];
    let mut last = 0;
    for row in 1..rows {
        // Rows without tokens take time as well.
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
    fn digests_that_collide_change_nothing_but_the_names() {
        let mut ends = [0.0; 600];
        Philox::new(3, 0, 0).fill_uniform(&mut ends);
        let edges = ends.as_chunks::<2>().0.iter().map(|ends| (ends.map(|end| (end * 200.0) as u32), 0));
        let graph = LabeledGraph::new(vec![0; 200], edges);
        let workers = Workers::new(2).unwrap();
        let run = |digest: fn(&[u32]) -> u64| {
            let mut refiner = Refiner::new(&[&graph], &workers);
            let mut counts = vec![refiner.classes().count()];
            loop {
                refiner.part(digest);
                if refiner.parted.is_empty() {
                    break (counts, refiner.colors());
                }
                counts.push(refiner.classes().count());
            }
        };
        let (counts, colors) = run(digest);
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
