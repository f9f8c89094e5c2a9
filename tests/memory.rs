//! What `inspect` says of memory is true: the most that the machine hands to a process that trains, or infers, is what
//! [`SceneFile::memory`] says, within a tenth. A failure prints both, in MB.
//!
//! Each scene is measured in a process of its own, which is this test again. The machine counts the pages that were
//! written, where an allocator would count room that tables hold and never use.
#![cfg(target_os = "linux")]

use connectome::{
    Trainer,
    components::Split,
    data::{DenseRows, Features, GraphData, GraphKinds, GraphSet, NodesOfKind, RelationEdges},
    scene::SceneFile,
    systems::{
        Workers,
        random::{Philox, RandomStream},
    },
};
use std::{env, fs, process::Command};

/// Which scene a process is to measure, and for what.
const MEASURED: &str = "CONNECTOME_MEASURED";

const CONVOLUTIONS: &str = "model: [GcnConv(width: 64), Relu, GcnConv(width: 8)]";
const ATTENTION: &str = "model: [GatConv(width: 8, heads: 4), Elu(1.0), GatConv(width: 8, heads: 1)]";
const EDGE_FEATURES: &str = "model: [GineConv(nn: (widths: [32])), Relu, GcnConv(width: 8)]";
const GRAPHS: &str = "model: [
    GinConv(nn: (widths: [32, 32], batch_norm: true)), Relu, Readout(Sum), Linear(width: 2),
], task: GraphClassification, training: (batch_size: 2000)";
const LINKS: &str = "model: [GcnConv(width: 32), Relu, GcnConv(width: 16)], task: LinkPrediction()";
const DEEP: &str = "model: [Linear(width: 8), Appnp(hops: 800)]";
const RESIDUAL: &str = "model: [Linear(width: 16), Relu, Gcnii(layers: 64), Linear(width: 8)]";
const SAMPLES: &str = "model: [SageConv(width: 64), Relu, SageConv(width: 8)],
    training: (batch_size: 256, fan_outs: [3, 3], steps_per_epoch: 40)";

/// A scene with a graph that is large enough for the program itself to count little.
fn scene(name: &str) -> (SceneFile, GraphData) {
    let (model, nodes, degree, width) = match name {
        "small" => (CONVOLUTIONS, 10, 2, 2),
        "convolutions" => (CONVOLUTIONS, 90_000, 10, 48),
        "many edges" => (CONVOLUTIONS, 10_000, 100, 4),
        "wide features" => ("model: [GcnConv(width: 8)]", 40_000, 2, 500),
        "copied features" => ("model: [GcnConv(width: 8)]", 40_000, 2, 512),
        "attention" => (ATTENTION, 50_000, 16, 32),
        "edge features" => (EDGE_FEATURES, 20_000, 20, 32),
        "graphs" => (GRAPHS, 200_000, 4, 16),
        "links" => (LINKS, 20_000, 16, 64),
        "deep" => (DEEP, 20_000, 4, 32),
        "residual" => (RESIDUAL, 40_000, 4, 32),
        "samples" => (SAMPLES, 100_000, 8, 100),
        "kinds" => return kinds(),
        name => panic!("there is no scene {name}"),
    };
    let text = format!(r#"(name: "{name}", graph: Npz("none.npz"), {model}, optimizer: Adam(learning_rate: 0.01))"#);
    (SceneFile::parse(&text, "scene.ron").unwrap(), graph(name, nodes, degree, width))
}

/// A graph that is wired at random; a set of graphs of ten nodes each if the name asks for it.
fn graph(name: &str, nodes: usize, degree: usize, width: usize) -> GraphData {
    let mut draws = RandomStream::new(Philox::new(1, 1, 0));
    let size = if name == "graphs" { 10 } else { nodes };
    let count = nodes * degree;
    let end = |edge: usize, draws: &mut RandomStream| {
        (edge / degree / size * size + draws.below(size as u64) as usize) as u32
    };
    let edges = (0..count).map(|edge| [end(edge, &mut draws), end(edge, &mut draws)]).collect();
    let set = (name == "graphs").then(|| GraphSet {
        node_offsets: (0..=nodes).step_by(size).collect(),
        edge_offsets: (0..=count).step_by(size * degree).collect(),
        labels: (0..(nodes / size) as u32).map(|graph| graph % 2).collect(),
        classes: 2,
        splits: vec![Split::Train; nodes / size],
        ..GraphSet::default()
    });
    let edge_features = (name == "edge features").then(|| DenseRows { width: 32, values: vec![0.5; 32 * count] });
    GraphData {
        nodes,
        features: Features::Dense { width, values: vec![0.5; width * nodes] },
        labels: (0..nodes as u32).map(|node| node % 8).collect(),
        splits: vec![Split::Train; nodes],
        classes: 8,
        edges,
        graphs: set,
        edge_features,
        ..GraphData::default()
    }
}

/// A scene with two kinds of nodes and two relations, one of them with messages that go back.
fn kinds() -> (SceneFile, GraphData) {
    let text = r#"(
        name: "kinds", graph: Npz("none.npz"), kind: "own", nodes: {"own": (), "other": ()},
        relations: [
            (name: "on", source: "own", target: "own"), (name: "of", source: "other", target: "own", reverse: "of_back"),
        ],
        model: [HeteroConv(convolution: SageConv(width: 32)), Relu, HeteroConv(convolution: SageConv(width: 8))],
        optimizer: Adam(learning_rate: 0.01),
    )"#;
    let [own, other] = [graph("own", 40_000, 10, 48), graph("other", 60_000, 5, 32)];
    let relation = |name: &str, ends, edges, reverse: Option<&str>| RelationEdges {
        name: name.to_owned(),
        ends,
        reverse: reverse.map(str::to_owned),
        edges,
        ..RelationEdges::default()
    };
    let of = other.edges.iter().map(|[source, target]| [*source, *target % 40_000]).collect();
    let relations = vec![relation("on", [0, 0], own.edges, None), relation("of", [1, 0], of, Some("of_back"))];
    let others = vec![NodesOfKind { name: "other".to_owned(), nodes: GraphData { edges: Vec::new(), ..other } }];
    let kinds = Some(Box::new(GraphKinds { own: "own".to_owned(), others, relations }));
    (SceneFile::parse(text, "scene.ron").unwrap(), GraphData { edges: Vec::new(), kinds, ..own })
}

/// Bytes that this process has had at most.
fn peak() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() * 1024
}

/// The part of a process that was started to be measured.
#[test]
fn measured() {
    let Ok(measured) = env::var(MEASURED) else { return };
    let (name, purpose) = measured.split_once('/').unwrap();
    let (scene, data) = scene(name);
    match purpose {
        "train" => {
            let mut trainer = Trainer::new(&scene, data, 0, Workers::single()).unwrap();
            (0..2).for_each(|_| _ = trainer.epoch().unwrap());
        }
        _ => _ = Trainer::for_inference(&scene, data, Workers::single()).unwrap().infer().unwrap(),
    }
    println!("peak {}", peak());
}

/// The most that a process takes.
fn measure(name: &str, purpose: &str) -> usize {
    let mut command = Command::new(env::current_exe().unwrap());
    let command =
        command.args(["--exact", "memory::measured", "--nocapture"]).env(MEASURED, format!("{name}/{purpose}"));
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let peak = text.lines().find_map(|line| line.split_once("peak ")).map(|(_, peak)| peak.parse().unwrap());
    peak.unwrap_or_else(|| panic!("{text}\n{}", String::from_utf8_lossy(&output.stderr)))
}

#[track_caller]
fn check(name: &str) {
    let (scene, data) = scene(name);
    let memory = scene.memory(&data).unwrap();
    for (purpose, usage) in [("train", memory.training), ("infer", memory.inference)] {
        let program = measure("small", purpose);
        let [told, found] = [usage.peak, measure(name, purpose) - program].map(|bytes| bytes as f64 / 1e6);
        println!(
            "{name}, {purpose}: told {told:.1} MB, found {found:.1} MB ({:+.1} %), {usage:?}",
            100.0 * (told / found - 1.0)
        );
        assert!(
            (told / found - 1.0).abs() < 0.1,
            "{name}, {purpose}: told {told:.1} MB, found {found:.1} MB, {usage:?}"
        );
    }
}

#[test]
fn one_graph_takes_what_was_told() {
    check("convolutions");
    check("many edges");
    check("wide features");
    check("copied features");
}

#[test]
fn edges_with_columns_take_what_was_told() {
    check("attention");
    check("edge features");
}

#[test]
fn several_kinds_of_nodes_take_what_was_told() {
    check("kinds");
}

#[test]
fn batches_take_what_was_told() {
    check("graphs");
}

#[test]
fn links_take_what_was_told() {
    check("links");
}

/// Here the operations themselves count.
#[test]
fn deep_models_take_what_was_told() {
    check("deep");
    check("residual");
}

#[test]
fn samples_take_no_more_than_was_told() {
    let (scene, data) = scene("samples");
    let told = scene.memory(&data).unwrap().training.peak;
    let found = measure("samples", "train") - measure("small", "train");
    assert!(found < told, "told {told}, found {found}");
}
