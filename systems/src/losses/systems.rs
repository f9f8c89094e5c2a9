//! The systems of losses, which evaluate a loss over all rows.

use bevy_ecs::{
    system::{BoxedSystem, Local, ParamBuilder, Query, Res, SystemParamBuilder},
    world::World,
};
use connectome_components::{
    Column, ColumnMut, Columns, Fault, Field, GradientAccumulation, KeyOrder, LearningFault, Matrix, Metrics, Split,
    SplitMetrics, Topology,
};

use core::{cell::RefCell, ops::Range};

use super::{
    loss_head::LossHead,
    quality::Quality,
    row::RowLoss,
    weights::{TermWeights, read_weights},
};
use crate::{
    kernels::vectorize,
    parallel::{Blocks, PerBlock, RowsMut, Workers},
    phases::model_query,
};

/// Number of rows of a block, whose losses are summed together; the sums of the blocks are added in order.
const BLOCK_ROWS: usize = 512;

thread_local! {
    /// The gradient of one row, while only its loss is asked for.
    static GRADIENT: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// The system of one loss.
pub(super) fn system<L: RowLoss>(world: &mut World, loss: L, head: LossHead, target: Field<L::Target>) -> BoxedSystem {
    match head.gradient {
        Some(gradient) => differentiate(world, loss, head, gradient, target),
        None => measure(world, loss, head, target),
    }
}

/// The components of the model that the systems of losses write and read.
type Written = (&'static mut Metrics, Option<&'static mut LearningFault>, Option<&'static GradientAccumulation>);

fn differentiate<L: RowLoss>(
    world: &mut World,
    loss: L,
    head: LossHead,
    gradient: Field,
    target: Field<L::Target>,
) -> BoxedSystem {
    let name = head.name(L::NAME);
    let state = (
        (head.output.read(), target.read(), head.splits.read(), gradient.write(), read_weights(head.row_weights)),
        model_query::<Written>(world, head.model),
        ParamBuilder::query::<&Topology>(),
        ParamBuilder::resource::<Workers>(),
        ParamBuilder::local::<Vec<SplitMetrics>>(),
    )
        .build_state(world);
    type Fields<'w, 's, T> =
        (Column<'w, 's>, Column<'w, 's, T>, Column<'w, 's, Split>, ColumnMut<'w, 's>, Columns<'w, 's>);
    let system = state.build_system(
        move |(output, target, splits, mut gradient, mut weights): Fields<L::Target>,
              mut written: Query<Written>,
              topologies: Query<&Topology>,
              workers: Res<Workers>,
              mut sums: Local<Vec<SplitMetrics>>| {
            let Ok((mut metrics, fault, accumulation)) = written.get_mut(head.model) else { return };
            let mut fault = fault;
            if let Some(fault) = fault.as_mut().filter(|_| head.is_first) {
                fault.0 = None;
            }
            let metrics = metrics.head_mut(head.index);
            let mut note = |found| fault.iter_mut().for_each(|fault| fault.note(found));
            metrics.forget(Split::Train);
            let weights = head.weights(&mut weights);
            let Some(rows) = Rows::new(&output, &target, &splits, &weights, head.order(&topologies)) else {
                return note(Fault::NoRows { head: head.index });
            };
            let width = rows.output.width();
            if let Some((row, weight)) = rows.invalid_weight(&weights) {
                note(Fault::RowWeight { head: head.index, row, weight });
            }
            // Where all terms have the weight 0 their mean is undefined, and the step is not applied.
            let scale = match rows.weight(loss, &weights, Split::Train) {
                0.0 => 0.0,
                weight => head.weight / weight as f32,
            };
            let terms = Terms { loss, rows: &rows, weights: &weights, scale };
            sums.clear();
            sums.resize(blocks(0, rows.len()).count(), SplitMetrics::default());
            let is_in_order = rows.order.is_none() && rows.output.is_contiguous();
            for (start, chunk) in gradient.matrix().chunks_mut() {
                let blocks = blocks(start, chunk.len() / width);
                let sums = if is_in_order { &mut sums[..] } else { &mut [] };
                let output = (PerBlock::new(sums, BLOCK_ROWS), RowsMut::new(chunk, width));
                workers.for_each_block(blocks, 8 * width, output, |block, (sums, gradients)| {
                    vectorize(
                        #[inline(always)]
                        || {
                            let mut sum = SplitMetrics::default();
                            terms.differentiate_rows(block, gradients.data, &mut sum);
                            sums.data.iter_mut().take(1).for_each(|first| *first = sum);
                        },
                    );
                });
            }
            if !is_in_order {
                // The terms once more, in the order in which they are summed: to keep them would take more memory.
                let blocked = PerBlock::new(&mut sums[..], BLOCK_ROWS);
                workers.for_each_block(blocks(0, rows.len()), 8 * width, blocked, |block, sums| {
                    GRADIENT.with_borrow_mut(|gradient| {
                        gradient.resize(width, 0.0);
                        vectorize(
                            #[inline(always)]
                            || block.for_each(|rank| terms.differentiate(rows.at(rank), gradient, &mut sums.data[0])),
                        );
                    });
                });
            }
            let mut total = SplitMetrics::default();
            sums.iter().for_each(|sum| total.merge(sum));
            if total.count == 0 || total.weight == 0.0 {
                // With gradient accumulation the optimizer checks the terms of all passes.
                if accumulation.is_none_or(|accumulation| accumulation.micro_batches < 2) {
                    note(Fault::NoRows { head: head.index });
                }
            } else if !total.loss_sum.is_finite() {
                rows.fault(loss, &weights, head.index, |split| split == Split::Train).into_iter().for_each(note);
            }
            metrics.splits[Split::Train as usize] = total;
        },
    );
    Box::new(system.with_name(name))
}

fn measure<L: RowLoss>(world: &mut World, loss: L, head: LossHead, target: Field<L::Target>) -> BoxedSystem {
    let name = head.name(&format!("measure_{}", L::NAME));
    let state = (
        (head.output.read(), target.read(), head.splits.read(), read_weights(head.row_weights)),
        model_query::<(&mut Metrics, Option<&mut LearningFault>)>(world, head.model),
        ParamBuilder::query::<&Topology>(),
        ParamBuilder::resource::<Workers>(),
        ParamBuilder::local::<(Vec<[SplitMetrics; 4]>, Vec<u32>)>(),
    )
        .build_state(world);
    type Fields<'w, 's, T> = (Column<'w, 's>, Column<'w, 's, T>, Column<'w, 's, Split>, Columns<'w, 's>);
    let system = state.build_system(
        move |(output, target, splits, mut weights): Fields<L::Target>,
              mut written: Query<(&mut Metrics, Option<&mut LearningFault>)>,
              topologies: Query<&Topology>,
              workers: Res<Workers>,
              mut buffers: Local<(Vec<[SplitMetrics; 4]>, Vec<u32>)>| {
            let Ok((mut metrics, mut fault)) = written.get_mut(head.model) else { return };
            if let Some(fault) = fault.as_mut().filter(|_| head.is_first) {
                fault.0 = None;
            }
            let metrics = metrics.head_mut(head.index);
            metrics.clear();
            let weights = head.weights(&mut weights);
            let Some(rows) = Rows::new(&output, &target, &splits, &weights, head.order(&topologies)) else { return };
            let (sums, predictions) = &mut *buffers;
            let blocks = blocks(0, rows.len());
            sums.clear();
            sums.resize(blocks.count(), Default::default());
            let blocked = PerBlock::new(&mut sums[..], BLOCK_ROWS);
            workers.for_each_block(blocks, 8 * rows.output.width(), blocked, |block, sums| {
                vectorize(
                    #[inline(always)]
                    || {
                        for row in block.map(|rank| rows.at(rank)) {
                            let split = rows.split(row);
                            if split != Split::Unused && weights.row(row) != 0.0 {
                                let metrics = weights.measure(loss, row, rows.output.row(row), rows.target.row(row));
                                sums.data[0][split as usize].merge(&metrics);
                            }
                        }
                    },
                );
            });
            for sum in sums.iter() {
                metrics.splits.iter_mut().zip(sum).for_each(|(total, sum)| total.merge(sum));
            }
            Quality { loss, rows: &rows, weights: &weights, workers: &workers }.measure(predictions, metrics);
            if metrics.splits.iter().any(|split| split.loss_sum.is_nan())
                && let Some(label @ Fault::Label { .. }) =
                    rows.fault(loss, &weights, head.index, |split| split != Split::Unused)
            {
                fault.iter_mut().for_each(|fault| fault.note(label));
            }
        },
    );
    Box::new(system.with_name(name))
}

/// The terms of the training rows.
struct Terms<'a, L: RowLoss> {
    loss: L,
    rows: &'a Rows<'a, L::Target>,
    weights: &'a TermWeights<'a>,
    /// The factor of the gradients.
    scale: f32,
}

impl<L: RowLoss> Terms<'_, L> {
    /// Writes the gradients of some rows, and adds losses and metrics of those that are trained on.
    #[inline(always)]
    fn differentiate_rows(&self, block: Range<usize>, gradients: &mut [f32], sum: &mut SplitMetrics) {
        let Self { loss, rows, weights, scale } = *self;
        let width = rows.output.width();
        let mut next = block.start;
        while next < block.end {
            let start = next;
            let is_trained_on = self.is_trained_on(start);
            next = (start + 1..block.end).find(|row| self.is_trained_on(*row) != is_trained_on).unwrap_or(block.end);
            let gradients = &mut gradients[(start - block.start) * width..(next - block.start) * width];
            if !is_trained_on {
                gradients.fill(0.0);
            } else if weights.are_uniform() {
                let (outputs, targets) = (rows.output.slice(start..next), rows.target.slice(start..next));
                loss.differentiate_rows(outputs, targets, width, scale, gradients, sum);
            } else {
                for (row, gradient) in (start..next).zip(gradients.chunks_exact_mut(width)) {
                    self.differentiate(row, gradient, sum);
                }
            }
        }
    }

    #[inline(always)]
    fn is_trained_on(&self, row: usize) -> bool {
        self.rows.split(row) == Split::Train && self.rows.has(row) && self.weights.row(row) != 0.0
    }

    /// The same for one row.
    #[inline(always)]
    fn differentiate(&self, row: usize, gradient: &mut [f32], sum: &mut SplitMetrics) {
        let Self { loss, rows, weights, scale } = *self;
        if self.is_trained_on(row) {
            let (output, target) = (rows.output.row(row), rows.target.row(row));
            sum.merge(&weights.differentiate(loss, row, output, target, scale, gradient));
        } else {
            gradient.fill(0.0);
        }
    }
}

/// The outputs and targets to compare, with the splits of the rows.
pub(super) struct Rows<'a, T> {
    pub(super) output: Matrix<'a>,
    pub(super) target: Matrix<'a, T>,
    splits: Matrix<'a, Split>,
    /// The order of their keys, if it is another one.
    order: Option<&'a KeyOrder>,
}

impl<'a, T: Send + Sync + 'static> Rows<'a, T> {
    /// None if the fields are not attached to all rows yet.
    fn new(
        output: &'a Column,
        target: &'a Column<T>,
        splits: &'a Column<Split>,
        weights: &TermWeights<'_>,
        order: Option<&'a KeyOrder>,
    ) -> Option<Self> {
        let rows = Self { output: output.matrix(), target: target.matrix(), splits: splits.matrix(), order };
        let count = rows.output.row_count();
        let fits = order.is_none_or(|order| order.ranks.len() == count)
            && rows.target.row_count() == count
            && rows.splits.row_count() == count;
        (fits && weights.row_count().is_none_or(|weights| weights == count)).then_some(rows)
    }

    /// Number of rows, without dangling edges.
    pub(super) fn len(&self) -> usize {
        self.order.map_or(self.output.row_count(), |order| order.rows.len())
    }

    /// The row in a place of the order of keys.
    #[inline(always)]
    pub(super) fn at(&self, rank: usize) -> usize {
        self.order.map_or(rank, |order| order.rows[rank] as usize)
    }

    /// The rows in the order of their keys.
    pub(super) fn in_order(&self) -> impl Iterator<Item = usize> {
        (0..self.len()).map(|rank| self.at(rank))
    }

    /// Whether a row is no dangling edge.
    #[inline(always)]
    fn has(&self, row: usize) -> bool {
        self.order.is_none_or(|order| order.ranks[row] != KeyOrder::NO_RANK)
    }

    #[inline(always)]
    pub(super) fn split(&self, row: usize) -> Split {
        self.splits.row(row)[0]
    }

    fn of(&self, split: Split) -> impl Iterator<Item = usize> {
        self.in_order().filter(move |row| self.split(*row) == split)
    }

    /// The sum of the weights of the terms of one split.
    fn weight<L: RowLoss<Target = T>>(&self, loss: L, weights: &TermWeights<'_>, split: Split) -> f64 {
        let width = self.output.width();
        if weights.are_uniform() {
            return self.of(split).map(|row| loss.terms(self.target.row(row), width)).sum::<usize>() as f64;
        }
        self.of(split).map(|row| weights.of_row(loss, row, self.target.row(row), width)).sum()
    }

    /// The first training row whose weight is negative or not finite, and the weight.
    fn invalid_weight(&self, weights: &TermWeights<'_>) -> Option<(usize, f32)> {
        weights.row_count()?;
        let weights = self.of(Split::Train).map(|row| (row, weights.row(row)));
        weights.into_iter().find(|(_, weight)| !(weight.is_finite() && *weight >= 0.0))
    }

    /// The fault of the first row whose loss is not finite.
    fn fault<L: RowLoss<Target = T>>(
        &self,
        loss: L,
        weights: &TermWeights<'_>,
        head: usize,
        is_included: impl Fn(Split) -> bool,
    ) -> Option<Fault> {
        let is_included = |row: &usize| is_included(self.split(*row)) && weights.row(*row) != 0.0;
        let rows = self.in_order().filter(is_included);
        let mut faults = rows.filter_map(|row| {
            let target = self.target.row(row);
            if let Some(label) = loss.class(target).filter(|label| *label as usize >= self.output.width()) {
                return Some(Fault::Label { head, row, label });
            }
            let sum = loss.measure(self.output.row(row), target).loss_sum;
            (!sum.is_finite()).then_some(Fault::Loss { head, row, loss: sum as f32 })
        });
        faults.next()
    }
}

pub(super) fn blocks(start: usize, rows: usize) -> Blocks<'static> {
    Blocks::Uniform { start, rows, size: BLOCK_ROWS }
}
