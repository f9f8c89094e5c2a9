//! The same bits for any number of workers, run after run: losses, gradients and weights over 50 epochs of Cora with
//! dropout. A failure names the number of workers and the first epoch whose losses differ.

use connectome::{
    Trainer,
    components::{Model, Parameter},
    data::GraphData,
    output::EpochReport,
    scene::SceneFile,
    systems::Workers,
};

const EPOCHS: u64 = 50;

/// Everything that a run computes, as bits.
#[derive(PartialEq)]
struct Trace {
    epochs: Vec<Vec<u64>>,
    gradients: Vec<Vec<u32>>,
    weights: Vec<Vec<u32>>,
    logits: Vec<u32>,
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn epoch_bits(report: &EpochReport) -> Vec<u64> {
    report.metrics.iter().map(|(.., value)| value.to_bits()).collect()
}

fn trace(scene: &SceneFile, data: &GraphData, workers: usize) -> Trace {
    let mut trainer = Trainer::new(scene, data, 3, Workers::new(workers).unwrap()).unwrap();
    let epochs = (0..EPOCHS).map(|_| epoch_bits(trainer.epoch().unwrap())).collect();
    let weights = trainer.weights().iter().map(|tensor| bits(&tensor.values)).collect();
    let model = trainer.entities().model;
    let logits = bits(&trainer.infer().unwrap().0);
    let world = trainer.world();
    let parameters = world.get::<Model>(model).unwrap().parameters.clone();
    let gradients = parameters.iter().map(|owner| {
        let gradient = world.get::<Parameter>(*owner).unwrap().gradient.unwrap();
        bits(gradient.get(world, *owner).unwrap())
    });
    Trace { epochs, gradients: gradients.collect(), weights, logits }
}

#[test]
fn every_number_of_workers_and_every_run_gives_the_same_bits() {
    let (scene, data) = SceneFile::load("assets/cora.ron").unwrap();
    let one = trace(&scene, &data, 1);
    assert_ne!(one.epochs[0], one.epochs[1], "nothing was learned, so nothing is compared");
    assert!(one.gradients.iter().flatten().any(|bits| f32::from_bits(*bits) != 0.0));
    for workers in [1, 2, 3, 8] {
        let other = trace(&scene, &data, workers);
        let differing = one.epochs.iter().zip(&other.epochs).position(|(a, b)| a != b);
        assert_eq!(differing, None, "{workers} workers: losses differ from this epoch on");
        assert!(one == other, "{workers} workers: gradients, weights or logits differ");
    }
}

#[test]
fn another_seed_gives_other_weights() {
    let (scene, data) = SceneFile::load("assets/karate.ron").unwrap();
    let weights = |seed| Trainer::new(&scene, &data, seed, Workers::single()).unwrap().weights();
    assert_eq!(weights(0), weights(0));
    assert_ne!(weights(0), weights(1));
}
