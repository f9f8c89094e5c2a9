//! Errors of building and running models.

use bevy_ecs::entity::Entity;
use connectome_components::{Cycle, FieldError};

use super::{KindError, LearningError, LessonError, MixtureError};

/// A model cannot be built or run.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BuildError {
    /// A field could not be registered.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// The entity given as a graph carries no [`Graph`](connectome_components::Graph).
    #[error("entity {0} is no graph; spawn one with `Graph::spawn` or `Graph::of`")]
    NoGraph(Entity),
    /// The world was cleared, after which bevy_ecs cannot insert the resources again that it had before.
    #[error("the world was cleared, and with its entities the resources that models need; create a new `World`")]
    Cleared,
    /// The entity given as a model carries no [`Model`](connectome_components::Model).
    #[error("entity {0} is not a model any more, so its schedules cannot run; build the model again")]
    NoModel(Entity),
    /// A parameter of the model was despawned.
    #[error("parameter {parameter} of model {model} was despawned, so its schedules cannot run; build the model again")]
    NoParameter {
        /// The model.
        model: Entity,
        /// The entity of the parameter.
        parameter: Entity,
    },
    /// The layer needs a dense input, but the input is sparse.
    #[error("layer {layer}{path} needs a dense input; put a Linear or GcnConv before it, or use dense features")]
    Sparse {
        /// The layer, counted from 0.
        layer: usize,
        /// Where in the layer the nested layer lies that is meant, such as `.layers.0`; empty if it is the layer itself.
        path: String,
    },
    /// The layer's settings are invalid, or do not fit its input.
    #[error("layer {layer}{path} {reason}")]
    Layer {
        /// The layer, counted from 0.
        layer: usize,
        /// As for [`BuildError::Sparse`].
        path: String,
        /// The setting to change, if there is one.
        setting: Option<&'static str>,
        /// What is wrong, as the predicate of the sentence; and, after a semicolon, a fix.
        reason: String,
    },
    /// A head's settings are invalid.
    #[error("the head `{head}` {reason}")]
    Head {
        /// The head.
        head: String,
        /// What is wrong, as the predicate of the sentence; and, after a semicolon, a fix.
        reason: String,
    },
    /// The kinds of nodes or the relations do not fit.
    #[error(transparent)]
    Kind(#[from] KindError),
    /// A training step was not applied.
    #[error(transparent)]
    Learning(#[from] LearningError),
    /// A model cannot take lessons, or one of them was discarded.
    #[error(transparent)]
    Lesson(#[from] LessonError),
    /// A mixture of experts cannot be built or run.
    #[error(transparent)]
    Mixture(#[from] MixtureError),
    /// The model needs more memory than its [`MemoryBudget`](crate::MemoryBudget).
    #[error(
        "up to layer {layer}{path} the model needs more memory than its budget; make the layer narrower, or the graph \
         smaller"
    )]
    TooLarge {
        /// The layer, counted from 0.
        layer: usize,
        /// As for [`BuildError::Sparse`].
        path: String,
        /// Bytes of the model up to this layer; none if the count overflows.
        needed: Option<usize>,
    },
    /// The model has too many operations.
    #[error("with layer {layer}{path} the model has more than {most} operations; use fewer layers or hops")]
    TooManyOperations {
        /// The layer, counted from 0.
        layer: usize,
        /// As for [`BuildError::Sparse`].
        path: String,
        /// The limit.
        most: usize,
    },
    /// The model has too many parameters and buffers.
    #[error("with layer {layer}{path} the model has more than {most} parameters and buffers; use fewer layers")]
    TooManyParameters {
        /// The layer, counted from 0.
        layer: usize,
        /// As for [`BuildError::Sparse`].
        path: String,
        /// The limit.
        most: usize,
    },
    /// The model has too many columns.
    #[error("with layer {layer} the model needs more than {most} columns for its values; use fewer layers")]
    TooManyColumns {
        /// The layer, counted from 0.
        layer: usize,
        /// The limit.
        most: usize,
    },
    /// The domain of a field is neither the nodes, the edges nor the subgraphs of the model's graph.
    #[error("`{field}` is not on nodes, edges or subgraphs of the model's graph; register it for one of these")]
    OtherRows {
        /// The field.
        field: String,
    },
    /// The nodes of a graph that a layer reads differ from those of the model's graph.
    #[error(
        "a layer reads graph {0}, whose nodes differ from those of the model's graph; spawn a graph of the same nodes"
    )]
    OtherNodes(Entity),
    /// The model has no layers.
    #[error("the model has no layers; add at least one")]
    Empty,
    /// A recurrent model cannot be trained.
    #[error("a recurrent model cannot be trained yet; remove its optimizer, or give it an input")]
    Recurrent,
    /// The entity with the parity of a recurrent model's state was despawned.
    #[error("entity {owner}, which has the parity of the state of model {model}, was despawned; build the model again")]
    NoState {
        /// The model.
        model: Entity,
        /// The entity.
        owner: Entity,
    },
    /// The rows of a graph have changed since its topology was derived.
    #[error(
        "the rows of graph {0} are not those of its topology, so a model's step was skipped; spawn, despawn and move \
         nodes and edges before `Sync`, in `Act` or between steps, and give each of its edges an `Edge`"
    )]
    ChangedRows(Entity),
    /// Two nodes or two subgraphs of a graph have one key.
    #[error(
        "{one} and {other}, which belong to graph {graph}, have the same `GraphKey`, so the order of sums is not defined; \
         give each a key of its own"
    )]
    SameKeys {
        /// The graph.
        graph: Entity,
        /// A node or subgraph.
        one: Entity,
        /// Another.
        other: Entity,
    },
    /// A layer passes level by level through a graph that has a cycle.
    #[error(
        "graph {graph} has a cycle, {}, so a layer cannot pass through it level by level; remove one of these edges",
        describe(cycle)
    )]
    Cycle {
        /// The graph.
        graph: Entity,
        /// One of its cycles.
        cycle: Cycle,
    },
    /// The optimizer or the gradient settings of the model entity are not those that the model was built for.
    #[error("model {model} cannot learn: {reason}")]
    CannotLearn {
        /// The model.
        model: Entity,
        /// What differs; and, after a semicolon, a fix.
        reason: String,
    },
    /// The world has no such schedule.
    #[error(
        "the world has no schedule {0}; build the model first, with an optimizer if it is to train, and fix the errors \
         of `add_systems`"
    )]
    NoSchedule(String),
    /// Systems access the same field without an order, or their order is circular.
    #[error("the schedule cannot be built:\n{0}")]
    Schedule(String),
}

/// `1v0 -> 2v0 -> 1v0`; of a long cycle the first nodes and the length.
fn describe(cycle: &Cycle) -> String {
    let mut names: Vec<String> = cycle.nodes.iter().map(Entity::to_string).collect();
    let first = names.first().cloned();
    if cycle.length > names.len() {
        names.push(format!("... ({} nodes)", cycle.length));
    }
    names.extend(first);
    names.join(" -> ")
}
