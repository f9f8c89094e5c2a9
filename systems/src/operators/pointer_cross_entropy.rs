//! The loss of pointers that have several right answers.

use connectome_components::{Matrix, Topology};
use core::cell::RefCell;

use crate::{
    kernels::{exp, ln, vectorize},
    parallel::{Blocks, RowsMut},
    program::{Cost, Domain, Footprint, Operator, Partition, Shape, Step, Value},
};

/// For each source node the softmax of the scores of its outgoing edges, and as loss the mean over the nodes with a
/// right edge of `-log sum over right edges of their probability`: any of the right edges will do.
///
/// An operator for the loss of a head on edges ([`Head::operator_loss`](crate::Head::operator_loss)): the output is the
/// scores `[E, 1]`, and targets `[E, 1]` are above 0 for right edges, 0 for wrong ones, and negative for edges that are no
/// candidates. The gradient of a candidate is its probability, less its share among the right ones, divided by the number
/// of nodes that count. Scores may be of any size. Costs 4 exponentials an edge. Border: other edges, those of nodes
/// without a right edge, and dangling ones have gradient 0; without any right edge the loss is NaN, which the step
/// reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PointerCrossEntropy;

thread_local! {
    /// Those of the edges of each node.
    static LOG_SUMS: RefCell<Vec<LogSums>> = const { RefCell::new(Vec::new()) };
}

impl Operator for PointerCrossEntropy {
    fn name(&self) -> &'static str {
        "pointer_cross_entropy"
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        let scores = inputs[0].shape();
        if !(matches!(scores.domain, Domain::Edges(_)) && scores.width == 1) {
            return Err(format!("scores the edges of nodes, but its input is {scores}; give one score on each edge"));
        }
        if inputs.len() > 2 {
            return Err("counts each node once; leave out the weights of rows".to_owned());
        }
        Ok(vec![scores, Shape::new(Domain::Single, 1)])
    }

    fn footprint(&self, _: usize) -> Footprint {
        Footprint::All
    }

    fn cost(&self, _: &[Value], _: &[Value]) -> Cost {
        Cost { per_row: 4, per_entry: 0 }
    }

    fn run(&self, step: &mut Step<'_>) {
        LOG_SUMS.with_borrow_mut(|log_sums| {
            let (topology, scores, targets) = (step.topology(), step.input(0), step.input(1));
            let nodes = topology.outgoing.offsets.len().saturating_sub(1);
            log_sums.clear();
            log_sums.resize(nodes, LogSums::NONE);
            let blocks = Blocks::Boundaries(&topology.outgoing.blocks);
            step.workers().for_each_block(blocks, 16, RowsMut::new(log_sums, 1), |rows, sums| {
                vectorize(
                    #[inline(always)]
                    || {
                        for (node, sums) in rows.zip(&mut *sums.data) {
                            *sums = LogSums::new(topology.outgoing.of(node).1, [&scores, &targets]);
                        }
                    },
                );
            });
            let log_sums = &log_sums[..];
            let (loss, count) = LogSums::mean_loss(log_sums, topology.node_order.permutation());
            let scale = 1.0 / count as f32;
            step.write_rows(
                Partition::Uniform,
                [0, 1],
                #[inline(always)]
                |topology, [scores, targets], rows, gradient| {
                    for (edge, gradient) in rows.zip(gradient) {
                        let [source, target] = topology.endpoints[edge];
                        *gradient = match target {
                            Topology::NO_ROW => 0.0,
                            _ => scale * log_sums[source as usize].gradient(scores.row(edge)[0], targets.row(edge)[0]),
                        };
                    }
                },
            );
            step.output(1).rows_mut().flatten().for_each(|output| *output = loss);
        });
    }
}

/// Whether a target is that of a candidate.
#[inline(always)]
fn is_candidate(target: f32) -> bool {
    target >= 0.0
}

/// Whether a target is that of a right answer.
#[inline(always)]
fn is_right(target: f32) -> bool {
    target > 0.0
}

/// The logarithms of the sums of exponentials of scores, of all candidates and of the right ones; minus infinity of none.
///
/// Their difference may be much smaller than they are, so they have 64 bits.
#[derive(Clone, Copy)]
pub(super) struct LogSums {
    all: f64,
    right: f64,
}

impl LogSums {
    /// Those of no rows.
    pub(super) const NONE: Self = Self { all: f64::NEG_INFINITY, right: f64::NEG_INFINITY };

    /// Those of some rows.
    #[inline(always)]
    pub(super) fn new(rows: &[u32], [scores, targets]: [&Matrix; 2]) -> Self {
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
    pub(super) fn gradient(&self, score: f32, target: f32) -> f32 {
        if !is_candidate(target) || !self.is_answered() {
            return 0.0;
        }
        let part = |sum: f64| exp((f64::from(score) - sum) as f32);
        part(self.all) - if is_right(target) { part(self.right) } else { 0.0 }
    }

    /// The mean loss of those sets that have a right answer, in the order of their keys, and how many these are.
    pub(super) fn mean_loss(sets: &[Self], order: Option<&[u32]>) -> (f32, usize) {
        let in_order = (0..sets.len()).map(|rank| &sets[order.map_or(rank, |order| order[rank] as usize)]);
        let losses = in_order.filter(|sums| sums.is_answered()).map(|sums| sums.all - sums.right);
        let (count, sum) = losses.fold((0, 0.0), |(count, sum), loss| (count + 1, sum + loss));
        ((sum / count as f64) as f32, count)
    }
}
