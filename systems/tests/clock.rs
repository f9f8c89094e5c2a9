//! A clock in a schedule tells of every system in its order, and leaves what is computed as it was. A failure shows the
//! readings, or the outputs that differ.

use bevy_ecs::prelude::*;
use connectome_components::{Edge, Graph, GraphNode, Model};
use connectome_systems::{
    GraphSystems, Infer, ModelBuilder, ScheduleTimings, Workers, add_systems, describe_schedule,
    kernels::Activation,
    layers::{BuildError, GcnConv, Linear},
    run,
};

/// A model on a ring of so many nodes, whose input numbers them.
fn ring(count: usize) -> (World, Entity) {
    let mut world = World::new();
    let graph = Graph::spawn(&mut world);
    let model = ModelBuilder::new(graph)
        .input_width(2)
        .layer(GcnConv::new(3))
        .layer(Activation::Tanh)
        .layer(Linear::new(2))
        .build(&mut world)
        .unwrap();
    let nodes: Vec<Entity> = (0..count).map(|_| world.spawn(GraphNode).id()).collect();
    for (number, source) in nodes.iter().enumerate() {
        world.spawn(Edge { source: *source, target: nodes[(number + 1) % count] });
    }
    run(&mut world, Infer(model)).unwrap();
    let input = world.get::<Model>(model).unwrap().input.values();
    for (number, row) in input.matrix_mut(&mut world).rows_mut().enumerate() {
        row.copy_from_slice(&[number as f32 / count as f32, 1.0]);
    }
    (world, model)
}

fn output(world: &mut World, model: Entity) -> Vec<u32> {
    run(world, Infer(model)).unwrap();
    let output = world.get::<Model>(model).unwrap().output;
    output.matrix(world).rows().flatten().map(|number| number.to_bits()).collect()
}

#[test]
fn every_system_is_timed_in_its_order_and_computes_what_it_did_before() {
    let (mut world, model) = ring(20);
    let (before, systems) = (output(&mut world, model), describe_schedule(&world, Infer(model)));
    let clock = ScheduleTimings::add(&mut world, Infer(model)).unwrap();
    assert_eq!(clock.systems(), systems);
    assert_eq!(clock.take().len(), 0);
    for _ in 0..3 {
        assert_eq!(output(&mut world, model), before);
    }
    let runs = clock.take();
    assert_eq!(runs.len(), 3);
    assert!(runs.iter().all(|run| run.len() == systems.len() + 1 && run.is_sorted()), "{runs:?}");
    assert!(runs.windows(2).all(|pair| pair[0].last() <= pair[1].first()), "{runs:?}");
    assert_eq!(clock.take().len(), 0, "they were taken");
}

#[test]
fn systems_have_the_phase_and_the_layer_they_were_added_to() {
    let (mut world, model) = ring(4);
    add_systems(&mut world, Infer(model), (|| {}).in_set(GraphSystems::Act)).unwrap();
    let systems = describe_schedule(&world, Infer(model));
    let phases: Vec<Option<GraphSystems>> = systems.iter().map(|system| system.phase).collect();
    assert_eq!(phases.first(), Some(&Some(GraphSystems::Sync)));
    assert_eq!(phases.last(), Some(&Some(GraphSystems::Act)));
    let layers: Vec<usize> = systems.iter().filter_map(|system| system.layer).collect();
    assert!(layers.is_sorted() && layers.first() == Some(&0) && layers.last() == Some(&2), "{systems:?}");
}

#[test]
fn systems_that_come_later_run_and_have_no_readings() {
    #[derive(Resource, Default)]
    struct Runs(usize);
    let (mut world, model) = ring(4);
    world.init_resource::<Runs>();
    let clock = ScheduleTimings::add(&mut world, Infer(model)).unwrap();
    add_systems(&mut world, Infer(model), (|mut runs: ResMut<Runs>| runs.0 += 1).in_set(GraphSystems::Act)).unwrap();
    run(&mut world, Infer(model)).unwrap();
    assert_eq!((world.resource::<Runs>().0, clock.take().len()), (1, 0));
    let later = ScheduleTimings::add(&mut world, Infer(model)).unwrap();
    run(&mut world, Infer(model)).unwrap();
    assert_eq!((world.resource::<Runs>().0, later.take().len()), (2, 1));
}

#[test]
fn a_schedule_that_is_not_there_is_refused() {
    let mut world = World::new();
    let model = world.spawn_empty().id();
    assert!(matches!(ScheduleTimings::add(&mut world, Infer(model)), Err(BuildError::NoSchedule(_))));
}

#[test]
fn workers_write_down_every_row_once() {
    for count in [1, 2] {
        let (mut world, model) = ring(30_000);
        let before = output(&mut world, model);
        let (workers, log) = Workers::new(count).unwrap().with_log();
        world.insert_resource(workers);
        let clock = ScheduleTimings::add(&mut world, Infer(model)).unwrap();
        assert_eq!(output(&mut world, model), before);
        let (run, spans) = (&clock.take()[0], log.take());
        assert!(spans.iter().all(|span| span.worker < count && span.begin <= span.end));
        let transform = clock.systems().iter().rposition(|system| system.name == "linear").unwrap();
        let [begin, end] = [run[transform], run[transform + 1]];
        let mut rows: Vec<_> =
            spans.iter().filter(|span| begin <= span.begin && span.end <= end).map(|span| span.rows.clone()).collect();
        rows.sort_by_key(|rows| rows.start);
        assert!(rows.len() > 1 && rows[0].start == 0, "{rows:?}");
        assert!(rows.windows(2).all(|pair| pair[0].end == pair[1].start), "{rows:?}");
        assert_eq!(rows.last().map(|rows| rows.end), Some(30_000));
    }
}
