//! Goes through the rows, the same way for every loss.

use bevy_ecs::{
    entity::Entity,
    system::{BoxedSystem, Local, ParamBuilder, Query, Res, SystemParamBuilder},
    world::World,
};
use connectome_components::{Column, ColumnMut, Field, Matrix, Metrics, Split, SplitMetrics};

use super::{
    ranking::Ranking,
    row::RowLoss,
    targets::{LossError, same_shape},
};
use crate::{Blocks, PerBlock, RowsMut, Workers, kernels::vectorize};

/// Rows whose losses are summed together; the sums of the blocks are added in order.
const BLOCK_ROWS: usize = 512;

/// What the systems of all losses have in common.
#[derive(Clone, Copy)]
pub(super) struct Parts {
    /// Whose metrics are written.
    pub(super) model: Entity,
    pub(super) output: Field,
    /// None to measure every split instead.
    pub(super) gradient: Option<Field>,
    pub(super) splits: Field<Split>,
}

impl Parts {
    pub(super) fn check(&self, world: &World) -> Result<(), LossError> {
        self.gradient.map_or(Ok(()), |gradient| same_shape(world, gradient, self.output))
    }
}

/// The system of one loss.
pub(super) fn system<L: RowLoss>(world: &mut World, loss: L, parts: Parts, target: Field<L::Target>) -> BoxedSystem {
    match parts.gradient {
        Some(gradient) => differentiate(world, loss, parts, gradient, target),
        None => measure(world, loss, parts, target),
    }
}

fn differentiate<L: RowLoss>(
    world: &mut World,
    loss: L,
    Parts { model, output, splits, .. }: Parts,
    gradient: Field,
    target: Field<L::Target>,
) -> BoxedSystem {
    let state = (
        (output.read(), target.read(), splits.read(), gradient.write()),
        ParamBuilder::query::<&mut Metrics>(),
        ParamBuilder::resource::<Workers>(),
        ParamBuilder::local::<Vec<SplitMetrics>>(),
    )
        .build_state(world);
    let system = state.build_system(
        move |(output, target, splits, mut gradient): (Column, Column<L::Target>, Column<Split>, ColumnMut),
              mut metrics: Query<&mut Metrics>,
              workers: Res<Workers>,
              mut sums: Local<Vec<SplitMetrics>>| {
            let Ok(mut metrics) = metrics.get_mut(model) else { return };
            metrics.splits[Split::Train as usize] = SplitMetrics::default();
            let Some(rows) = Rows::new(&output, &target, &splits) else { return };
            let width = rows.output.width();
            let count = rows.count(Split::Train) * L::terms(width);
            let mut total = SplitMetrics::default();
            for (start, chunk) in gradient.matrix().chunks_mut() {
                let blocks = blocks(start, chunk.len() / width);
                sums.clear();
                sums.resize(blocks.count(), SplitMetrics::default());
                let output = (PerBlock::new(&mut sums[..], BLOCK_ROWS), RowsMut::new(chunk, width));
                workers.for_each_block(blocks, 8 * width, output, |numbers, (sums, gradients)| {
                    vectorize(
                        #[inline(always)]
                        || {
                            for (row, gradient) in numbers.zip(gradients.data.chunks_exact_mut(width)) {
                                if rows.split(row) == Split::Train {
                                    let (output, target) = (rows.output.row(row), rows.target.row(row));
                                    let metrics = loss.differentiate(output, target, 1.0 / count as f32, gradient);
                                    add(&mut sums.data[0], metrics);
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
    Box::new(system.with_name(L::NAME))
}

fn measure<L: RowLoss>(
    world: &mut World,
    loss: L,
    Parts { model, output, splits, .. }: Parts,
    target: Field<L::Target>,
) -> BoxedSystem {
    let state = (
        (output.read(), target.read(), splits.read()),
        ParamBuilder::query::<&mut Metrics>(),
        ParamBuilder::resource::<Workers>(),
        ParamBuilder::local::<(Vec<Metrics>, Ranking)>(),
    )
        .build_state(world);
    let system = state.build_system(
        move |(output, target, splits): (Column, Column<L::Target>, Column<Split>),
              mut metrics: Query<&mut Metrics>,
              workers: Res<Workers>,
              mut kept: Local<(Vec<Metrics>, Ranking)>| {
            let Ok(mut metrics) = metrics.get_mut(model) else { return };
            *metrics = Metrics::default();
            let Some(rows) = Rows::new(&output, &target, &splits) else { return };
            let (sums, ranking) = &mut *kept;
            let blocks = blocks(0, rows.output.row_count());
            sums.clear();
            sums.resize(blocks.count(), Metrics::default());
            let parts = PerBlock::new(&mut sums[..], BLOCK_ROWS);
            workers.for_each_block(blocks, 8 * rows.output.width(), parts, |numbers, sums| {
                vectorize(
                    #[inline(always)]
                    || {
                        for row in numbers {
                            let split = rows.split(row);
                            if split != Split::Unused {
                                let metrics = loss.measure(rows.output.row(row), rows.target.row(row));
                                add(&mut sums.data[0].splits[split as usize], metrics);
                            }
                        }
                    },
                );
            });
            for sum in sums {
                metrics.splits.iter_mut().zip(sum.splits).for_each(|(total, sum)| add(total, sum));
            }
            ranking.clear();
            for ((output, target), split) in rows.output.rows().zip(rows.target.rows()).zip(rows.splits.rows()) {
                // The first row tells whether there is an order at all.
                let Some((score, positive)) = loss.rank(output, target) else { break };
                if split[0] != Split::Unused {
                    ranking.push(split[0], score, positive);
                }
            }
            ranking.measure(&mut metrics);
        },
    );
    Box::new(system.with_name(format!("measure_{}", L::NAME)))
}

/// What is compared, row by row.
struct Rows<'a, T> {
    output: Matrix<'a>,
    target: Matrix<'a, T>,
    splits: Matrix<'a, Split>,
}

impl<'a, T: Send + Sync + 'static> Rows<'a, T> {
    /// None if rows have not been given all fields yet.
    fn new(output: &'a Column, target: &'a Column<T>, splits: &'a Column<Split>) -> Option<Self> {
        let rows = Self { output: output.matrix(), target: target.matrix(), splits: splits.matrix() };
        let count = rows.output.row_count();
        (rows.target.row_count() == count && rows.splits.row_count() == count).then_some(rows)
    }

    #[inline(always)]
    fn split(&self, row: usize) -> Split {
        self.splits.row(row)[0]
    }

    fn count(&self, wanted: Split) -> usize {
        self.splits.rows().filter(|split| split[0] == wanted).count()
    }
}

fn blocks(start: usize, rows: usize) -> Blocks<'static> {
    Blocks::Uniform { start, rows, size: BLOCK_ROWS }
}

#[inline(always)]
fn add(total: &mut SplitMetrics, other: SplitMetrics) {
    total.count += other.count;
    total.loss_sum += other.loss_sum;
    total.judged += other.judged;
    total.correct += other.correct;
    total.distance_sum += other.distance_sum;
}
