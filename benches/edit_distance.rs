//! Graph edit distances.
//!
//! The ids are `edit_distance/case/size/workers`. `random` are pairs of random graphs of so many nodes, half as many edges
//! again, 3 kinds of nodes and 2 of edges; `molecules` are so many pairs of AIDS700nef, each searched by one worker until
//! its distance is exact. `bounds` are the bounds of random pairs without a search.

#[expect(dead_code, reason = "shared with benchmarks that need more")]
mod common;

use common::{WORKERS, hurry};
use connectome::import::{ImportOptions, import_labeled};
use connectome::systems::{
    Workers,
    algorithms::{
        LabeledGraph,
        edit_distance::{EditCosts, SearchBudget, edit_distance, edit_distances},
    },
    random::Philox,
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::path::Path;

const SEED: u64 = 20_240_607;

/// A graph of `nodes` nodes of 3 kinds and half as many edges again of 2 kinds.
fn random_graph(nodes: usize, number: u64) -> LabeledGraph {
    let edges = 3 * nodes / 2;
    let mut draws = vec![0.0; nodes + 3 * 4 * edges];
    Philox::new(SEED, nodes as u32, number).fill_uniform(&mut draws);
    let below = |draw: f32, count: usize| ((draw * count as f32) as usize).min(count - 1) as u32;
    let labels = draws[..nodes].iter().map(|draw| below(*draw, 3)).collect();
    let mut pairs: Vec<([u32; 2], u32)> = Vec::new();
    for draw in draws[nodes..].chunks_exact(3) {
        let (one, other) = (below(draw[0], nodes), below(draw[1], nodes));
        let endpoints = [one.min(other), one.max(other)];
        if one != other && pairs.len() < edges && pairs.iter().all(|(known, _)| *known != endpoints) {
            pairs.push((endpoints, below(draw[2], 2)));
        }
    }
    LabeledGraph::new(labels, pairs)
}

fn pairs(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("edit_distance");
    hurry(&mut group);
    let costs = EditCosts::default();
    let pair = |nodes| [random_graph(nodes, 0), random_graph(nodes, 1)];
    for (case, budget, sizes) in
        [("random", SearchBudget::EXACT, [8, 10, 12, 14].as_slice()), ("bounds", SearchBudget::BOUNDS, &[20, 100, 500])]
    {
        for &nodes in sizes {
            let [one, other] = pair(nodes);
            let id = BenchmarkId::new(format!("{case}/{nodes}"), 1);
            group.bench_function(id, |bencher| {
                bencher
                    .iter(|| edit_distance(&one, &other, &costs, budget, &Workers::single()).expect("they are small"));
            });
        }
    }
    let [one, other] = pair(16);
    for count in WORKERS {
        let workers = Workers::new(count).expect("there are so many threads");
        group.bench_function(BenchmarkId::new("random/16", count), |bencher| {
            bencher
                .iter(|| edit_distance(&one, &other, &costs, SearchBudget::EXACT, &workers).expect("they are small"));
        });
    }
    group.finish();
}

fn molecules(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("edit_distance");
    hurry(&mut group);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/aids700nef.npz");
    let graphs = import_labeled(&file, &ImportOptions::default()).expect("the file is whole").graphs;
    // One is compared with all others.
    let first = &graphs[220];
    group.throughput(Throughput::Elements(graphs.len() as u64));
    for count in WORKERS {
        let workers = Workers::new(count).expect("there are so many threads");
        group.bench_function(BenchmarkId::new(format!("molecules/{}", graphs.len()), count), |bencher| {
            bencher.iter(|| {
                edit_distances(first, &graphs, &EditCosts::default(), SearchBudget::EXACT, &workers)
                    .expect("they are small")
            });
        });
    }
    group.finish();
}

criterion_group!(benches, pairs, molecules);
criterion_main!(benches);
