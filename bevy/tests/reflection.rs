//! Components by name, for editors and scenes, and entities that they hold.

use bevy_connectome::{BrainClock, BrainHandle, connectome::components::InSubgraph, prelude::*};
use bevy_ecs::{
    entity::{EntityHashMap, MapEntities},
    prelude::*,
    reflect::{AppTypeRegistry, ReflectComponent},
};
use bevy_reflect::TypePath;

use crate::common::{BRAIN, app, assets, until_built};

#[test]
fn every_component_of_a_brain_can_be_read_by_name() {
    let folder = assets(BRAIN);
    let mut app = app(folder.path());
    until_built(&mut app, 1);
    let registry = app.world().resource::<AppTypeRegistry>().clone();
    let registry = registry.read();
    let brain = app.world_mut().query_filtered::<Entity, With<BrainStatus>>().single(app.world()).unwrap();
    for path in [BrainClock::type_path(), BrainHandle::type_path(), BrainMode::type_path(), BrainStatus::type_path()] {
        let registration = registry.get_with_type_path(path).expect(path);
        let component = registration.data::<ReflectComponent>().expect(path);
        assert!(component.reflect(app.world().entity(brain)).is_some(), "{path}");
    }
    assert!(registry.get_with_type_path(Edge::type_path()).is_some());
}

#[test]
fn entities_in_components_are_mapped() {
    let mut world = World::new();
    let [old, new, other] = [(); 3].map(|()| world.spawn_empty().id());
    let mut map = EntityHashMap::from_iter([(old, new)]);
    let mut edge = Edge { source: old, target: other };
    edge.map_entities(&mut map);
    assert_eq!(edge, Edge { source: new, target: other });
    let mut member = InSubgraph(old);
    member.map_entities(&mut map);
    assert_eq!(member, InSubgraph(new));
    let mut status = BrainStatus { model: Some(old), ..BrainStatus::default() };
    BrainStatus::map_entities(&mut status, &mut map);
    assert_eq!(status.model, Some(new));
}
