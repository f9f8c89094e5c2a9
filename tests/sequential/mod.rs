//! Parallel training of a batch is the sequential one: the same losses and weights, bit for bit, whatever the number of
//! workers, and those of a plain trainer that goes through the graphs one by one in double precision.
//!
//! Both learn MUTAG with a graph isomorphism network, over epochs of shuffled batches. A failure names the batch or the
//! parameter and shows both numbers.

mod plain;

use bevy_ecs::prelude::*;
use connectome::{
    Trainer,
    components::{Metrics, Optimizer, Split},
    data::{Features, GraphData},
    output::Tensor,
    scene::{LayerDescription, SceneFile},
    systems::{
        GraphSystems, Train, Workers, add_systems,
        layers::{GinConv, Linear, Mlp, Readout},
        random::{Philox, RandomStream},
    },
};
use plain::{Convolution, Map, PlainGraph, PlainModel, Rule, Weights};

const EPOCHS: u64 = 6;
const BATCH: usize = 48;
const SEED: u64 = 11;
const WIDTH: usize = 32;

/// The loss of each batch.
#[derive(Resource, Default)]
struct Losses(Vec<f64>);

fn scene(optimizer: Optimizer) -> (SceneFile, GraphData) {
    let (mut scene, data) = SceneFile::load("assets/mutag.ron").unwrap();
    let convolution = |epsilon, train_epsilon| {
        LayerDescription::GinConv(GinConv { nn: Mlp::new([WIDTH, WIDTH]), epsilon, train_epsilon })
    };
    scene.model = vec![
        convolution(0.0, true),
        LayerDescription::Relu,
        convolution(0.25, false),
        LayerDescription::Relu,
        LayerDescription::Readout(Readout::Sum),
        LayerDescription::Linear(Linear::new(2)),
    ];
    scene.optimizer = optimizer;
    scene.training.batch_size = Some(BATCH);
    scene.training.steps_per_epoch = None;
    (scene, data)
}

/// A trainer that keeps the loss of each batch.
fn trainer(scene: &SceneFile, data: &GraphData, workers: usize) -> Trainer {
    let mut trainer = Trainer::new(scene, data, SEED, Workers::new(workers).unwrap()).unwrap();
    let model = trainer.entities().model;
    let record = move |metrics: Query<&Metrics>, mut losses: ResMut<Losses>| {
        let metrics = metrics.get(model).unwrap().of(Split::Train);
        losses.0.push(metrics.loss_sum / metrics.count as f64);
    };
    let world = trainer.world();
    world.init_resource::<Losses>();
    add_systems(world, Train(model), record.in_set(GraphSystems::Act)).unwrap();
    trainer
}

/// The losses of all batches, and the weights at the end.
fn train(scene: &SceneFile, data: &GraphData, workers: usize) -> (Vec<f64>, Vec<Tensor>) {
    let mut trainer = trainer(scene, data, workers);
    for _ in 0..EPOCHS {
        trainer.epoch().unwrap();
    }
    let weights = trainer.weights();
    (trainer.world().resource::<Losses>().0.clone(), weights)
}

fn plain_graphs(data: &GraphData) -> Vec<PlainGraph> {
    let graphs = data.graphs.as_ref().unwrap();
    let Features::Sparse { width, offsets, indices, values } = &data.features else { panic!("one-hot codes") };
    let features = |node: usize| {
        let mut row = vec![0.0; *width];
        for place in offsets[node]..offsets[node + 1] {
            row[indices[place] as usize] = f64::from(values[place]);
        }
        row
    };
    let graph = |number: usize| {
        let nodes = graphs.nodes(number);
        let ends = |ends: &[u32; 2]| ends.map(|end| end as usize - nodes.start);
        PlainGraph {
            features: nodes.clone().map(features).collect(),
            edges: data.edges[graphs.edges(number)].iter().map(ends).collect(),
            class: graphs.labels[number] as usize,
        }
    };
    (0..graphs.len()).map(graph).collect()
}

/// The plain model with the weights that the engine has drawn.
fn plain_model(weights: &[Tensor]) -> PlainModel {
    let find = |name: &str, learns: bool| {
        let tensor = weights.iter().find(|tensor| tensor.name == name).unwrap_or_else(|| panic!("no {name}"));
        Weights::new(tensor.values.iter().map(|value| f64::from(*value)).collect(), learns)
    };
    let map =
        |name: &str| Map { weight: find(&format!("{name}.weight"), true), bias: find(&format!("{name}.bias"), true) };
    let convolution = |layer: usize, learns: bool| Convolution {
        eps: find(&format!("layers.{layer}.eps"), learns),
        first: map(&format!("layers.{layer}.nn.0")),
        second: map(&format!("layers.{layer}.nn.2")),
    };
    PlainModel { convolutions: vec![convolution(0, true), convolution(2, false)], last: map("layers.5"), steps: 0 }
}

/// What the weights of the plain model are called.
fn named(model: &PlainModel) -> Vec<(String, &[f64])> {
    let mut named = Vec::new();
    let mut add = |name: String, weights| named.push((name, weights));
    for (number, convolution) in model.convolutions.iter().enumerate() {
        let layer = 2 * number;
        add(format!("layers.{layer}.eps"), &convolution.eps.values[..]);
        for (name, map) in [("nn.0", &convolution.first), ("nn.2", &convolution.second)] {
            add(format!("layers.{layer}.{name}.weight"), &map.weight.values[..]);
            add(format!("layers.{layer}.{name}.bias"), &map.bias.values[..]);
        }
    }
    add("layers.5.weight".to_owned(), &model.last.weight.values[..]);
    add("layers.5.bias".to_owned(), &model.last.bias.values[..]);
    named
}

/// Trains the plain model as long, on the same batches.
fn train_plainly(scene: &SceneFile, data: &GraphData, rule: Rule) -> (Vec<f64>, PlainModel) {
    let graphs = plain_graphs(data);
    let splits = &data.graphs.as_ref().unwrap().splits;
    let learned: Vec<usize> = (0..graphs.len()).filter(|graph| splits[*graph] == Split::Train).collect();
    let mut model = plain_model(&trainer(scene, data, 1).weights());
    let mut losses = Vec::new();
    for epoch in 0..EPOCHS {
        // The order in which the engine goes through them.
        let mut order = learned.clone();
        RandomStream::new(Philox::new(SEED, 0x0BDE_0000, epoch)).shuffle(&mut order);
        for batch in order.chunks(BATCH) {
            let batch: Vec<&PlainGraph> = batch.iter().map(|graph| &graphs[*graph]).collect();
            losses.push(model.step(&batch, rule));
        }
    }
    (losses, model)
}

fn check_against_plain(optimizer: Optimizer, rule: Rule) {
    let (scene, data) = scene(optimizer);
    let (losses, weights) = train(&scene, &data, 2);
    let (expected, model) = train_plainly(&scene, &data, rule);
    assert_eq!(losses.len(), expected.len());
    let mut worst = 0.0_f64;
    for (batch, (loss, expected)) in losses.iter().zip(&expected).enumerate() {
        let error = (loss - expected).abs() / expected.abs();
        worst = worst.max(error);
        assert!(error < 1e-4, "batch {batch}: the loss is {loss}, and {expected} one graph after the other");
    }
    let mut worst_weight = 0.0_f64;
    for (name, expected) in named(&model) {
        let found = weights.iter().find(|tensor| tensor.name == name).unwrap();
        assert_eq!(found.values.len(), expected.len(), "{name}");
        let scale = expected.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
        for (place, (found, expected)) in found.values.iter().zip(expected).enumerate() {
            let error = (f64::from(*found) - expected).abs() / scale.max(1e-3);
            worst_weight = worst_weight.max(error);
            assert!(error < 1e-4, "{name}, number {place}: {found}, and {expected} one graph after the other");
        }
    }
    let (first, last) = (expected[0], expected[expected.len() - 1]);
    assert!(last < 0.95 * first, "nothing was learned: {first} became {last}");
    println!("{} batches: losses within {worst:.1e}, weights within {worst_weight:.1e}", losses.len());
}

#[test]
fn descent_is_that_of_the_plain_trainer() {
    let (rate, momentum) = (0.002_f32, 0.9_f32);
    let optimizer = Optimizer::Sgd { learning_rate: rate, momentum, nesterov: false, weight_decay: 0.0 };
    check_against_plain(optimizer, Rule::Sgd { rate: f64::from(rate), momentum: f64::from(momentum) });
}

#[test]
fn adam_is_that_of_the_plain_trainer() {
    let optimizer = Optimizer::adam(0.002);
    let Optimizer::Adam { learning_rate, betas, epsilon, .. } = optimizer else { panic!("it is Adam") };
    let rule = Rule::Adam {
        rate: f64::from(learning_rate),
        betas: [betas.0, betas.1].map(f64::from),
        epsilon: f64::from(epsilon),
    };
    check_against_plain(optimizer, rule);
}

#[test]
fn every_number_of_workers_and_every_run_gives_the_same_bits() {
    let (scene, data) = scene(Optimizer::adam(0.002));
    let bits = |workers: usize| {
        let (losses, weights) = train(&scene, &data, workers);
        let losses: Vec<u64> = losses.into_iter().map(f64::to_bits).collect();
        let weights: Vec<u32> = weights.iter().flat_map(|tensor| &tensor.values).map(|value| value.to_bits()).collect();
        (losses, weights)
    };
    let one = bits(1);
    for workers in [1, 2, 3, 8] {
        let other = bits(workers);
        let differing = one.0.iter().zip(&other.0).position(|(a, b)| a != b);
        assert_eq!(differing, None, "{workers} workers: losses differ from this batch on");
        assert!(one == other, "{workers} workers: weights differ");
    }
}
