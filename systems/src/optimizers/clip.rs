//! Measurement of the norm of the gradient of all parameters together, for clipping.

use bevy_ecs::{
    entity::Entity,
    system::{BoxedSystem, Local, ParamBuilder, Query, Res, SystemParamBuilder},
    world::World,
};
use connectome_components::{ColumnSet, Columns, GradientAccumulation, GradientClipping, TrainingState};

use super::{BLOCK, LearnedParameter, is_last};
use crate::{
    kernels::vectorize,
    parallel::{Blocks, PerBlock, Workers},
    phases::model_query,
};

/// The system that measures the norm before a step, if the model clips it.
pub(super) fn measure_norm(world: &mut World, model: Entity, learned: &[LearnedParameter]) -> BoxedSystem {
    let mut set = ColumnSet::default();
    let gradients: Vec<usize> = learned.iter().map(|parameter| set.read(parameter.gradient)).collect();
    let state = (
        set,
        model_query::<(&TrainingState, Option<&GradientAccumulation>, &mut GradientClipping)>(world, model),
        ParamBuilder::resource::<Workers>(),
        ParamBuilder::local::<Vec<f64>>(),
    )
        .build_state(world);
    let system = state.build_system(
        move |mut columns: Columns,
              mut models: Query<(&TrainingState, Option<&GradientAccumulation>, &mut GradientClipping)>,
              workers: Res<Workers>,
              mut sums: Local<Vec<f64>>| {
            let Ok((state, accumulation, mut clipping)) = models.get_mut(model) else { return };
            if !is_last(state, accumulation) {
                return;
            }
            let (columns, _) = columns.split_mut(&[]);
            let squares = gradients.iter().map(|gradient| {
                let gradient = columns.matrix(*gradient);
                gradient.rows().map(|row| sum_of_squares(&workers, row, &mut sums)).sum::<f64>()
            });
            clipping.measured = squares.sum::<f64>().sqrt();
        },
    );
    Box::new(system.with_name("measure_gradients"))
}

/// The sum of squares; the sums of the blocks are added in order.
fn sum_of_squares(workers: &Workers, values: &[f32], sums: &mut Vec<f64>) -> f64 {
    let blocks = Blocks::Uniform { start: 0, rows: values.len(), size: BLOCK };
    sums.clear();
    sums.resize(blocks.count(), 0.0);
    workers.for_each_block(blocks, 1, PerBlock::new(&mut sums[..], BLOCK), |range, sum| {
        vectorize(
            #[inline(always)]
            || sum.data[0] = sum_of_squares_in_lanes(&values[range]),
        );
    });
    sums.iter().sum()
}

#[inline(always)]
fn sum_of_squares_in_lanes(values: &[f32]) -> f64 {
    const LANES: usize = 16;
    let mut lanes = [0.0; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += f64::from(*value) * f64::from(*value);
        }
    }
    for (lane, value) in lanes.iter_mut().zip(rest) {
        *lane += f64::from(*value) * f64::from(*value);
    }
    lanes.iter().sum()
}
