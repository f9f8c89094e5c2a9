//! Reflection of components, for editors, inspectors and scenes.

use bevy_reflect::TypeRegistry;

use crate::{
    ClassLabel, Clique, CliqueOf, CliqueSearch, CliquesOf, Edge, EdgeKind, EdgePosition, EdgeWeight, EditDistance,
    GradientAccumulation, GradientClipping, GraphKey, GraphNode, GraphPair, InSubgraph, LearningFault,
    LearningRateSchedule, Metrics, NodeColor, Optimizer, Parity, Split, Subgraph, TrainingState,
};

/// Registers the components of this crate for reflection, behind the feature `reflect`.
///
/// Left out are [`Graph`](crate::Graph), [`Model`](crate::Model), [`MixtureOfExperts`](crate::MixtureOfExperts),
/// [`ModelMarker`](crate::ModelMarker), [`Parameter`](crate::Parameter) and [`Topology`](crate::Topology), which refer to columns of
/// one world.
///
/// ```
/// use bevy_ecs::{prelude::*, reflect::AppTypeRegistry};
///
/// let mut world = World::new();
/// world.init_resource::<AppTypeRegistry>();
/// connectome_components::register_types(&mut world.resource::<AppTypeRegistry>().write());
/// ```
pub fn register_types(registry: &mut TypeRegistry) {
    registry.register::<GraphNode>();
    registry.register::<GraphKey>();
    registry.register::<ClassLabel>();
    registry.register::<Split>();
    registry.register::<NodeColor>();
    registry.register::<Edge>();
    registry.register::<EdgeWeight>();
    registry.register::<EdgeKind>();
    registry.register::<EdgePosition>();
    registry.register::<Subgraph>();
    registry.register::<InSubgraph>();
    registry.register::<Clique>();
    registry.register::<CliqueOf>();
    registry.register::<CliquesOf>();
    registry.register::<CliqueSearch>();
    registry.register::<GraphPair>();
    registry.register::<EditDistance>();
    registry.register::<Optimizer>();
    registry.register::<LearningRateSchedule>();
    registry.register::<GradientAccumulation>();
    registry.register::<GradientClipping>();
    registry.register::<TrainingState>();
    registry.register::<Metrics>();
    registry.register::<LearningFault>();
    registry.register::<Parity>();
}

#[cfg(test)]
mod tests {
    use super::*;
    use bevy_ecs::{prelude::*, reflect::ReflectComponent};
    use bevy_reflect::{PartialReflect, TypePath};

    /// Takes a component off an entity by its name, and gives what it says to another one.
    fn copy(world: &mut World, registry: &TypeRegistry, path: &str, from: Entity, to: Entity) {
        let registration = registry.get_with_type_path(path).expect("the component is registered");
        let component = registration.data::<ReflectComponent>().expect("it is a component");
        let value = component.reflect(world.entity(from)).expect("the entity has it").to_dynamic();
        let value = value.expect("plain data can be copied");
        component.insert(&mut world.entity_mut(to), &*value, registry);
    }

    #[test]
    fn components_are_read_and_written_by_name() {
        let mut registry = TypeRegistry::default();
        register_types(&mut registry);
        let mut world = World::new();
        let [source, target] = [0; 2].map(|_| world.spawn(GraphNode).id());
        let mut metrics = Metrics::new([("class", 0.5)]);
        metrics.head_mut(0).add("kept", Split::Test, 3.0, 2.0);
        let mut optimizer = Optimizer::adam(0.25);
        let given = world.spawn((Edge { source, target }, Split::Validation, metrics.clone(), optimizer)).id();
        let copied = world.spawn_empty().id();
        for path in [Edge::type_path(), Split::type_path(), Metrics::type_path(), Optimizer::type_path()] {
            copy(&mut world, &registry, path, given, copied);
        }
        assert_eq!(world.get(copied), Some(&Edge { source, target }));
        assert_eq!(world.get(copied), Some(&Split::Validation));
        assert_eq!(world.get(copied), Some(&metrics));
        assert_eq!(world.get(copied), Some(&optimizer));
        // What an editor does: a field is found by its name.
        let rate = optimizer.reflect_mut().as_enum().expect("it has variants").field_mut("learning_rate");
        *rate.and_then(|rate| rate.try_downcast_mut::<f32>()).expect("it is a number") = 0.5;
        assert_eq!(optimizer, Optimizer::adam(0.5));
    }

    #[test]
    fn every_type_that_a_component_holds_is_registered() {
        let mut registry = TypeRegistry::default();
        register_types(&mut registry);
        for name in ["HeadMetrics", "SplitMetrics", "Ranking", "Fault"] {
            assert!(registry.get_with_short_type_path(name).is_some(), "{name}");
        }
    }
}
