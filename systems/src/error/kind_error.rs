//! Errors of kinds of nodes and of relations.

use bevy_ecs::entity::Entity;

/// The kinds of nodes of a model, or its relations, do not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KindError {
    /// A relation begins or ends in a kind that the model does not have.
    #[error(
        "the relation `{relation}` leads from or to nodes of the kind `{kind}`, of which the model reads none; add \
         that kind, or take one of {known}"
    )]
    Unknown {
        /// The relation.
        relation: String,
        /// The kind.
        kind: String,
        /// The kinds of the model.
        known: String,
    },
    /// A name is empty, or has a dot.
    #[error("a {what} is called `{name}`; give it a name without a dot, which separates the names of parameters")]
    Name {
        /// Kind or relation.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// Two kinds, or two relations, have one name.
    #[error("two of them have the {what} name `{name}`; give each {what} one of its own")]
    SameName {
        /// Kind or relation.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// Two relations are one graph.
    #[error(
        "the relations `{relation}` and `{other}` are one graph, so messages would count twice; remove one of them"
    )]
    SameGraph {
        /// The relation.
        relation: String,
        /// The other one.
        other: String,
    },
    /// A kind has no input.
    #[error("nothing is read of the nodes of the kind `{kind}`; give it an input")]
    NoInput {
        /// The kind.
        kind: String,
    },
    /// No relation begins or ends in a kind.
    #[error(
        "no relation begins or ends in the kind `{kind}`, so the model does not depend on it; add one, or remove it"
    )]
    Unrelated {
        /// The kind.
        kind: String,
    },
    /// The graph of a model is a relation that is not among its relations.
    #[error("graph {graph} of the model leads from one kind of nodes to another; add it as a relation, too")]
    RelationAlone {
        /// The graph.
        graph: Entity,
    },
    /// The graph of a model is a relation that ends in another kind than the model's own.
    #[error(
        "the relation `{relation}` is the graph of the model, so it has to end in its kind `{kind}`; begin with another graph"
    )]
    OwnGraph {
        /// The relation.
        relation: String,
        /// The kind of the model.
        kind: String,
    },
    /// The nodes of a relation's graph are not those of the kind.
    #[error(
        "the relation `{relation}` has nodes with `{found}` where it leads from or to the kind `{kind}`, which is \
         another component's, or that component another kind's; give each kind one component"
    )]
    OtherNodes {
        /// The relation.
        relation: String,
        /// The kind.
        kind: String,
        /// The component.
        found: String,
    },
    /// A relation has other subgraphs than the model's graph.
    #[error("the relation `{relation}` has subgraphs of another component than the model's graph; give both the same")]
    OtherSubgraphs {
        /// The relation.
        relation: String,
    },
    /// A head reads a kind that the model does not have.
    #[error("the head `{head}` reads nodes of the kind `{kind}`, of which the model has none; take one of {known}")]
    UnknownInHead {
        /// The head.
        head: String,
        /// The kind.
        kind: String,
        /// The kinds of the model.
        known: String,
    },
}
