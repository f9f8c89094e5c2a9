//! What it costs to store graphs in a memory, to open it, and to find similar ones.
//!
//! Graphs are random trees of 10 to 29 nodes with up to four more edges, and four labels. The ids are `group/graphs`:
//! - `find` ranks all graphs by their vectors, `find_refined` a shortlist of 80 by edit distance, `find_copies` by hash,
//! - `put` stores a thousand graphs in one durable transaction, `put_one` one,
//! - `open` opens the file.
//!
//! It prints the size of the file beside that of the graphs as plain arrays: four bytes for the label of each node, twelve
//! for the endpoints and the label of each edge.
//!
//! `cargo bench --bench memory -- find` measures a part of them. With `CONNECTOME_VECTORS=FILE` it writes the vectors of 100,000 graphs
//! and 1,000 queries for `benches/peers/memory.py`, and measures nothing.

#[expect(dead_code, reason = "shared with benchmarks that need more")]
mod common;

use common::{hurry, thousands};
use connectome::{
    memory::{GraphMemory, GraphVector, NewGraph, Query},
    systems::{
        algorithms::{LabeledGraph, ParallelGraph},
        random::{Philox, RandomStream},
    },
};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::{env, fs, hint::black_box, path::Path};

/// The graph of a seed.
fn graph(seed: u64) -> LabeledGraph {
    let mut random = RandomStream::new(Philox::new(seed, 0, 0));
    let mut below = |end: u32| random.below(end.into()) as u32;
    let nodes = 10 + below(20);
    let labels = (0..nodes).map(|_| below(4)).collect();
    let mut edges: Vec<[u32; 2]> = (1..nodes).map(|node| [below(node), node]).collect();
    edges.extend((0..below(5)).map(|_| [below(nodes), below(nodes)]));
    LabeledGraph::new(labels, edges.into_iter().map(|ends| (ends, 0)))
}

fn new(seeds: impl Iterator<Item = u64>) -> Vec<NewGraph> {
    seeds.map(|seed| graph(seed).into()).collect()
}

/// A memory of the graphs of the first seeds.
fn filled(path: &Path, count: u64) -> GraphMemory {
    let mut memory = GraphMemory::create(path).expect("the folder is new");
    let mut bytes = 0;
    for first in (0..count).step_by(10_000) {
        let graphs = new(first..count.min(first + 10_000));
        bytes +=
            graphs.iter().map(|new| 4 * new.graph.node_count() + 12 * new.graph.graph().edge_count()).sum::<usize>();
        memory.put_many(graphs).expect("the disk has room");
    }
    memory.compact().expect("the disk has room");
    let size = fs::metadata(path).map_or(0, |file| file.len());
    let ratio = size as f64 / bytes as f64;
    println!("{count} graphs: {bytes} bytes as arrays, {size} bytes in the file, {ratio:.2} times as many");
    memory
}

/// The graph of a query.
fn query(number: u64) -> LabeledGraph {
    graph((1 << 32) + number)
}

fn ask(criterion: &mut Criterion) {
    if let Ok(path) = env::var("CONNECTOME_VECTORS") {
        let graphs = (0..100_000).map(graph).chain((0..1000).map(query));
        let bytes: Vec<u8> = graphs.flat_map(|graph| *GraphVector::of(&graph).values()).collect();
        return fs::write(path, bytes).expect("the file can be written");
    }
    let folder = tempfile::tempdir().expect("there is a folder for temporary files");
    for count in [10_000, 100_000] {
        let path = folder.path().join(count.to_string());
        let memory = filled(&path, count);
        let label = thousands(count as usize);
        let vectors = Query { shortlist: 0, ..Query::default() };
        for (name, query) in [("find", vectors), ("find_refined", Query::default())] {
            let mut group = criterion.benchmark_group(name);
            hurry(&mut group);
            let mut number = 0;
            group.bench_function(BenchmarkId::from_parameter(&label), |bencher| {
                let next = || {
                    number += 1;
                    self::query(number)
                };
                bencher.iter_batched(next, |graph| black_box(memory.find(&graph, &query)), BatchSize::SmallInput);
            });
            group.finish();
        }
        let mut group = criterion.benchmark_group("find_copies");
        hurry(&mut group);
        let known = graph(count / 2);
        group.bench_function(BenchmarkId::from_parameter(&label), |bencher| {
            bencher.iter(|| black_box(memory.find_copies(&known)));
        });
        group.finish();
        drop(memory);
        let mut group = criterion.benchmark_group("open");
        hurry(&mut group);
        group.bench_function(BenchmarkId::from_parameter(&label), |bencher| {
            bencher.iter(|| black_box(GraphMemory::open(&path).expect("it was closed").len()));
        });
        group.finish();
    }
}

fn store(criterion: &mut Criterion) {
    if env::var("CONNECTOME_VECTORS").is_ok() {
        return;
    }
    let folder = tempfile::tempdir().expect("there is a folder for temporary files");
    let mut memory = filled(&folder.path().join("memory"), 100_000);
    let mut seed = 1 << 32;
    for (name, count) in [("put_one", 1), ("put", 1000)] {
        let mut group = criterion.benchmark_group(name);
        hurry(&mut group);
        group.throughput(Throughput::Elements(count));
        group.bench_function(BenchmarkId::from_parameter(thousands(count as usize)), |bencher| {
            let next = || {
                seed += count;
                new(seed - count..seed)
            };
            bencher.iter_batched(next, |graphs| black_box(memory.put_many(graphs)), BatchSize::PerIteration);
        });
        group.finish();
    }
}

criterion_group!(benches, ask, store);
criterion_main!(benches);
