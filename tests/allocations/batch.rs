//! A batch that is extracted into warm buffers allocates nothing, and loading one no more than a few lists, however many
//! rows it has. A failure prints the counts.

use super::ALLOCATIONS;
use bevy_ecs::prelude::*;
use connectome_components::{Edge, Field, Graph, GraphNode, InSubgraph, Subgraph};
use connectome_systems::batch::{Batch, Extract};
use std::sync::atomic::Ordering;

/// Allocations of the third time that something is done.
pub fn when_warm(mut work: impl FnMut()) -> usize {
    (0..2).for_each(|_| work());
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    work();
    ALLOCATIONS.load(Ordering::Relaxed) - before
}

/// A ring of nodes for each subgraph.
fn corpus(sizes: impl Iterator<Item = usize>) -> (World, Entity, Vec<Entity>) {
    let mut world = World::new();
    let graph = Graph::spawn(&mut world);
    let subgraphs = sizes.map(|size| {
        let subgraph = world.spawn(Subgraph).id();
        let nodes: Vec<Entity> = (0..size).map(|_| world.spawn((GraphNode, InSubgraph(subgraph))).id()).collect();
        for (number, source) in nodes.iter().enumerate() {
            world.spawn(Edge { source: *source, target: nodes[(number + 1) % size] });
        }
        subgraph
    });
    let subgraphs = subgraphs.collect();
    (world, graph, subgraphs)
}

pub fn warm_batches_allocate_nothing_for_their_rows() {
    let (mut corpus, graph, subgraphs) = corpus(1..200);
    let nodes = corpus.register_component::<GraphNode>();
    let from = Field::<f32>::register(&mut corpus, "features", nodes, 4).unwrap();
    let mut world = World::new();
    let target = Graph::spawn(&mut world);
    let nodes = world.register_component::<GraphNode>();
    let to = Field::<f32>::register(&mut world, "features", nodes, 4).unwrap();
    let mut extract = Extract::new(&corpus, graph).unwrap();
    extract.copy(&corpus, from, to).unwrap();
    extract.update(&mut corpus);
    let seeds: Vec<Entity> = corpus.query_filtered::<Entity, With<GraphNode>>().iter(&corpus).step_by(30).collect();
    let [mut large, mut small] = [Batch::default(), Batch::default()];
    let unions = when_warm(|| {
        extract.subgraphs(&corpus, &subgraphs, &mut large).unwrap();
        extract.subgraphs(&corpus, &subgraphs[..9], &mut large).unwrap();
        extract.subgraphs(&corpus, &subgraphs[20..], &mut large).unwrap();
    });
    let mut step = 0;
    let samples = when_warm(|| {
        step += 1;
        extract.sample_neighbors(&corpus, &seeds, &[1, 1, 1], 0, step, &mut large).unwrap();
    });
    assert_eq!([unions, samples], [0, 0], "allocations of unions and of samples");

    let mut load = |count: usize, batch: &mut Batch| {
        extract.subgraphs(&corpus, &subgraphs[..count], batch).unwrap();
        when_warm(|| batch.load(&mut world, target).unwrap())
    };
    let loads = [load(190, &mut large), load(5, &mut small)];
    println!("{loads:?} allocations to load a batch of 18,145 nodes and one of 15");
    assert!(loads.iter().all(|count| *count <= 64), "{loads:?} allocations of a large and a small batch");
}
