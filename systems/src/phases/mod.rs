//! The phases of a step: read all, then write all.

mod access;
mod sets;

use bevy_ecs::schedule::{IntoScheduleConfigs, Schedule, SystemSet};

pub(crate) use access::model_query;
pub use sets::ModelSystems;
pub(crate) use sets::{AllOf, COPY_PHASES, MODEL_PHASES, PassSystem, Sets};

/// The phases of a step of a model, in order. Put your systems into `Observe` and `Act`, or order them against the
/// others: `.after(GraphSystems::Backward).before(GraphSystems::Optimize)`.
///
/// Within `Forward` and `Backward` the operations of the model run in the order of its plan; none reads what it writes.
///
/// 1. `Sync`: fields are attached to new entities, and the topology is updated.
/// 2. `Observe`: your systems write the inputs.
/// 3. `Forward`: the forward pass computes the outputs of all heads.
/// 4. `Loss`: in training and evaluation, loss and metrics are computed, in training with the gradient.
/// 5. `Backward`: in training, the backward pass computes the gradients with respect to all parameters.
/// 6. `Reduce`: in training, your systems may change gradients, and the number of terms over which they are a mean.
/// 7. `Optimize`: in training, the optimizer updates the parameters.
/// 8. `Commit`: double buffers swap, and steps are counted.
/// 9. `Act`: your systems read the outputs.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GraphSystems {
    /// Fields and topology are updated.
    Sync,
    /// Your systems write the inputs.
    Observe,
    /// The forward pass.
    Forward,
    /// Loss, metrics and the gradient with respect to the output.
    Loss,
    /// The backward pass.
    Backward,
    /// Your systems may change gradients.
    Reduce,
    /// The optimizer updates the parameters.
    Optimize,
    /// Double buffers swap, and steps are counted.
    Commit,
    /// Your systems read the outputs.
    Act,
}

impl GraphSystems {
    /// All of them, in order.
    pub const ALL: [Self; 9] = [
        Self::Sync,
        Self::Observe,
        Self::Forward,
        Self::Loss,
        Self::Backward,
        Self::Reduce,
        Self::Optimize,
        Self::Commit,
        Self::Act,
    ];

    /// Chains all of them in a schedule.
    pub fn chain(schedule: &mut Schedule) {
        for pair in Self::ALL.windows(2) {
            schedule.configure_sets((pair[0], pair[1]).chain());
        }
    }
}
