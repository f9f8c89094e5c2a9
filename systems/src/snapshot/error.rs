//! Errors of snapshots.

use bevy_ecs::entity::Entity;
use connectome_components::FieldError;

/// A snapshot cannot be taken, restored, saved or loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// The entity has no `Graph`.
    #[error("entity {0} is no graph of this world; pass the entity that `Graph::spawn` returned")]
    NoGraph(Entity),
    /// The entity is no model.
    #[error("entity {0} is no model of this world; make a new snapshot with the model that replaced it")]
    NoModel(Entity),
    /// A model reads a graph that the snapshot does not hold.
    #[error("model {model} reads graph {graph}, which the snapshot does not hold; add it by `Snapshot::graph`")]
    OtherGraph {
        /// The model.
        model: Entity,
        /// The graph.
        graph: Entity,
    },
    /// A model has other parameters than the state of the snapshot.
    #[error("model {model} cannot have the state of the snapshot: {reason}")]
    OtherModel {
        /// The model.
        model: Entity,
        /// What differs, and what to do.
        reason: String,
    },
    /// A field is on no nodes, edges or subgraphs of the graphs.
    #[error("field `{0}` is on no nodes, edges or subgraphs of the snapshot's graphs; register it for one of these")]
    OtherRows(String),
    /// Nothing has been taken or loaded.
    #[error("the snapshot is empty; call `take` or `load` first")]
    Empty,
    /// The snapshot is of another world.
    #[error("the snapshot was taken of another world; save it by `to_bytes`, and load it for this one")]
    OtherWorld,
    /// The graph or the models are not those of which the snapshot was taken.
    #[error("the graphs or models have other components or fields than when the snapshot was taken; take a new one")]
    Changed,
    /// Hooks or observers despawn or move restored entities.
    #[error(
        "hooks or observers changed the graph's nodes, edges or subgraphs while it was restored; defer these changes"
    )]
    Disturbed,
    /// A ring does not hold the frame.
    #[error("frame {frame} is not in the ring, which holds the last {capacity} frames taken; make the ring larger")]
    NoFrame {
        /// The frame.
        frame: u64,
        /// How many frames the ring can hold.
        capacity: usize,
    },
    /// A component cannot be saved.
    #[error("component `{0}` is only kept in memory; name it by `Snapshot::with_saved`, which needs serde")]
    NotSaved(String),
    /// A value of a component cannot be serialized.
    #[error("component `{name}` cannot be saved: {reason}; let its `Serialize` write all values")]
    NotSerialized {
        /// The component's name.
        name: String,
        /// What serde says.
        reason: String,
    },
    /// The bytes are no snapshot, or were changed.
    #[error("the bytes are no snapshot, or are damaged: {0}; load the bytes that `to_bytes` returned")]
    Damaged(String),
    /// The bytes are of another version of this format.
    #[error("the snapshot has format {found}, but this version reads {expected}; save it again by this version")]
    Version {
        /// The version of the bytes.
        found: u32,
        /// The version that is read.
        expected: u32,
    },
    /// The bytes are of other graphs, models or components.
    #[error(
        "the bytes hold {found}, where the snapshot has {expected}; load them into one with the same graphs, models, \
         components and fields in the same order"
    )]
    Mismatch {
        /// What the snapshot has.
        expected: String,
        /// What the bytes hold.
        found: String,
    },
    /// An entity that is spawned again needs a component without a default.
    #[error(transparent)]
    Field(#[from] FieldError),
}
