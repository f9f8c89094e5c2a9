//! Scenes with several kinds of nodes from training to use: metrics and predictions by kind, runs that are resumed, and a trained
//! model in a world of components.

use bevy_ecs::prelude::*;
use bytemuck::{Pod, Zeroable};
use connectome::{
    Trainer,
    components::{Edge, Graph, Metrics, Split},
    data::GraphData,
    output::{read_weights, write_weights},
    prelude::{EdgeRelation, ModelBuilder, NodeKind, WorldModelExt, WorldTrainedExt},
    scene::SceneFile,
    systems::Workers,
};
use std::collections::{BTreeMap, HashMap};

use crate::resume;

/// Papers on two topics, each of an author who writes on one; what a paper is about only its author tells.
fn library(rest: &str) -> (SceneFile, GraphData) {
    let (mut nodes, mut edges) = (String::new(), String::new());
    for author in 0..20 {
        nodes += &format!(
            "(name: \"a{author}\", kind: \"author\", features: [{}, 1.0], label: {}, targets: [{}], split: {}),",
            author % 2,
            author % 2,
            3 * (author % 2),
            ["Train", "Test"][author / 10]
        );
        for paper in 0..4 {
            let (name, split) = (format!("p{author}-{paper}"), ["Train", "Train", "Validation", "Test"][paper]);
            nodes += &format!(
                "(name: \"{name}\", kind: \"paper\", features: [0.0, {paper}, 1.0], label: {}, split: {split}),",
                author % 2
            );
            edges += &format!("(source: \"a{author}\", target: \"{name}\", relation: \"writes\", features: [0.5]),");
            edges += &format!("(source: \"{name}\", target: \"p{}-{paper}\", relation: \"cites\"),", (author + 2) % 20);
        }
    }
    let text = format!(
        r#"(
            name: "library", graph: Inline(nodes: [{nodes}], edges: [{edges}]),
            kind: "paper", nodes: {{"paper": (), "author": ()}},
            relations: [
                (name: "writes", source: "author", target: "paper", reverse: "written_by"),
                (name: "cites", source: "paper", target: "paper"),
            ],
            {rest},
            optimizer: Adam(learning_rate: 0.02),
        )"#
    );
    let scene = SceneFile::parse(&text, "library.ron").unwrap_or_else(|error| panic!("{error}"));
    let data = scene.read_graph("").unwrap();
    (scene, data)
}

const CONVOLUTIONS: &str = "model: [
    HeteroConv(convolution: SageConv(width: 16)), Relu, HeteroConv(convolution: SageConv(width: 16)), Relu,
    HeteroConv(convolution: SageConv(width: 2)),
]";

#[test]
fn a_kind_learns_from_its_relations_to_others() {
    let (scene, data) = library(&format!("{CONVOLUTIONS}, training: (epochs: 100)"));
    let mut trainer = Trainer::new(&scene, &data, 3, Workers::single()).unwrap();
    let summary = trainer.train(|_| {}).unwrap();
    // Without the author nothing tells.
    assert_eq!(summary.get(Split::Test, "accuracy"), Some(1.0), "{summary:?}");
    let entities = trainer.entities().clone();
    assert_eq!((entities.nodes.len(), entities.kinds.len(), entities.relations.len()), (80, 1, 2));
    assert_eq!((&*entities.kinds[0].name, entities.kinds[0].nodes.len()), ("author", 20));
    let [writes, cites] = &entities.relations[..] else { panic!("two relations") };
    assert_eq!(
        (&*writes.name, writes.reversed.is_some(), &*cites.name, cites.reversed),
        ("writes", true, "cites", None)
    );
}

/// Papers are of one topic, authors write on one, and a number is to be told of both kinds.
const HEADS: &str = r#"model: [HeteroConv(convolution: SageConv(width: 8)), BatchNorm(), Relu],
    heads: [
        (name: "topic", layers: [Linear(width: 2)], task: NodeClassification),
        (name: "author", nodes: ["author"], layers: [Dropout(0.1), Linear(width: 2)], task: NodeClassification, weight: 0.5,
            class_weights: [1.0, 2.0]),
    ]"#;

#[test]
fn heads_of_several_kinds_learn_and_predict_rows_of_their_own() {
    let (scene, data) = library(&format!("{HEADS}, training: (epochs: 60, seed: 2)"));
    let mut trainer = Trainer::new(&scene, &data, 2, Workers::single()).unwrap();
    trainer.train(|_| {}).unwrap();
    let metrics: Metrics = trainer.evaluate().unwrap();
    let counts = |head: usize| Split::MEASURED.map(|split| metrics.heads[head].of(split).count);
    assert_eq!((counts(0), counts(1)), ([40, 20, 20], [10, 0, 10]));
    assert!(metrics.heads[1].of(Split::Train).accuracy() > 0.9, "{metrics:?}");
    let outputs = trainer.outputs().unwrap();
    assert_eq!(outputs.iter().map(|output| output.values.len()).collect::<Vec<_>>(), [2 * 80, 2 * 20]);
    let predicted = scene.predicted(&data);
    let shown: Vec<_> = predicted.iter().map(|columns| (columns.kind.as_deref(), columns.count)).collect();
    assert_eq!(shown, [(None, 2), (Some("author"), 2)]);
    // In the order of the scene, whatever that of the rows.
    let right = outputs[1].values.chunks(2).zip(&data.of_kind(Some("author")).labels);
    let right = right.filter(|(row, label)| (row[1] > row[0]) == (**label == 1)).count();
    let expected =
        metrics.heads[1].of(Split::Train).accuracy() * 10.0 + metrics.heads[1].of(Split::Test).accuracy() * 10.0;
    assert_eq!(right as f32, expected.round());
}

#[test]
fn values_of_another_kind_are_predicted() {
    let rest = r#"model: [HeteroConv(convolution: SageConv(width: 8)), Relu],
        heads: [
            (name: "topic", layers: [Linear(width: 2)], task: NodeClassification),
            (name: "age", nodes: ["author"], layers: [Linear(width: 1)], task: NodeRegression()),
        ], training: (epochs: 300)"#;
    let (scene, data) = library(&rest.replace(
        "convolution: SageConv(width: 8)",
        r#"convolution: SageConv(width: 8),
        relations: {"cites": SageConv(width: 8)}"#,
    ));
    let mut trainer = Trainer::new(&scene, &data, 0, Workers::single()).unwrap();
    trainer.train(|_| {}).unwrap();
    // The number is one of the features of the author, which messages to it do not take along.
    let metrics = trainer.evaluate().unwrap();
    assert!(metrics.heads[1].of(Split::Train).loss() < 0.05, "{metrics:?}");
}

#[test]
fn a_run_is_resumed_with_the_same_bits() {
    let dropout = CONVOLUTIONS.replacen("Relu", "Dropout(0.3), Relu", 1);
    for rest in [
        &*format!("{dropout}, training: (epochs: 4, averaging: 0.9, clip_norm: 0.5)"),
        "model: [Linear(width: 8), RgcnConv(width: 8, bases: 2), Relu, Dropout(0.5), Linear(width: 2)], training: (epochs: 4)",
        "model: [HgtConv(width: 8, heads: 2), BatchNorm(), HgtConv(width: 2, heads: 1)], training: (epochs: 4)",
        &*format!("{HEADS}, training: (epochs: 4)"),
    ] {
        let (scene, data) = library(rest);
        resume::check(rest, &scene, &data);
    }
}

#[derive(Component, Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
struct Paper([f32; 3]);

#[derive(Component, Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
struct Author([f32; 2]);

#[derive(Component, Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
struct Topic([f32; 2]);

#[derive(Component)]
struct Writes;

#[derive(Component)]
struct Cites;

/// The nodes and edges of the library as components, by their names.
fn spawn_library(world: &mut World, scene: &SceneFile) -> HashMap<String, Entity> {
    let connectome::scene::GraphSource::Inline { nodes, edges, .. } = &scene.graph else {
        panic!("a graph in the scene")
    };
    let named: HashMap<String, Entity> = nodes
        .iter()
        .map(|node| {
            let entity = match node.kind.as_deref() {
                Some("paper") => world.spawn(Paper(node.features[..].try_into().unwrap())).id(),
                _ => world.spawn(Author(node.features[..].try_into().unwrap())).id(),
            };
            (node.name.clone(), entity)
        })
        .collect();
    for edge in edges {
        let ends = Edge { source: named[&edge.source], target: named[&edge.target] };
        _ = match edge.relation.as_deref() {
            Some("writes") => world.spawn((ends, Writes)),
            _ => world.spawn((ends, Cites)),
        };
    }
    named
}

#[test]
fn a_trained_model_lives_among_components() {
    let (scene, data) = library(
        "model: [Linear(width: 8), RgcnConv(width: 8), Relu, HeteroConv(convolution: SageConv(width: 2))], training: (epochs: 20)",
    );
    let folder = tempfile::tempdir().unwrap();
    let [scene_file, weights] = ["library.ron", "weights.safetensors"].map(|name| folder.path().join(name));
    std::fs::write(&scene_file, scene.to_ron().unwrap()).unwrap();
    let mut trainer = Trainer::new(&scene, &data, 0, Workers::single()).unwrap();
    trainer.train(|_| {}).unwrap();
    write_weights(&weights, &trainer.weights(), BTreeMap::new()).unwrap();
    let expected = trainer.outputs().unwrap().remove(0).values;

    let mut world = World::new();
    let writes = Graph::relation::<Author, Writes, Paper>(&mut world);
    let written_by = Graph::reversed(&mut world, writes).unwrap();
    let cites = Graph::of::<Paper, Cites>(&mut world);
    let named = spawn_library(&mut world, &scene);
    let relations = [
        EdgeRelation::new("writes", writes, ["author", "paper"]),
        EdgeRelation::new("written_by", written_by, ["paper", "author"]),
        EdgeRelation::new("cites", cites, ["paper", "paper"]),
    ];
    let connect = |order: [usize; 3]| {
        let relations = relations.clone();
        move |model: ModelBuilder| {
            let model = model.kind_name("paper").reads::<Paper>().writes::<Topic>();
            let model = model.kind(NodeKind::new("author").reads::<Author>());
            order.into_iter().fold(model, |model, relation| model.relation(relations[relation].clone()))
        }
    };
    let error = world.spawn_trained(cites, &scene_file, &weights, connect([0, 2, 1])).unwrap_err().to_string();
    assert!(
        error.starts_with("the model reads nodes of the kind `paper`, `writes` from `author` to `paper`, `cites`"),
        "{error}"
    );
    assert!(
        error.contains("but the scene has nodes of the kind `paper`, `writes` from `author` to `paper`, `written_by`"),
        "{error}"
    );
    let model = world.spawn_trained(cites, &scene_file, &weights, connect([0, 1, 2])).unwrap();
    world.infer(model).unwrap();
    let found: Vec<f32> = data.names.iter().flat_map(|name| world.get::<Topic>(named[name]).unwrap().0).collect();
    assert_eq!(found, expected);
}

/// Runs the command line, which must succeed, and returns what it prints.
#[cfg(feature = "cli")]
fn connectome(arguments: &[&str]) -> String {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_connectome")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[cfg(feature = "cli")]
#[test]
fn the_command_line_trains_goes_on_measures_and_predicts() {
    let (scene, data) = library(&format!("{HEADS}, training: (epochs: 30)"));
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    // The same graph once in the scene and once in a file.
    let in_file = SceneFile { graph: connectome::scene::GraphSource::Npz("library.npz".to_owned()), ..scene.clone() };
    std::fs::write(path("library.npz"), data.to_npz().unwrap()).unwrap();
    for (name, scene) in [("inline.ron", &scene), ("file.ron", &in_file)] {
        std::fs::write(path(name), scene.to_ron().unwrap()).unwrap();
    }
    let (inline, file) = (path("inline.ron"), path("file.ron"));
    let weights = |run: &str| read_weights(std::path::Path::new(&(path(run) + "/weights.safetensors"))).unwrap();
    for (name, scene) in [("one", &inline), ("other", &file)] {
        connectome(&["train", scene, "--output", &path(name), "--checkpoint", "10", "--workers", "2"]);
    }
    assert!(weights("one") == weights("other"), "the graph in the file is another one");
    connectome(&["train", &file, "--output", &path("other"), "--resume"]);
    let trained = path("one") + "/weights.safetensors";
    let measured = connectome(&["evaluate", &inline, "--weights", &trained]);
    for part in ["topic  ", "author ", " of 40", " of 10"] {
        assert!(measured.contains(part), "{part:?} is not in {measured}");
    }
    let output = path("out.npz");
    let told = connectome(&["infer", &file, "--weights", &trained, "--output", &output]);
    assert!(told.contains("wrote 100 rows"), "{told}");
    let mut arrays = ndarray_npy::NpzReader::new(std::fs::File::open(&output).unwrap()).unwrap();
    let [topics, authors]: [ndarray::Array1<u32>; 2] =
        ["topic_prediction", "author_prediction"].map(|name| arrays.by_name(name).unwrap());
    assert_eq!((topics.len(), authors.len()), (80, 20));
}
