//! The scenes that come with the crate, against the numbers of their sources.

use std::path::PathBuf;

use connectome::data::{Features, GraphData};
use connectome::scene::{LayerDescription, NodeFeatures, SceneFile, Selection, Training, options};
use connectome_components::{Optimizer, Split};

fn asset(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "assets", name].iter().collect()
}

fn load(name: &str) -> (SceneFile, GraphData) {
    SceneFile::load(asset(name)).unwrap_or_else(|error| panic!("{error}"))
}

fn splits(data: &GraphData) -> [usize; 4] {
    [Split::Train, Split::Validation, Split::Test, Split::Unused].map(|split| data.count(split))
}

fn class_sizes(data: &GraphData) -> Vec<usize> {
    let mut sizes = vec![0; data.classes];
    data.labels.iter().for_each(|&label| sizes[label as usize] += 1);
    sizes
}

fn degrees(data: &GraphData) -> Vec<usize> {
    let mut degrees = vec![0; data.nodes];
    data.edges.iter().for_each(|&[source, _]| degrees[source as usize] += 1);
    degrees
}

/// Asserts that each row sums to 1, but for `empty` rows that sum to 0, and tells how many values there are.
fn check_rows(data: &GraphData, empty: usize) -> usize {
    let Features::Sparse { offsets, values, .. } = &data.features else { panic!("the features are sparse") };
    let sums: Vec<f32> = offsets.windows(2).map(|row| values[row[0]..row[1]].iter().sum()).collect();
    assert_eq!(sums.len(), data.nodes);
    assert_eq!(sums.iter().filter(|&&sum| sum == 0.0).count(), empty);
    assert!(sums.iter().all(|&sum| sum == 0.0 || (sum - 1.0).abs() < 1e-5));
    values.len()
}

fn layers(text: &str) -> Vec<LayerDescription> {
    options().from_str(text).expect("the layers are fine")
}

/// A scene whose words are not in the repository, with others in their place.
fn load_with_words(name: &str) -> (SceneFile, GraphData) {
    let folder = tempfile::tempdir().expect("there is room");
    std::fs::copy(asset(name), folder.path().join(name)).expect("the scene is there");
    for file in ["german-train.gz", "german-dev.gz"] {
        std::fs::write(folder.path().join(file), "Haus\tH\u{e4}usern\tN;DAT;PL\n").expect("there is room");
    }
    SceneFile::load(folder.path().join(name)).expect("the scene is fine")
}

/// Whatever lies there is loaded, and its model fits to its task.
#[test]
fn every_scene_is_fine() {
    let files = std::fs::read_dir(asset("")).expect("the folder is there");
    let names = files.map(|file| file.expect("the file is there").file_name().into_string().expect("a plain name"));
    let scenes: Vec<String> = names.filter(|name| name.ends_with(".ron")).collect();
    assert!(scenes.len() >= 12, "{scenes:?}");
    for name in scenes {
        let (scene, data) = if name == "inflection.ron" { load_with_words(&name) } else { load(&name) };
        assert_eq!(format!("{}.ron", scene.name), name);
        assert!(scene.memory(&data).is_ok());
    }
}

/// The recipe of Kipf and Welling.
fn check_recipe(scene: &SceneFile, classes: usize) {
    let text =
        format!("[Dropout(0.5), GcnConv(width: 16), Relu, Dropout(0.5), GcnConv(width: {classes}, weight_decay: 0.0)]");
    assert_eq!(scene.model, layers(&text));
    assert_eq!(scene.features, NodeFeatures::RowNormalized);
    let adam =
        Optimizer::Adam { learning_rate: 0.01, betas: (0.9, 0.999), epsilon: 1e-8, amsgrad: false, weight_decay: 5e-4 };
    assert_eq!(scene.optimizer, adam);
    assert_eq!(scene.training, Training::default());
    assert_eq!((scene.training.epochs, scene.training.keep), (200, Selection::BestValidation));
}

#[test]
fn cora_is_cora() {
    let (scene, data) = load("cora.ron");
    check_recipe(&scene, 7);
    assert_eq!((data.nodes, data.edges.len(), data.classes, data.features.width()), (2708, 10_556, 7, 1433));
    assert_eq!(splits(&data), [140, 500, 1000, 1068]);
    assert_eq!(class_sizes(&data), [351, 217, 418, 818, 426, 298, 180]);
    assert_eq!((degrees(&data).iter().min(), degrees(&data).iter().max()), (Some(&1), Some(&168)));
    assert_eq!(check_rows(&data, 0), 49_216);
    assert_eq!((data.weights, data.names, data.graphs), (None, Vec::new(), None));
}

#[test]
fn citeseer_is_citeseer() {
    let (scene, data) = load("citeseer.ron");
    check_recipe(&scene, 6);
    assert_eq!((data.nodes, data.edges.len(), data.classes, data.features.width()), (3327, 9104, 6, 3703));
    assert_eq!(splits(&data), [120, 500, 1000, 1707]);
    assert_eq!(class_sizes(&data), [264, 590, 668, 701, 596, 508]);
    assert_eq!(degrees(&data).iter().max(), Some(&99));
    assert_eq!(degrees(&data).iter().filter(|&&degree| degree == 0).count(), 48);
    assert_eq!(check_rows(&data, 15), 105_165);
}

#[test]
fn debian_is_debian() {
    let (scene, data) = load("debian.ron");
    assert_eq!((data.nodes, data.classes, data.features.width()), (5526, 5, 2));
    assert_eq!(splits(&data), [1122, 280, 3273, 851]);
    let labeled = data.labels.iter().zip(&data.splits).filter(|(_, split)| **split != Split::Unused);
    let mut sizes = vec![0; data.classes];
    labeled.for_each(|(label, _)| sizes[*label as usize] += 1);
    assert_eq!(sizes, [2087, 1304, 767, 314, 203]);
    assert_eq!(data.class_names, ["library", "development", "program", "documentation", "data"]);
    let kinds = data.kinds.as_ref().expect("it has kinds");
    let others: Vec<_> = kinds.others.iter().map(|kind| (&*kind.name, kind.nodes.nodes)).collect();
    assert_eq!((&*kinds.own, others), ("package", vec![("maintainer", 131), ("source", 1246)]));
    assert_eq!(data.of_kind(Some("maintainer")).features, Features::identity(131));
    let counts: Vec<_> = kinds.relations.iter().map(|relation| relation.edges.len()).collect();
    assert_eq!(counts, [20_897, 613, 1012, 1109, 5161, 953]);
    assert!(scene.relations.iter().all(|relation| relation.reverse.is_some()));
}

#[test]
fn the_karate_club_is_the_karate_club() {
    let (scene, data) = load("karate.ron");
    assert_eq!(scene.features, NodeFeatures::Identity);
    assert_eq!((data.nodes, data.edges.len(), data.classes, data.features.width()), (34, 2 * 78, 2, 34));
    assert_eq!(data.features, Features::identity(34));
    assert_eq!(splits(&data), [2, 4, 28, 0]);
    assert_eq!(class_sizes(&data), [17, 17]);
    assert_eq!((data.splits[0], data.labels[0], data.splits[33], data.labels[33]), (Split::Train, 0, Split::Train, 1));
    // The degrees in the figure of Zachary's paper.
    let expected =
        [16, 9, 10, 6, 3, 4, 4, 4, 5, 2, 3, 1, 2, 5, 2, 2, 2, 2, 2, 3, 2, 2, 2, 5, 3, 3, 2, 4, 3, 4, 4, 6, 12, 17];
    assert_eq!(degrees(&data), expected);
    for &[source, target] in &data.edges {
        assert!(source != target && data.edges.contains(&[target, source]));
    }
    assert_eq!(data.weights, None);
    assert_eq!(data.names[0], "Mr Hi");
}

#[test]
fn the_memory_of_cora_follows_the_formula() {
    let (scene, data) = load("cora.ron");
    let memory = scene.memory(&data).unwrap();
    // A place in table, archetype and world; marker, node, key, class and split with their ticks; numbers and their columns, of
    // which the longest row stores 30.
    let node = 8 + 16 + 29 + (8 + 8 + 16 + 12 + 9) + 2 * (30 * 4 + 8);
    // Its row, its key, where edges of it begin in both directions, its graph, and what it weighs itself.
    let topology = 8 + 8 + 3 * 4 + 2 * 4;
    // What is left of the features; of the hidden convolution, which drops out in place, a signal and a gradient, and of the
    // other one two signals and a gradient.
    let columns = (30 + 2 * 16 + 3 * 7) * 4 + 6 * 8;
    assert_eq!(memory.training.node, node + topology + columns);
    // Telling needs two columns of each width at most.
    let columns = (2 * 16 + 2 * 7) * 4 + 4 * 8;
    assert_eq!(memory.inference.node, node + topology + columns);
    // A place, marker, ends; row, ends, and twice neighbor, row and coefficient.
    let edge = (8 + 16 + 29) + (8 + 24) + (8 + 8 + 2 * 12);
    assert_eq!((memory.training.edge, memory.inference.edge), (edge, edge));
    // Value, gradient, two moments and the best value.
    assert_eq!((memory.training.parameter, memory.inference.parameter), (4 * (2 + 2 + 1), 4));
    assert_eq!(memory.training.resting, None);
}

#[test]
fn a_graph_too_large_for_a_layer_is_refused_where_the_layer_is() {
    let (mut scene, mut data) = load("cora.ron");
    data.nodes = usize::MAX / 64;
    let error = scene.memory(&data).expect_err("it is too large");
    assert!(error.message.contains("layer 0 (Dropout)"), "{error}");
    scene.model.remove(0);
    let error = scene.memory(&data).expect_err("it is too large");
    assert!(error.message.contains("layer 0 (GcnConv)") && error.message.contains("counted"), "{error}");
}

#[test]
fn assets_read_back_equal() {
    for name in ["cora.ron", "citeseer.ron", "karate.ron"] {
        let (scene, data) = load(name);
        let text = scene.to_ron().expect("the scene is written");
        assert_eq!(SceneFile::parse(&text, name), Ok(scene.clone()), "{text}");
        assert_eq!(scene.read_graph(asset("")), Ok(data));
    }
}
