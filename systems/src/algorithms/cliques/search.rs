//! Searches of all widths.

use core::ops::Range;

use super::{
    Question,
    bits::Bits,
    k_cliques::SizedSearch,
    maximal::MaximalSearch,
    ordered::{Numbers, Ordered},
    ordered_output::{Sink, Task},
};
use crate::kernels::vectorize;

/// What a worker needs to search below any root: the more later neighbors, the wider the sets.
pub(super) struct Bench {
    numbers: Numbers,
    narrow: Search<[u64; 1]>,
    of_two: Search<[u64; 2]>,
    of_four: Search<[u64; 4]>,
    of_eight: Search<[u64; 8]>,
    wide: Search<Vec<u64>>,
}

impl Bench {
    pub fn new(graph: &Ordered) -> Self {
        let (narrow, of_two, of_four, of_eight, wide) = Default::default();
        Self { numbers: Numbers::new(graph), narrow, of_two, of_four, of_eight, wide }
    }

    /// Gives `sink` what a task finds. Returns false if the sink wanted no more.
    pub fn search(&mut self, graph: &Ordered, question: Question, task: &Task, sink: &mut impl Sink) -> bool {
        vectorize(
            #[inline(always)]
            || {
                task.roots.clone().all(
                    #[inline(always)]
                    |root| {
                        let (numbers, branches) = (&mut self.numbers, &task.branches);
                        match graph.later(root).len() {
                            0..=64 => self.narrow.search(graph, question, root, branches.clone(), numbers, sink),
                            65..=128 => self.of_two.search(graph, question, root, branches.clone(), numbers, sink),
                            129..=256 => self.of_four.search(graph, question, root, branches.clone(), numbers, sink),
                            257..=512 => self.of_eight.search(graph, question, root, branches.clone(), numbers, sink),
                            _ => self.wide.search(graph, question, root, branches.clone(), numbers, sink),
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
        question: Question,
        root: usize,
        branches: Option<Range<usize>>,
        numbers: &mut Numbers,
        sink: &mut impl Sink,
    ) -> bool {
        match question {
            Question::Maximal => self.maximal.search(graph, root, branches, numbers, sink),
            Question::OfSize(size) => self.sized.search(graph, root, branches, size, numbers, sink),
        }
    }
}
