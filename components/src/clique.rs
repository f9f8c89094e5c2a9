//! Cliques of a graph as entities.

use bevy_ecs::{
    component::Component,
    entity::{Entity, MapEntities},
};
use serde::{Deserialize, Serialize};

/// A clique of a graph, as an entity: nodes that are pairwise adjacent. Written by the systems
/// `find_cliques` and `find_maximum_clique`, which despawn it when the graph has changed.
#[derive(Component, MapEntities, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "reflect", derive(bevy_reflect::Reflect), reflect(bevy_ecs::reflect::Component))]
pub struct Clique {
    /// Its nodes, in the order of their rows.
    #[entities]
    pub nodes: Vec<Entity>,
}

/// The graph of a [`Clique`].
#[derive(Component, Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "reflect", derive(bevy_reflect::Reflect), reflect(bevy_ecs::reflect::Component))]
#[relationship(relationship_target = CliquesOf)]
pub struct CliqueOf(pub Entity);

/// The entities of the [`Clique`]s of a graph, in the order in which they were found; they are despawned with it.
#[derive(Component, Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "reflect", derive(bevy_reflect::Reflect), reflect(bevy_ecs::reflect::Component))]
#[relationship_target(relationship = CliqueOf, linked_spawn)]
pub struct CliquesOf(Vec<Entity>);

/// The state of the last clique search of a graph, on the graph's entity beside its [`CliquesOf`].
#[derive(Component, Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "reflect", derive(bevy_reflect::Reflect), reflect(bevy_ecs::reflect::Component))]
pub struct CliqueSearch {
    /// The [`Topology::version`](crate::Topology::version) that was searched.
    pub version: u64,
    /// Number of cliques found.
    pub count: usize,
    /// Whether these are all; false if limits stopped the search.
    pub is_complete: bool,
}
