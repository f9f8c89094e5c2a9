//! Scenes that predict numbers: what they learn, from which files, and what they say of it. A failure shows the summary, or
//! what was printed.

use connectome::{
    Trainer,
    components::Split,
    data::GraphData,
    output::{Summary, read_metrics},
    scene::{GraphSource, SceneFile},
    systems::Workers,
};
use ndarray::{Array1, Array2};
use ndarray_npy::{NpzReader, NpzWriter};
use std::{
    fs::{self, File},
    path::Path,
    process::Command,
};

fn rooms() -> (SceneFile, GraphData) {
    SceneFile::load("assets/rooms.ron").unwrap()
}

fn train(scene: &SceneFile, data: &GraphData) -> (Summary, Trainer) {
    let mut trainer = Trainer::new(scene, data, 0, Workers::single()).unwrap();
    let summary = trainer.train(|_| {}).unwrap();
    (summary, trainer)
}

#[test]
fn a_linear_function_of_the_neighbors_is_found() {
    let (scene, data) = rooms();
    let (summary, trainer) = train(&scene, &data);
    assert!(summary.get(Split::Train, "loss").unwrap() < 1e-6, "{summary}");
    assert!(summary.get(Split::Test, "mean_absolute_error").unwrap() < 2e-3, "{summary}");
    assert_eq!(summary.get(Split::Train, "accuracy"), None, "nothing is right or wrong");
    for (name, expected) in [("lin_l.weight", 0.5), ("lin_l.bias", 0.0), ("lin_r.weight", 0.5)] {
        let weights = trainer.weights();
        let tensor = weights.iter().find(|tensor| tensor.name.ends_with(name)).unwrap();
        assert!((tensor.values[0] - expected).abs() < 2e-3, "{name} is {:?}", tensor.values);
    }
}

#[test]
fn the_epoch_with_the_least_validation_loss_is_kept() {
    let (mut scene, data) = rooms();
    // Steps so large that the loss goes up and down.
    scene.optimizer = connectome::scene::options().from_str("Sgd(learning_rate: 0.6)").unwrap();
    scene.training.epochs = 40;
    let mut losses = Vec::new();
    let mut trainer = Trainer::new(&scene, &data, 0, Workers::single()).unwrap();
    let summary = trainer.train(|report| losses.push(report.get(Split::Validation, "loss").unwrap())).unwrap();
    let least = losses.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(losses.last().unwrap() > &(1.5 * least), "the last epoch is the best anyway: {losses:?}");
    assert_eq!(summary.get(Split::Validation, "loss"), Some(least));
    let kept = trainer.evaluate().unwrap();
    for value in kept.heads[0].values(Split::Validation) {
        assert_eq!(summary.get(Split::Validation, value.name), Some(value.value), "{}", value.name);
    }
}

#[test]
fn every_loss_of_numbers_leads_there() {
    for loss in ["MeanSquaredError", "MeanAbsoluteError", "Huber(delta: 0.5)"] {
        let (mut scene, data) = rooms();
        scene.task = connectome::scene::options().from_str(&format!("NodeRegression(loss: {loss})")).unwrap();
        let (summary, _) = train(&scene, &data);
        assert!(summary.get(Split::Test, "mean_absolute_error").unwrap() < 0.05, "{loss}: {summary}");
    }
}

/// Writes the rooms as a graph file, and a scene that reads it, into a folder.
fn in_a_file(folder: &Path, training: &str) -> (SceneFile, GraphData) {
    let (mut scene, data) = rooms();
    fs::write(folder.join("rooms.npz"), data.to_npz().unwrap()).unwrap();
    scene.graph = GraphSource::Npz("rooms.npz".to_owned());
    scene.training = connectome::scene::options().from_str(training).unwrap();
    fs::write(folder.join("rooms.ron"), scene.to_ron().unwrap()).unwrap();
    let (read, read_data) = SceneFile::load(folder.join("rooms.ron")).unwrap();
    assert_eq!((&read, &read_data), (&scene, &data));
    (read, read_data)
}

#[test]
fn targets_of_a_file_and_of_drawn_batches_are_learned_alike() {
    let folder = tempfile::tempdir().unwrap();
    let (scene, data) = in_a_file(folder.path(), "(epochs: 300, batch_size: 4, fan_outs: [2])");
    let (summary, mut trainer) = train(&scene, &data);
    assert!(
        summary.get(Split::Train, "loss").unwrap() < 1e-5
            && summary.get(Split::Test, "mean_absolute_error").unwrap() < 5e-3,
        "{summary}"
    );
    let (output, width) = trainer.infer().unwrap();
    let targets = &data.targets.unwrap();
    assert_eq!((output.len(), width), (targets.values.len(), targets.width));
    let far = output.iter().zip(&targets.values).find(|(output, target)| (*output - *target).abs() > 0.02);
    assert_eq!(far, None, "in the order of the scene");
}

#[test]
fn a_file_with_targets_needs_no_classes() {
    let folder = tempfile::tempdir().unwrap();
    let (_, data) = rooms();
    let mut npz = NpzWriter::new(File::create(folder.path().join("rooms.npz")).unwrap());
    let column = |values: &[f32]| Array2::from_shape_vec((12, 1), values.to_vec()).unwrap();
    npz.add_array("x", &column(data.features.values())).unwrap();
    npz.add_array("node_target", &column(&data.targets.as_ref().unwrap().values)).unwrap();
    let endpoints = (0..2).flat_map(|end| data.edges.iter().map(move |edge| edge[end])).collect();
    npz.add_array("edge_index", &Array2::from_shape_vec((2, data.edges.len()), endpoints).unwrap()).unwrap();
    for (name, split) in [("train", Split::Train), ("val", Split::Validation), ("test", Split::Test)] {
        let members: Array1<u32> = (0..12).filter(|node| data.splits[*node as usize] == split).collect();
        npz.add_array(name, &members).unwrap();
    }
    npz.finish().unwrap();
    let read = GraphData::read_npz(folder.path().join("rooms.npz")).unwrap();
    assert_eq!(read, GraphData { names: Vec::new(), ..data });
}

#[test]
fn outputs_must_be_as_many_as_targets() {
    let (mut scene, _) = rooms();
    scene.model = connectome::scene::options().from_str("[SageConv(width: 2)]").unwrap();
    let error = scene.validate().unwrap_err();
    assert!(error.message.contains("output is 2 wide, but the nodes have 1 target"), "{error}");
    assert!(error.help.contains("one output for each target: write width: 1"), "{error}");
}

#[test]
fn the_command_line_tells_distances_and_writes_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_connectome")).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap())
    };
    let path = folder.path().to_str().unwrap();
    let [sentence, progress] = run(&["train", "assets/rooms.ron", "--output", path]);
    assert!(sentence.contains("test mean absolute error 0.00") && !sentence.contains('%'), "{sentence}");
    assert!(progress.contains("validation mean absolute error 0.") && !progress.contains("accuracy"), "{progress}");
    let reports = read_metrics(&folder.path().join("metrics.jsonl")).unwrap();
    assert!(
        reports.len() == 300 && reports.iter().all(|report| report.get(Split::Test, "mean_absolute_error").is_some())
    );
    let picture = fs::read_to_string(folder.path().join("curves.svg")).unwrap();
    assert!(picture.contains("Mean absolute error"));

    let weights = folder.path().join("weights.safetensors");
    let weights = ["--weights", weights.to_str().unwrap()];
    let [measured, _] = run(&[&["evaluate", "assets/rooms.ron"], &weights[..]].concat());
    assert!(measured.lines().count() == 3 && measured.contains("test       mean absolute error 0.00"), "{measured}");
    let file = folder.path().join("out.npz");
    run(&[&["infer", "assets/rooms.ron", "--output", file.to_str().unwrap()], &weights[..]].concat());
    let mut npz = NpzReader::new(File::open(&file).unwrap()).unwrap();
    assert_eq!(npz.names().unwrap(), ["prediction"]);
    let prediction: Array2<f32> = npz.by_name("prediction").unwrap();
    let (_, data) = rooms();
    let expected = Array2::from_shape_vec((12, 1), data.targets.unwrap().values).unwrap();
    assert!((prediction - expected).iter().all(|difference| difference.abs() < 0.02));

    let [spread, _] = run(&["train", "assets/rooms.ron", "--repeat", "2", "--epochs", "5"]);
    assert!(spread.lines().last().unwrap().contains("test mean absolute error"), "{spread}");
    let [shown, _] = run(&["inspect", "assets/rooms.ron"]);
    assert!(shown.contains("12 (1 target)") && shown.contains("mean_squared_error"), "{shown}");
}
