//! Why a model cannot be built or run.

use bevy_ecs::entity::Entity;
use connectome_components::FieldError;

use super::LearningError;

/// A model cannot be built or run.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BuildError {
    /// A field could not be registered.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// The entity given as a graph carries no [`Graph`](connectome_components::Graph).
    #[error("entity {0} is no graph; spawn one with `Graph::spawn` or `Graph::of`")]
    NoGraph(Entity),
    /// The world was cleared, and bevy_ecs can give it no resource any more that it had before.
    #[error("the world was cleared, and with its entities the resources that models need; make a new `World`")]
    Cleared,
    /// The entity given as a model carries no [`Model`](connectome_components::Model).
    #[error("entity {0} is no model any more, so its schedules cannot run; build the model anew")]
    NoModel(Entity),
    /// A parameter of the model was despawned.
    #[error("parameter {parameter} of model {model} is gone, so its schedules cannot run; build the model anew")]
    NoParameter {
        /// The model.
        model: Entity,
        /// The entity of the parameter.
        parameter: Entity,
    },
    /// The layer needs a dense input, but the input is sparse.
    #[error("layer {layer} needs a dense input; put a Linear or GcnConv before it, or give dense features")]
    Sparse {
        /// The layer, counted from 0.
        layer: usize,
    },
    /// The layer's settings are invalid, or do not fit its input.
    #[error("layer {layer} {reason}")]
    Layer {
        /// The layer, counted from 0.
        layer: usize,
        /// The setting to be changed, if it is one.
        setting: Option<&'static str>,
        /// What the layer does wrong; and, after a semicolon, what to do.
        reason: String,
    },
    /// A head cannot be as it is described.
    #[error("the head `{head}` {reason}")]
    Head {
        /// The head.
        head: String,
        /// What is wrong; and, after a semicolon, what to do.
        reason: String,
    },
    /// A training step was not applied.
    #[error(transparent)]
    Learning(#[from] LearningError),
    /// The model would take more than the [`MemoryBudget`](crate::MemoryBudget) it is given.
    #[error(
        "up to layer {layer} the model takes more memory than its budget; make the layer narrower, or the graph smaller"
    )]
    TooLarge {
        /// The layer, counted from 0.
        layer: usize,
        /// Bytes of the model up to this layer; none if the count overflows.
        needed: Option<usize>,
    },
    /// The model has more operations than can be built.
    #[error("with layer {layer} the model has more than {most} operations; give it fewer layers or hops")]
    TooManyOperations {
        /// The layer, counted from 0.
        layer: usize,
        /// The limit.
        most: usize,
    },
    /// A field is on entities that are neither nodes, edges nor subgraphs of the model's graph.
    #[error("`{field}` is not on nodes, edges or subgraphs of the model's graph; register it on one of these")]
    OtherRows {
        /// The field.
        field: String,
    },
    /// A graph that a layer reads has other nodes than the model's graph.
    #[error(
        "a layer reads graph {0}, whose nodes differ from those of the model's graph; make a graph over the same nodes"
    )]
    OtherNodes(Entity),
    /// The model has no layers.
    #[error("the model has no layers; add at least one")]
    Empty,
    /// A recurrent model cannot be trained.
    #[error("a recurrent model cannot learn yet; leave out `learn`, or give it an input")]
    Recurrent,
    /// The entity by whose parity the state of a recurrent model changes roles was despawned.
    #[error("entity {owner}, by which the state of model {model} changes roles, is gone; build the model anew")]
    NoState {
        /// The model.
        model: Entity,
        /// The entity.
        owner: Entity,
    },
    /// The rows of a graph are not those that its topology was derived from.
    #[error(
        "the rows of graph {0} are not those of its topology, so a model's step was left out; spawn, despawn and move \
         nodes and edges before `Sync`, in `Act` or between steps, and give each of its edges an `Edge`"
    )]
    ChangedRows(Entity),
    /// The components by which the model learns are not those that it was built for.
    #[error("model {model} cannot learn: {reason}")]
    CannotLearn {
        /// The model.
        model: Entity,
        /// What does not fit; and, after a semicolon, what to do.
        reason: String,
    },
    /// There is no such schedule in the world.
    #[error(
        "the world has no schedule {0}; build the model first, let it learn if it is to train, and mend what `add_systems` refused"
    )]
    NoSchedule(String),
    /// Systems without an order access the same field, or their order is circular.
    #[error("the schedule cannot be built:\n{0}")]
    Schedule(String),
}
