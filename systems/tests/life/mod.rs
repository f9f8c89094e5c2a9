//! A model's life in a world that goes on: it is built, changed while it learns, replaced and taken out, and leaves nothing
//! behind.
//!
//! A failure shows what grew with the number of rebuilds, the message that named nobody, or the numbers that differ.

mod entities;
mod rebuilds;
mod shared_schedules;
mod steps;

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

#[derive(bevy_ecs::schedule::ScheduleLabel, Clone, Debug, PartialEq, Eq, Hash)]
struct Tick;

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
