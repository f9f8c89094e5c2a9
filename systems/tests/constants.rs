//! What does not change from step to step is computed once, and again as soon as what it follows from has changed.

use bevy_ecs::{prelude::*, system::RunSystemOnce};
use connectome_components::{
    ClassLabel, Column, ColumnMut, Edge, FeatureField, Field, Graph, GraphNode, Model, Optimizer, Split,
};
use connectome_systems::{
    GraphSystems, Infer, ModelBuilder, Train, add_systems,
    layers::{GcnConv, GinConv, Mlp, SgConv},
    run,
};

const NODES: usize = 5;

/// A ring with a chord, and a model that sums its input over neighbors first; every layer widens.
fn world() -> (World, Entity, Vec<Entity>) {
    let mut world = World::new();
    let graph = Graph::spawn(&mut world);
    let nodes: Vec<Entity> =
        (0..NODES).map(|i| world.spawn((GraphNode, ClassLabel(i as u32 % 2), Split::Train)).id()).collect();
    for [source, target] in [[0, 1], [1, 2], [2, 3], [3, 4], [4, 0], [0, 2]] {
        world.spawn(Edge { source: nodes[source], target: nodes[target] });
    }
    (world, graph, nodes)
}

fn builder(graph: Entity) -> ModelBuilder {
    let perceptron = Mlp::new([4, 6]);
    let builder = ModelBuilder::new(graph).input_width(3).layer(SgConv::new(4, 2)).layer(GcnConv::new(5));
    let optimizer = Optimizer::Sgd { learning_rate: 0.0, momentum: 0.0, nesterov: false, weight_decay: 0.0 };
    builder.layer(GinConv::new(perceptron)).optimizer(optimizer)
}

fn input(world: &World, model: Entity) -> Field {
    world.get::<Model>(model).unwrap().input.values()
}

fn fill(world: &mut World, model: Entity, offset: f32) {
    let input = input(world, model);
    for (row, numbers) in input.matrix_mut(world).rows_mut().enumerate() {
        numbers.iter_mut().enumerate().for_each(|(i, number)| *number = offset + ((row * 7 + i * 3) % 5) as f32);
    }
}

fn output(world: &World, model: Entity) -> Vec<f32> {
    world.get::<Model>(model).unwrap().output.matrix(world).rows().flatten().copied().collect()
}

/// What a model that has just been built says of the same graph and input.
fn fresh(world: &mut World, graph: Entity, model: Entity) -> Vec<f32> {
    let old = input(world, model);
    let other = builder(graph).input(FeatureField::from(old)).build(world).unwrap();
    run(world, Infer(other)).unwrap();
    output(world, other)
}

#[test]
fn every_way_to_change_the_input_or_the_edges_is_seen() {
    let (mut world, graph, nodes) = world();
    let model = builder(graph).build(&mut world).unwrap();
    run(&mut world, Infer(model)).unwrap();
    fill(&mut world, model, 0.5);
    let mut seen = Vec::new();
    let mut check = |world: &mut World, change: &str| {
        run(world, Infer(model)).unwrap();
        let found = output(world, model);
        assert_eq!(found, fresh(world, graph, model), "after {change}");
        run(world, Infer(model)).unwrap();
        assert_eq!(found, output(world, model), "a second time after {change}");
        assert!(!seen.contains(&found), "{change} changed nothing");
        seen.push(found);
    };
    check(&mut world, "the matrix was filled");
    let field = input(&world, model);
    field.set(&mut world, nodes[2], &[3.0, -1.0, 0.25]).unwrap();
    check(&mut world, "a row was set");
    let write = (field.write(),).build_state(&mut world).build_system(|mut input: ColumnMut| {
        input.matrix().rows_mut().for_each(|row| row[0] += 1.0);
    });
    let mut schedule = Schedule::default();
    schedule.add_systems(write);
    schedule.run(&mut world);
    check(&mut world, "a system wrote the column");
    let edge = world.query_filtered::<Entity, With<Edge>>().iter(&world).next().unwrap();
    world.get_mut::<Edge>(edge).unwrap().source = nodes[3];
    check(&mut world, "an edge was rewired");
    world.despawn(edge);
    check(&mut world, "an edge went");
    world.spawn((GraphNode, ClassLabel(0), Split::Train));
    check(&mut world, "a node came");
    world.despawn(nodes[0]);
    check(&mut world, "a node went");
    let write = (field.write(),).build_state(&mut world).build_system(|mut input: ColumnMut| {
        input.matrix().rows_mut().for_each(|row| row[1] *= 0.5);
    });
    add_systems(&mut world, Infer(model), write.in_set(GraphSystems::Observe)).unwrap();
    run(&mut world, Infer(model)).unwrap();
    let first = output(&world, model);
    run(&mut world, Infer(model)).unwrap();
    assert_ne!(first, output(&world, model), "a system of the model's own schedule writes in each step");
}

#[test]
fn a_step_in_which_nothing_changed_sums_nothing_over_the_neighbors_of_the_input() {
    let (mut world, graph, nodes) = world();
    let model = builder(graph).build(&mut world).unwrap();
    fn sums_written(world: &mut World, model: Entity, step: &dyn Fn(&mut World)) -> usize {
        let before = world.change_tick();
        world.increment_change_tick();
        step(world);
        let fields = world.get::<Model>(model).unwrap().buffers.clone();
        let input = input(world, model);
        let sums = fields.into_iter().filter(|field| field.width() == 3 && *field != input);
        sums.filter(|field| {
            let look =
                (field.read(),).build_state(world).build_system(move |column: Column| column.written_since(before));
            world.run_system_once(look).unwrap()
        })
        .count()
    }
    // Two hops of the first layer.
    let infer = |world: &mut World| run(world, Infer(model)).unwrap();
    let train = |world: &mut World| run(world, Train(model)).unwrap();
    let mut written = |step: &dyn Fn(&mut World)| sums_written(&mut world, model, step);
    assert_eq!([written(&infer), written(&infer), written(&train), written(&train)], [2, 0, 0, 0]);
    let field = input(&world, model);
    field.set(&mut world, nodes[1], &[1.0, 2.0, 3.0]).unwrap();
    let mut written = |step: &dyn Fn(&mut World)| sums_written(&mut world, model, step);
    assert_eq!([written(&train), written(&train), written(&infer)], [2, 0, 0]);
}
