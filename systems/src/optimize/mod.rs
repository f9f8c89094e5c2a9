//! Parameters follow their gradients.
//!
//! Without more each parameter has one system, which goes through gradient, moments and weights once, together. A model
//! with [`GradientAccumulation`] has one more for each parameter before, a model with [`GradientClipping`] one for all.

mod accumulate;
mod clip;
mod step;

use bevy_ecs::{
    entity::Entity,
    schedule::{IntoScheduleConfigs, Schedule, SystemSet},
    system::{BoxedSystem, IntoSystem, ParamBuilder, Query, Res, SystemParamBuilder},
    world::World,
};
use connectome_components::{
    Column, ColumnMut, FieldError, GradientAccumulation, GradientClipping, LearningRateSchedule, Optimizer, Parameter,
    TrainingState,
};

use crate::{GraphSystems, Workers};
use accumulate::{accumulate, count_pass, is_last};
use clip::measure_norm;

pub use accumulate::PassWeight;
pub use step::OptimizerStep;

/// Weights in a block; a multiple of every vector width.
const BLOCK: usize = 4096;

/// What comes before what in [`GraphSystems::Optimize`].
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Place {
    Accumulate,
    Measure,
    Step,
}

/// Adds the systems to a training schedule by which the parameters of a model follow their gradients and passes are
/// counted. Each parameter is given with its entity; those that do not learn are left out.
///
/// What the model has of [`GradientAccumulation`] and [`GradientClipping`] now decides which systems there are.
///
/// # Errors
/// If an accumulated gradient cannot be registered.
pub fn add(
    world: &mut World,
    schedule: &mut Schedule,
    model: Entity,
    parameters: &[(Entity, Parameter)],
    weight: PassWeight,
) -> Result<(), FieldError> {
    schedule.configure_sets((Place::Accumulate, Place::Measure, Place::Step).chain().in_set(GraphSystems::Optimize));
    if world.get::<GradientAccumulation>(model).is_some() {
        for (entity, parameter) in parameters {
            if let Some(system) = accumulate(world, model, *entity, parameter, weight)? {
                schedule.add_systems(system.in_set(Place::Accumulate));
            }
        }
    }
    if world.get::<GradientClipping>(model).is_some() {
        let gradients = parameters.iter().filter_map(|(_, parameter)| parameter.gradient).collect();
        schedule.add_systems(measure_norm(world, model, gradients).in_set(Place::Measure));
    }
    for system in parameters.iter().filter_map(|(_, parameter)| optimize(world, model, parameter)) {
        schedule.add_systems(system.in_set(Place::Step));
    }
    let count = IntoSystem::into_system(count_pass(model, weight)).with_name("count_step");
    schedule.add_systems(count.in_set(GraphSystems::Commit));
    Ok(())
}

type ModelState = (
    &'static Optimizer,
    &'static LearningRateSchedule,
    &'static TrainingState,
    Option<&'static GradientAccumulation>,
    Option<&'static GradientClipping>,
);

/// The system that moves one parameter; none if it does not learn.
fn optimize(world: &mut World, model: Entity, parameter: &Parameter) -> Option<BoxedSystem> {
    let state = (
        (parameter.value.write(), parameter.moments?.write(), parameter.gradient?.read()),
        ParamBuilder::query::<ModelState>(),
        ParamBuilder::resource::<Workers>(),
    )
        .build_state(world);
    let own_decay = parameter.weight_decay;
    let system = state.build_system(
        move |(mut value, mut moments, gradient): (ColumnMut, ColumnMut, Column),
              model_state: Query<ModelState>,
              workers: Res<Workers>| {
            let Ok((optimizer, schedule, state, accumulation, clipping)) = model_state.get(model) else { return };
            let Some(gradient_scale) = clipping.map_or(Some(1.0), GradientClipping::scale) else { return };
            if !is_last(state, accumulation) {
                return;
            }
            let step = OptimizerStep {
                optimizer: *optimizer,
                learning_rate: optimizer.learning_rate() * schedule.factor(state.step),
                weight_decay: own_decay.unwrap_or(optimizer.weight_decay()),
                gradient_scale,
                number: state.step + 1,
            };
            let gradient = gradient.matrix();
            let (mut value, mut moments) = (value.matrix().rows_mut(), moments.matrix().rows_mut());
            let (Some(value), Some(moments)) = (value.next(), moments.next()) else { return };
            step.apply(&workers, value, gradient.row(0), moments);
        },
    );
    Some(Box::new(system.with_name(format!("optimize {}", parameter.name))))
}
