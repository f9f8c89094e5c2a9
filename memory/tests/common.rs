//! Random graphs.

use connectome_memory::{GraphMemory, NewGraph};
use connectome_systems::{
    algorithms::{LabeledGraph, ParallelGraph},
    random::{Philox, RandomStream},
};
use std::path::PathBuf;
use tempfile::TempDir;

/// A graph of a seed: a random tree of `nodes` nodes with `extra` more edges, four labels of nodes and two of edges.
pub fn graph(seed: u64, nodes: u32, extra: u32) -> LabeledGraph {
    let mut random = RandomStream::new(Philox::new(seed, 1, 0));
    let mut below = |end: u32| random.below(end.max(1).into()) as u32;
    let labels = (0..nodes).map(|_| below(4)).collect();
    let mut edges: Vec<([u32; 2], u32)> = (1..nodes).map(|node| ([below(node), node], below(2))).collect();
    edges.extend((0..extra).map(|_| ([below(nodes), below(nodes)], below(2))));
    LabeledGraph::new(labels, edges)
}

/// The graph of a seed, as it is stored.
pub fn new(seed: u64) -> NewGraph {
    let metadata = [("seed".to_owned(), seed.to_string())].into();
    NewGraph { graph: graph(seed, 3 + seed as u32 % 9, seed as u32 % 4), metadata, time: 10 * seed, vector: None }
}

/// The same graph with its nodes in another order.
pub fn renumbered(graph: &LabeledGraph, seed: u64) -> LabeledGraph {
    let mut order: Vec<u32> = graph.nodes().collect();
    RandomStream::new(Philox::new(seed, 2, 0)).shuffle(&mut order);
    graph.induced_subgraph(&order)
}

/// A folder, and the path of a memory in it.
pub fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("memory");
    (folder, path)
}

/// A memory of the graphs of these seeds.
pub fn memory(seeds: std::ops::Range<u64>) -> (TempDir, GraphMemory) {
    let (folder, path) = folder();
    let mut memory = GraphMemory::create(&path).unwrap();
    memory.put_many(seeds.map(new)).unwrap();
    (folder, memory)
}
