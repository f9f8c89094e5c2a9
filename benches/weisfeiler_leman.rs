//! What it costs to tell nodes and graphs apart by color refinement.
//!
//! The ids are `group/case/size/workers`:
//! - `refine` colors the nodes of one graph until that is stable,
//! - `subtree_kernels` compares each two of a set of graphs, with five iterations,
//! - `refute_isomorphism` compares a graph with itself, which takes all rounds.
//!
//! `cargo bench --bench weisfeiler_leman -- refine/power_law` measures a part of them.

#[expect(dead_code, reason = "shared with benchmarks that need more")]
mod common;

use common::{Links, WORKERS, hurry, thousands};
use connectome::{
    import::{ImportOptions, import_labeled},
    systems::{
        Workers,
        algorithms::{
            LabeledGraph, ParallelGraph, SimpleGraph,
            weisfeiler_leman::{refine, refute_isomorphism, subtree_kernels},
        },
    },
};
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, criterion_group, criterion_main, measurement::WallTime};
use std::hint::black_box;

/// Iterations of the subtree kernel, as papers on it choose.
const ITERATIONS: usize = 5;

/// The graphs in a file that comes with the crate.
fn asset(name: &str) -> Vec<LabeledGraph> {
    let path = format!("{}/assets/{name}.npz", env!("CARGO_MANIFEST_DIR"));
    import_labeled(path.as_ref(), &ImportOptions::default()).expect("it comes with the crate").graphs
}

/// One graph without labels.
fn unlabeled(links: &Links) -> LabeledGraph {
    LabeledGraph::of(&SimpleGraph::new(links.nodes, links.edges.iter().copied()), Vec::new())
}

/// Graphs of one node or more: a citation network, one with hubs, and one whose nodes look alike for long.
fn graphs() -> [(String, LabeledGraph); 3] {
    let named = |name: &str, graph: LabeledGraph| (format!("{name}/{}", thousands(graph.node_count())), graph);
    let cora = asset("cora").swap_remove(0);
    let law = unlabeled(&Links::power_law(169_343, 2_332_486, 0.6));
    let comb: Vec<[u32; 2]> = (1..20_000).map(|node| [node - 1 - (node - 1) % 2, node]).collect();
    [named("cora", cora), named("power_law", law), named("comb", unlabeled(&Links { nodes: 20_000, edges: comb }))]
}

/// Measures with each number of workers.
fn measure<R>(group: &mut BenchmarkGroup<WallTime>, name: &str, run: impl Fn(&Workers) -> R) {
    for count in WORKERS {
        let workers = Workers::new(count).expect("the machine has so many threads");
        group.bench_function(BenchmarkId::new(name, count), |bencher| bencher.iter(|| black_box(run(&workers))));
    }
}

fn colors(criterion: &mut Criterion) {
    let graphs = graphs();
    let mut group = criterion.benchmark_group("refine");
    hurry(&mut group);
    for (name, graph) in &graphs[..2] {
        measure(&mut group, name, |workers| refine(&[graph], None, workers));
    }
    // A path with teeth takes thousands of rounds; a thousand show what one costs that changes little.
    let (name, graph) = &graphs[2];
    measure(&mut group, name, |workers| refine(&[graph], Some(1000), workers));
    group.finish();
    let mut group = criterion.benchmark_group("refute_isomorphism");
    hurry(&mut group);
    for (name, graph) in &graphs[..2] {
        measure(&mut group, name, |workers| refute_isomorphism(graph, graph, workers));
    }
    group.finish();
}

fn kernels(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("subtree_kernels");
    hurry(&mut group);
    for name in ["mutag", "imdb-binary"] {
        let graphs = asset(name);
        let name = format!("{name}/{}", graphs.len());
        measure(&mut group, &name, |workers| subtree_kernels(&graphs, ITERATIONS, workers));
    }
    group.finish();
}

criterion_group!(benches, colors, kernels);
criterion_main!(benches);
