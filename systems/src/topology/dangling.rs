//! Edges of nodes that are gone.

use bevy_ecs::{entity::Entity, world::World};
use connectome_components::{Edge, Graph, Topology};

/// A system that removes the edges of a graph one of whose endpoints has been despawned.
///
/// It goes by the graph's [`Topology`]: an edge that loses an endpoint carries no messages in the next step, and is removed
/// after it. Add it to a schedule of a model: `world.add_model_systems(Infer(model),
/// despawn_dangling_edges(graph).in_set(GraphSystems::Act))`; it needs the whole world, so order other systems in `Act`
/// against it. An edge between living entities that are no nodes of the graph stays, and an entity that is a node as well
/// loses only its [`Edge`].
///
/// Costs a look at one number when there is nothing to do, else one at each edge.
pub fn despawn_dangling_edges(graph: Entity) -> impl FnMut(&mut World) {
    let mut dangling: Vec<Entity> = Vec::new();
    move |world| {
        let (Some(parts), Some(topology)) = (world.get::<Graph>(graph), world.get::<Topology>(graph)) else { return };
        if topology.dangling == 0 {
            return;
        }
        let nodes = parts.nodes;
        let rows = topology.edges.entities().iter().zip(&topology.endpoints);
        let without_rows = rows.filter(|(_, endpoints)| endpoints[0] == Topology::NO_ROW).map(|(edge, _)| *edge);
        let is_gone = |entity: Entity| world.get_entity(entity).is_err();
        let lacks_end =
            |edge: &Entity| world.get::<Edge>(*edge).is_some_and(|edge| is_gone(edge.source) || is_gone(edge.target));
        dangling.clear();
        dangling.extend(without_rows.filter(lacks_end));
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
