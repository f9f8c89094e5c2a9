//! Errors of batches.

use bevy_ecs::entity::Entity;
use connectome_components::FieldError;

/// A batch cannot be extracted from a corpus or loaded into a world.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The entity has no `Graph`.
    #[error("entity {0} is no graph of this world; give the entity that `Graph::spawn` returned for it")]
    NoGraph(Entity),
    /// The corpus has changed since its topology was derived.
    #[error("the topology of graph {0} is older than its world; call `Extract::update` when the corpus has changed")]
    Stale(Entity),
    /// A seed is not a node.
    #[error(
        "entity {0} is no node of the corpus' graph, or not one since `Extract::update`; take living nodes as seeds"
    )]
    NoNode(Entity),
    /// An entity is not a subgraph.
    #[error("entity {0} is no subgraph of the corpus' graph, or not one since `Extract::update`; ask for living ones")]
    NoSubgraph(Entity),
    /// Two seeds are the same node.
    #[error("node {0} is a seed twice; each node has one row in a batch")]
    SeedTwice(Entity),
    /// The batch has more rows than 32-bit indices.
    #[error("the batch has more than {max} nodes or edges; ask for fewer graphs", max = u32::MAX - 1)]
    TooLarge,
    /// The fields of a pair differ in width.
    #[error("field `{from}`, {from_width} wide, cannot be copied into a field {to_width} wide; give both one width")]
    Widths {
        /// The name of the corpus' field.
        from: String,
        /// Its width.
        from_width: usize,
        /// The width of the other field.
        to_width: usize,
    },
    /// A field is in another world than the graph.
    #[error("a field belongs to another world; give a field of the corpus first, then one of the training world")]
    OtherWorld,
    /// A field is on the wrong entities.
    #[error("field `{name}` is not one of the graph's {place}; register it on the component that marks them")]
    OtherRows {
        /// The field's name.
        name: String,
        /// The entities it must be on.
        place: &'static str,
    },
    /// A user's hooks or observers despawn or move loaded entities.
    #[error(
        "hooks or observers changed the graph's nodes, edges or subgraphs while a batch was loaded; let them wait until it is loaded"
    )]
    Disturbed,
    /// A component cannot be created.
    #[error(transparent)]
    Field(#[from] FieldError),
}
