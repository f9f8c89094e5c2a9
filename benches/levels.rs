//! Networks by levels, 64 wide, on a chain, on balanced binary trees and on a random directed acyclic graph, beside a pass
//! over the nodes one after another.
//!
//! The ids are `group/network/graph/size/workers`: `forward` is the whole of `Infer`, `train` the whole of `Train`: forward,
//! backward, a step of all weights. `sequential` in place of the workers is a single thread that does the same arithmetic
//! with the same kernels on plain slices, node after node in the order of their rows; what does not depend on other nodes,
//! such as the product of all inputs, it does for all of them at once. The input changes in each run.
//!
//! `cargo bench --bench levels -- forward/gru/tree` measures a part of them.

#[expect(dead_code, reason = "shared with benchmarks that need other parts")]
mod common;
#[path = "levels/sequential.rs"]
mod sequential;

use bevy_ecs::prelude::*;
use common::{Links, fill_normal, hurry, measure, stir, thousands};
use connectome::{
    prelude::*,
    systems::random::{Philox, RandomStream},
};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use sequential::{Gru, Network, Sequential};

const WIDTH: usize = 64;

const SIZES: [usize; 2] = [10_000, 100_000];

/// Each node hears from the one before.
fn chain(nodes: usize) -> Links {
    Links { nodes, edges: (1..nodes as u32).map(|node| [node - 1, node]).collect() }
}

/// A binary tree, the leaves first; nodes are numbered from the root in a heap.
fn tree(nodes: usize) -> Links {
    let place = |node: usize| (nodes - 1 - node) as u32;
    let mut edges: Vec<[u32; 2]> = (1..nodes).map(|node| [place(node), place((node - 1) / 2)]).collect();
    edges.sort_unstable_by_key(|[source, target]| (*target, *source));
    Links { nodes, edges }
}

/// Trees of 31 nodes, all leaves first.
fn trees(nodes: usize) -> Links {
    let (count, mut edges, mut start, mut width) = (nodes / 31, Vec::new(), 0, 16);
    while width > 1 {
        let next = start + count * width;
        edges.extend((0..count * width).map(|child| [(start + child) as u32, (next + child / 2) as u32]));
        (start, width) = (next, width / 2);
    }
    Links { nodes: start + count, edges }
}

/// Each node but the first tenth hears from one to three of those before it.
fn random(nodes: usize) -> Links {
    let mut draws = RandomStream::new(Philox::new(7, 0, 0));
    let mut edges = Vec::new();
    for node in nodes / 10..nodes {
        for _ in 0..=draws.below(3) {
            edges.push([draws.below(node as u64) as u32, node as u32]);
        }
    }
    edges.sort_unstable_by_key(|[source, target]| (*target, *source));
    Links { nodes, edges }
}

type Make = fn(usize) -> Links;

const GRAPHS: [(&str, Make); 4] = [("chain", chain), ("tree", tree), ("random", random), ("trees_of_31", trees)];

fn uniform(stream: u32, count: usize, scale: f32) -> Vec<f32> {
    let mut numbers = vec![0.0; count];
    Philox::new(7, stream, 1).fill_uniform(&mut numbers);
    numbers.iter_mut().for_each(|number| *number = scale * (2.0 * *number - 1.0));
    numbers
}

fn by_nodes(network: &str, links: &Links) -> Box<dyn Sequential> {
    let values = uniform(1, links.nodes * WIDTH, 1.0);
    match network {
        "network" => Box::new(Network::new(links, values, uniform(2, links.edges.len(), 0.5))),
        _ => Box::new(Gru::new(links, values, [3, 4].map(|stream| uniform(stream, 3 * WIDTH * WIDTH, 0.125)))),
    }
}

/// The same as a model of a world, of which the gradient with respect to the weights of all edges is asked for.
fn by_levels(network: &str, links: &Links, learns: bool) -> (World, Entity) {
    let (mut world, graph) = links.world(1);
    let nodes = world.register_component::<GraphNode>();
    let edges = world.register_component::<Edge>();
    let field = |world: &mut World, name, domain, width| {
        Field::register(world, name, domain, width).expect("the field is small")
    };
    let input = field(&mut world, "input", nodes, WIDTH);
    let [weights, by_weights] = ["weights", "gradient"].map(|name| field(&mut world, name, edges, 1));
    let mut builder = ModelBuilder::new(graph).input(input).external_gradient();
    builder = match network {
        "network" => {
            let layer = DagNetwork::new(Activation::Tanh).with_edge_features();
            builder.edge_input(weights).input_gradient(weights, by_weights).layer(layer)
        }
        _ => builder.layer(DagGru::new(WIDTH)),
    };
    if learns {
        builder = builder.optimizer(common::adam());
    }
    let model = builder.build(&mut world).expect("the model fits the graph");
    world.run_model(Infer(model)).expect("the graph has no cycle");
    for field in [input, weights] {
        fill_normal(&mut world, field);
    }
    weights.matrix_mut(&mut world).rows_mut().flatten().for_each(|weight| *weight *= 0.3);
    (world, model)
}

fn levels(criterion: &mut Criterion) {
    for network in ["network", "gru"] {
        for (learns, name) in [(false, "forward"), (true, "train")] {
            let mut group = criterion.benchmark_group(name);
            hurry(&mut group);
            for ((graph, make), size) in GRAPHS.iter().flat_map(|graph| SIZES.map(|size| (graph, size))) {
                let id = format!("{network}/{graph}/{}", thousands(size));
                let mut sequential = None;
                group.bench_function(BenchmarkId::new(&id, "sequential"), |bencher| {
                    let network = sequential.get_or_insert_with(|| by_nodes(network, &make(size)));
                    bencher.iter(|| {
                        network.forward();
                        if learns {
                            network.backward();
                        }
                    });
                });
                drop(sequential);
                let links = make(size);
                if learns {
                    measure(&mut group, &id, links.edges.len(), || {
                        let (mut world, model) = by_levels(network, &links, true);
                        stir(&mut world, model, Train(model));
                        (world, Train(model))
                    });
                } else {
                    measure(&mut group, &id, links.edges.len(), || {
                        let (mut world, model) = by_levels(network, &links, false);
                        stir(&mut world, model, Infer(model));
                        (world, Infer(model))
                    });
                }
            }
            group.finish();
        }
    }
}

criterion_group!(benches, levels);
criterion_main!(benches);
