//! Gradient accumulation over several passes.

use bevy_ecs::{
    entity::Entity,
    system::{BoxedSystem, ParamBuilder, Query, Res, SystemParamBuilder},
    world::World,
};
use connectome_components::{ColumnSet, Columns, GradientAccumulation, LearningFault, Metrics, Split, TrainingState};

use super::{BLOCK, LearnedParameter};
use crate::{
    kernels::vectorize,
    parallel::{Blocks, RowsMut, Workers},
    phases::model_query,
};

/// The weight of a pass in an accumulated gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossWeighting {
    /// The sum of the weights of the terms of its losses, by the [`Metrics`] of the training rows: a loss is the mean
    /// over them.
    Terms,
    /// 1 for each pass: the gradient is external, without terms to count.
    Uniform,
}

impl LossWeighting {
    pub(super) fn of(self, metrics: &Metrics) -> f64 {
        match self {
            Self::Terms => metrics.weight(Split::Train),
            Self::Uniform => 1.0,
        }
    }
}

/// Whether the current pass is the last of a step.
pub(super) fn is_last(state: &TrainingState, accumulation: Option<&GradientAccumulation>) -> bool {
    accumulation.is_none_or(|accumulation| state.micro_batch.saturating_add(1) >= accumulation.micro_batches)
}

/// The system that adds the gradients of each pass to sums, and replaces them by their mean in the last pass.
pub(super) fn accumulate(
    world: &mut World,
    model: Entity,
    learned: &[LearnedParameter],
    weighting: LossWeighting,
) -> BoxedSystem {
    let mut set = ColumnSet::default();
    let pairs = learned.iter().filter_map(|parameter| Some([set.write(parameter.gradient), set.write(parameter.sum?)]));
    let pairs: Vec<[usize; 2]> = pairs.collect();
    let state = (
        set,
        model_query::<(&TrainingState, &GradientAccumulation, &Metrics)>(world, model),
        ParamBuilder::resource::<Workers>(),
    )
        .build_state(world);
    let system = state.build_system(
        move |mut columns: Columns,
              model_state: Query<(&TrainingState, &GradientAccumulation, &Metrics)>,
              workers: Res<Workers>| {
            let Ok((state, accumulation, metrics)) = model_state.get(model) else { return };
            let terms = weighting.of(metrics);
            let pass = Pass {
                weight: terms as f32,
                is_first: state.micro_batch == 0,
                total: is_last(state, Some(accumulation)).then_some(accumulation.terms + terms),
            };
            for pair in &pairs {
                let (_, [Some(gradient), Some(sum), ..]) = columns.split_mut(pair) else { continue };
                let (Some(gradient), Some(sum)) = (gradient.rows_mut().next(), sum.rows_mut().next()) else { continue };
                pass.apply(&workers, gradient, sum);
            }
        },
    );
    Box::new(system.with_name("accumulate_gradients"))
}

/// The accumulation of the gradient of one pass.
#[derive(Clone, Copy)]
struct Pass {
    weight: f32,
    is_first: bool,
    /// The weight of all passes, if this is the last one.
    total: Option<f64>,
}

impl Pass {
    fn apply(self, workers: &Workers, gradients: &mut [f32], sums: &mut [f32]) {
        if self.is_first && self.total.is_some() {
            return;
        }
        let blocks = Blocks::Uniform { start: 0, rows: gradients.len(), size: BLOCK };
        let output = (RowsMut::new(gradients, 1), RowsMut::new(sums, 1));
        workers.for_each_block(blocks, 2, output, |_, (gradients, sums)| {
            vectorize(
                #[inline(always)]
                || self.apply_block(gradients.data, sums.data),
            );
        });
    }

    #[inline(always)]
    fn apply_block(self, gradients: &mut [f32], sums: &mut [f32]) {
        let pairs = gradients.iter_mut().zip(sums);
        match (self.is_first, self.total) {
            (true, _) => pairs.for_each(|(gradient, sum)| *sum = self.weight * *gradient),
            (false, None) => pairs.for_each(|(gradient, sum)| *sum += self.weight * *gradient),
            (false, Some(total)) => {
                // Without terms every gradient is 0, and so is the mean.
                let factor = 1.0 / if total == 0.0 { 1.0 } else { total as f32 };
                pairs.for_each(|(gradient, sum)| *gradient = factor * (*sum + self.weight * *gradient));
            }
        }
    }
}

/// The components of a model that [`count_step`] reads and writes.
type Counted =
    (&'static mut TrainingState, Option<&'static mut GradientAccumulation>, &'static Metrics, &'static LearningFault);

/// The system that counts passes, and a step after the last pass.
pub(super) fn count_step(world: &mut World, model: Entity, weighting: LossWeighting) -> BoxedSystem {
    let state = (model_query::<Counted>(world, model),).build_state(world);
    let system = state.build_system(move |mut models: Query<Counted>| {
        let Ok((mut state, accumulation, metrics, fault)) = models.get_mut(model) else { return };
        // A faulty pass has corrupted the sums, so the next pass starts a new step.
        let is_last = is_last(&state, accumulation.as_deref()) || fault.0.is_some();
        if let Some(mut accumulation) = accumulation {
            accumulation.terms = if is_last { 0.0 } else { accumulation.terms + weighting.of(metrics) };
        }
        if is_last {
            state.step += 1;
            state.micro_batch = 0;
        } else {
            state.micro_batch += 1;
        }
    });
    Box::new(system.with_name("count_step"))
}
