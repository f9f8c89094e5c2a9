//! Entities that are cloned, disabled or cleared away.

use super::*;

#[test]
fn cloned_entities_keep_their_numbers() {
    let (mut scene, input) = labeled();
    let world = &mut scene.world;
    let model = network(scene.graph, input, STANDSTILL).build(world).unwrap();
    run(world, Infer(model)).unwrap();
    let original = scene.nodes[3];
    let clone = world.entity_mut(original).clone_and_spawn();
    assert_eq!(input.get(world, clone).unwrap(), input.get(world, original).unwrap());
    assert!(input.get(world, clone).unwrap().iter().any(|number| *number != 0.0));
    let edge = world.entity_mut(scene.edges[3]).clone_and_spawn();
    world.entity_mut(edge).insert(Edge { source: scene.nodes[2], target: clone });
    run(world, Infer(model)).unwrap();
    assert_eq!(rows(world, (scene.graph, input)), [NODES + 1, NODES + 1, NODES + 1]);
    let output = output_of(world, model);
    // Both have one edge, from the same node.
    assert_eq!(output.get(world, clone).unwrap().len(), CLASSES);
    // What belongs to one parameter alone is not cloned with it.
    let parameter = world.get::<Model>(model).unwrap().parameters[0];
    let copy = world.entity_mut(parameter).clone_and_spawn();
    let value = world.get::<Parameter>(copy).unwrap().value;
    assert!(value.get(world, copy).is_err());
    assert_eq!(value.matrix(world).row_count(), 1);
}

#[test]
fn marked_entities_are_cloned_with_their_mark() {
    let mut world = World::new();
    for number in 0..12 {
        let marker = connectome_components::Marker::register(&mut world, &format!("kind {number}"));
        let entity = world.spawn_empty().id();
        marker.insert(&mut world, entity).unwrap();
        let clone = world.entity_mut(entity).clone_and_spawn();
        assert!(world.entity(clone).contains_id(marker.id()), "{number}");
    }
}

/// Disabled nodes and edges are those that are not there.
#[test]
fn disabled_entities_take_no_part() {
    let result = |disable: bool| {
        let (mut scene, input) = labeled();
        let world = &mut scene.world;
        let model = network(scene.graph, input, Optimizer::adam(0.01)).build(world).unwrap();
        run(world, Infer(model)).unwrap();
        let (nodes, edges) = ([scene.nodes[5], scene.nodes[6]], [scene.edges[20]]);
        for entity in nodes.into_iter().chain(edges) {
            if disable {
                world.entity_mut(entity).insert(Disabled);
            } else {
                world.despawn(entity);
            }
        }
        for _ in 0..3 {
            run(world, Train(model)).unwrap();
        }
        run(world, Infer(model)).unwrap();
        assert_eq!(rows(world, (scene.graph, input)), [NODES - 2, NODES - 1, NODES - 2]);
        assert_eq!(world.get::<Topology>(scene.graph).unwrap().dangling, 3);
        let output = output_of(world, model);
        let kept = scene.nodes.iter().filter(|node| !nodes.contains(node));
        let outputs: Vec<f32> = kept.flat_map(|node| output.get(world, *node).unwrap().to_vec()).collect();
        // They come back as they were.
        if disable {
            nodes.into_iter().chain(edges).for_each(|entity| _ = world.entity_mut(entity).remove::<Disabled>());
            run(world, Infer(model)).unwrap();
            assert_eq!(rows(world, (scene.graph, input)), [NODES; 3]);
            assert!(input.get(world, nodes[0]).unwrap().iter().any(|number| *number != 0.0));
        }
        (outputs, values(world, model))
    };
    let (disabled, despawned) = (result(true), result(false));
    for (disabled, despawned) in disabled.0.iter().zip(&despawned.0) {
        assert!((disabled - despawned).abs() < 1e-5, "{disabled} {despawned}");
    }
}

#[test]
fn a_cleared_world_says_that_it_was() {
    let (mut scene, input) = labeled();
    let graph = scene.graph;
    let world = &mut scene.world;
    let model = network(graph, input, Optimizer::adam(0.01)).build(world).unwrap();
    run(world, Train(model)).unwrap();
    world.clear_entities();
    assert!(run(world, Infer(model)).is_err());
    assert!(run(world, Train(model)).is_err());
    assert!(remove_model(world, model).is_err());
    assert!(network(graph, input, Optimizer::adam(0.01)).build(world).is_err());
    let graph = Graph::spawn(world);
    let error = network(graph, input, Optimizer::adam(0.01)).build(world).unwrap_err().to_string();
    assert!(error.contains("was cleared") && error.contains("create a new `World`"), "{error}");
    assert!(run(world, Tick).is_err());
}

#[test]
fn a_recurrent_model_without_the_owner_of_its_state_is_an_error() {
    let (mut scene, _) = labeled();
    let world = &mut scene.world;
    let owners = |world: &mut World| world.query_filtered::<Entity, With<Parity>>().iter(world).collect::<Vec<_>>();
    let model = ModelBuilder::new(scene.graph).recurrent(3).layer(GcnConv::new(3)).build(world).unwrap();
    run(world, Infer(model)).unwrap();
    let owner = owners(world)[0];
    world.despawn(owner);
    assert!(message(run(world, Infer(model))).contains(&format!("{owner}")));
    remove_model(world, model).unwrap();
    let model = ModelBuilder::new(scene.graph).recurrent(3).layer(GcnConv::new(3)).build(world).unwrap();
    run(world, Infer(model)).unwrap();
}
