//! Removal of edges of despawned nodes.

use bevy_ecs::{entity::Entity, world::World};
use connectome_components::{Edge, Graph, Topology};

/// A system that despawns the edges of a graph with a despawned endpoint.
///
/// It reads the graph's [`Topology`]: an edge that loses an endpoint carries no messages in the next step, and is
/// despawned after it. Add it to a schedule of a model: `world.add_model_systems(Infer(model),
/// despawn_dangling_edges(graph).in_set(GraphSystems::Act))`; it is exclusive, so order other systems in `Act` against
/// it. An edge between living entities that are no nodes of the graph stays; if the entity of an edge is also a node,
/// only its [`Edge`] is removed.
///
/// Costs `O(1)` without dangling edges, otherwise `O(E)`.
pub fn despawn_dangling_edges(graph: Entity) -> impl FnMut(&mut World) {
    let mut dangling: Vec<Entity> = Vec::new();
    move |world| {
        let (Some(markers), Some(topology)) = (world.get::<Graph>(graph), world.get::<Topology>(graph)) else { return };
        if topology.dangling == 0 {
            return;
        }
        let nodes = markers.nodes;
        let rows = topology.edges.entities().iter().zip(&topology.endpoints);
        let without_rows = rows.filter(|(_, endpoints)| endpoints[0] == Topology::NO_ROW).map(|(edge, _)| *edge);
        let is_dead = |entity: Entity| world.get_entity(entity).is_err();
        let lacks_endpoint =
            |edge: &Entity| world.get::<Edge>(*edge).is_some_and(|edge| is_dead(edge.source) || is_dead(edge.target));
        dangling.clear();
        dangling.extend(without_rows.filter(lacks_endpoint));
        for edge in &dangling {
            let Ok(mut entity) = world.get_entity_mut(*edge) else { continue };
            if entity.contains_id(nodes) {
                entity.remove::<Edge>();
            } else {
                entity.despawn();
            }
        }
    }
}
