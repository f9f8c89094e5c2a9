//! Components of the user's are inputs, targets and outputs of a model, by type or by a function.
//!
//! Plain numbers are read and written in place, others are copied; what is written counts as changed; in every schedule of
//! the model the output has arrived before `Act`. A failure shows the component that differs from the model's formula.

use bevy_ecs::prelude::*;
use bytemuck::{Pod, Zeroable};
use connectome_components::{
    Edge, Features, Graph, GraphNode, Loss, Metrics, Model, Optimizer, Parameter, Split, Subgraph, Topology,
};
use connectome_systems::{
    Evaluate, GraphSystems, Infer, ModelBuilder, Train, WorldModelExt, despawn_dangling_edges,
    layers::{BuildError, Dropout, GcnConv, Linear, Readout},
};

#[derive(Component, Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
#[repr(C)]
struct Mood(f32);

#[derive(Component, Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
#[repr(C)]
struct Steering([f32; 2]);

#[derive(Component, Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
#[repr(C)]
struct Wanted([f32; 2]);

/// A component that is not plain numbers.
#[derive(Component, Debug, Default, PartialEq)]
struct Body {
    name: String,
    mass: f32,
    charge: f32,
}

impl Features for Body {
    const WIDTH: usize = 2;

    fn read(&self, row: &mut [f32]) {
        row.copy_from_slice(&[self.mass, 10.0 * self.charge]);
    }

    fn write(&mut self, row: &[f32]) {
        (self.mass, self.charge) = (row[0], row[1] / 10.0);
    }
}

/// Three nodes with moods 1, 2 and 3.
fn world() -> (World, Entity, [Entity; 3]) {
    let mut world = World::new();
    let graph = Graph::spawn(&mut world);
    let nodes = [1.0, 2.0, 3.0].map(|mood| world.spawn((GraphNode, Mood(mood), Split::Train)).id());
    (world, graph, nodes)
}

/// Sets the numbers of a parameter.
fn set(world: &mut World, model: Entity, name: &str, numbers: &[f32]) {
    let parameters = world.get::<Model>(model).unwrap().parameters.clone();
    let mut parameters = parameters.into_iter().filter_map(|entity| world.get::<Parameter>(entity).cloned());
    let parameter = parameters.find(|parameter| parameter.name.ends_with(name)).unwrap();
    parameter.value.matrix_mut(world).rows_mut().for_each(|row| row.copy_from_slice(numbers));
}

/// Doubles and triples the mood.
fn double_and_triple(world: &mut World, model: ModelBuilder) -> Entity {
    let model = world.spawn_model(model.layer(Linear::new(2))).unwrap();
    set(world, model, "weight", &[2.0, 3.0]);
    model
}

fn steering(world: &World, nodes: [Entity; 3]) -> [[f32; 2]; 3] {
    nodes.map(|node| world.get::<Steering>(node).unwrap().0)
}

const EXPECTED: [[f32; 2]; 3] = [[2.0, 3.0], [4.0, 6.0], [6.0, 9.0]];

#[test]
fn plain_components_are_read_and_written_in_place() {
    let (mut world, graph, nodes) = world();
    let model = double_and_triple(&mut world, ModelBuilder::new(graph).reads::<Mood>().writes::<Steering>());
    world.infer(model).unwrap();
    assert_eq!(steering(&world, nodes), EXPECTED);
    let domain = world.register_component::<GraphNode>();
    let [mood, steering] = [Mood::column, Steering::column].map(|column| column(&mut world, domain).unwrap().unwrap());
    let Model { input, output, buffers, .. } = world.get(model).unwrap();
    assert_eq!((input.values(), *output), (mood, steering));
    assert!(buffers.iter().all(|buffer| buffer.width() != 2 || buffer.domain() != domain), "a buffer for a copy");
}

#[test]
fn what_a_model_writes_has_changed_and_nothing_else_has() {
    let (mut world, graph, nodes) = world();
    let model = double_and_triple(&mut world, ModelBuilder::new(graph).reads::<Mood>().writes::<Steering>());
    let stranger = world.spawn(Steering([7.0; 2])).id();
    world.infer(model).unwrap();
    for _ in 0..2 {
        world.clear_trackers();
        let changed = |world: &mut World| {
            let mut steering = world.query_filtered::<Entity, Changed<Steering>>();
            steering.iter(world).collect::<Vec<_>>()
        };
        assert_eq!(changed(&mut world), []);
        world.infer(model).unwrap();
        assert_eq!(changed(&mut world), nodes);
        assert_eq!(world.query_filtered::<(), Changed<Mood>>().iter(&world).count(), 0);
    }
    assert_eq!(world.get::<Steering>(stranger).unwrap().0, [7.0; 2]);
}

#[derive(Resource, Default)]
struct Seen(Vec<[f32; 2]>);

fn look(steering: Query<&Steering, Changed<Steering>>, mut seen: ResMut<Seen>) {
    seen.0.extend(steering.iter().map(|steering| steering.0));
}

/// Also where the last layer is not there in inference, and where it depends on nothing that changes.
#[test]
fn the_output_has_arrived_before_act_in_every_schedule() {
    for last in [0.0, 0.5] {
        let (mut world, graph, _) = world();
        world.init_resource::<Seen>();
        let model = ModelBuilder::new(graph).reads::<Mood>().writes::<Steering>();
        let model = model.layer(Linear::new(2)).layer(Dropout(last));
        let model = model.learns::<Wanted>(Loss::MeanSquaredError, Optimizer::sgd(0.0));
        let model = world.spawn_model(model).unwrap();
        set(&mut world, model, "weight", &[2.0, 3.0]);
        world.add_model_systems(Infer(model), look.in_set(GraphSystems::Act)).unwrap();
        world.add_model_systems(Train(model), look.in_set(GraphSystems::Act)).unwrap();
        world.add_model_systems(Evaluate(model), look.in_set(GraphSystems::Act)).unwrap();
        for run in [World::infer, World::evaluate] {
            run(&mut world, model).unwrap();
            assert_eq!(core::mem::take(&mut world.resource_mut::<Seen>().0), EXPECTED);
        }
        world.train(model).unwrap();
        let seen = core::mem::take(&mut world.resource_mut::<Seen>().0);
        assert_eq!(seen.len(), 3);
        let possible = |(found, whole): (&f32, &f32)| *found == 0.0 || *found == whole / (1.0 - last);
        assert!(seen.as_flattened().iter().zip(EXPECTED.as_flattened()).all(possible), "{seen:?}");
    }
}

#[test]
fn an_output_that_is_the_input_or_rests_is_copied() {
    #[derive(Component, Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
    #[repr(C)]
    struct Copy(f32);
    let (mut world, graph, nodes) = world();
    let model = ModelBuilder::new(graph).reads::<Mood>().layer(Dropout(0.5)).writes::<Copy>();
    let model = world.spawn_model(model).unwrap();
    world.infer(model).unwrap();
    assert_eq!(nodes.map(|node| world.get::<Copy>(node).unwrap().0), [1.0, 2.0, 3.0]);
    // The sums over neighbors are a resting value: they are computed when the moods change.
    let sums = ModelBuilder::new(graph).reads::<Mood>().layer(GcnConv::new(1)).writes::<Copy>();
    let sums = world.spawn_model(sums).unwrap();
    set(&mut world, sums, "weight", &[1.0]);
    world.infer(sums).unwrap();
    world.get_mut::<Copy>(nodes[0]).unwrap().0 = -1.0;
    world.infer(sums).unwrap();
    assert_eq!(world.get::<Copy>(nodes[0]).unwrap().0, 1.0);
}

/// The backward pass reads the input once more, after the output has been computed.
#[test]
fn a_component_may_be_read_and_written() {
    let (mut world, graph, nodes) = world();
    let wanted = |mood: &Mood| [2.0 * mood.0];
    let build = |world: &mut World, observes: bool| {
        let model = ModelBuilder::new(graph).layer(Linear::new(1));
        let model = if observes { model.observe(wanted) } else { model.reads::<Mood>().writes::<Mood>() };
        world.spawn_model(model.learns::<Mood>(Loss::MeanSquaredError, Optimizer::sgd(0.1))).unwrap()
    };
    let model = build(&mut world, false);
    set(&mut world, model, "weight", &[2.0]);
    world.infer(model).unwrap();
    assert_eq!(nodes.map(|node| world.get::<Mood>(node).unwrap().0), [2.0, 4.0, 6.0]);
    assert_eq!(world.query_filtered::<(), Changed<Mood>>().iter(&world).count(), 3);
    // d loss / d weight = mean of 2 (w x - x) x with w = 2 and x = 2, 4, 6, of the input and not of what it became.
    world.train(model).unwrap();
    let parameters = world.get::<Model>(model).unwrap().parameters.clone();
    let weight = world.get::<Parameter>(parameters[0]).unwrap().gradient.unwrap();
    let gradient = weight.matrix(&world).row(0)[0];
    assert!((gradient - 2.0 * (4.0 + 16.0 + 36.0) / 3.0).abs() < 1e-4, "{gradient}");
    build(&mut world, true);
}

#[test]
fn components_that_are_not_plain_numbers_are_copied_in_and_out() {
    let (mut world, graph, nodes) = world();
    for (place, node) in nodes.into_iter().enumerate() {
        let mass = place as f32;
        world.entity_mut(node).insert(Body { name: format!("body {place}"), mass, charge: 0.1 });
    }
    let model = ModelBuilder::new(graph).reads::<Body>().layer(Linear::new(2));
    let model = model.writes::<Body>().learns::<Wanted>(Loss::MeanSquaredError, Optimizer::sgd(0.0));
    let model = world.spawn_model(model).unwrap();
    set(&mut world, model, "weight", &[1.0, 1.0, 0.0, 1.0]);
    let layout = world.get::<Parameter>(world.get::<Model>(model).unwrap().parameters[0]).unwrap().shape;
    assert_eq!(layout.len(), 2);
    world.clear_trackers();
    world.infer(model).unwrap();
    let input = world.get::<Model>(model).unwrap().input.values();
    assert_eq!(
        input.matrix(&world).rows().map(<[f32]>::to_vec).collect::<Vec<_>>(),
        [[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]]
    );
    let output = world.get::<Model>(model).unwrap().output;
    for (place, node) in nodes.into_iter().enumerate() {
        let row = output.get(&world, node).unwrap();
        let body = world.get::<Body>(node).unwrap();
        let expected = Body { name: format!("body {place}"), mass: row[0], charge: row[1] / 10.0 };
        assert_eq!(*body, expected);
    }
    assert_eq!(world.query_filtered::<(), Changed<Body>>().iter(&world).count(), 3);
    for run in [World::train, World::evaluate] {
        world.clear_trackers();
        run(&mut world, model).unwrap();
        assert_eq!(world.query_filtered::<(), Changed<Body>>().iter(&world).count(), 3);
    }
}

#[test]
fn several_components_are_one_input_side_by_side() {
    let (mut world, graph, nodes) = world();
    for (node, mass) in nodes.into_iter().zip([10.0, 20.0, 30.0]) {
        world.entity_mut(node).insert(Body { name: String::new(), mass, charge: 0.5 });
    }
    let model = ModelBuilder::new(graph).reads::<Mood>().reads::<Body>().writes::<Steering>().layer(Linear::new(2));
    let model = world.spawn_model(model).unwrap();
    // From mood, mass and ten times the charge: 2 mood + mass, and charge.
    set(&mut world, model, "weight", &[2.0, 0.0, 1.0, 0.0, 0.0, 0.1]);
    world.infer(model).unwrap();
    assert_eq!(steering(&world, nodes), [[12.0, 0.5], [24.0, 0.5], [36.0, 0.5]]);
}

#[test]
fn a_component_is_learned() {
    for copied in [false, true] {
        let (mut world, graph, nodes) = world();
        for (node, wanted) in nodes.into_iter().zip(EXPECTED) {
            let body = Body { mass: wanted[0], charge: wanted[1] / 10.0, ..Body::default() };
            world.entity_mut(node).insert((Wanted(wanted), body));
        }
        let model = ModelBuilder::new(graph).reads::<Mood>().layer(Linear::new(2)).writes::<Steering>();
        let (loss, adam) = (Loss::MeanSquaredError, Optimizer::adam(0.1));
        let model = if copied { model.learns::<Body>(loss, adam) } else { model.learns::<Wanted>(loss, adam) };
        let model = world.spawn_model(model).unwrap();
        for _ in 0..1500 {
            world.train(model).unwrap();
        }
        world.infer(model).unwrap();
        let found = steering(&world, nodes);
        let errors = found.as_flattened().iter().zip(EXPECTED.as_flattened()).map(|(found, wanted)| found - wanted);
        assert!(errors.into_iter().all(|error| error.abs() < 0.05), "{found:?}");
        world.evaluate(model).unwrap();
        assert!(world.get::<Metrics>(model).unwrap().of(Split::Train).loss() < 1e-2);
    }
}

#[derive(Component)]
struct Place([f32; 2]);

#[derive(Component)]
struct Speed(f32);

#[test]
fn functions_observe_and_act() {
    let (mut world, graph, nodes) = world();
    let lonely = world.spawn((GraphNode, Speed(9.0))).id();
    for (place, node) in nodes.into_iter().enumerate() {
        world.entity_mut(node).insert((Place([place as f32, 1.0]), Speed(10.0), Steering::default()));
    }
    let model = ModelBuilder::new(graph)
        .observe(|(place, speed): (&Place, &Speed)| [place.0[0], place.0[1] + speed.0])
        .layer(Linear::new(1))
        .act(|output: &[f32], steering: &mut Steering| steering.0[0] = output[0])
        .act(|_: &[f32], (steering, speed): (&mut Steering, &Speed)| steering.0[1] = steering.0[0] + speed.0)
        .learns::<Mood>(Loss::MeanSquaredError, Optimizer::sgd(0.0));
    let model = world.spawn_model(model).unwrap();
    set(&mut world, model, "weight", &[100.0, 1.0]);
    for run in [World::infer, World::train, World::evaluate] {
        nodes.iter().for_each(|node| *world.get_mut::<Steering>(*node).unwrap() = Steering::default());
        run(&mut world, model).unwrap();
        assert_eq!(steering(&world, nodes), [[11.0, 21.0], [111.0, 121.0], [211.0, 221.0]]);
    }
    // It has no place: zeros.
    let Model { input, output, .. } = world.get(model).unwrap();
    assert_eq!(input.values().get(&world, lonely).unwrap(), [0.0; 2]);
    assert_eq!(output.get(&world, lonely).unwrap(), [0.0]);
}

/// Neither order is to be said: systems of the user's in `Observe` and `Act` come before and after.
#[test]
fn functions_and_copies_need_no_order_against_systems() {
    let (mut world, graph, nodes) = world();
    world.init_resource::<Seen>();
    let model = ModelBuilder::new(graph).observe(|mood: &Mood| [mood.0]).writes::<Steering>();
    let model = model.act(|output: &[f32], (steering, _): (&mut Steering, &Mood)| steering.0[0] = -output[0]);
    let model = double_and_triple(&mut world, model);
    let cheer = |mut moods: Query<&mut Mood>| moods.iter_mut().for_each(|mut mood| mood.0 += 1.0);
    let systems = (cheer.in_set(GraphSystems::Observe), look.in_set(GraphSystems::Act));
    world.add_model_systems(Infer(model), systems).unwrap();
    world.infer(model).unwrap();
    assert_eq!(steering(&world, nodes), [[-4.0, 6.0], [-6.0, 9.0], [-8.0, 12.0]]);
    assert_eq!(world.resource::<Seen>().0, steering(&world, nodes));
}

#[test]
fn components_of_edges_and_subgraphs_are_read_and_written() {
    #[derive(Component, Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
    #[repr(C)]
    struct Total(f32);
    let (mut world, graph, nodes) = world();
    let team = world.spawn(Subgraph).id();
    nodes.iter().for_each(|node| {
        world.entity_mut(*node).insert(connectome_components::InSubgraph(team));
    });
    let model = ModelBuilder::new(graph).reads::<Mood>().layer(Readout::Sum).writes::<Total>();
    let model = world.spawn_model(model).unwrap();
    world.infer(model).unwrap();
    assert_eq!(world.get::<Total>(team).unwrap().0, 6.0);
}

#[test]
fn what_does_not_fit_is_refused_with_its_name() {
    #[derive(Component, Clone, Copy, Default, Pod, Zeroable)]
    #[repr(C)]
    struct Tiny(u8);
    #[derive(Component, Clone, Copy, Default, Pod, Zeroable)]
    #[component(storage = "SparseSet")]
    #[repr(C)]
    struct Sparse([f32; 2]);
    let (mut world, graph, _) = world();
    let model = || ModelBuilder::new(graph).reads::<Mood>().layer(Linear::new(3));
    let cases: [(ModelBuilder, &[&str]); 5] = [
        (model().writes::<Steering>(), &["width 3", "`Steering` has width 2"]),
        (model().learns::<Wanted>(Loss::MeanSquaredError, Optimizer::adam(0.1)), &["Wanted", "width 2", "needs 3"]),
        (
            ModelBuilder::new(graph)
                .reads::<Mood>()
                .layer(Linear::new(2))
                .learns::<Wanted>(Loss::CrossEntropy, Optimizer::adam(0.1)),
            &["CrossEntropy takes classes"],
        ),
        (ModelBuilder::new(graph).reads::<Tiny>().layer(Linear::new(2)), &["Tiny", "f32"]),
        (ModelBuilder::new(graph).reads::<Sparse>().layer(Linear::new(2)), &["Sparse", "table storage"]),
    ];
    for (model, words) in cases {
        let error = world.spawn_model(model).unwrap_err().to_string();
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
    }
}

#[test]
fn a_removed_model_leaves_the_components() {
    let (mut world, graph, nodes) = world();
    let build = |world: &mut World| {
        let model = ModelBuilder::new(graph).reads::<Mood>().writes::<Steering>();
        double_and_triple(world, model)
    };
    let model = build(&mut world);
    world.infer(model).unwrap();
    world.remove_model(model).unwrap();
    assert!(matches!(world.infer(model), Err(BuildError::NoSchedule(_) | BuildError::NoModel(_))));
    assert_eq!(steering(&world, nodes), EXPECTED);
    let again = build(&mut world);
    world.infer(again).unwrap();
    assert_eq!(steering(&world, nodes), EXPECTED);
}

#[test]
fn edges_of_despawned_nodes_are_removed_after_the_step_and_no_others() {
    let (mut world, graph, [a, b, c]) = world();
    let model = world.spawn_model(ModelBuilder::new(graph).reads::<Mood>().layer(GcnConv::new(1))).unwrap();
    world.add_model_systems(Infer(model), despawn_dangling_edges(graph).in_set(GraphSystems::Act)).unwrap();
    let stranger = world.spawn_empty().id();
    let edge = |world: &mut World, source, target| world.spawn(Edge { source, target }).id();
    let [dead, alive, foreign] = [(a, b), (c, b), (stranger, b)].map(|(from, to)| edge(&mut world, from, to));
    world.entity_mut(c).insert(Edge { source: c, target: a });
    world.infer(model).unwrap();
    assert!([dead, alive, foreign].iter().all(|edge| world.get_entity(*edge).is_ok()));
    world.despawn(a);
    world.infer(model).unwrap();
    assert!(world.get_entity(dead).is_err());
    assert!([alive, foreign].iter().all(|edge| world.get_entity(*edge).is_ok()));
    assert!(world.get::<Mood>(c).is_some() && world.get::<Edge>(c).is_none(), "a node loses the edge and stays");
    world.infer(model).unwrap();
    assert_eq!(world.get::<Topology>(graph).unwrap().dangling, 1);
}
