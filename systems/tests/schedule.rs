//! The order of a step is settled and checked before anything runs, and what it promises about memory holds.
//!
//! Races are refused by name; users' systems run where they are put; a recurrent model changes the roles of its
//! buffers and copies nothing; inference reuses its buffers; and in which tables nodes lie changes no number. A
//! failure shows the message that was expected to name someone, the order that was run, or the two results that
//! differ.

use crate::common;

use bevy_ecs::{
    name::Name,
    prelude::*,
    system::{BoxedSystem, SystemParamBuilder},
};
use common::{Link, Matrices, Scene, numbers, relative_error};
use connectome_components::{
    ClassLabel, Column, ColumnMut, DoubleBuffer, Edge, FeatureField, Field, Graph, GraphNode, Model, Parity, Split,
    attach_fields,
};
use connectome_systems::{
    Evaluate, GraphSystems, Infer, ModelBuilder, Train, add_systems,
    kernels::Activation,
    layers::{BuildError, Dropout, GcnConv, Layer, Linear, MeanConv},
    run,
};
use ndarray::{Array1, Array2, Axis};

/// A small graph with a model on it that infers only.
fn scene_with_model() -> (Scene, Entity) {
    let mut scene = Scene::new(3, &ring(3));
    let model = ModelBuilder::new(scene.graph).input_width(2).layer(Linear::new(2)).layer(Linear::new(2));
    let model = model.build(&mut scene.world).unwrap();
    (scene, model)
}

fn ring(nodes: usize) -> Vec<Link> {
    let link = |source| Link { source, target: (source + 1) % nodes, weight: Some(0.5 + source as f32) };
    (0..nodes).map(link).collect()
}

fn node_field(scene: &mut Scene, name: &str) -> Field {
    let nodes = scene.world.register_component::<GraphNode>();
    Field::register(&mut scene.world, name, nodes, 2).unwrap()
}

fn writer(scene: &mut Scene, field: Field, name: &'static str) -> BoxedSystem {
    let state = (field.write(),).build_state(&mut scene.world);
    Box::new(state.build_system(|_: ColumnMut| {}).with_name(name))
}

fn reader(scene: &mut Scene, field: Field, name: &'static str) -> BoxedSystem {
    let state = (field.read(),).build_state(&mut scene.world);
    Box::new(state.build_system(|_: Column| {}).with_name(name))
}

/// Adds two systems without an order between them.
fn add_pair(scene: &mut Scene, model: Entity, pair: [BoxedSystem; 2]) -> Result<(), BuildError> {
    let [first, second] = pair;
    add_systems(
        &mut scene.world,
        Infer(model),
        (first.in_set(GraphSystems::Observe), second.in_set(GraphSystems::Observe)),
    )
}

#[test]
fn unordered_systems_on_one_field_are_refused_by_name() {
    for reads in [true, false] {
        let (mut scene, model) = scene_with_model();
        let speed = node_field(&mut scene, "speed");
        let first = writer(&mut scene, speed, "accelerate");
        let second = if reads { reader(&mut scene, speed, "watch") } else { writer(&mut scene, speed, "watch") };
        let message = add_pair(&mut scene, model, [first, second]).unwrap_err().to_string();
        for name in ["accelerate", "watch", "speed"] {
            assert!(message.contains(name), "`{name}` is not in: {message}");
        }
    }
}

#[test]
fn a_system_of_the_users_that_races_with_a_layer_is_refused() {
    let (mut scene, model) = scene_with_model();
    let output = scene.world.get::<Model>(model).unwrap().output;
    let race = writer(&mut scene, output, "meddle");
    let error = add_systems(&mut scene.world, Infer(model), race.in_set(GraphSystems::Forward)).unwrap_err();
    assert!(error.to_string().contains("meddle"), "{error}");
}

#[test]
#[should_panic(expected = "uses field `speed` twice, once for writing")]
fn a_system_that_reads_and_writes_one_field_is_refused() {
    let (mut scene, _) = scene_with_model();
    let speed = node_field(&mut scene, "speed");
    // Refused as soon as its parameters are put together, before it has a name.
    let _unreachable =
        (speed.read(), speed.write()).build_state(&mut scene.world).build_system(|_: Column, _: ColumnMut| {});
}

#[test]
fn systems_that_cannot_race_are_accepted() {
    let (mut scene, model) = scene_with_model();
    let [speed, mass] = ["speed", "mass"].map(|name| node_field(&mut scene, name));
    let nodes = scene.world.register_component::<GraphNode>();
    let state = DoubleBuffer::register(&mut scene.world, model, "memory", nodes, 2).unwrap();
    let different_fields = [writer(&mut scene, speed, "accelerate"), writer(&mut scene, mass, "feed")];
    let two_halves = [reader(&mut scene, state.front, "recall"), writer(&mut scene, state.back, "memorize")];
    let two_readers = [reader(&mut scene, speed, "watch"), reader(&mut scene, speed, "admire")];
    for (pair, phase) in
        [(different_fields, GraphSystems::Observe), (two_halves, GraphSystems::Act), (two_readers, GraphSystems::Act)]
    {
        let [first, second] = pair;
        let systems = (first.in_set(phase), second.in_set(phase));
        add_systems(&mut scene.world, Infer(model), systems).unwrap();
    }
    run(&mut scene.world, Infer(model)).unwrap();
}

#[test]
fn schedules_that_are_not_there_are_errors() {
    let (mut scene, model) = scene_with_model();
    let error = |scene: &mut Scene, label: &str, result: Result<(), BuildError>| {
        let message = result.expect_err("there is no such schedule").to_string();
        assert!(message.contains(label), "{message}");
        assert!(scene.world.get_entity(model).is_ok());
    };
    let result = add_systems(&mut scene.world, Train(model), || {});
    error(&mut scene, "Train", result);
    let result = add_systems(&mut scene.world, Evaluate(model), || {});
    error(&mut scene, "Evaluate", result);
}

/// Who ran, in their order.
#[derive(Resource, Default)]
struct Diary(Vec<&'static str>);

fn note(name: &'static str) -> impl FnMut(ResMut<Diary>) {
    move |mut diary| diary.0.push(name)
}

#[test]
fn systems_of_the_users_run_where_they_are_put() {
    let (mut scene, model) = scene_with_model();
    scene.world.init_resource::<Diary>();
    let systems = (
        note("act").in_set(GraphSystems::Act),
        note("after").after(GraphSystems::Forward).before(GraphSystems::Commit),
        note("forward").in_set(GraphSystems::Forward),
        note("observe").in_set(GraphSystems::Observe),
        note("first").before(GraphSystems::Sync),
    );
    add_systems(&mut scene.world, Infer(model), systems).unwrap();
    run(&mut scene.world, Infer(model)).unwrap();
    let order = ["first", "observe", "forward", "after", "act"];
    assert_eq!(scene.world.resource::<Diary>().0, order);
    run(&mut scene.world, Infer(model)).unwrap();
    assert_eq!(scene.world.resource::<Diary>().0.len(), 2 * order.len());
}

#[test]
fn what_is_observed_is_computed_and_what_is_computed_is_acted_on_in_one_tick() {
    #[derive(Component, Clone, Copy, Debug, Default, PartialEq)]
    struct Mood(f32);
    let mut scene = Scene::new(3, &[]);
    let nodes = scene.world.register_component::<GraphNode>();
    let moods = Field::<Mood>::of_component(&mut scene.world, nodes).unwrap();
    let model = ModelBuilder::new(scene.graph).input_width(1).layer(Linear::new(1)).layer(Linear::new(1));
    let model = model.build(&mut scene.world).unwrap();
    let double = Matrices::from([("weight".to_owned(), Array2::from_elem((1, 1), 2.0))]);
    scene.set_parameters(model, &double).unwrap();
    let Model { input: FeatureField::Dense(input), output, .. } = *scene.world.get::<Model>(model).unwrap() else {
        unreachable!("the input has a width")
    };
    let observe = (moods.read(), input.write()).build_state(&mut scene.world).build_system(
        |from: Column<Mood>, mut to: ColumnMut| {
            to.matrix().rows_mut().zip(from.matrix().rows()).for_each(|(to, from)| to[0] = from[0].0);
        },
    );
    let act = (output.read(), moods.write()).build_state(&mut scene.world).build_system(
        |from: Column, mut to: ColumnMut<Mood>| {
            to.matrix().rows_mut().zip(from.matrix().rows()).for_each(|(to, from)| to[0].0 = from[0]);
        },
    );
    let systems = (observe.in_set(GraphSystems::Observe), act.in_set(GraphSystems::Act));
    add_systems(&mut scene.world, Infer(model), systems).unwrap();
    for (place, node) in scene.nodes.iter().enumerate() {
        scene.world.entity_mut(*node).insert(Mood(1.0 + place as f32));
    }
    run(&mut scene.world, Infer(model)).unwrap();
    let moods =
        |scene: &Scene| scene.nodes.iter().map(|node| scene.world.get::<Mood>(*node).unwrap().0).collect::<Vec<_>>();
    assert_eq!(moods(&scene), [4.0, 8.0, 12.0]);
    run(&mut scene.world, Infer(model)).unwrap();
    assert_eq!(moods(&scene), [16.0, 32.0, 48.0]);
}

/// A recurrent model of one linear layer on four nodes: `state = state W`.
fn recurrent() -> (Scene, Entity, Array2<f64>) {
    let mut scene = Scene::new(4, &ring(4));
    let model = ModelBuilder::new(scene.graph).recurrent(3).layer(Linear::new(3)).build(&mut scene.world).unwrap();
    let weight = numbers(1, 0, (3, 3));
    scene.set_parameters(model, &Matrices::from([("weight".to_owned(), weight.clone())])).unwrap();
    attach(&mut scene);
    (scene, model, weight)
}

fn attach(scene: &mut Scene) {
    let nodes = scene.world.register_component::<GraphNode>();
    attach_fields(&mut scene.world, nodes);
}

fn input_of(scene: &Scene, model: Entity) -> Field {
    match scene.world.get::<Model>(model).unwrap().input {
        FeatureField::Dense(value) => value,
        FeatureField::Sparse { .. } => unreachable!("the model was built with a dense input"),
    }
}

fn write(scene: &mut Scene, field: Field, numbers: &Array2<f64>) {
    for (node, row) in scene.nodes.iter().zip(numbers.rows()) {
        field.set(&mut scene.world, *node, &row.mapv(|number| number as f32).to_vec()).unwrap();
    }
}

#[test]
fn a_recurrent_model_is_its_weight_applied_again_and_again() {
    let (mut scene, model, weight) = recurrent();
    let state = input_of(&scene, model);
    let mut expected = numbers(2, 0, (4, 3));
    write(&mut scene, state, &expected);
    for tick in 1..=9 {
        run(&mut scene.world, Infer(model)).unwrap();
        expected = expected.dot(&weight);
        for (what, found) in [("state", scene.read(state)), ("output", scene.output(model))] {
            let error = relative_error(&found.unwrap(), &expected, f64::MIN_POSITIVE);
            assert!(error < 1e-5, "the {what} after tick {tick} is off by {error:e}");
        }
    }
}

#[test]
fn a_recurrent_model_flips_its_buffers_and_copies_nothing() {
    let (mut scene, model, _) = recurrent();
    let state = input_of(&scene, model);
    let place = |scene: &Scene| state.matrix(&scene.world).row(0).as_ptr();
    let mut places = vec![place(&scene)];
    for _ in 0..4 {
        run(&mut scene.world, Infer(model)).unwrap();
        places.push(place(&scene));
    }
    assert_ne!(places[0], places[1]);
    assert_eq!(places, [places[0], places[1], places[0], places[1], places[0]]);
}

/// Where the layer writes is where the next tick reads.
#[test]
fn the_back_before_a_tick_is_the_front_after_it() {
    let mut scene = Scene::new(2, &[]);
    let owner = scene.graph;
    let nodes = scene.world.register_component::<GraphNode>();
    let DoubleBuffer { front, back } = DoubleBuffer::register(&mut scene.world, owner, "state", nodes, 2).unwrap();
    attach(&mut scene);
    let place = |scene: &Scene, half: Field| half.matrix(&scene.world).row(0).as_ptr();
    let before = [front, back].map(|half| place(&scene, half));
    scene.world.get_mut::<Parity>(owner).unwrap().flip();
    assert_eq!([back, front].map(|half| place(&scene, half)), before);
}

/// Dropout is not there at inference, so it cannot write the next state.
#[test]
fn a_recurrent_model_whose_last_layer_writes_nothing_is_refused() {
    let mut scene = Scene::new(2, &[]);
    let model = ModelBuilder::new(scene.graph).recurrent(3).layer(Dropout(0.5));
    let error = model.build(&mut scene.world).unwrap_err();
    assert!(matches!(error, BuildError::Layer { layer: 0, .. }), "{error}");
    let model = ModelBuilder::new(scene.graph).recurrent(3).layer(Linear::new(2));
    assert!(matches!(model.build(&mut scene.world), Err(BuildError::Layer { layer: 0, .. })));
    let model = ModelBuilder::new(scene.graph).recurrent(3).layer(Linear::new(3));
    let model = model.optimizer(common::STANDSTILL);
    assert!(matches!(model.build(&mut scene.world), Err(BuildError::Recurrent)));
}

/// The fields that inference of so many layers of one width writes.
fn buffer_count(layer: impl Layer + Clone + 'static, depth: usize) -> usize {
    let model = ModelBuilder::new(Entity::PLACEHOLDER).input_width(5);
    let model = (0..depth).fold(model, |model, _| model.layer(layer.clone()));
    model.dry_run().unwrap().layout.shapes().count()
}

#[test]
fn inference_needs_as_many_buffers_for_six_layers_as_for_two() {
    // The output has a column of its own.
    assert_eq!([2, 6].map(|depth| buffer_count(Linear::new(5), depth)), [2, 3]);
    assert_eq!([2, 6].map(|depth| buffer_count(Activation::Tanh, depth)), [2, 3]);
    // One keeps the sums of the model's input over the neighbors, one the output.
    assert_eq!([2, 6].map(|depth| buffer_count(GcnConv::new(5), depth)), [3, 4]);
    assert_eq!([2, 6].map(|depth| buffer_count(MeanConv::new(5), depth)), [3, 4]);
}

/// What six layers compute is what they compute one by one.
#[test]
fn buffers_that_are_used_again_do_not_mix() {
    let mut scene = Scene::new(4, &ring(4));
    let build = |scene: &mut Scene, learns: bool| {
        let model = ModelBuilder::new(scene.graph).seed(3).input_width(3);
        let model = model.layer(GcnConv::new(3)).layer(Activation::Tanh).layer(MeanConv::new(3));
        let model =
            model.layer(Linear::new(3)).layer(Activation::Elu(1.0)).layer(GcnConv::new(7)).layer(Linear::new(3));
        let model = if learns { model.optimizer(common::STANDSTILL) } else { model };
        model.build(&mut scene.world).unwrap()
    };
    let models = [build(&mut scene, false), build(&mut scene, true)];
    attach(&mut scene);
    let outputs = models.map(|model| {
        let input = input_of(&scene, model);
        write(&mut scene, input, &numbers(4, 0, (4, 3)));
        run(&mut scene.world, Infer(model)).unwrap();
        scene.output(model).unwrap()
    });
    assert_eq!(outputs[0], outputs[1]);
    assert!(outputs[0].iter().any(|number| *number != 0.0));
}

#[derive(Component)]
struct Hungry;

#[derive(Component)]
struct Asleep;

/// The output for each node and all gradients, after a training step with nodes and edges spread over several tables or
/// not.
fn train_over_tables(spread: bool) -> [Array2<f64>; 2] {
    let mut scene = Scene::new(9, &ring(9));
    if spread {
        spread_out(&mut scene);
    }
    let model = ModelBuilder::new(scene.graph).input_width(4);
    let model = model.layer(GcnConv::new(6)).layer(Activation::Gelu).layer(MeanConv::new(5));
    let model = model.layer(Linear::new(3)).optimizer(common::STANDSTILL);
    let model = model.build(&mut scene.world).unwrap();
    for (number, node) in scene.nodes.iter().enumerate() {
        scene.world.entity_mut(*node).insert((ClassLabel(number as u32 % 3), Split::Train));
    }
    attach(&mut scene);
    let input = input_of(&scene, model);
    write(&mut scene, input, &numbers(6, 0, (9, 4)));
    run(&mut scene.world, Train(model)).unwrap();
    let gradients: Array1<f64> = scene
        .parameters(model)
        .into_iter()
        .flat_map(|(entity, parameter)| parameter.gradient.unwrap().get(&scene.world, entity).unwrap().to_vec())
        .map(f64::from)
        .collect();
    [scene.output(model).unwrap(), gradients.insert_axis(Axis(0))]
}

fn spread_out(scene: &mut Scene) {
    for (number, node) in scene.nodes.iter().enumerate() {
        match number % 3 {
            0 => _ = scene.world.entity_mut(*node).insert(Hungry),
            1 => _ = scene.world.entity_mut(*node).insert((Hungry, Asleep)),
            _ => {}
        }
    }
    let edges: Vec<Entity> = scene.world.query_filtered::<Entity, With<Edge>>().iter(&scene.world).collect();
    for edge in edges.into_iter().step_by(2) {
        scene.world.entity_mut(edge).insert(Hungry);
    }
}

#[test]
fn nodes_in_several_tables_give_the_outputs_and_gradients_of_one_table() {
    let (several, one) = (train_over_tables(true), train_over_tables(false));
    for (several, one) in several.iter().zip(&one) {
        assert!(one.iter().any(|number| *number != 0.0));
        let error = relative_error(several, one, f64::MIN_POSITIVE);
        assert!(error < 1e-5, "{error:e}");
    }
}

#[test]
fn a_model_whose_parts_were_despawned_is_an_error_that_names_them() {
    let refused = |part: fn(&Scene, Entity) -> Entity, expected: &str| {
        let (mut scene, model) = scene_with_model();
        run(&mut scene.world, Infer(model)).unwrap();
        let part = part(&scene, model);
        scene.world.despawn(part);
        let message = run(&mut scene.world, Infer(model)).unwrap_err().to_string();
        assert!(message.contains(&format!("{part}")) && message.contains(expected), "{message}");
    };
    refused(|_, model| model, "is not a model any more");
    refused(|scene, model| scene.world.get::<Model>(model).unwrap().graph, "is no graph");
    refused(|scene, model| scene.world.get::<Model>(model).unwrap().parameters[0], "was despawned");
}

#[test]
fn graphs_of_components_without_rows_are_refused() {
    #[derive(Component)]
    #[component(storage = "SparseSet")]
    struct Loose;
    let mut world = World::new();
    for graph in [Graph::of::<Loose, Edge>(&mut world), Graph::of::<GraphNode, Loose>(&mut world)] {
        let error = ModelBuilder::new(graph).layer(Linear::new(2)).build(&mut world).unwrap_err().to_string();
        assert!(error.contains("Loose") && error.contains("use table storage"), "{error}");
    }
}

#[test]
fn commands_given_in_a_step_are_applied_after_it() {
    let (mut scene, model) = scene_with_model();
    let unsettle = |nodes: Query<Entity, With<GraphNode>>, mut commands: Commands| {
        let mut nodes = nodes.iter();
        if let Some(node) = nodes.next() {
            commands.entity(node).despawn();
        }
        if let Some(node) = nodes.next() {
            commands.entity(node).insert(Name::new("moved"));
        }
        commands.spawn(GraphNode);
    };
    add_systems(&mut scene.world, Infer(model), unsettle.in_set(GraphSystems::Observe)).unwrap();
    for _ in 0..4 {
        run(&mut scene.world, Infer(model)).unwrap();
    }
}

#[test]
fn a_model_that_cannot_be_built_leaves_no_entities() {
    let mut scene = Scene::new(2, &ring(2));
    let named = |scene: &mut Scene| scene.world.query::<&Name>().iter(&scene.world).count();
    let before = named(&mut scene);
    let narrow = ModelBuilder::new(scene.graph).input_width(2).layer(Linear::new(2)).layer(Linear::new(0));
    let idle = ModelBuilder::new(scene.graph).input_width(2).layer(Dropout(0.0));
    for (model, reason) in [(narrow, "width 0"), (idle, "no trainable parameters")] {
        let learning = model.optimizer(common::STANDSTILL);
        let error = learning.build(&mut scene.world).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
        assert_eq!(named(&mut scene), before, "{reason}");
    }
}

/// Past `run`, nobody checks that the parts are there: then nothing is computed.
#[test]
fn a_schedule_run_without_its_parameters_computes_nothing() {
    let mut scene = Scene::new(2, &ring(2));
    let model = ModelBuilder::new(scene.graph).input_width(2).layer(GcnConv::new(2)).layer(Linear::new(2));
    let model = model.optimizer(common::STANDSTILL).build(&mut scene.world).unwrap();
    for parameter in scene.world.get::<Model>(model).unwrap().parameters.clone() {
        scene.world.despawn(parameter);
    }
    scene.world.run_schedule(Train(model));
    scene.world.run_schedule(Infer(model));
    let output = scene.world.get::<Model>(model).unwrap().output;
    assert_eq!(output.get(&scene.world, scene.nodes[0]).unwrap(), [0.0; 2]);
}
