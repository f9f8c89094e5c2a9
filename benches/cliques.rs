//! Cliques of graphs like those of `benches/peers`.
//!
//! The ids are `cliques/case/graph/workers`. `uniform` has 2,000 nodes of degree 20 on average; `hubs` has 20,000 nodes of
//! degree 10, one end of each edge drawn by a power law, and a clique of 20 nodes hidden in it. `p_hat` and `brock` are made
//! as the DIMACS graphs p_hat300-3 and brock200_4 were, from other random numbers: in `p_hat` each node draws how willing it
//! is, between a half and one, and two are joined with the mean of both; in `brock` a clique of 17 of 200 nodes is hidden
//! whose nodes have no more neighbors than others, 65 % of all. `san` is like san200_0.9_3: 200 nodes in 44 classes, no two of
//! a class are joined, a clique of a node of each is hidden, and 90 % of all pairs are joined.

#[expect(dead_code, reason = "shared with benchmarks that need more")]
mod common;

use common::{Links, WORKERS, hurry};
use connectome::systems::{
    Workers,
    algorithms::{
        SimpleGraph,
        cliques::{CliqueKind, Limits, count_cliques, degeneracy, list_cliques, maximum_clique},
    },
    random::Philox,
};
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, criterion_group, criterion_main, measurement::WallTime};
use std::hint::black_box;

fn uniform() -> SimpleGraph {
    SimpleGraph::new(2_000, Links::power_law(2_000, 40_000, 0.0).edges)
}

fn hubs() -> SimpleGraph {
    let hidden = (0..20).flat_map(|one| (0..one).map(move |other| [997 * other + 5, 997 * one + 5]));
    SimpleGraph::new(20_000, Links::power_law(20_000, 200_000, 0.7).edges.into_iter().chain(hidden))
}

/// Numbers in `[0, 1)`, the same for each purpose.
fn draws(count: usize, purpose: u32) -> Vec<f32> {
    let mut draws = vec![0.0; count];
    Philox::new(20_240_607, purpose, 0).fill_uniform(&mut draws);
    draws
}

/// Joins each two nodes with a probability.
fn dense(nodes: u32, probability: impl Fn(u32, u32) -> f32) -> SimpleGraph {
    let draws = draws((nodes * nodes) as usize, 1);
    let pairs = (0..nodes).flat_map(|one| (0..one).map(move |other| [other, one]));
    let edges = pairs.filter(|[one, other]| draws[(one * nodes + other) as usize] < probability(*one, *other));
    SimpleGraph::new(nodes as usize, edges)
}

fn p_hat() -> SimpleGraph {
    let willing = draws(300, 2);
    dense(300, |one, other| 0.5 + (willing[one as usize] + willing[other as usize]) / 4.0)
}

fn brock() -> SimpleGraph {
    const NODES: f32 = 200.0;
    const HIDDEN: f32 = 17.0;
    const DEGREE: f32 = 0.65 * (NODES - 1.0);
    // What is left of the degree for the others, on either side.
    let between = (DEGREE - (HIDDEN - 1.0)) / (NODES - HIDDEN);
    let among_others = (DEGREE - HIDDEN * between) / (NODES - HIDDEN - 1.0);
    let is_hidden = |node: u32| node.is_multiple_of(12);
    dense(200, |one, other| match (is_hidden(one), is_hidden(other)) {
        (true, true) => 1.0,
        (false, false) => among_others,
        _ => between,
    })
}

fn san() -> SimpleGraph {
    const CLASSES: u32 = 44;
    // Of pairs that are neither in a class nor in the clique, so that 90 % of all are joined.
    const JOINED: f32 = 0.912;
    dense(200, |one, other| match (one % CLASSES == other % CLASSES, one < CLASSES && other < CLASSES) {
        (true, _) => 0.0,
        (_, true) => 1.0,
        _ => JOINED,
    })
}

fn measure<R>(group: &mut BenchmarkGroup<WallTime>, name: &str, search: impl Fn(&Workers) -> R) {
    for count in WORKERS {
        let workers = Workers::new(count).expect("the machine has so many threads");
        group.bench_function(BenchmarkId::new(name, count), |bencher| bencher.iter(|| black_box(search(&workers))));
    }
}

fn cliques(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("cliques");
    hurry(&mut group);
    for (name, graph) in [("uniform/2k", uniform()), ("hubs/20k", hubs())] {
        group.bench_function(format!("degeneracy/{name}"), |bencher| bencher.iter(|| degeneracy(black_box(&graph))));
        let (maximal, all) = (CliqueKind::maximal(), Limits::default());
        measure(&mut group, &format!("maximal/{name}"), |workers| list_cliques(&graph, maximal, workers, all));
        measure(&mut group, &format!("count_maximal/{name}"), |workers| count_cliques(&graph, maximal, workers, all));
        for size in [3, 4, 5] {
            let kind = CliqueKind::of_size(size).expect("the size is small");
            measure(&mut group, &format!("size_{size}/{name}"), |workers| list_cliques(&graph, kind, workers, all));
        }
        measure(&mut group, &format!("maximum/{name}"), |workers| maximum_clique(&graph, workers, None));
    }
    for (name, graph) in [("p_hat/300", p_hat()), ("brock/200", brock()), ("san/200", san())] {
        measure(&mut group, &format!("maximum/{name}"), |workers| maximum_clique(&graph, workers, None));
    }
    group.finish();
}

criterion_group!(benches, cliques);
criterion_main!(benches);
