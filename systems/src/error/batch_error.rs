//! Errors of batches.

use bevy_ecs::entity::Entity;
use connectome_components::FieldError;

/// A batch cannot be extracted from a corpus or loaded into a world.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The entity has no `Graph`.
    #[error("entity {0} is no graph of this world; pass the entity that `Graph::spawn` returned")]
    NoGraph(Entity),
    /// The corpus has changed since its topology was derived.
    #[error("the topology of graph {0} is older than its world; call `Extract::update` when the corpus has changed")]
    Stale(Entity),
    /// A relation between two kinds of nodes is to be extracted in part.
    #[error("graph {0} leads from one kind of nodes to another; extract it as a whole by `Extract::whole`")]
    Relation(Entity),
    /// A batch of a graph is loaded into a relation between two kinds of nodes, or the reverse.
    #[error(
        "graph {0} leads from one kind of nodes to another and the batch does not, or the reverse; load it into one alike"
    )]
    OtherKinds(Entity),
    /// A seed is not a node.
    #[error("entity {0} is no node of the corpus, or was spawned after `Extract::update`; use living nodes as seeds")]
    NoNode(Entity),
    /// An entity is not a subgraph.
    #[error("entity {0} is no subgraph of the corpus, or was spawned after `Extract::update`; pass living subgraphs")]
    NoSubgraph(Entity),
    /// Two seeds are the same node.
    #[error("node {0} is a seed twice, but has one row in a batch; remove duplicate seeds")]
    SeedTwice(Entity),
    /// The batch has more rows than 32-bit indices.
    #[error("the batch has more than {max} nodes or edges; extract fewer graphs", max = u32::MAX - 1)]
    TooLarge,
    /// The fields of a pair differ in width.
    #[error("field `{from}` of width {from_width} cannot be copied to a field of width {to_width}; use equal widths")]
    Widths {
        /// The name of the corpus' field.
        from: String,
        /// Its width.
        from_width: usize,
        /// The width of the other field.
        to_width: usize,
    },
    /// A field is in another world than the graph.
    #[error("a field belongs to another world; pass a field of the corpus first, then one of the training world")]
    OtherWorld,
    /// A field has another domain.
    #[error("field `{name}` is not on {domain} of the graph; register it for the component that marks them")]
    OtherRows {
        /// The field's name.
        name: String,
        /// The domain it must have.
        domain: &'static str,
    },
    /// The batch was extracted without the values of fields.
    #[error("the batch has left its values in the corpus; load it by `Extract::load`")]
    Left,
    /// Hooks or observers despawn or move loaded entities.
    #[error(
        "hooks or observers changed the graph's nodes, edges or subgraphs while a batch was loaded; defer these changes"
    )]
    Disturbed,
    /// A component cannot be created.
    #[error(transparent)]
    Field(#[from] FieldError),
}
