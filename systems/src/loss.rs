//! Losses.

use bevy_ecs::{
    entity::Entity,
    system::{BoxedSystem, Local, ParamBuilder, Query, Res, SystemParamBuilder},
    world::World,
};
use connectome_components::{Column, ColumnMut, Field, Label, Metrics, Split, SplitMetrics};

use crate::{
    Blocks, PerBlock, RowsMut, Workers,
    kernels::{exp, vectorize},
};

/// Rows whose losses are summed together; the sums of the blocks are added in order.
const BLOCK_ROWS: usize = 512;

/// What each node is to become.
#[derive(Clone, Copy, Debug)]
pub struct ClassTargets {
    /// The class.
    pub labels: Field<Label>,
    /// The part of the data.
    pub splits: Field<Split>,
}

/// Softmax cross-entropy over the training nodes `T`: `L = -1/|T| sum_{i in T} ln softmax(z_i)[y_i]`.
///
/// Writes the gradient `(softmax(z_i) - onehot(y_i)) / |T|`, 0 for all other nodes, and the metrics of the training
/// nodes. A label that is no column of `logits` makes the loss NaN.
pub fn softmax_cross_entropy(
    world: &mut World,
    model: Entity,
    logits: Field,
    gradient: Field,
    targets: ClassTargets,
) -> BoxedSystem {
    let state = (
        (logits.read(), targets.labels.read(), targets.splits.read(), gradient.write()),
        ParamBuilder::query::<&mut Metrics>(),
        ParamBuilder::resource::<Workers>(),
        ParamBuilder::local::<Vec<SplitMetrics>>(),
    )
        .build_state(world);
    let system = state.build_system(
        move |(logits, labels, splits, mut gradient): (Column, Column<Label>, Column<Split>, ColumnMut),
              mut metrics: Query<&mut Metrics>,
              workers: Res<Workers>,
              mut sums: Local<Vec<SplitMetrics>>| {
            let Ok(mut metrics) = metrics.get_mut(model) else { return };
            let (logits, labels, splits) = (logits.matrix(), labels.matrix(), splits.matrix());
            let count = splits.rows().filter(|split| split[0] == Split::Train).count();
            let mut total = SplitMetrics::default();
            for (start, chunk) in gradient.matrix().chunks_mut() {
                let blocks = blocks(start, chunk.len() / logits.width());
                sums.clear();
                sums.resize(blocks.count(), SplitMetrics::default());
                let output = (PerBlock::new(&mut sums[..], BLOCK_ROWS), RowsMut::new(chunk, logits.width()));
                workers.for_each_block(blocks, 8 * logits.width(), output, |rows, (sums, gradients)| {
                    vectorize(
                        #[inline(always)]
                        || {
                            for (row, gradient) in rows.zip(gradients.data.chunks_exact_mut(gradients.width)) {
                                if splits.row(row)[0] == Split::Train {
                                    let node = Node::new(logits.row(row), labels.row(row)[0]);
                                    node.gradient(1.0 / count as f32, gradient);
                                    add(&mut sums.data[0], node.metrics());
                                } else {
                                    gradient.fill(0.0);
                                }
                            }
                        },
                    );
                });
                sums.iter().for_each(|sum| add(&mut total, *sum));
            }
            metrics.splits[Split::Train as usize] = total;
        },
    );
    Box::new(system.with_name("softmax_cross_entropy"))
}

/// The loss and accuracy of every split, without gradients.
pub fn measure_classification(world: &mut World, model: Entity, logits: Field, targets: ClassTargets) -> BoxedSystem {
    let state = (
        (logits.read(), targets.labels.read(), targets.splits.read()),
        ParamBuilder::query::<&mut Metrics>(),
        ParamBuilder::resource::<Workers>(),
        ParamBuilder::local::<Vec<Metrics>>(),
    )
        .build_state(world);
    let system = state.build_system(
        move |(logits, labels, splits): (Column, Column<Label>, Column<Split>),
              mut metrics: Query<&mut Metrics>,
              workers: Res<Workers>,
              mut sums: Local<Vec<Metrics>>| {
            let Ok(mut metrics) = metrics.get_mut(model) else { return };
            let (logits, labels, splits) = (logits.matrix(), labels.matrix(), splits.matrix());
            let blocks = blocks(0, logits.row_count());
            sums.clear();
            sums.resize(blocks.count(), Metrics::default());
            let output = PerBlock::new(&mut sums[..], BLOCK_ROWS);
            workers.for_each_block(blocks, 8 * logits.width(), output, |rows, sums| {
                vectorize(
                    #[inline(always)]
                    || {
                        for row in rows {
                            let split = splits.row(row)[0];
                            if split != Split::Unused {
                                let node = Node::new(logits.row(row), labels.row(row)[0]);
                                add(&mut sums.data[0].splits[split as usize], node.metrics());
                            }
                        }
                    },
                );
            });
            *metrics = Metrics::default();
            for sum in &*sums {
                metrics.splits.iter_mut().zip(sum.splits).for_each(|(total, sum)| add(total, sum));
            }
        },
    );
    Box::new(system.with_name("measure_classification"))
}

fn blocks(start: usize, rows: usize) -> Blocks<'static> {
    Blocks::Even { start, rows, size: BLOCK_ROWS }
}

#[inline(always)]
fn add(total: &mut SplitMetrics, other: SplitMetrics) {
    total.loss_sum += other.loss_sum;
    total.correct += other.correct;
    total.count += other.count;
}

/// The loss of one node.
struct Node<'a> {
    logits: &'a [f32],
    label: usize,
    /// `ln sum exp z`, computed beside the largest logit so that nothing overflows.
    log_sum: f32,
    /// The first of the largest logits; no class if none is a number.
    winner: usize,
}

impl<'a> Node<'a> {
    #[inline(always)]
    fn new(logits: &'a [f32], label: Label) -> Self {
        let largest = fold_in_lanes(logits, f32::NEG_INFINITY, larger, larger);
        let winner = logits.iter().position(|logit| *logit == largest).unwrap_or(usize::MAX);
        let sum = fold_in_lanes(
            logits,
            0.0,
            #[inline(always)]
            |sum, logit| sum + exp(logit - largest),
            #[inline(always)]
            |a, b| a + b,
        );
        Self { logits, label: label.0 as usize, log_sum: largest + sum.ln(), winner }
    }

    #[inline(always)]
    fn metrics(&self) -> SplitMetrics {
        let logit = self.logits.get(self.label).copied().unwrap_or(f32::NAN);
        SplitMetrics {
            loss_sum: f64::from(self.log_sum - logit),
            correct: u32::from(self.winner == self.label),
            count: 1,
        }
    }

    #[inline(always)]
    fn gradient(&self, scale: f32, gradient: &mut [f32]) {
        for (gradient, logit) in gradient.iter_mut().zip(self.logits) {
            *gradient = scale * exp(logit - self.log_sum);
        }
        if let Some(logit) = self.logits.get(self.label) {
            gradient[self.label] = scale * (exp(logit - self.log_sum) - 1.0);
        }
    }
}

/// The larger of two numbers, and never NaN if the first is not.
#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if b > a { b } else { a }
}

/// Folds every 16th number into a lane of its own, then the lanes in their order: that many can be folded at once, and
/// always alike.
#[inline(always)]
fn fold_in_lanes(
    numbers: &[f32],
    initial: f32,
    fold: impl Fn(f32, f32) -> f32,
    merge: impl Fn(f32, f32) -> f32,
) -> f32 {
    const LANES: usize = 16;
    let mut lanes = [initial; LANES];
    let (chunks, rest) = numbers.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, number) in lanes.iter_mut().zip(chunk) {
            *lane = fold(*lane, *number);
        }
    }
    for (lane, number) in lanes.iter_mut().zip(rest) {
        *lane = fold(*lane, *number);
    }
    let mut total = initial;
    for lane in lanes {
        total = merge(total, lane);
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logits_that_are_no_numbers_and_labels_that_are_no_classes_make_the_loss_nan() {
        for (logits, label) in [([f32::NAN; 3], 0), ([0.0, f32::NAN, 1.0], 2), ([0.0, 1.0, 2.0], 3)] {
            assert!(Node::new(&logits, Label(label)).metrics().loss_sum.is_nan(), "{logits:?} {label}");
        }
        assert_eq!(Node::new(&[f32::NAN; 3], Label(0)).metrics().correct, 0);
    }
}
