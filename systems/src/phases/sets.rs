//! The sets of systems that the models of a schedule have.

use bevy_ecs::{
    entity::Entity,
    schedule::{InternedSystemSet, IntoScheduleConfigs, Schedule, ScheduleConfigs, SystemSet},
    system::{BoxedSystem, ScheduleSystem},
};

use super::GraphSystems;
use crate::error::StepFault;

/// The systems of one model in a schedule of the user's; see [`add_model_to_schedule`]. Order yours against them:
/// `.after(ModelSystems(model, GraphSystems::Backward)).before(ModelSystems(model, GraphSystems::Optimize))`. In `Observe` of
/// a model components become its inputs, after all your systems in [`GraphSystems::Observe`]; in `Act` its output becomes
/// components, before all of yours in [`GraphSystems::Act`].
///
/// [`add_model_to_schedule`]: crate::add_model_to_schedule
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ModelSystems(pub Entity, pub GraphSystems);

/// The parts of a step that each model has of its own.
pub(crate) const PARTS: [GraphSystems; 6] = [
    GraphSystems::Forward,
    GraphSystems::Loss,
    GraphSystems::Backward,
    GraphSystems::Reduce,
    GraphSystems::Optimize,
    GraphSystems::Commit,
];

/// Those besides, that come between the shared parts: components are copied in and out.
pub(crate) const COPIES: [GraphSystems; 2] = [GraphSystems::Observe, GraphSystems::Act];

/// When a schedule of a model's own copies components.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum CopySystems {
    In,
    Out,
}

/// All systems of a model.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct AllOf(pub(crate) Entity);

/// Those systems of a model that write its components, and but for its splits and targets touch nothing that is not its
/// own.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Private(pub(crate) Entity);

/// The sets that the systems of a model are put into.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sets {
    /// Those of a schedule of its own.
    Own,
    /// Those of a model among others.
    Shared(Entity),
}

impl Sets {
    pub(crate) fn of(self, part: GraphSystems) -> InternedSystemSet {
        match self {
            Self::Own => part.intern(),
            Self::Shared(model) => ModelSystems(model, part).intern(),
        }
    }

    /// Where components become inputs.
    pub(crate) fn copies_in(self) -> InternedSystemSet {
        match self {
            Self::Own => CopySystems::In.intern(),
            Self::Shared(_) => self.of(GraphSystems::Observe),
        }
    }

    /// Where an output becomes components.
    pub(crate) fn copies_out(self) -> InternedSystemSet {
        match self {
            Self::Own => CopySystems::Out.intern(),
            Self::Shared(_) => self.of(GraphSystems::Act),
        }
    }

    /// A system of the model that is in no part of its step, and touches nothing that is not its own.
    pub(crate) fn own(self, system: BoxedSystem) -> ScheduleConfigs<ScheduleSystem> {
        match self {
            Self::Own => system.into_configs(),
            Self::Shared(model) => system.in_set(AllOf(model)).in_set(Private(model)),
        }
    }

    /// Says when components are copied.
    pub(crate) fn order_copies(self, schedule: &mut Schedule) {
        use GraphSystems::{Act, Commit, Forward, Observe};
        schedule.configure_sets(self.copies_in().after(Observe).before(self.of(Forward)));
        schedule.configure_sets(self.copies_out().after(self.of(Commit)).before(Act));
    }

    /// Leaves out the rest of a step of which a part could not be done.
    pub(crate) fn stop_at(self, schedule: &mut Schedule, fault: &StepFault) {
        use GraphSystems::{Act, Backward, Commit, Loss, Optimize, Reduce};
        let parts: Vec<GraphSystems> = match self {
            Self::Own => vec![Loss, Backward, Reduce, Optimize, Commit, Act],
            Self::Shared(_) => PARTS.into_iter().chain(COPIES).collect(),
        };
        let own_copies = matches!(self, Self::Own).then(|| self.copies_out());
        for set in parts.into_iter().map(|part| self.of(part)).chain(own_copies) {
            let fault = fault.clone();
            schedule.configure_sets(set.run_if(move || !fault.is_set()));
        }
    }
}
