//! What plans of optimal transport cost.
//!
//! The ids are `group/rows x columns/workers`:
//! - `exact` and `sinkhorn` (100 rounds, and their gradient) transport uniform masses at the distances of the features,
//! - `fused_gromov_wasserstein` finds a plan between two random graphs from one start, as POT does; its value is
//!   printed first. `benches/peers/transport.py` measures POT on the same graphs.
//!
//! `cargo bench --bench transport -- fused` measures a part of them.

#[expect(dead_code, reason = "shared with benchmarks that need more")]
mod common;

use common::WORKERS;
use connectome::systems::{
    Workers,
    transport::{FusedGromovWasserstein, Problem, Search, Sinkhorn, SoftGraph, exact},
};
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, criterion_group, criterion_main, measurement::WallTime};
use std::hint::black_box;

const WIDTH: usize = 8;
const SHAPES: [[usize; 2]; 3] = [[50, 50], [200, 200], [200, 150]];

/// A random graph with a tenth of all edges, and uniform masses.
struct Graph {
    features: Vec<f32>,
    adjacency: Vec<f32>,
    mass: Vec<f32>,
}

impl Graph {
    fn new(nodes: usize, seed: u64) -> Self {
        let features = (0..nodes * WIDTH).map(|index| (scramble(seed, index) >> 40) as f32 / (1 << 24) as f32);
        let is_edge = |i: usize, j: usize| i != j && scramble(seed + 1, i.min(j) * nodes + i.max(j)).is_multiple_of(10);
        let adjacency = (0..nodes * nodes).map(|index| f32::from(u8::from(is_edge(index / nodes, index % nodes))));
        Self { features: features.collect(), adjacency: adjacency.collect(), mass: vec![1.0 / nodes as f32; nodes] }
    }

    fn soft(&self) -> SoftGraph<'_> {
        SoftGraph { features: &self.features, adjacency: &self.adjacency, mass: &self.mass }
    }
}

/// SplitMix64 of an index: easy to write again in Python.
fn scramble(seed: u64, index: usize) -> u64 {
    let mut bits = (seed << 32 | index as u64).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ bits >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ bits >> 31
}

fn distances(graph: &Graph, target: &Graph) -> Vec<f32> {
    let distance = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| (x - y) * (x - y)).sum();
    let row = |x| target.features.chunks_exact(WIDTH).map(move |y| distance(x, y));
    graph.features.chunks_exact(WIDTH).flat_map(row).collect()
}

/// Measures with each number of workers.
fn measure<R>(group: &mut BenchmarkGroup<WallTime>, name: &str, run: impl Fn(&Workers) -> R) {
    for count in WORKERS {
        let workers = Workers::new(count).expect("the machine has so many threads");
        group.bench_function(BenchmarkId::new(name, count), |bencher| bencher.iter(|| black_box(run(&workers))));
    }
}

fn plans(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("exact");
    for [rows, columns] in SHAPES {
        let (graph, target) = (Graph::new(rows, 1), Graph::new(columns, 3));
        let cost = distances(&graph, &target);
        let problem = Problem { cost: &cost, source: &graph.mass, target: &target.mass };
        group.bench_function(format!("{rows}x{columns}"), |bencher| bencher.iter(|| exact(problem).expect("valid")));
    }
    group.finish();
    let mut group = criterion.benchmark_group("sinkhorn");
    for [rows, columns] in SHAPES {
        let (graph, target) = (Graph::new(rows, 1), Graph::new(columns, 3));
        let cost = distances(&graph, &target);
        let problem = Problem { cost: &cost, source: &graph.mass, target: &target.mass };
        let solver = Sinkhorn::new(0.05, 100);
        measure(&mut group, &format!("{rows}x{columns}"), |workers| {
            let found = solver.solve(problem, workers).expect("valid");
            solver.gradient(problem, &found, &cost, workers).expect("valid")
        });
    }
}

fn structures(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fused_gromov_wasserstein");
    for [rows, columns] in SHAPES {
        let (graph, target) = (Graph::new(rows, 1), Graph::new(columns, 3));
        let loss = FusedGromovWasserstein::new(0.5);
        let plan = |workers: &Workers| {
            loss.plan(graph.soft(), target.soft(), &Search::default(), workers).expect("the graphs are valid")
        };
        let found = plan(&Workers::single());
        println!("{rows}x{columns}: value {:.9}, {} steps, gap {:.1e}", found.value, found.iterations, found.gap);
        measure(&mut group, &format!("{rows}x{columns}"), plan);
    }
}

criterion_group!(benches, plans, structures);
criterion_main!(benches);
