//! The order of a step: read all, then write all.

use bevy_ecs::schedule::{IntoScheduleConfigs, Schedule, SystemSet};

/// The parts of a step of a model, in order. Put your own systems into `Observe` and `Act`, or order them against the others:
/// `.after(GraphSystems::Backward).before(GraphSystems::Optimize)`.
///
/// Within `Forward` and `Backward` the operations of the model run in the order of its plan; none reads what it writes.
///
/// 1. `Sync`: new nodes are given their fields, and the topology follows the edges.
/// 2. `Observe`: the user's components become inputs.
/// 3. `Forward`: from the inputs to the outputs of all heads.
/// 4. `Loss`: when learning or measuring, the outputs are compared with the targets.
/// 5. `Backward`: when learning, the gradients with respect to all parameters.
/// 6. `Reduce`: when learning, nobody but the user: gradients, and the number of terms they are a mean over, may be changed.
/// 7. `Optimize`: when learning, the parameters follow their gradients.
/// 8. `Commit`: front and back change roles, steps are counted.
/// 9. `Act`: outputs become the user's components.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GraphSystems {
    /// Fields and topology follow the world.
    Sync,
    /// The user's components to inputs.
    Observe,
    /// From inputs to outputs.
    Forward,
    /// The outputs against the targets.
    Loss,
    /// The gradients with respect to parameters.
    Backward,
    /// What the user does to gradients.
    Reduce,
    /// Parameters follow their gradients.
    Optimize,
    /// Buffers change roles, steps are counted.
    Commit,
    /// Outputs to the user's components.
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
