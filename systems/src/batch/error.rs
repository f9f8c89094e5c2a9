//! What can go wrong with batches.

use bevy_ecs::entity::Entity;
use connectome_components::FieldError;

/// A batch could not be extracted from a corpus, or not be loaded into a world.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The entity has no `Graph`.
    #[error("entity {0} is no graph of this world; give the entity that `Graph::spawn` returned for it")]
    NoGraph(Entity),
    /// The corpus has changed since its topology was derived.
    #[error("the topology of graph {0} is older than its world; call `Extract::update` when the corpus has changed")]
    Stale(Entity),
    /// A seed that is no node.
    #[error(
        "entity {0} is no node of the corpus' graph, or not one since `Extract::update`; take living nodes as seeds"
    )]
    NoNode(Entity),
    /// What was asked for is no subgraph.
    #[error("entity {0} is no subgraph of the corpus' graph, or not one since `Extract::update`; ask for living ones")]
    NoSubgraph(Entity),
    /// Two seeds are the same node.
    #[error("node {0} is a seed twice; each node has one row in a batch")]
    SeedTwice(Entity),
    /// Rows are numbered in 32 bits.
    #[error("the batch has more than {max} nodes or edges; ask for fewer graphs", max = u32::MAX - 1)]
    TooLarge,
    /// The fields of a pair differ in width.
    #[error("field `{from}` of {from_width} numbers cannot be copied into one of {to_width}; make both as wide")]
    Widths {
        /// The name of the corpus' field.
        from: String,
        /// Its width.
        from_width: usize,
        /// That of the field it was to be copied into.
        to_width: usize,
    },
    /// A field is in another world than the graph.
    #[error("a field was given that another world has made; name one of the corpus first, then one to load it into")]
    OtherWorld,
    /// A field is not on the component that it would have to be on.
    #[error("field `{name}` is not one of the graph's {place}; register it on the component that marks them")]
    OtherRows {
        /// The field's name.
        name: String,
        /// What it would have to belong to.
        place: &'static str,
    },
    /// Hooks or observers of the user's despawn or move what is loaded.
    #[error("hooks or observers changed the graph's nodes, edges or subgraphs while a batch was loaded; let them wait")]
    Disturbed,
    /// A component cannot be made.
    #[error(transparent)]
    Field(#[from] FieldError),
}
