//! The graphs of a model in a world of its own.

use bevy_ecs::{component::ComponentId, entity::Entity, world::World};
use connectome_components::{Edge, Graph, Marker, Subgraph};

use crate::error::BuildError;

/// A graph of a model in a world of its own.
pub(super) struct OwnGraph {
    /// The graph in the live world.
    pub(super) live: Entity,
    pub(super) own: Entity,
    /// Whether it has nodes or edges that no graph before has: a reversed relation has the edges of the other one.
    pub(super) is_part: bool,
}

/// Spawns for each graph of a live world one alike, of components of the other world.
pub(super) fn spawn(world: &World, live: &[Entity], own: &mut World) -> Result<Vec<OwnGraph>, BuildError> {
    let mut nodes: Vec<(ComponentId, ComponentId)> = Vec::new();
    let mut edges: Vec<(ComponentId, ComponentId)> = Vec::new();
    let subgraphs = own.register_component::<Subgraph>();
    let mut graphs = Vec::new();
    for entity in live {
        let graph = *world.get::<Graph>(*entity).ok_or(BuildError::NoGraph(*entity))?;
        let [target, source] = [graph.nodes, graph.sources].map(|kind| marker(own, &mut nodes, kind));
        let has_edges = !graph.is_without_edges(world);
        let is_part = !edges.iter().any(|(known, _)| *known == graph.edges) || !has_edges;
        let mut copy =
            Graph { sources: source, is_reversed: graph.is_reversed, ..Graph::new(target, target, subgraphs) };
        if has_edges {
            // The edges of one graph are not those of another, as they were if one of them had all entities with `Edge`.
            copy.edges = match live.len() {
                1 => own.register_component::<Edge>(),
                _ => marker(own, &mut edges, graph.edges),
            };
        } else {
            copy = copy.without_edges(own);
        }
        graphs.push(OwnGraph { live: *entity, own: own.spawn(copy).id(), is_part });
    }
    Ok(graphs)
}

/// The component of a kind of entities in the other world.
fn marker(own: &mut World, known: &mut Vec<(ComponentId, ComponentId)>, live: ComponentId) -> ComponentId {
    if let Some((_, component)) = known.iter().find(|(kind, _)| *kind == live) {
        return *component;
    }
    let component = Marker::register(own, "kind").id();
    known.push((live, component));
    component
}
