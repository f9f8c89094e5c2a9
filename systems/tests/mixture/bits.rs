//! Workers, the order in which experts are run, executors and histories change no bit.

use super::*;
use bevy_ecs::schedule::{MultiThreadedExecutor, Schedules, SingleThreadedExecutor};
use common::STANDSTILL;
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
            .noise(if top_k == 2 { 1.0 } else { 0.0 })
            .side_by_side(side_by_side);
    for _ in 0..4 {
        builder = builder.expert(expert.clone());
    }
    if top_k == 3 {
        let model = corpus.model(Corpus::adam());
        builder = MixtureBuilder::new(corpus.gate(Corpus::adam()), model).top_k(top_k).side_by_side(side_by_side);
        builder = (0..4).fold(builder, |builder, _| builder.expert(expert.clone())).competition(2.0);
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
    // Of three experts they compete.
    for top_k in [1, 2, 3, 4] {
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

/// With noise 1 a row is given to an expert as often as the gate's softmax says; without training there is no noise.
#[test]
fn noise_draws_experts_by_their_probabilities() {
    let mut corpus = Corpus::new(60, Rows::Subgraphs, 7);
    let builder = corpus.builder(3, STANDSTILL).top_k(1).noise(1.0);
    let mixture = corpus.spawn(builder);
    let world = &mut corpus.scene.world;
    let mut counts = [0.0; 3];
    let mut expected = [0.0; 3];
    let mut chosen = Vec::new();
    for _ in 0..50 {
        world.train(mixture).unwrap();
        let MixtureOfExperts { gate, weights, .. } = component(world, mixture).clone();
        chosen.push(weights.matrix(world).rows().map(|row| row.iter().position(|one| *one > 0.0)).collect::<Vec<_>>());
        for (expert, entry) in component(world, mixture).experts.iter().enumerate() {
            counts[expert] += entry.rows as f64 / 3000.0;
        }
        for logits in output(world, gate).chunks_exact(3) {
            let terms = [0, 1, 2].map(|expert| f64::from(logits[expert]).exp());
            let sum: f64 = terms.iter().sum();
            (0..3).for_each(|expert| expected[expert] += terms[expert] / sum / 3000.0);
        }
    }
    assert!(counts.iter().zip(expected).all(|(count, share)| (count - share).abs() < 0.04), "{counts:?} {expected:?}");
    assert!(chosen.windows(2).all(|steps| steps[0] != steps[1]));
    let best = |world: &mut World| {
        world.infer(mixture).unwrap();
        component(world, mixture).experts.iter().map(|expert| expert.rows).collect::<Vec<_>>()
    };
    assert_eq!(best(world), best(world));
}

/// What gate and experts read may be given to the model once, for all of them.
#[test]
fn gate_and_experts_read_what_the_model_is_given() {
    let predicted = |shared: bool| {
        let mut corpus = Corpus::new(9, Rows::Subgraphs, 4);
        let input = corpus.input;
        let read = |model: ModelBuilder, reads: bool| if reads { model.input(input) } else { model };
        let part = |layers: fn(ModelBuilder) -> ModelBuilder| {
            let part = ModelBuilder::new(corpus.scene.graph).optimizer(Corpus::adam());
            read(layers(part), !shared)
        };
        let gate = part(|gate| gate.layer(Readout::Mean));
        let expert = part(|expert| expert.layer(GcnConv::new(OUTPUTS)).layer(Readout::Sum));
        let model = read(corpus.model(Corpus::adam()), shared);
        let builder = MixtureBuilder::new(gate, model).expert(expert.clone()).expert(expert);
        assert_eq!(builder.dry_run().unwrap().len(), 4);
        let mixture = corpus.spawn(builder);
        (0..3).for_each(|_| corpus.scene.world.train(mixture).unwrap());
        output(&corpus.scene.world, mixture)
    };
    assert_eq!(predicted(true), predicted(false));
}
