//! A model's life in a world that goes on: it is built, changed while it learns, replaced and taken out, and leaves nothing
//! behind.
//!
//! A failure shows what grew with the number of rebuilds, the message that named nobody, or the numbers that differ.

use crate::common;

use bevy_ecs::{
    entity_disabling::Disabled,
    prelude::*,
    schedule::{SystemKey, SystemSet},
    system::{SystemAccess, SystemParamBuilder},
};
use common::{Link, STANDSTILL, Scene, numbers};
use connectome_components::{
    ClassLabel, Column, Edge, Features, Field, FieldPool, GradientAccumulation, GradientClipping, Graph, GraphNode,
    LearningRateSchedule, Loss, Metrics, Model, Optimizer, Parameter, Parity, Split, Topology, TrainingState,
    attach_fields,
};
use connectome_systems::{
    Evaluate, GraphSystems, Head, Infer, LearningError, ModelBuilder, ModelSystems, Train, add_model_to_schedule,
    add_systems,
    kernels::Activation,
    layers::{BatchNorm, BuildError, Dropout, GcnConv, Linear},
    remove_model, replace_model, run, take_error,
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Instant,
};

const NODES: usize = 40;
const CLASSES: usize = 3;

/// A ring of labeled nodes with a field `input`.
fn labeled() -> (Scene, Field) {
    let link = |source| Link { source, target: (source + 1) % NODES, weight: None };
    let mut scene = Scene::new(NODES, &(0..NODES).map(link).collect::<Vec<_>>());
    let input = scene.field("input", &numbers(1, 0, (NODES, 4))).unwrap();
    for (number, node) in scene.nodes.iter().enumerate() {
        scene.world.entity_mut(*node).insert((ClassLabel((number % CLASSES) as u32), Split::Train));
    }
    (scene, input)
}

/// A small network of graph convolutions that learns.
fn network(graph: Entity, input: Field, optimizer: Optimizer) -> ModelBuilder {
    let model = ModelBuilder::new(graph).input(input).layer(GcnConv::new(5)).layer(Activation::Relu);
    model.layer(Linear::new(CLASSES)).optimizer(optimizer)
}

/// The numbers of a field of every parameter, as bits, by name.
fn bits(world: &World, model: Entity, field: impl Fn(&Parameter) -> Option<Field>) -> Vec<(String, Vec<u32>)> {
    let parameters = &world.get::<Model>(model).unwrap().parameters;
    let numbers = parameters.iter().filter_map(|entity| {
        let parameter = world.get::<Parameter>(*entity).unwrap();
        let numbers = field(parameter)?.get(world, *entity).unwrap();
        Some((parameter.name.clone(), numbers.iter().map(|number| number.to_bits()).collect()))
    });
    numbers.collect()
}

fn values(world: &World, model: Entity) -> Vec<(String, Vec<u32>)> {
    bits(world, model, |parameter| Some(parameter.value))
}

fn moments(world: &World, model: Entity) -> Vec<(String, Vec<u32>)> {
    bits(world, model, |parameter| parameter.moments)
}

/// What a world holds: registered components, components of a node, archetypes, tables.
fn census(scene: &Scene) -> [usize; 4] {
    let world = &scene.world;
    let node = world.entity(scene.nodes[0]).archetype().component_count();
    [world.components().len(), node, world.archetypes().len(), world.storages().tables.len()]
}

/// The census after some rebuilds, and after 1,000.
fn rebuilds(describe: impl Fn(&Scene, Field) -> ModelBuilder, learns: bool) -> [[usize; 4]; 2] {
    let (mut scene, input) = labeled();
    let mut after = [[0; 4]; 2];
    let mut seconds = Vec::new();
    for number in 1..=1000 {
        let begin = Instant::now();
        let model = describe(&scene, input).build(&mut scene.world).unwrap();
        seconds.push(begin.elapsed().as_secs_f64());
        run(&mut scene.world, Infer(model)).unwrap();
        if learns {
            run(&mut scene.world, Train(model)).unwrap();
        }
        remove_model(&mut scene.world, model).unwrap();
        assert!(scene.world.get_entity(model).is_err());
        if number == 2 {
            after[0] = census(&scene);
        }
    }
    after[1] = census(&scene);
    println!("build 2 took {:.6} s, build 1000 {:.6} s", seconds[1], seconds[999]);
    after
}

#[test]
fn a_thousand_rebuilds_leave_what_two_left() {
    let [two, thousand] = rebuilds(|scene, input| network(scene.graph, input, Optimizer::adam(0.01)), true);
    assert_eq!(two, thousand, "components, components of a node, archetypes, tables");
}

#[test]
fn rebuilds_of_a_recurrent_model_leave_what_two_left() {
    let describe = |scene: &Scene, _| ModelBuilder::new(scene.graph).recurrent(3).layer(GcnConv::new(3));
    let [two, thousand] = rebuilds(describe, false);
    assert_eq!(two, thousand, "components, components of a node, archetypes, tables");
}

#[test]
fn rebuilds_of_a_model_with_targets_of_its_own_leave_what_two_left() {
    let describe = |scene: &Scene, input| {
        let model = ModelBuilder::new(scene.graph).input(input).layer(Linear::new(2));
        let model = model.loss(connectome_components::Loss::MeanSquaredError);
        model.optimizer(Optimizer::adam(0.01))
    };
    let [two, thousand] = rebuilds(describe, true);
    assert_eq!(two, thousand, "components, components of a node, archetypes, tables");
}

/// A column that another model has used is as good as new.
#[test]
fn a_rebuilt_model_computes_the_bits_of_the_first() {
    let (mut scene, input) = labeled();
    let mut train = || {
        let model = network(scene.graph, input, Optimizer::adam(0.01)).build(&mut scene.world).unwrap();
        (0..3).for_each(|_| run(&mut scene.world, Train(model)).unwrap());
        let learned = (values(&scene.world, model), moments(&scene.world, model));
        remove_model(&mut scene.world, model).unwrap();
        learned
    };
    assert_eq!(train(), train());
}

#[test]
fn a_replaced_model_keeps_what_has_the_same_name_and_shape() {
    let (mut scene, input) = labeled();
    let world = &mut scene.world;
    let before = network(scene.graph, input, Optimizer::adam(0.01)).build(world).unwrap();
    (0..3).for_each(|_| run(world, Train(before)).unwrap());
    let known = (values(world, before), moments(world, before));
    let wider = ModelBuilder::new(scene.graph).input(input).seed(8).layer(GcnConv::new(5)).layer(Activation::Relu);
    let wider = wider.layer(Linear::new(CLASSES + 1)).optimizer(Optimizer::adam(0.01));
    let after = replace_model(world, before, wider).unwrap();
    assert!(world.get_entity(before).is_err());
    let kept = (values(world, after), moments(world, after));
    for ((name, known), (_, kept)) in known.0.iter().zip(&kept.0).chain(known.1.iter().zip(&kept.1)) {
        assert_eq!(name.starts_with("layers.0"), known == kept, "{name}");
    }
    assert_eq!(world.get::<TrainingState>(after).unwrap().step, 3, "its moments are of three steps");
    run(world, Train(after)).unwrap();
    assert_ne!(values(world, after), kept.0);
}

/// Squares would be read out of velocities.
#[test]
fn a_replaced_model_forgets_the_moments_of_another_kind_of_optimizer() {
    let (mut scene, input) = labeled();
    let world = &mut scene.world;
    let momentum = Optimizer::Sgd { learning_rate: 0.1, momentum: 0.9, nesterov: false, weight_decay: 0.0 };
    let squares = Optimizer::RmsProp { learning_rate: 0.01, decay: 0.9, epsilon: 1e-8, weight_decay: 0.0 };
    let before = network(scene.graph, input, momentum).build(world).unwrap();
    (0..3).for_each(|_| run(world, Train(before)).unwrap());
    let known = values(world, before);
    let after = replace_model(world, before, network(scene.graph, input, squares)).unwrap();
    assert_eq!(values(world, after), known);
    assert!(moments(world, after).iter().all(|(_, moments)| moments.iter().all(|moment| *moment == 0)));
}

#[test]
fn refused_systems_leave_the_schedule_as_it_was() {
    let (mut scene, input) = labeled();
    let model = network(scene.graph, input, STANDSTILL).build(&mut scene.world).unwrap();
    run(&mut scene.world, Infer(model)).unwrap();
    let expected = scene.output(model).unwrap();
    let race = |scene: &mut Scene| {
        let output = scene.world.get::<Model>(model).unwrap().output;
        let race = (output.write(),).build_state(&mut scene.world);
        race.build_system(|mut output: connectome_components::ColumnMut| {
            output.matrix().rows_mut().for_each(|row| row.fill(0.0));
        })
    };
    for _ in 0..2 {
        let racing = race(&mut scene).with_name("meddle").in_set(GraphSystems::Forward);
        let error = add_systems(&mut scene.world, Infer(model), racing).unwrap_err().to_string();
        assert!(error.contains("meddle"), "{error}");
        run(&mut scene.world, Infer(model)).unwrap();
        assert_eq!(scene.output(model).unwrap(), expected);
    }
    // What is in order is taken afterwards.
    let after = race(&mut scene).in_set(GraphSystems::Act);
    add_systems(&mut scene.world, Infer(model), after).unwrap();
    run(&mut scene.world, Infer(model)).unwrap();
    assert!(scene.output(model).unwrap().iter().all(|number| *number == 0.0));
}

#[test]
fn a_circle_of_orders_leaves_the_model_its_schedule() {
    let (mut scene, input) = labeled();
    let model = network(scene.graph, input, STANDSTILL).build(&mut scene.world).unwrap();
    run(&mut scene.world, Infer(model)).unwrap();
    let expected = scene.output(model).unwrap();
    let circular = || (|| {}).after(GraphSystems::Act).before(GraphSystems::Observe);
    let error = add_systems(&mut scene.world, Infer(model), circular()).unwrap_err().to_string();
    assert!(error.contains("cycle") && error.contains("add all others again"), "{error}");
    run(&mut scene.world, Infer(model)).unwrap();
    assert_eq!(scene.output(model).unwrap(), expected);
    // Of a schedule of one's own each run says it.
    add_model_to_schedule(&mut scene.world, Tick, Infer(model)).unwrap();
    add_systems(&mut scene.world, Tick, circular()).unwrap_err();
    for _ in 0..2 {
        let error = run(&mut scene.world, Tick).unwrap_err().to_string();
        assert!(error.contains("cycle"), "{error}");
    }
}

#[derive(Resource, Default)]
struct Seen(Vec<&'static str>);

#[test]
fn a_panic_in_a_system_of_the_users_leaves_the_schedule_in_place() {
    #[derive(Resource)]
    struct Explosive(bool);
    let (mut scene, input) = labeled();
    let world = &mut scene.world;
    let model = network(scene.graph, input, Optimizer::adam(0.01)).build(world).unwrap();
    world.init_resource::<Seen>();
    world.insert_resource(Explosive(true));
    let systems = (
        (|mut seen: ResMut<Seen>| seen.0.push("observe")).in_set(GraphSystems::Observe),
        (|explosive: Res<Explosive>| assert!(!explosive.0, "as asked for")).in_set(GraphSystems::Loss),
        (|mut seen: ResMut<Seen>| seen.0.push("act")).in_set(GraphSystems::Act),
    );
    add_systems(world, Train(model), systems).unwrap();
    for _ in 0..2 {
        world.resource_mut::<Explosive>().0 = true;
        let before = values(world, model);
        let step = world.get::<TrainingState>(model).unwrap().step;
        world.resource_mut::<Seen>().0.clear();
        assert!(catch_unwind(AssertUnwindSafe(|| run(world, Train(model)))).is_err());
        assert_eq!(world.resource::<Seen>().0, ["observe"]);
        assert_eq!(values(world, model), before);
        world.resource_mut::<Explosive>().0 = false;
        run(world, Train(model)).unwrap();
        assert_eq!(world.resource::<Seen>().0, ["observe", "observe", "act"]);
        assert_eq!(world.get::<TrainingState>(model).unwrap().step, step + 1);
        assert_ne!(values(world, model), before);
    }
}

#[derive(Resource, Default)]
struct ActedOn(Vec<Vec<u32>>);

#[test]
fn the_output_is_valid_when_it_is_acted_on_in_every_schedule() {
    let (mut scene, input) = labeled();
    let model = network(scene.graph, input, STANDSTILL).build(&mut scene.world).unwrap();
    let nodes = input.domain();
    attach_fields(&mut scene.world, nodes);
    scene.world.init_resource::<ActedOn>();
    let output = scene.world.get::<Model>(model).unwrap().output;
    let mut act = || {
        let state = (output.read(), bevy_ecs::system::ParamBuilder::resource_mut::<ActedOn>());
        let act = state.build_state(&mut scene.world).build_system(|output: Column, mut seen: ResMut<ActedOn>| {
            seen.0.push(output.matrix().rows().flatten().map(|number| number.to_bits()).collect());
        });
        act.in_set(GraphSystems::Act)
    };
    let [infer, train, evaluate] = [act(), act(), act()];
    add_systems(&mut scene.world, Infer(model), infer).unwrap();
    add_systems(&mut scene.world, Train(model), train).unwrap();
    add_systems(&mut scene.world, Evaluate(model), evaluate).unwrap();
    run(&mut scene.world, Infer(model)).unwrap();
    run(&mut scene.world, Train(model)).unwrap();
    run(&mut scene.world, Evaluate(model)).unwrap();
    let seen = &scene.world.resource::<ActedOn>().0;
    assert_eq!(seen.len(), 3);
    assert_eq!(seen[0].len(), NODES * CLASSES);
    assert!(seen[0].iter().any(|number| *number != 0));
    assert_eq!(seen[1], seen[0], "of training");
    assert_eq!(seen[2], seen[0], "of evaluation");
}

fn message(result: Result<(), BuildError>) -> String {
    result.expect_err("is to be refused").to_string()
}

/// Trains once, and says whether a weight has moved.
fn learns(world: &mut World, model: Entity) -> bool {
    let before = values(world, model);
    run(world, Train(model)).unwrap();
    values(world, model) != before
}

#[test]
fn another_optimizer_goes_on_if_there_is_room_and_is_refused_if_not() {
    let (mut scene, input) = labeled();
    let world = &mut scene.world;
    let model = network(scene.graph, input, Optimizer::sgd(0.1)).build(world).unwrap();
    assert!(learns(world, model));
    // Adam remembers two numbers where there is room for one.
    world.entity_mut(model).insert(Optimizer::adam(0.01));
    let before = (values(world, model), *world.get::<TrainingState>(model).unwrap());
    let error = message(run(world, Train(model)));
    assert!(error.contains("replace_model") && error.contains(&format!("{model}")), "{error}");
    assert_eq!((values(world, model), *world.get::<TrainingState>(model).unwrap()), before);
    run(world, Infer(model)).unwrap();
    // RMSprop remembers one, of another kind: as if it began now.
    world.entity_mut(model).insert(Optimizer::RmsProp {
        learning_rate: 0.01,
        decay: 0.9,
        epsilon: 1e-8,
        weight_decay: 0.0,
    });
    assert!(learns(world, model));
    let squares = moments(world, model);
    assert!(squares.iter().flat_map(|(_, moments)| moments).all(|moment| f32::from_bits(*moment) >= 0.0));
    for missing in ["Optimizer", "LearningRateSchedule", "TrainingState", "Metrics"] {
        let kept = world.entity(model).get::<Optimizer>().copied();
        let state = *world.get::<TrainingState>(model).unwrap();
        let mut entity = world.entity_mut(model);
        match missing {
            "Optimizer" => _ = entity.remove::<Optimizer>(),
            "LearningRateSchedule" => _ = entity.remove::<LearningRateSchedule>(),
            "TrainingState" => _ = entity.remove::<TrainingState>(),
            _ => _ = entity.remove::<Metrics>(),
        }
        let error = message(run(world, Train(model)));
        assert!(error.contains(missing), "{error}");
        let given = (kept.unwrap(), LearningRateSchedule::Constant, state, Metrics::default());
        world.entity_mut(model).insert(given);
        assert!(learns(world, model));
    }
}

/// A new kind of optimizer takes the steps that it takes at the beginning.
#[test]
fn an_optimizer_that_comes_later_steps_as_a_new_one() {
    let (mut scene, input) = labeled();
    let adam = Optimizer::adam(0.01);
    let sgd = Optimizer::sgd(0.0);
    let build = |scene: &mut Scene, optimizer| network(scene.graph, input, optimizer).build(&mut scene.world).unwrap();
    let models = [build(&mut scene, adam), build(&mut scene, adam)];
    let world = &mut scene.world;
    world.entity_mut(models[0]).insert(sgd);
    (0..5).for_each(|_| run(world, Train(models[0])).unwrap());
    world.entity_mut(models[0]).insert(adam);
    for _ in 0..3 {
        models.iter().for_each(|model| run(world, Train(*model)).unwrap());
        assert_eq!(values(world, models[0]), values(world, models[1]));
        assert_eq!(moments(world, models[0]), moments(world, models[1]));
    }
}

#[test]
fn learning_rate_and_clipping_may_change_while_a_model_learns() {
    let (mut scene, input) = labeled();
    let world = &mut scene.world;
    let model = network(scene.graph, input, Optimizer::sgd(0.1)).build(world).unwrap();
    assert!(learns(world, model));
    world.entity_mut(model).insert(Optimizer::sgd(0.0));
    assert!(!learns(world, model));
    world.entity_mut(model).insert((Optimizer::sgd(0.1), LearningRateSchedule::Step { every: 1, factor: 0.0 }));
    assert!(!learns(world, model));
    world.entity_mut(model).insert(LearningRateSchedule::Constant);
    assert!(learns(world, model));
    world.entity_mut(model).insert(GradientClipping::new(0.0));
    assert!(!learns(world, model));
    assert!(world.get::<GradientClipping>(model).unwrap().measured > 0.0);
    world.entity_mut(model).remove::<GradientClipping>();
    assert!(learns(world, model));
}

#[test]
fn accumulation_without_room_for_it_is_refused() {
    let (mut scene, input) = labeled();
    let world = &mut scene.world;
    let model = network(scene.graph, input, Optimizer::sgd(0.1)).build(world).unwrap();
    world.entity_mut(model).insert(GradientAccumulation::new(4));
    let before = values(world, model);
    let error = message(run(world, Train(model)));
    assert!(error.contains("accumulate_gradients"), "{error}");
    assert_eq!(values(world, model), before);
    world.entity_mut(model).remove::<GradientAccumulation>();
    assert!(learns(world, model));
}

/// Parameters and columns go with the model, whoever takes it out.
#[test]
fn a_despawned_model_takes_its_parts_along() {
    let (mut scene, input) = labeled();
    let parameters = |world: &mut World| world.query::<&Parameter>().iter(world).count();
    for way in 0..3 {
        let world = &mut scene.world;
        let model = network(scene.graph, input, Optimizer::adam(0.01)).build(world).unwrap();
        run(world, Train(model)).unwrap();
        assert!(parameters(world) > 0 && world.resource::<FieldPool>().borrowed() > 0);
        // A copy of its entity has no parts, so they do not go with it.
        let copy = world.entity_mut(model).clone_and_spawn();
        world.despawn(copy);
        run(world, Train(model)).unwrap();
        match way {
            0 => _ = world.despawn(model),
            1 => {
                let leave = move |mut commands: Commands| commands.entity(model).despawn();
                add_systems(world, Train(model), leave.in_set(GraphSystems::Act)).unwrap();
                run(world, Train(model)).unwrap();
            }
            _ => {
                let leave = move |world: &mut World| _ = world.despawn(model);
                add_systems(world, Train(model), leave.in_set(GraphSystems::Act)).unwrap();
                run(world, Train(model)).unwrap();
            }
        }
        assert_eq!(parameters(world), 0, "{way}");
        assert_eq!(world.resource::<FieldPool>().borrowed(), 0, "{way}");
        let schedules = world.resource::<Schedules>();
        assert!(!schedules.contains(Infer(model)) && !schedules.contains(Train(model)), "{way}");
        assert!(!schedules.contains(Evaluate(model)), "{way}");
        assert!(message(run(world, Infer(model))).contains(&format!("{model}")));
    }
}

fn output_of(world: &World, model: Entity) -> Field {
    world.get::<Model>(model).unwrap().output
}

fn rows(world: &World, scene: (Entity, Field)) -> [usize; 3] {
    let topology = world.get::<Topology>(scene.0).unwrap();
    [topology.nodes.len(), topology.edges.len(), scene.1.matrix(world).row_count()]
}

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

#[derive(bevy_ecs::schedule::ScheduleLabel, Clone, Debug, PartialEq, Eq, Hash)]
struct Tick;

/// Three models that learn or infer, one of them recurrent, as bits after some steps.
fn side_by_side(together: bool) -> Vec<Vec<u32>> {
    let (mut scene, input) = labeled();
    let world = &mut scene.world;
    let learner = |world: &mut World, seed: u64, optimizer| {
        let model = ModelBuilder::new(scene.graph).input(input).seed(seed).layer(GcnConv::new(5));
        let model = model.layer(Activation::Relu).layer(Dropout(0.3)).layer(Linear::new(CLASSES));
        model.optimizer(optimizer).build(world).unwrap()
    };
    let learners = [learner(world, 1, Optimizer::adam(0.01)), learner(world, 2, Optimizer::sgd(0.1))];
    let recurrent = ModelBuilder::new(scene.graph).recurrent(3).seed(3).layer(GcnConv::new(3)).layer(Activation::Tanh);
    let recurrent = recurrent.build(world).unwrap();
    let nodes = input.domain();
    attach_fields(world, nodes);
    let state = output_of(world, recurrent);
    for (number, node) in scene.nodes.iter().enumerate() {
        state.set(world, *node, &[number as f32 / 40.0, 0.5, -0.25]).unwrap();
    }
    if together {
        learners.iter().for_each(|model| add_model_to_schedule(world, Tick, Train(*model)).unwrap());
        add_model_to_schedule(world, Tick, Infer(recurrent)).unwrap();
    }
    for _ in 0..5 {
        if together {
            run(world, Tick).unwrap();
        } else {
            learners.iter().for_each(|model| run(world, Train(*model)).unwrap());
            run(world, Infer(recurrent)).unwrap();
        }
    }
    let mut found: Vec<Vec<u32>> = Vec::new();
    for model in learners {
        found.extend(values(world, model).into_iter().chain(moments(world, model)).map(|(_, bits)| bits));
        let metrics = world.get::<Metrics>(model).unwrap().of(Split::Train);
        found.push(vec![metrics.loss().to_bits(), world.get::<TrainingState>(model).unwrap().step as u32]);
    }
    let state: Vec<u32> = output_of(world, recurrent).matrix(world).rows().flatten().map(|n| n.to_bits()).collect();
    assert!(state.iter().any(|number| *number != 0));
    found.push(state);
    found
}

#[test]
fn models_in_one_schedule_give_the_bits_of_one_after_the_other() {
    assert_eq!(side_by_side(true), side_by_side(false));
}

/// The systems of one model in the schedule `Tick`.
fn systems_of(schedule: &Schedule, model: Entity) -> Vec<(String, &SystemAccess)> {
    let sets = GraphSystems::ALL.map(|phase| schedule.graph().systems_in_set(ModelSystems(model, phase).intern()));
    let keys: Vec<SystemKey> = sets.into_iter().flatten().flatten().copied().collect();
    let systems = schedule.systems_with_access().unwrap().filter(|(key, _)| keys.contains(key));
    systems.map(|(_, system)| (system.system().name().to_string(), system.access())).collect()
}

/// Else the executor runs them one after the other.
#[test]
fn no_system_of_a_model_waits_for_one_of_another() {
    let (mut scene, input) = labeled();
    let world = &mut scene.world;
    let mut learner = || {
        let model = network(scene.graph, input, Optimizer::adam(0.01)).layer(BatchNorm::new()).clip_norm(1.0);
        let model = model.accumulate_gradients(2).build(world).unwrap();
        add_model_to_schedule(world, Tick, Train(model)).unwrap();
        model
    };
    let mut models = vec![learner(), learner(), learner()];
    // The next one takes over the number of the first.
    remove_model(world, models.remove(0)).unwrap();
    models.push(network(scene.graph, input, Optimizer::adam(0.01)).build(world).unwrap());
    add_model_to_schedule(world, Tick, Train(models[2])).unwrap();
    let schedule = world.resource::<Schedules>().get(Tick).unwrap();
    for (one, other) in [(0, 1), (0, 2), (1, 2)] {
        let [one, other] = [one, other].map(|index| systems_of(schedule, models[index]));
        assert!(one.len() >= 6 && other.len() >= 6, "{one:?}");
        for (name, access) in &one {
            let conflicts = other.iter().filter(|(_, other)| !access.is_compatible(other));
            assert_eq!(conflicts.map(|(name, _)| name).collect::<Vec<_>>(), [&""; 0], "{name}");
        }
    }
    // Against a query of all models each of them is to be ordered.
    let error = add_systems(world, Tick, |_: Query<&mut Metrics>| {}).unwrap_err().to_string();
    assert_eq!(error.matches("cross_entropy").count(), 3, "{error}");
}

#[test]
fn a_schedule_of_ones_own_derives_each_topology_once_and_runs_systems_in_order() {
    let (mut scene, input) = labeled();
    let world = &mut scene.world;
    let models = [1, 2].map(|seed| network(scene.graph, input, STANDSTILL).seed(seed).build(world).unwrap());
    world.init_resource::<Seen>();
    for model in models {
        add_model_to_schedule(world, Tick, Evaluate(model)).unwrap();
        assert!(add_model_to_schedule(world, Tick, Infer(model)).is_err(), "it is in there already");
    }
    let outputs = models.map(|model| output_of(world, model));
    let note = |name| move |mut seen: ResMut<Seen>| seen.0.push(name);
    let act = (outputs[0].read(), outputs[1].read()).build_state(world).build_system(|one: Column, other: Column| {
        assert!(one.matrix().rows().chain(other.matrix().rows()).flatten().any(|number| *number != 0.0));
    });
    let systems = (
        note("observe").in_set(GraphSystems::Observe),
        note("between")
            .after(ModelSystems(models[0], GraphSystems::Forward))
            .before(ModelSystems(models[0], GraphSystems::Loss)),
        (act.with_name("act"), note("act")).chain().in_set(GraphSystems::Act),
    );
    add_systems(world, Tick, systems).unwrap();
    let version = world.get::<Topology>(scene.graph).unwrap().version;
    run(world, Tick).unwrap();
    assert_eq!(world.get::<Topology>(scene.graph).unwrap().version, version + 1);
    assert_eq!(world.resource::<Seen>().0, ["observe", "between", "act"]);
    let topologies = connectome_systems::describe_schedule(world, Tick)
        .into_iter()
        .filter(|system| system.name == "rebuild_topologies");
    assert_eq!(topologies.count(), 1);
}

/// One of two models reads what the other writes: that is a race until they are put in order.
#[test]
fn a_model_that_reads_another_ones_output_is_to_be_ordered() {
    let (mut scene, input) = labeled();
    let world = &mut scene.world;
    let first = ModelBuilder::new(scene.graph).input(input).layer(GcnConv::new(3)).build(world).unwrap();
    let output = output_of(world, first);
    let second = ModelBuilder::new(scene.graph).input(output).layer(Linear::new(2)).build(world).unwrap();
    add_model_to_schedule(world, Tick, Infer(first)).unwrap();
    let error = add_model_to_schedule(world, Tick, Infer(second)).unwrap_err().to_string();
    assert!(error.contains("forward"), "{error}");
    run(world, Tick).unwrap();
    let set = |model| ModelSystems(model, GraphSystems::Forward);
    world.resource_mut::<Schedules>().configure_sets(Tick, set(first).before(set(second)));
    add_model_to_schedule(world, Tick, Infer(second)).unwrap();
    run(world, Tick).unwrap();
    let found = scene.output(second).unwrap();
    run(&mut scene.world, Infer(first)).unwrap();
    run(&mut scene.world, Infer(second)).unwrap();
    assert_eq!(scene.output(second).unwrap(), found);
}

#[test]
fn a_model_leaves_the_schedules_that_it_shares() {
    let (mut scene, input) = labeled();
    let world = &mut scene.world;
    let stays = network(scene.graph, input, Optimizer::adam(0.01)).build(world).unwrap();
    add_model_to_schedule(world, Tick, Train(stays)).unwrap();
    let count = |world: &World| connectome_systems::describe_schedule(world, Tick).len();
    let alone = count(world);
    for _ in 0..5 {
        let model = network(scene.graph, input, Optimizer::adam(0.01)).build(world).unwrap();
        add_model_to_schedule(world, Tick, Train(model)).unwrap();
        run(world, Tick).unwrap();
        assert!(count(world) > alone);
        world.despawn(model);
        assert_eq!(count(world), alone);
        assert!(learns_in(world, stays));
    }
    let model = network(scene.graph, input, Optimizer::sgd(0.01)).build(world).unwrap();
    add_model_to_schedule(world, Tick, Train(model)).unwrap();
    // What keeps one model from its step is said, and the other goes on.
    world.entity_mut(model).insert(Optimizer::adam(0.01));
    let before = values(world, stays);
    assert!(message(run(world, Tick)).contains("replace_model"));
    assert_ne!(values(world, stays), before);
    world.run_schedule(Tick);
    assert!(take_error(world, model).is_some());
    assert!(take_error(world, model).is_none());
    // Taken out by a system of the schedule itself.
    let leave = move |mut commands: Commands| commands.entity(model).try_despawn();
    add_systems(world, Tick, leave.in_set(GraphSystems::Act)).unwrap();
    run(world, Tick).unwrap();
    assert!(world.get_entity(model).is_err());
    assert!(learns_in(world, stays));
    let model = network(scene.graph, input, Optimizer::adam(0.01)).build(world).unwrap();
    add_model_to_schedule(world, Tick, Train(model)).unwrap();
    run(world, Tick).unwrap();
}

#[derive(Component, Clone, Copy, Debug, Default, PartialEq)]
struct Guess([f32; 2]);

impl Features for Guess {
    const WIDTH: usize = 2;

    fn read(&self, row: &mut [f32]) {
        row.copy_from_slice(&self.0);
    }

    fn write(&mut self, row: &[f32]) {
        self.0.copy_from_slice(row);
    }
}

/// A model of two heads with running statistics, whose first output is copied to a component and brought into another one.
fn many_sided(graph: Entity, input: Field, seed: u64) -> ModelBuilder {
    let model = ModelBuilder::new(graph).seed(seed).input(input).layer(GcnConv::new(5)).layer(BatchNorm::default());
    model
        .head(Head::new("values").layer(Linear::new(2)).loss(Loss::MeanSquaredError))
        .head(Head::new("classes").layer(Linear::new(CLASSES)))
        .optimizer(Optimizer::adam(0.05))
}

/// Heads, buffers, copies of components and faults of learning are the same in a schedule of the user's.
#[test]
fn heads_copies_and_faults_are_the_same_in_a_schedule_of_ones_own() {
    let [apart, together] = [false, true].map(|together| {
        let (mut scene, input) = labeled();
        let world = &mut scene.world;
        let first = many_sided(scene.graph, input, 1).writes::<Guess>().build(world).unwrap();
        let second = many_sided(scene.graph, input, 2).build(world).unwrap();
        for model in [first, second] {
            if together {
                add_model_to_schedule(world, Tick, Train(model)).unwrap();
            }
        }
        let step = |world: &mut World, fault: bool| {
            let outcome = if together {
                run(world, Tick)
            } else {
                let outcomes = [first, second].map(|model| run(world, Train(model)));
                outcomes.into_iter().find(Result::is_err).unwrap_or(Ok(()))
            };
            assert_eq!(matches!(outcome, Err(BuildError::Learning(LearningError::Label { .. }))), fault, "{outcome:?}");
        };
        (0..3).for_each(|_| step(world, false));
        let before = [first, second].map(|model| values(world, model));
        world.entity_mut(scene.nodes[3]).insert(ClassLabel(99));
        step(world, true);
        assert_eq!([first, second].map(|model| values(world, model)), before, "a step at fault moves nothing");
        world.entity_mut(scene.nodes[3]).insert(ClassLabel(0));
        if together {
            assert!(take_error(world, second).is_none(), "`run` has taken all faults");
        }
        (0..2).for_each(|_| step(world, false));
        let guesses: Vec<[u32; 2]> =
            scene.nodes.iter().map(|node| world.get::<Guess>(*node).unwrap().0.map(f32::to_bits)).collect();
        assert!(guesses.iter().any(|guess| *guess != [0, 0]));
        let learned = [first, second].map(|model| values(world, model));
        if together {
            world.despawn(first);
            run(world, Tick).unwrap();
            world.entity_mut(scene.nodes[3]).insert(ClassLabel(99));
            world.run_schedule(Tick);
            let error = take_error(world, second).unwrap();
            assert!(matches!(error, BuildError::Learning(LearningError::Label { label: 99, .. })), "{error}");
        }
        (guesses, learned)
    });
    assert_eq!(apart, together);
}

/// The targets that a head has of its own are borrowed as its other columns are.
#[test]
fn rebuilds_of_a_model_of_many_sides_leave_what_two_left() {
    let describe = |scene: &Scene, input| many_sided(scene.graph, input, 1).writes::<Guess>();
    let [two, thousand] = rebuilds(describe, true);
    assert_eq!(two, thousand, "components, components of a node, archetypes, tables");
}

fn learns_in(world: &mut World, model: Entity) -> bool {
    let before = values(world, model);
    run(world, Tick).unwrap();
    values(world, model) != before
}

/// Memory that the process has taken, in bytes.
#[cfg(target_os = "linux")]
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// Without an app, nobody calls `World::clear_trackers`.
#[cfg(target_os = "linux")]
#[test]
fn steps_in_a_world_without_an_app_take_no_memory() {
    // In a process of its own, for other tests take memory meanwhile.
    const ALONE: &str = "CONNECTOME_TEST_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let name = "life::steps_in_a_world_without_an_app_take_no_memory";
        let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
        let output = alone.args(["--exact", name, "--nocapture"]).env(ALONE, "").output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && said.contains("1 passed"),
            "{said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        return;
    }
    let mut scene = Scene::new(2, &[Link { source: 0, target: 1, weight: None }]);
    let world = &mut scene.world;
    let models = [1, 2].map(|seed| {
        let model = ModelBuilder::new(scene.graph).seed(seed).input_width(1).layer(GcnConv::new(1));
        model.build(world).unwrap()
    });
    add_model_to_schedule(world, Tick, Infer(models[1])).unwrap();
    let steps: [&dyn Fn(&mut World); 2] =
        [&|world| run(world, Infer(models[0])).unwrap(), &|world| run(world, Tick).unwrap()];
    let count = 50_000;
    for step in steps {
        (0..2000).for_each(|_| step(world));
        // What leaks does so every time. It were 110 bytes for each step.
        let growths = [(); 3].map(|()| {
            let before = resident();
            (0..count).for_each(|_| step(world));
            resident().saturating_sub(before)
        });
        println!("{growths:?} bytes in {count} steps each");
        assert!(growths.iter().any(|grown| *grown < 40 * count), "{growths:?} bytes in {count} steps each");
    }
}
