//! How much memory it takes to learn from many graphs: that of the corpus, and beside it that of a batch.
//!
//! ```sh
//! cargo run --release --example corpus             # 1,000 and 100,000 graphs
//! cargo run --release --example corpus 20000       # another number
//! ```
//!
//! Each number of graphs is tried in a process of its own, as a process hands freed memory back when it likes. The figures
//! are resident memory as Linux tells it; elsewhere they are 0. Some of what training takes may be what spawning a large corpus
//! left free; `tests/allocations/corpus.rs` counts every byte.

use bevy_ecs::entity::Entity;
use connectome::{
    Trainer,
    components::Split,
    data::{Features, GraphData, GraphSet},
    scene::SceneFile,
    systems::{
        Workers,
        random::{Philox, RandomStream},
    },
};
use std::{error::Error, fs, process::Command, time::Instant};

const BATCH: usize = 256;
const EPOCHS: usize = 3;

const SCENE: &str = r#"(
    name: "corpus",
    graph: Npz("none.npz"),
    model: [
        GinConv(nn: (widths: [32, 32], batch_norm: true)), Relu,
        GinConv(nn: (widths: [32, 32], batch_norm: true)), Relu,
        Readout(Sum), Linear(width: 2),
    ],
    task: GraphClassification,
    optimizer: Adam(learning_rate: 0.01),
    training: (batch_size: 256),
)"#;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [] => {
            println!(
                "   graphs  entities: corpus, training   MiB: data  corpus  training, most   ms a batch  accuracy"
            );
            for graphs in ["1000", "100000"] {
                Command::new(std::env::current_exe()?).arg(graphs).status()?;
            }
            Ok(())
        }
        [graphs, ..] => learn(graphs.parse()?),
    }
}

fn learn(graphs: usize) -> Result<(), Box<dyn Error>> {
    let scene = SceneFile::parse(SCENE, "the scene of this example")?;
    let start = resident("VmRSS");
    let data = corpus(graphs);
    let with_data = resident("VmRSS");
    let mut trainer = Trainer::new(&scene, &data, 0, Workers::new(0)?)?;
    let of_data = data.nodes + data.edges.len() + graphs;
    let before = resident("VmRSS");
    reset_peak();
    let started = Instant::now();
    let mut accuracy = 0.0;
    for _ in 0..EPOCHS {
        accuracy = trainer.epoch()?.get(Split::Validation, "accuracy").unwrap_or(f64::NAN);
    }
    let batches = EPOCHS * ((graphs * 4 / 5).div_ceil(BATCH) + (graphs / 5).div_ceil(BATCH));
    let milliseconds = 1e3 * started.elapsed().as_secs_f64() / batches as f64;
    let (after, most) = (resident("VmRSS"), resident("VmHWM"));
    let world = trainer.world();
    let in_training = world.query::<Entity>().iter(world).count();
    println!(
        "{graphs:9} {of_data:17} {in_training:9} {:11.1} {:7.1} {:9.1} {:6.1} {milliseconds:12.2} {:8.1} %",
        with_data - start,
        before - with_data,
        after - before,
        most - before,
        100.0 * accuracy,
    );
    Ok(())
}

/// Rings of 8 to 15 nodes with two more ways across, which are short in one class and long in the other.
fn corpus(graphs: usize) -> GraphData {
    let mut draws = RandomStream::new(Philox::new(1, 1, 0));
    let mut edges: Vec<[u32; 2]> = Vec::new();
    let (mut node_offsets, mut edge_offsets, mut labels) = (vec![0], vec![0], Vec::new());
    for graph in 0..graphs {
        let (first, size, class) = (node_offsets[graph] as u32, 8 + draws.below(8) as u32, graph as u32 % 2);
        let mut join = |one: u32, other: u32| {
            let endpoints = [first + one % size, first + other % size];
            edges.extend([endpoints, [endpoints[1], endpoints[0]]]);
        };
        (0..size).for_each(|node| join(node, node + 1));
        for _ in 0..2 {
            let node = draws.below(u64::from(size)) as u32;
            join(node, node + if class == 0 { 2 } else { size / 2 });
        }
        node_offsets.push((first + size) as usize);
        edge_offsets.push(edges.len());
        labels.push(class);
    }
    let nodes = node_offsets[graphs];
    GraphData {
        nodes,
        features: Features::Dense { width: 1, values: vec![1.0; nodes] },
        labels: vec![0; nodes],
        splits: vec![Split::Unused; nodes],
        classes: 1,
        edges,
        graphs: Some(GraphSet {
            node_offsets,
            edge_offsets,
            labels,
            classes: 2,
            splits: (0..graphs).map(|graph| if graph % 10 < 2 { Split::Validation } else { Split::Train }).collect(),
            ..GraphSet::default()
        }),
        ..GraphData::default()
    }
}

/// A line of what Linux says of this process, in MiB.
fn resident(name: &str) -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kibibytes = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<f64>().ok());
    kibibytes.unwrap_or(0.0) / 1024.0
}

/// Lets the most that was resident be what is resident now.
fn reset_peak() {
    _ = fs::write("/proc/self/clear_refs", "5");
}
