//! A run that was stopped after any epoch and resumed from a file ends with the bits of one that was never stopped: for every
//! task, in one graph and in batches, with sampled neighbors, accumulated gradients, dropout, running statistics and several
//! heads.
//!
//! A failure names the scene and the epoch after which the run was resumed.

use crate::tasks::{HEADS, data, scene};
use connectome::{
    Checkpoint, RunState, Trainer,
    components::{Optimizer, TrainingState},
    data::{Features, GraphData},
    output::{EpochReport, Measures, RunIdentity, Summary, Tensor, write_weights},
    scene::SceneFile,
    systems::Workers,
};
use std::{ops::ControlFlow, path::Path};

const EPOCHS: u64 = 5;

/// What a run has computed, without its durations.
#[derive(Debug, PartialEq)]
struct Outcome {
    epochs: u64,
    summary: Measures,
    reports: Vec<(u64, Measures, f32)>,
    weights: Vec<Tensor>,
}

fn outcome(summary: &Summary, reports: &[EpochReport], trainer: &Trainer) -> Outcome {
    let of = |report: &EpochReport| (report.epoch, report.metrics.clone(), report.learning_rate);
    let reports = reports.iter().map(of).collect();
    Outcome { epochs: summary.epochs, summary: summary.metrics.clone(), reports, weights: trainer.weights() }
}

fn trainer(scene: &SceneFile, data: &GraphData, workers: usize) -> Trainer {
    Trainer::new(scene, data, 7, Workers::new(workers).unwrap()).unwrap()
}

/// Trains to the end, and returns as well what a file would hold after each epoch, the first one before any.
fn whole(scene: &SceneFile, data: &GraphData) -> (Outcome, Vec<Checkpoint>) {
    let mut trainer = trainer(scene, data, 1);
    let checkpoint = |state: RunState, reports: &[EpochReport]| {
        let identity = RunIdentity::new(scene, data, 7).unwrap();
        Checkpoint { run: "a run".to_owned(), identity, state, reports: reports.to_vec() }
    };
    let mut reports = Vec::new();
    let mut checkpoints = vec![checkpoint(trainer.state(), &reports)];
    let summary = trainer.train_while(|trainer| {
        reports.push(trainer.report().clone());
        checkpoints.push(checkpoint(trainer.state(), &reports));
        ControlFlow::Continue(())
    });
    (outcome(&summary.unwrap(), &reports, &trainer), checkpoints)
}

#[track_caller]
pub fn check(name: &str, scene: &SceneFile, data: &GraphData) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("checkpoint.safetensors");
    let (expected, checkpoints) = whole(scene, data);
    assert!(expected.weights != first_weights(scene, data), "{name}: nothing was learned, so nothing is compared");
    assert_eq!(checkpoints.len() as u64, expected.epochs + 1);
    for (epoch, checkpoint) in checkpoints.iter().enumerate() {
        checkpoint.write(&file).unwrap();
        let read = Checkpoint::read(&file).unwrap();
        assert!(read == *checkpoint, "{name}: after epoch {epoch} the file holds something else");
        let mut resumed = trainer(scene, data, 2);
        resumed.restore(&read.state).unwrap();
        let mut reports = read.reports;
        let summary = resumed.train(|report| reports.push(report.clone())).unwrap();
        let found = outcome(&summary, &reports, &resumed);
        assert!(found == expected, "{name}: resumed after epoch {epoch}: {found:?}\n{expected:?}");
    }
}

/// The weights before training.
fn first_weights(scene: &SceneFile, data: &GraphData) -> Vec<Tensor> {
    trainer(scene, data, 1).weights()
}

/// A scene of the data of `tasks`.
fn check_task(rest: &str, graphs: usize) {
    let training = format!("epochs: {EPOCHS}");
    let rest = rest.replace("epochs: 200", &training).replace("EPOCHS", &training);
    check(&rest, &scene(&rest), &data(graphs));
}

#[test]
fn nodes() {
    for rest in [
        "model: [Dropout(0.3), GcnConv(width: 8), BatchNorm(), Relu, GcnConv(width: 2)], task: NodeClassification,
         training: (EPOCHS, schedule: Cosine(epochs: 4, final_factor: 0.1), clip_norm: 0.1)",
        "model: [GcnConv(width: 8), BatchNorm(), Relu, GcnConv(width: 2)], task: NodeClassification,
         training: (EPOCHS, averaging: 0.9)",
        "model: [Linear(width: 2)], task: NodeMultiLabel, training: (EPOCHS, keep: Last), order: Degree",
        "model: [Linear(width: 4), Tanh, Linear(width: 2)], task: NodeRegression(), training: (EPOCHS, patience: 1)",
    ] {
        check_task(rest, 1);
    }
}

#[test]
fn edges_and_links() {
    for rest in [
        "model: [EdgeDecoder(nn: (widths: [8, 2]))], task: EdgeClassification, training: (EPOCHS)",
        "model: [EdgeDecoder(nn: (widths: [1]), edge_features: true)], task: EdgeRegression(), training: (EPOCHS)",
        "model: [GcnConv(width: 8), Dropout(0.2)], task: LinkPrediction(validation: 0.1, test: 0.1),
         training: (EPOCHS)",
    ] {
        check_task(rest, 1);
    }
}

#[test]
fn graphs_in_batches_with_accumulated_gradients() {
    for rest in [
        "model: [GinConv(nn: (widths: [8, 8], batch_norm: true)), BatchNorm(), Relu, Readout(Sum), Dropout(0.5), Linear(width: 2)],
         task: GraphClassification, training: (EPOCHS, batch_size: 2, accumulation_steps: 3, clip_norm: 1.0, averaging: 0.6)",
        "model: [Readout(Sum), Linear(width: 2)], task: GraphRegression(loss: Huber(delta: 1.0)),
         training: (EPOCHS, batch_size: 3, steps_per_epoch: 5, schedule: Step(every: 2, factor: 0.5))",
        "model: [Linear(width: 2)], task: NodeMultiLabel, training: (EPOCHS, batch_size: 2)",
    ] {
        check_task(rest, 12);
    }
}

#[test]
fn heads() {
    check_task(HEADS, 1);
    let rest = r#"
        model: [Linear(width: 4), BatchNorm()],
        heads: [
            (name: "graph", layers: [Readout(Sum), Linear(width: 2)], task: GraphClassification),
            (name: "node", layers: [Dropout(0.2), Linear(width: 2)], task: NodeMultiLabel),
        ],
        training: (epochs: 200, batch_size: 4, accumulation_steps: 2)"#;
    check_task(rest, 12);
}

#[test]
fn mixtures_of_experts() {
    let rest = "mixture: (
            experts: [(layers: [Dropout(0.2), GcnConv(width: 4), BatchNorm(), Readout(Sum)], count: 2)],
            gate: TopK(1), gate_layers: [Readout(Mean)], losses: (balance: 0.1), noise: 1.0,
        ),
        model: [Linear(width: 2)], task: GraphClassification, training: (EPOCHS, batch_size: 2, averaging: 0.9)";
    check_task(rest, 12);
    let rest = "mixture: (experts: [(layers: [GcnConv(width: 2)], count: 2)]), model: [], task: NodeClassification,
        training: (EPOCHS, schedule: Cosine(epochs: 4))";
    check_task(rest, 1);
}

#[test]
fn sampled_neighbors() {
    let rest =
        "model: [SageConv(width: 8), BatchNorm(), Relu, Dropout(0.3), SageConv(width: 2)], task: NodeClassification,
        training: (EPOCHS, batch_size: 7, fan_outs: [3, 2], accumulation_steps: 2, steps_per_epoch: 7)";
    check_task(rest, 1);
}

#[test]
fn every_optimizer() {
    let rest = "model: [Linear(width: 4), Tanh, Linear(width: 2)], task: NodeClassification, training: (epochs: 5)";
    let (learning_rate, betas, epsilon, weight_decay) = (0.02, (0.9, 0.99), 1e-8, 1e-3);
    for optimizer in [
        Optimizer::Sgd { learning_rate, momentum: 0.9, nesterov: true, weight_decay },
        Optimizer::Adam { learning_rate, betas, epsilon, amsgrad: true, weight_decay },
        Optimizer::AdamW { learning_rate, betas, epsilon, weight_decay },
        Optimizer::RmsProp { learning_rate, decay: 0.9, epsilon, weight_decay },
    ] {
        let scene = SceneFile { optimizer, ..scene(rest) };
        check(&format!("{optimizer:?}"), &scene, &data(1));
    }
}

/// Where hardly a pair is without an edge, draws fail, and a pair stays what it was in the step before.
#[test]
fn negative_pairs_of_a_dense_graph() {
    const NODES: u32 = 9;
    let mut edges: Vec<[u32; 2]> =
        (0..NODES).flat_map(|a| (0..NODES).filter(move |b| *b != a).map(move |b| [a, b])).collect();
    edges.retain(|edge| !matches!(edge, [0, 1] | [1, 0]));
    let data = GraphData {
        nodes: NODES as usize,
        features: Features::identity(NODES),
        labels: vec![0; NODES as usize],
        splits: vec![Default::default(); NODES as usize],
        classes: 1,
        edges,
        ..GraphData::default()
    };
    let rest = format!(
        "model: [GcnConv(width: 4)], task: LinkPrediction(validation: 0.03, test: 0.03), training: (epochs: {EPOCHS})"
    );
    check("dense", &scene(&rest), &data);
}

#[test]
fn training_that_is_stopped_ends_as_if_it_had_been_the_last_epoch() {
    let rest = "model: [GcnConv(width: 4), Relu, Dropout(0.5), GcnConv(width: 2)], task: NodeClassification, training: (epochs: 9)";
    let (mut scene, data) = (scene(rest), data(1));
    let mut stopped = trainer(&scene, &data, 1);
    let summary = stopped.train_while(|trainer| match trainer.report().epoch {
        4 => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    let summary = summary.unwrap();
    scene.training.epochs = 4;
    let mut short = trainer(&scene, &data, 1);
    let expected = short.train(|_| {}).unwrap();
    assert_eq!((summary.epochs, &summary.metrics), (4, &expected.metrics));
    assert_eq!(stopped.weights(), short.weights());
}

#[test]
fn another_state_is_refused_and_changes_nothing() {
    let rest = |width| {
        format!("model: [Linear(width: {width}), Linear(width: 2)], task: NodeClassification, training: (epochs: 3)")
    };
    let data = data(1);
    let state = |width, seed| {
        let mut trainer = Trainer::new(&scene(&rest(width)), &data, seed, Workers::single()).unwrap();
        trainer.epoch().unwrap();
        trainer.state()
    };
    let mut trainer = trainer(&scene(&rest(4)), &data, 1);
    let before = trainer.state();
    let error = trainer.restore(&state(4, 8)).unwrap_err().to_string();
    assert!(error.contains("seed 8") && error.contains("seed 7"), "{error}");
    let error = trainer.restore(&state(5, 7)).unwrap_err().to_string();
    assert!(error.contains("take a state of the same widths"), "{error}");
    assert!(trainer.state() == before);
    trainer.restore(&state(4, 7)).unwrap();
    let model = trainer.entities().model;
    assert_eq!((trainer.state().epochs(), trainer.world().get::<TrainingState>(model).unwrap().step), (1, 1));
}

fn refusal(path: &Path) -> String {
    Checkpoint::read(path).expect_err("it is no checkpoint").to_string()
}

#[test]
fn a_damaged_checkpoint_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    let rest = "model: [Linear(width: 2)], task: NodeClassification, training: (epochs: 1)";
    let (_, checkpoints) = whole(&scene(rest), &data(1));
    checkpoints[1].write(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    // Any byte: of the length, the header, or the values.
    for place in (0..bytes.len()).step_by(7) {
        let mut damaged = bytes.clone();
        damaged[place] ^= 1 << (place % 8);
        std::fs::write(&path, &damaged).unwrap();
        refusal(&path);
    }
    std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    refusal(&path);
    write_weights(&path, &trainer(&scene(rest), &data(1), 1).weights(), Default::default()).unwrap();
    assert!(refusal(&path).contains("it holds weights alone"), "{}", refusal(&path));
    std::fs::write(&path, &bytes).unwrap();
    assert!(Checkpoint::read(&path).unwrap() == checkpoints[1]);
}
