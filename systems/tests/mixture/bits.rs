//! Workers, the order in which experts are run, executors and histories change no bit.

use super::*;
use bevy_ecs::schedule::{MultiThreadedExecutor, Schedules, SingleThreadedExecutor};
use connectome_systems::add_model_to_schedule;

#[derive(bevy_ecs::schedule::ScheduleLabel, Clone, Debug, PartialEq, Eq, Hash)]
struct Tick;

/// How a mixture is run.
#[derive(Clone, Copy, Debug)]
enum Executor {
    Own,
    SingleThreaded,
    MultiThreaded,
}

/// All that a mixture has learned after some steps, and what it predicts then.
fn learned(top_k: usize, workers: usize, side_by_side: bool, executor: Executor) -> Vec<Vec<u32>> {
    let mut corpus = Corpus::new(40, Rows::Subgraphs, 3);
    let expert = corpus.expert(Corpus::adam()).layer(Dropout(0.2)).layer(BatchNorm::default());
    let mut builder =
        MixtureBuilder::new(corpus.gate(Corpus::adam()), corpus.model(Corpus::adam()).layer(Linear::new(OUTPUTS)))
            .top_k(top_k)
            .side_by_side(side_by_side);
    for _ in 0..4 {
        builder = builder.expert(expert.clone());
    }
    let mixture = corpus.spawn(builder);
    let world = &mut corpus.scene.world;
    world.insert_resource(Workers::new(workers).unwrap());
    if !matches!(executor, Executor::Own) {
        add_model_to_schedule(world, Tick, Train(mixture)).unwrap();
        let mut schedules = world.resource_mut::<Schedules>();
        let schedule = schedules.get_mut(Tick).unwrap();
        match executor {
            Executor::MultiThreaded => schedule.set_executor(MultiThreadedExecutor::new()),
            _ => schedule.set_executor(SingleThreadedExecutor::new()),
        };
    }
    for _ in 0..6 {
        match executor {
            Executor::Own => world.train(mixture).unwrap(),
            _ => run(world, Tick).unwrap(),
        }
    }
    world.infer(mixture).unwrap();
    let values = state(world, mixture).into_iter().chain([output(world, mixture)]);
    values.map(|values| values.iter().map(|value| value.to_bits()).collect()).collect()
}

#[test]
fn neither_workers_nor_executors_nor_the_order_of_experts_change_a_bit() {
    for top_k in [1, 2, 4] {
        let expected = learned(top_k, 1, false, Executor::Own);
        for workers in [1, 2, 3, 8] {
            for side_by_side in [false, true] {
                assert_eq!(learned(top_k, workers, side_by_side, Executor::Own), expected, "{workers} workers");
            }
        }
        for executor in [Executor::SingleThreaded, Executor::MultiThreaded] {
            assert_eq!(learned(top_k, 2, true, executor), expected, "{executor:?}");
        }
    }
}

/// What is predicted for the first graphs does not depend on what else was ever in the world.
#[test]
fn the_history_of_a_world_changes_no_bit() {
    let predicted = |detour: bool| {
        let mut corpus = Corpus::new(12, Rows::Subgraphs, 5);
        let builder = corpus.builder(3, Corpus::adam()).top_k(1);
        let mixture = corpus.spawn(builder);
        let world = &mut corpus.scene.world;
        if detour {
            let more: Vec<Entity> = (0..7).map(|_| world.spawn(Subgraph).id()).collect();
            let nodes: Vec<Entity> = more
                .iter()
                .map(|subgraph| world.spawn((GraphNode, connectome_components::InSubgraph(*subgraph))).id())
                .collect();
            world.infer(mixture).unwrap();
            more.into_iter().chain(nodes).for_each(|entity| _ = world.despawn(entity));
        }
        (0..3).for_each(|_| world.train(mixture).unwrap());
        state(world, mixture).into_iter().flatten().map(f32::to_bits).collect::<Vec<_>>()
    };
    assert_eq!(predicted(false), predicted(true));
}

#[test]
fn training_lowers_the_loss_and_evaluation_measures_it() {
    let mut corpus = Corpus::new(40, Rows::Subgraphs, 7);
    let builder = corpus.builder(3, Corpus::adam()).top_k(2);
    let mixture = corpus.spawn(builder);
    let world = &mut corpus.scene.world;
    world.evaluate(mixture).unwrap();
    let loss = |world: &World| world.get::<Metrics>(mixture).unwrap().of(Split::Train).loss();
    let before = loss(world);
    (0..60).for_each(|_| world.train(mixture).unwrap());
    world.evaluate(mixture).unwrap();
    assert!(loss(world) < 0.7 * before, "{} after {before}", loss(world));
    let rows: usize = component(world, mixture).experts.iter().map(|expert| expert.rows).sum();
    assert_eq!(rows, 2 * 40);
    let weight: f32 = component(world, mixture).experts.iter().map(|expert| expert.weight).sum();
    assert!((weight - 1.0).abs() < 1e-5);
}
