//! The system sets of models in a schedule.

use bevy_ecs::{
    entity::Entity,
    schedule::{InternedSystemSet, IntoScheduleConfigs, Schedule, ScheduleConfigs, SystemSet},
    system::{BoxedSystem, ScheduleSystem},
};

use super::GraphSystems;
use crate::error::StepFault;

/// The systems of one model in a shared schedule; see [`add_model_to_schedule`]. Order your systems against them:
/// `.after(ModelSystems(model, GraphSystems::Backward)).before(ModelSystems(model, GraphSystems::Optimize))`. `Observe`
/// of a model copies components to its inputs, after all systems in [`GraphSystems::Observe`]; `Act` copies its output
/// to components, before all systems in [`GraphSystems::Act`].
///
/// [`add_model_to_schedule`]: crate::add_model_to_schedule
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ModelSystems(pub Entity, pub GraphSystems);

/// The phases of a step that are separate for each model.
pub(crate) const MODEL_PHASES: [GraphSystems; 6] = [
    GraphSystems::Forward,
    GraphSystems::Loss,
    GraphSystems::Backward,
    GraphSystems::Reduce,
    GraphSystems::Optimize,
    GraphSystems::Commit,
];

/// The phases in which each model copies components in and out.
pub(crate) const COPY_PHASES: [GraphSystems; 2] = [GraphSystems::Observe, GraphSystems::Act];

/// The systems that copy components in the schedule of a single model.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum CopySystems {
    In,
    Out,
}

/// The system of a model that runs the operations of its forward pass, or of its backward pass.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PassSystem(pub(crate) Entity, pub(crate) GraphSystems);

/// All systems of a model.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct AllOf(pub(crate) Entity);

/// The sets of a model's systems.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sets {
    /// In the schedule of a single model.
    Single,
    /// In a shared schedule.
    Shared(Entity),
}

impl Sets {
    /// The set of a phase.
    pub(crate) fn of(self, phase: GraphSystems) -> InternedSystemSet {
        match self {
            Self::Single => phase.intern(),
            Self::Shared(model) => ModelSystems(model, phase).intern(),
        }
    }

    /// The set of the systems that copy components to inputs.
    pub(crate) fn copies_in(self) -> InternedSystemSet {
        match self {
            Self::Single => CopySystems::In.intern(),
            Self::Shared(_) => self.of(GraphSystems::Observe),
        }
    }

    /// The set of the systems that copy the output to components.
    pub(crate) fn copies_out(self) -> InternedSystemSet {
        match self {
            Self::Single => CopySystems::Out.intern(),
            Self::Shared(_) => self.of(GraphSystems::Act),
        }
    }

    /// Puts a system that is in no phase into the set of the model's systems.
    pub(crate) fn of_no_phase(self, system: BoxedSystem) -> ScheduleConfigs<ScheduleSystem> {
        match self {
            Self::Single => system.into_configs(),
            Self::Shared(model) => system.in_set(AllOf(model)),
        }
    }

    /// Orders the systems that copy components.
    pub(crate) fn order_copies(self, schedule: &mut Schedule) {
        use GraphSystems::{Act, Commit, Forward, Observe};
        schedule.configure_sets(self.copies_in().after(Observe).before(self.of(Forward)));
        schedule.configure_sets(self.copies_out().after(self.of(Commit)).before(Act));
    }

    /// Skips the rest of a step after a fault.
    pub(crate) fn stop_at(self, schedule: &mut Schedule, fault: &StepFault) {
        use GraphSystems::{Act, Backward, Commit, Forward, Loss, Optimize, Reduce};
        let phases: Vec<GraphSystems> = match self {
            Self::Single => vec![Forward, Loss, Backward, Reduce, Optimize, Commit, Act],
            Self::Shared(_) => MODEL_PHASES.into_iter().chain(COPY_PHASES).collect(),
        };
        let copies = matches!(self, Self::Single).then(|| self.copies_out());
        for set in phases.into_iter().map(|phase| self.of(phase)).chain(copies) {
            let fault = fault.clone();
            schedule.configure_sets(set.run_if(move || !fault.is_set()));
        }
    }
}
