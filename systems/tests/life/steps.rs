//! Steps within which the world changes.

use super::*;

/// What an exclusive system does to the graph in the midst of a step.
#[test]
fn structural_changes_in_the_midst_of_a_step_are_found() {
    #[derive(Component)]
    struct Moved;
    let spawn = |world: &mut World| _ = world.spawn(GraphNode);
    let despawn = |world: &mut World| {
        let node = world.query_filtered::<Entity, With<GraphNode>>().iter(world).next().unwrap();
        world.despawn(node);
    };
    let despawn_edge = |world: &mut World| {
        let edge = world.query_filtered::<Entity, With<Edge>>().iter(world).next().unwrap();
        world.despawn(edge);
    };
    let relocate = |world: &mut World| {
        let node = world.query_filtered::<Entity, With<GraphNode>>().iter(world).next().unwrap();
        world.entity_mut(node).insert(Moved);
    };
    // As many rows as before in the same tables, but in another order.
    let shuffle = |world: &mut World| {
        let node = world.query_filtered::<Entity, With<GraphNode>>().iter(world).next().unwrap();
        world.entity_mut(node).insert(Moved).remove::<Moved>();
    };
    type Change = (&'static str, fn(&mut World));
    let changes: [Change; 5] = [
        ("spawn", spawn),
        ("despawn", despawn),
        ("despawn an edge", despawn_edge),
        ("move", relocate),
        ("shuffle", shuffle),
    ];
    #[derive(Resource)]
    struct Now(bool);
    for (name, change) in changes {
        for part in [GraphSystems::Observe, GraphSystems::Loss, GraphSystems::Act] {
            let (mut scene, input) = labeled();
            let graph = scene.graph;
            let world = &mut scene.world;
            let model = network(graph, input, Optimizer::adam(0.01)).build(world).unwrap();
            run(world, Train(model)).unwrap();
            world.insert_resource(Now(true));
            let change = move |world: &mut World| {
                if world.resource::<Now>().0 {
                    change(world);
                }
            };
            add_systems(world, Train(model), change.in_set(part).ambiguous_with_all()).unwrap();
            let before = (values(world, model), *world.get::<TrainingState>(model).unwrap());
            let result = run(world, Train(model));
            if part == GraphSystems::Act {
                result.unwrap();
                assert_ne!(values(world, model), before.0);
            } else {
                let error = message(result);
                assert!(error.contains(&format!("rows of graph {graph}")), "{name} in {part:?}: {error}");
                assert_eq!((values(world, model), *world.get::<TrainingState>(model).unwrap()), before, "{name}");
            }
            world.resource_mut::<Now>().0 = false;
            run(world, Train(model)).unwrap();
            assert_ne!(values(world, model), before.0, "{name} in {part:?}");
        }
    }
}

/// The forward pass has changed the running statistics by then.
#[test]
fn a_step_whose_rows_change_after_the_forward_pass_leaves_no_statistics() {
    #[derive(Resource)]
    struct Now(bool);
    let shuffle = |world: &mut World| {
        if world.resource::<Now>().0 {
            let node = world.query_filtered::<Entity, With<GraphNode>>().iter(world).next().unwrap();
            world.spawn(GraphNode);
            world.despawn(node);
        }
    };
    let (mut scene, input) = labeled();
    let world = &mut scene.world;
    let model = ModelBuilder::new(scene.graph).input(input).layer(BatchNorm::new()).layer(GcnConv::new(CLASSES));
    let model = model.optimizer(Optimizer::adam(0.01)).build(world).unwrap();
    world.insert_resource(Now(false));
    add_systems(world, Train(model), shuffle.in_set(GraphSystems::Loss).ambiguous_with_all()).unwrap();
    run(world, Train(model)).unwrap();
    let before = values(world, model);
    assert_eq!(before.iter().filter(|(name, _)| name.contains("running")).count(), 2, "{before:?}");
    world.resource_mut::<Now>().0 = true;
    let error = message(run(world, Train(model)));
    assert!(error.contains("the rows of graph"), "{error}");
    assert_eq!(values(world, model), before);
    world.resource_mut::<Now>().0 = false;
    run(world, Train(model)).unwrap();
    let after = values(world, model);
    assert!(before.iter().zip(&after).all(|(before, after)| before != after), "{after:?}");
}
