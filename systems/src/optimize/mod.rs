//! Parameters follow their gradients.
//!
//! One system goes through all parameters: through gradient, moments and weights of each once, together. A model with
//! [`GradientAccumulation`] has one more before; the length of all gradients is measured for a model with
//! [`GradientClipping`].

mod accumulate;
mod clip;
mod moments;
mod step;

use bevy_ecs::{
    entity::Entity,
    schedule::{InternedSystemSet, IntoScheduleConfigs, Schedule, SystemSet},
    system::{BoxedSystem, IntoSystem, ParamBuilder, Query, Res, SystemParamBuilder},
    world::World,
};
use connectome_components::{
    ColumnSet, Columns, Field, GradientAccumulation, GradientClipping, LearningRateSchedule, Optimizer, TrainingState,
};

use crate::{GraphSystems, Workers, model::Sets};
use accumulate::{accumulate, count_step, is_last};
use clip::measure_norm;

pub use accumulate::LossWeighting;
pub(crate) use moments::Moments;
pub use step::OptimizerStep;

/// Weights in a block; a multiple of every vector width.
const BLOCK: usize = 4096;

/// What of a model comes before what in [`GraphSystems::Optimize`].
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum OptimizeSystems {
    Accumulate(Entity),
    Measure(Entity),
    Step(Entity),
}

/// The sets of a model's systems within [`GraphSystems::Optimize`].
pub(crate) fn sets(model: Entity) -> [InternedSystemSet; 3] {
    use OptimizeSystems::{Accumulate, Measure, Step};
    [Accumulate(model), Measure(model), Step(model)].map(|set| set.intern())
}

/// A parameter that is learned: its fields.
#[derive(Clone, Copy, Debug)]
pub struct LearnedParameter {
    /// Its values.
    pub value: Field,
    /// The gradient of the loss with respect to them.
    pub gradient: Field,
    /// What the optimizer keeps from step to step.
    pub moments: Field,
    /// The sum of the gradients of several passes, if these make one step.
    pub sum: Option<Field>,
    /// Its weight decay; the optimizer's if none.
    pub weight_decay: Option<f32>,
}

/// Adds the systems to a training schedule by which the parameters of a model follow their gradients and passes are
/// counted.
pub fn add(
    world: &mut World,
    schedule: &mut Schedule,
    model: Entity,
    learned: &[LearnedParameter],
    weighting: LossWeighting,
    sets: Sets,
) {
    use OptimizeSystems::{Accumulate, Measure, Step};
    let order = (Accumulate(model), Measure(model), Step(model)).chain();
    schedule.configure_sets(order.in_set(sets.of(GraphSystems::Optimize)));
    if learned.iter().any(|parameter| parameter.sum.is_some()) {
        schedule.add_systems(accumulate(world, model, learned, weighting).in_set(Accumulate(model)));
    }
    schedule.add_systems(measure_norm(world, model, learned).in_set(Measure(model)));
    schedule.add_systems(optimize(world, model, learned).in_set(Step(model)));
    let count = IntoSystem::into_system(count_step(model, weighting)).with_name("count_step");
    schedule.add_systems(count.in_set(sets.of(GraphSystems::Commit)));
}

type ModelState = (
    &'static Optimizer,
    &'static LearningRateSchedule,
    &'static TrainingState,
    Option<&'static GradientAccumulation>,
    Option<&'static GradientClipping>,
    &'static Moments,
);

/// The system that moves the parameters that learn.
fn optimize(world: &mut World, model: Entity, learned: &[LearnedParameter]) -> BoxedSystem {
    let mut set = ColumnSet::default();
    let learned = learned.iter().map(|parameter| {
        let written = [set.write(parameter.value), set.write(parameter.moments)];
        (written, set.read(parameter.gradient), parameter.weight_decay)
    });
    let learned: Vec<_> = learned.collect();
    let state = (set, ParamBuilder::query::<ModelState>(), ParamBuilder::resource::<Workers>()).build_state(world);
    let system =
        state.build_system(move |mut columns: Columns, model_state: Query<ModelState>, workers: Res<Workers>| {
            let Ok((optimizer, schedule, state, accumulation, clipping, ages)) = model_state.get(model) else { return };
            let Some(gradient_scale) = clipping.map_or(Some(1.0), GradientClipping::scale) else { return };
            if !is_last(state, accumulation) {
                return;
            }
            for (number, (written, gradient, weight_decay)) in learned.iter().enumerate() {
                let step = OptimizerStep {
                    optimizer: *optimizer,
                    learning_rate: optimizer.learning_rate() * schedule.factor(state.step),
                    weight_decay: weight_decay.unwrap_or(optimizer.weight_decay()),
                    gradient_scale,
                    number: ages.age(number, state.step),
                };
                let (read, [Some(value), Some(moments), ..]) = columns.split_mut(written) else { continue };
                let (Some(value), Some(moments)) = (value.rows_mut().next(), moments.rows_mut().next()) else {
                    continue;
                };
                step.apply(&workers, value, read.matrix(*gradient).row(0), moments);
            }
        });
    Box::new(system.with_name("optimize"))
}
