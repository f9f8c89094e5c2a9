//! Cliques of a graph as entities.

use bevy_ecs::{component::Component, entity::Entity};

/// A clique of a graph, on an entity of its own: nodes that are all joined to each other. Written by the systems
/// `find_cliques` and `find_maximum_clique`, which despawn it when the graph has changed.
#[derive(Component, Clone, Debug, PartialEq, Eq)]
pub struct Clique {
    /// Its nodes, in the order of their rows.
    pub nodes: Vec<Entity>,
}

/// The graph that a [`Clique`] is one of.
#[derive(Component, Clone, Copy, Debug, PartialEq, Eq)]
#[relationship(relationship_target = CliquesOf)]
pub struct CliqueOf(pub Entity);

/// The entities of the [`Clique`]s of a graph, in the order in which they were found; they are despawned with it.
#[derive(Component, Clone, Debug, Default, PartialEq, Eq)]
#[relationship_target(relationship = CliqueOf, linked_spawn)]
pub struct CliquesOf(Vec<Entity>);

/// What was looked for among the cliques of a graph, and whether it was found: stands on the graph beside its
/// [`CliquesOf`].
#[derive(Component, Clone, Copy, Debug, PartialEq, Eq)]
pub struct CliqueSearch {
    /// The [`Topology::version`](crate::Topology::version) that was searched.
    pub version: u64,
    /// How many were found.
    pub count: usize,
    /// Whether these are all; not if limits cut the search.
    pub is_complete: bool,
}
