//! Errors of mixtures of experts.

use bevy_ecs::entity::Entity;

use super::{BatchError, BuildError};

/// A mixture of experts cannot be built or run.
#[derive(Clone, Debug, thiserror::Error)]
pub enum MixtureError {
    /// The entity has no [`MixtureOfExperts`](connectome_components::MixtureOfExperts).
    #[error("entity {0} is no mixture of experts; pass the entity that `spawn_mixture` returned")]
    NoMixture(Entity),
    /// There is no expert.
    #[error("the mixture has no experts; add at least one by `expert`")]
    NoExperts,
    /// There is no expert of this number.
    #[error("there is no expert {index} among {count}, counted from 0; give the index of one of them")]
    NoExpert {
        /// The index.
        index: usize,
        /// The number of experts.
        count: usize,
    },
    /// The gate chooses for subgraphs, to which no node belongs.
    #[error(
        "the gate chooses for subgraphs, but graph {0} has nodes and no subgraphs; spawn subgraphs, to which nodes belong by \
         `InSubgraph`, or let the gate choose for nodes"
    )]
    NoSubgraphs(Entity),
    /// The sharpness by which experts compete is no number above 0.
    #[error(
        "experts compete with a sharpness of {0}; set `competition` to a finite number above 0, such as 1, or to none"
    )]
    Competition(f32),
    /// The noise by which experts are chosen is no number from 0 on.
    #[error("the noise is {0}; set `noise` to a finite number from 0 on")]
    Noise(f32),
    /// The number of experts for each row is 0, or more than there are.
    #[error("each row is computed by {top_k} of {experts} experts; set `top_k` from 1 to {experts}")]
    TopK {
        /// The number of experts for each row.
        top_k: usize,
        /// The number of experts.
        experts: usize,
    },
    /// The list of experts in the component was changed.
    #[error(
        "`MixtureOfExperts::experts` has {found} entries for {expected} experts; add and remove experts by `add_expert` \
         and `remove_expert`"
    )]
    Entries {
        /// The number of entries.
        found: usize,
        /// The number of experts.
        expected: usize,
    },
    /// A setting of the gate, of the model of the mixture or of an expert does not fit.
    #[error("{model} {reason}")]
    Unfit {
        /// Which of them.
        model: String,
        /// What is wrong, as the predicate of the sentence; and, after a semicolon, a fix.
        reason: String,
    },
    /// An expert cannot be built or run.
    #[error("expert `{name}`: {error}")]
    Expert {
        /// Its name.
        name: String,
        /// What is wrong. Entities are those of the expert's own world.
        error: Box<BuildError>,
    },
    /// The rows of an expert cannot be copied.
    #[error("expert `{name}` cannot get its rows: {error}")]
    Batch {
        /// Its name.
        name: String,
        /// What is wrong.
        error: BatchError,
    },
    /// An earlier step of the mixture panicked.
    #[error("the experts were lost when a step of mixture {0} panicked; build it again")]
    Lost(Entity),
}
