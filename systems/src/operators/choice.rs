//! The loss of a choice among the rows of each group, such as the edges of a node.

use connectome_components::{Adjacency, KeyOrder, Matrix, Topology};
use core::cell::Cell;

use crate::{
    kernels::{exp, ln, vectorize},
    parallel::{Blocks, RowsMut},
    program::{Partition, Step},
};

thread_local! {
    /// A buffer for those of all groups.
    static LOG_SUMS: Cell<Vec<LogSums>> = const { Cell::new(Vec::new()) };
}

/// Writes the gradient and the loss of scores and targets, where each row of `groups`, which are in the order `order`, chooses
/// among the rows of its edges: the mean of `-log sum over right rows of their probability` over the groups with a right one.
/// The group of a row is `group_of` it.
#[inline(always)]
pub(super) fn choose(
    step: &mut Step<'_>,
    (groups, order): (&Adjacency, &KeyOrder),
    group_of: impl Fn(&Topology, usize) -> Option<u32> + Sync,
) {
    // Taken out of the thread, which may compute another loss while it waits for other workers.
    let mut log_sums = LOG_SUMS.take();
    log_sums.clear();
    log_sums.resize(groups.offsets.len().saturating_sub(1), LogSums::NONE);
    let [scores, targets] = [0, 1].map(|input| step.input(input));
    let blocks = Blocks::Boundaries(&groups.blocks);
    step.workers().for_each_block(blocks, 16, RowsMut::new(&mut log_sums, 1), |rows, sums| {
        vectorize(
            #[inline(always)]
            || {
                for (group, sums) in rows.zip(&mut *sums.data) {
                    *sums = LogSums::new(groups.of(group).1, [&scores, &targets]);
                }
            },
        );
    });
    let (loss, count) = LogSums::mean_loss(&log_sums, order.permutation());
    let scale = 1.0 / count as f32;
    step.write_rows(
        Partition::Uniform,
        [0, 1],
        #[inline(always)]
        |topology, [scores, targets], rows, gradient| {
            for (row, gradient) in rows.zip(gradient) {
                let sums = group_of(topology, row).map_or(LogSums::NONE, |group| log_sums[group as usize]);
                *gradient = scale * sums.gradient(scores.row(row)[0], targets.row(row)[0]);
            }
        },
    );
    step.output(1).rows_mut().flatten().for_each(|output| *output = loss);
    LOG_SUMS.set(log_sums);
}

/// Whether a target is that of a candidate.
#[inline(always)]
pub(crate) fn is_candidate(target: f32) -> bool {
    target >= 0.0
}

/// Whether a target is that of a right answer.
#[inline(always)]
pub(crate) fn is_right(target: f32) -> bool {
    target > 0.0
}

/// The logarithms of the sums of exponentials of scores, of all candidates and of the right ones; minus infinity of none.
///
/// Their difference may be much smaller than they are, so they have 64 bits.
#[derive(Clone, Copy)]
struct LogSums {
    all: f64,
    right: f64,
}

impl LogSums {
    /// Those of no rows.
    const NONE: Self = Self { all: f64::NEG_INFINITY, right: f64::NEG_INFINITY };

    /// Those of some rows.
    #[inline(always)]
    fn new(rows: &[u32], [scores, targets]: [&Matrix; 2]) -> Self {
        let score = |row: &u32| scores.row(*row as usize)[0];
        let target = |row: &u32| targets.row(*row as usize)[0];
        // Of each set its own largest is subtracted: the right ones may lie far below the others.
        let mut most = [f32::NEG_INFINITY; 2];
        for row in rows {
            most[0] = if is_candidate(target(row)) { most[0].max(score(row)) } else { most[0] };
            most[1] = if is_right(target(row)) { most[1].max(score(row)) } else { most[1] };
        }
        let mut sums = [0.0; 2];
        for row in rows {
            sums[0] += if is_candidate(target(row)) { exp(score(row) - most[0]) } else { 0.0 };
            sums[1] += if is_right(target(row)) { exp(score(row) - most[1]) } else { 0.0 };
        }
        let [all, right] = [0, 1].map(|set| match sums[set] {
            0.0 => f64::NEG_INFINITY,
            sum => f64::from(most[set]) + f64::from(ln(sum)),
        });
        Self { all, right }
    }

    fn is_answered(&self) -> bool {
        self.right != f64::NEG_INFINITY
    }

    /// The gradient of the loss of one set with respect to a score of it: its probability, less its share among the right
    /// ones; 0 without a right one.
    #[inline(always)]
    fn gradient(&self, score: f32, target: f32) -> f32 {
        if !is_candidate(target) || !self.is_answered() {
            return 0.0;
        }
        let part = |sum: f64| exp((f64::from(score) - sum) as f32);
        part(self.all) - if is_right(target) { part(self.right) } else { 0.0 }
    }

    /// The mean loss of those sets that have a right answer, in the order of their keys, and how many these are.
    fn mean_loss(sets: &[Self], order: Option<&[u32]>) -> (f32, usize) {
        let in_order = (0..sets.len()).map(|rank| &sets[order.map_or(rank, |order| order[rank] as usize)]);
        let losses = in_order.filter(|sums| sums.is_answered()).map(|sums| sums.all - sums.right);
        let (count, sum) = losses.fold((0, 0.0), |(count, sum), loss| (count + 1, sum + loss));
        ((sum / count as f64) as f32, count)
    }
}
