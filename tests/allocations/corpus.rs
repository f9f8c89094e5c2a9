//! The memory of training follows the batch and not the corpus: ten times as many graphs leave the entities of the training
//! world and what is allocated while it learns as they are, and so do ten times as many epochs. A failure prints both.

use super::{LIVE, PEAK, TOTAL};
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
use std::sync::atomic::Ordering;

const NODES: usize = 12;
const EDGES: usize = 26;

const SCENE: &str = r#"(
    name: "corpus",
    graph: Npz("none.npz"),
    model: [
        GinConv(nn: (widths: [16, 16], batch_norm: true)), Relu,
        GinConv(nn: (widths: [16, 16])), Relu,
        Readout(Sum), Dropout(0.5), Linear(width: 2),
    ],
    task: GraphClassification,
    optimizer: Adam(learning_rate: 0.01),
    training: (batch_size: 256),
)"#;

/// Graphs of one size, wired at random, of which one in five is to measure by.
fn corpus(graphs: usize) -> GraphData {
    let mut draws = RandomStream::new(Philox::new(1, 1, 0));
    let edges = (0..graphs * EDGES).map(|edge| {
        let first = edge / EDGES * NODES;
        [0, 1].map(|_| first as u32 + draws.below(NODES as u64) as u32)
    });
    let edges = edges.collect();
    let mut values = vec![0.0; 4 * graphs * NODES];
    Philox::new(1, 2, 0).fill_uniform(&mut values);
    GraphData {
        nodes: graphs * NODES,
        features: Features::Dense { width: 4, values },
        labels: vec![0; graphs * NODES],
        splits: vec![Split::Unused; graphs * NODES],
        classes: 1,
        edges,
        graphs: Some(GraphSet {
            node_offsets: (0..=graphs).map(|graph| graph * NODES).collect(),
            edge_offsets: (0..=graphs).map(|graph| graph * EDGES).collect(),
            labels: (0..graphs as u32).map(|graph| graph % 2).collect(),
            classes: 2,
            splits: (0..graphs).map(|graph| if graph % 5 == 0 { Split::Validation } else { Split::Train }).collect(),
            ..GraphSet::default()
        }),
        ..GraphData::default()
    }
}

/// What learning from a corpus took, once it was warm.
#[derive(Debug)]
struct Usage {
    /// In the training world, with the last batch.
    entities: usize,
    /// Those it has room for, which is that of the largest batch.
    places: u32,
    /// The most bytes in use at once in an epoch, beyond those that were when the corpus stood.
    bytes: usize,
    /// Bytes allocated for a batch, mostly by bevy_ecs to run systems.
    traffic: f64,
}

/// What learning from so many graphs takes after some epochs.
fn usage(graphs: usize, warm_epochs: usize) -> Usage {
    const EPOCHS: usize = 2;
    let data = corpus(graphs);
    let scene = SceneFile::parse(SCENE, "scene.ron").unwrap();
    // With one worker what is in use at once does not depend on which of two threads is ahead.
    let mut trainer = Trainer::new(&scene, &data, 0, Workers::single()).unwrap();
    let standing = LIVE.load(Ordering::Relaxed);
    let mut train = |epochs: usize| (0..epochs).for_each(|_| _ = trainer.epoch().unwrap());
    // The last batch of an epoch is smaller, and buffers grow until they have seen the largest change.
    train(warm_epochs);
    let before = TOTAL.load(Ordering::Relaxed);
    PEAK.store(LIVE.load(Ordering::Relaxed), Ordering::Relaxed);
    train(EPOCHS);
    let bytes = PEAK.load(Ordering::Relaxed) - standing;
    let batches = (graphs * 4 / 5).div_ceil(256) + (graphs / 5).div_ceil(256);
    let traffic = (TOTAL.load(Ordering::Relaxed) - before) as f64 / (EPOCHS * batches) as f64;
    let world = trainer.world();
    let entities = world.query::<Entity>().iter(world).count();
    Usage { entities, places: world.entities().len(), bytes, traffic }
}

pub fn memory_follows_the_batch_and_not_the_corpus() {
    // What any first run makes for the whole process is not counted.
    usage(300, 1);
    // With so many, the last batches of both are equal as well, 32 graphs to learn from and 200 to measure by, and an odd
    // number of batches is an epoch: bevy_ecs notes in two buffers by turns what was despawned, and both grow.
    let (few, many) = (usage(1_000, 6), usage(11_240, 6));
    println!("1,000 graphs: {few:?}\n11,240 graphs: {many:?}");
    assert_eq!((few.entities, few.places), (many.entities, many.places));
    check_bytes(&few, &many);
    assert!(many.traffic < 1.01 * few.traffic, "{few:?} and {many:?}");
    let late = usage(1_000, 60);
    println!("1,000 graphs, later: {late:?}");
    check_bytes(&few, &late);
}

#[track_caller]
fn check_bytes(one: &Usage, other: &Usage) {
    let difference = (other.bytes as f64 - one.bytes as f64).abs() / one.bytes as f64;
    assert!(difference < 0.01, "{one:?} and {other:?}");
}
