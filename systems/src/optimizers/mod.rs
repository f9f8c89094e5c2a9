//! Optimizers: updates of parameters by their gradients.
//!
//! One system updates all parameters and reads gradient, moments and values of each once. Before it, another system
//! accumulates gradients if the model has a [`GradientAccumulation`], and one measures their norm if it has a
//! [`GradientClipping`].

mod accumulate;
mod buffers;
mod check;
mod clip;
mod moments;
mod state;
mod step;

use bevy_ecs::{
    entity::Entity,
    schedule::{InternedSystemSet, IntoScheduleConfigs, Schedule, SystemSet},
    system::{BoxedSystem, Local, ParamBuilder, Query, Res, SystemParamBuilder},
    world::World,
};
use connectome_components::{
    ColumnSet, Columns, Fault, Field, GradientAccumulation, GradientClipping, LearningFault, LearningRateSchedule,
    Metrics, Optimizer, TrainingState,
};

use crate::{
    error::StepFault,
    parallel::Workers,
    phases::{GraphSystems, Sets, model_query},
};
use accumulate::{accumulate, count_step, is_last};
use buffers::{BufferCopies, restore_buffers, save_buffers};
use check::{MODERATE, largest, restore_unless_finite};
use clip::measure_norm;

pub use accumulate::LossWeighting;
pub(crate) use moments::Moments;
pub use state::{ModelState, ParameterState};
pub(crate) use state::{set_component, write_row};
pub use step::OptimizerStep;

/// Number of weights in a block; a multiple of every vector width.
const BLOCK: usize = 4096;

/// The systems by which a model learns: `Accumulate`, `Measure` and `Step` within [`GraphSystems::Optimize`], `Save`
/// before its forward pass and `Restore` behind the step.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum OptimizeSystems {
    Save(Entity),
    Accumulate(Entity),
    Measure(Entity),
    Step(Entity),
    Restore(Entity),
}

/// The sets of the systems by which a model learns.
pub(crate) fn sets(model: Entity) -> [InternedSystemSet; 5] {
    use OptimizeSystems::{Accumulate, Measure, Restore, Save, Step};
    [Save(model), Accumulate(model), Measure(model), Step(model), Restore(model)].map(|set| set.intern())
}

/// The fields of a learned parameter.
#[derive(Clone, Copy, Debug)]
pub struct LearnedParameter {
    /// Its values.
    pub value: Field,
    /// The gradient of the loss with respect to them.
    pub gradient: Field,
    /// The optimizer's moments.
    pub moments: Field,
    /// The sum of the gradients of several passes, if gradients are accumulated.
    pub sum: Option<Field>,
    /// Its weight decay; the optimizer's if none.
    pub weight_decay: Option<f32>,
}

/// Adds the systems that update the parameters of a model and count passes to a training schedule. `buffers` are
/// changed by the forward pass, and restored if the step is faulty.
pub fn add(
    world: &mut World,
    schedule: &mut Schedule,
    model: Entity,
    (learned, buffers): (&[LearnedParameter], &[Field]),
    weighting: LossWeighting,
    sets: Sets,
    fault: &StepFault,
) {
    use OptimizeSystems::{Accumulate, Measure, Restore, Save, Step};
    if !buffers.is_empty() {
        world.entity_mut(model).insert(BufferCopies::default());
        let (save, restore) =
            (save_buffers(world, model, buffers), restore_buffers(world, model, buffers, fault.clone()));
        let (forward, commit) = (sets.of(GraphSystems::Forward), sets.of(GraphSystems::Commit));
        schedule.add_systems(sets.of_no_phase(save).in_set(Save(model)).after(GraphSystems::Observe).before(forward));
        let restore = sets.of_no_phase(restore).in_set(Restore(model));
        schedule.add_systems(restore.after(sets.of(GraphSystems::Optimize)).before(commit));
    }
    let order = (Accumulate(model), Measure(model), Step(model)).chain();
    schedule.configure_sets(order.in_set(sets.of(GraphSystems::Optimize)));
    if learned.iter().any(|parameter| parameter.sum.is_some()) {
        schedule.add_systems(accumulate(world, model, learned, weighting).in_set(Accumulate(model)));
    }
    schedule.add_systems(measure_norm(world, model, learned).in_set(Measure(model)));
    schedule.add_systems(optimize(world, model, learned, weighting).in_set(Step(model)));
    schedule.add_systems(count_step(world, model, weighting).in_set(sets.of(GraphSystems::Commit)));
}

type Optimized = (
    &'static Optimizer,
    &'static LearningRateSchedule,
    &'static TrainingState,
    Option<&'static GradientAccumulation>,
    Option<&'static GradientClipping>,
    &'static Moments,
    &'static Metrics,
    &'static mut LearningFault,
);

/// The columns of a parameter in the [`Columns`] of the optimizer.
struct ParameterColumns {
    /// Value and moments.
    written: [usize; 2],
    gradient: usize,
    weight_decay: Option<f32>,
}

/// The system that updates the trainable parameters: all of them or, if a value would not be finite, none.
fn optimize(world: &mut World, model: Entity, learned: &[LearnedParameter], weighting: LossWeighting) -> BoxedSystem {
    let mut set = ColumnSet::default();
    let learned = learned.iter().map(|parameter| ParameterColumns {
        written: [set.write(parameter.value), set.write(parameter.moments)],
        gradient: set.read(parameter.gradient),
        weight_decay: parameter.weight_decay,
    });
    let learned: Vec<_> = learned.collect();
    let state = (
        set,
        model_query::<Optimized>(world, model),
        ParamBuilder::resource::<Workers>(),
        ParamBuilder::local::<Vec<u32>>(),
    )
        .build_state(world);
    let system = state.build_system(
        move |mut columns: Columns,
              mut model_state: Query<Optimized>,
              workers: Res<Workers>,
              mut maxima: Local<Vec<u32>>| {
            let Ok((optimizer, schedule, state, accumulation, clipping, ages, metrics, mut fault)) =
                model_state.get_mut(model)
            else {
                return;
            };
            if weighting == LossWeighting::Uniform {
                // There is no loss that clears the fault of the previous step.
                fault.0 = None;
            }
            if fault.0.is_some() || !is_last(state, accumulation) {
                return;
            }
            let terms = accumulation.map_or(0.0, |accumulation| accumulation.terms) + weighting.of(metrics);
            if terms == 0.0 {
                return fault.note(Fault::NoRows { head: 0 });
            }
            let (read, _) = columns.split_mut(&[]);
            let mut is_moderate = optimizer.learning_rate() < MODERATE;
            for (parameter, its) in learned.iter().enumerate() {
                let gradient = largest(&workers, read.matrix(its.gradient), &mut maxima);
                if !gradient.is_finite() {
                    return fault.note(Fault::Gradient { parameter });
                }
                let [value, moments] = its.written.map(|column| largest(&workers, read.matrix(column), &mut maxima));
                is_moderate &= [gradient, value, moments].into_iter().all(|largest| largest < MODERATE);
            }
            let Some(gradient_scale) = clipping.map_or(Some(1.0), GradientClipping::scale) else { return };
            let step = |index: usize, parameter: &ParameterColumns| OptimizerStep {
                optimizer: *optimizer,
                learning_rate: optimizer.learning_rate() * schedule.factor(state.step),
                weight_decay: parameter.weight_decay.unwrap_or(optimizer.weight_decay()),
                gradient_scale,
                number: ages.age(index, state.step),
            };
            let apply = |columns: &mut Columns| {
                for (index, parameter) in learned.iter().enumerate() {
                    let (read, [Some(value), Some(moments), ..]) = columns.split_mut(&parameter.written) else {
                        continue;
                    };
                    let (Some(value), Some(moments)) = (value.rows_mut().next(), moments.rows_mut().next()) else {
                        continue;
                    };
                    let gradient = read.matrix(parameter.gradient);
                    step(index, parameter).apply(&workers, value, gradient.row(0), moments);
                }
            };
            if is_moderate {
                apply(&mut columns);
            } else if let Some(parameter) = restore_unless_finite(&mut columns, &learned, apply) {
                fault.note(Fault::Step { parameter });
            }
        },
    );
    Box::new(system.with_name("optimize"))
}
