//! Searches with bit sets of all widths.

use core::ops::Range;

use super::{
    Kind,
    bits::Bits,
    k_cliques::SizedSearch,
    maximal::MaximalSearch,
    ordered::{LocalIndices, Ordered},
    ordered_output::{Sink, Task},
};
use crate::kernels::vectorize;

/// The reusable buffers of one worker: the more later neighbors a root has, the wider the sets.
pub(super) struct Searches {
    indices: LocalIndices,
    narrow: Search<[u64; 1]>,
    of_two: Search<[u64; 2]>,
    of_four: Search<[u64; 4]>,
    of_eight: Search<[u64; 8]>,
    wide: Search<Vec<u64>>,
}

impl Searches {
    pub fn new(graph: &Ordered) -> Self {
        let (narrow, of_two, of_four, of_eight, wide) = Default::default();
        Self { indices: LocalIndices::new(graph), narrow, of_two, of_four, of_eight, wide }
    }

    /// Passes the cliques of a task to `sink`. Returns false if the sink stopped the search.
    pub fn search(&mut self, graph: &Ordered, kind: Kind, task: &Task, sink: &mut impl Sink) -> bool {
        vectorize(
            #[inline(always)]
            || {
                task.roots.clone().all(
                    #[inline(always)]
                    |position| {
                        let root = graph.node(position);
                        let (indices, branches) = (&mut self.indices, &task.branches);
                        match graph.later(root).len() {
                            0..=64 => self.narrow.search(graph, kind, root, branches.clone(), indices, sink),
                            65..=128 => self.of_two.search(graph, kind, root, branches.clone(), indices, sink),
                            129..=256 => self.of_four.search(graph, kind, root, branches.clone(), indices, sink),
                            257..=512 => self.of_eight.search(graph, kind, root, branches.clone(), indices, sink),
                            _ => self.wide.search(graph, kind, root, branches.clone(), indices, sink),
                        }
                    },
                )
            },
        )
    }
}

struct Search<B> {
    maximal: MaximalSearch<B>,
    sized: SizedSearch<B>,
}

impl<B> Default for Search<B> {
    fn default() -> Self {
        Self { maximal: MaximalSearch::default(), sized: SizedSearch::default() }
    }
}

impl<B: Bits> Search<B> {
    #[inline(always)]
    fn search(
        &mut self,
        graph: &Ordered,
        kind: Kind,
        root: u32,
        branches: Option<Range<usize>>,
        indices: &mut LocalIndices,
        sink: &mut impl Sink,
    ) -> bool {
        match kind {
            Kind::Maximal => self.maximal.search(graph, root, branches, indices, sink),
            Kind::OfSize(size) => self.sized.search(graph, root, branches, size, indices, sink),
        }
    }
}
