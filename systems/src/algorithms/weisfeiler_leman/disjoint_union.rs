//! Disjoint unions of graphs.

use core::{borrow::Borrow, ops::Range};

use crate::algorithms::{LabeledGraph, ParallelGraph};

/// The disjoint union of graphs, in compressed sparse rows. It has fewer than 2^32 nodes.
pub(super) struct DisjointUnion {
    /// The first node of each graph; `[G + 1]`.
    pub starts: Vec<usize>,
    /// The label of each node.
    pub labels: Vec<u32>,
    /// The neighbors of node `i` are `neighbors[offsets[i]..offsets[i + 1]]`; `[N + 1]`.
    offsets: Vec<usize>,
    neighbors: Vec<u32>,
    /// The label of the edge to each neighbor; empty if all are equal.
    edge_labels: Vec<u32>,
}

impl DisjointUnion {
    pub fn of(graphs: &[impl Borrow<LabeledGraph>]) -> Self {
        let nodes = graphs.iter().map(|graph| graph.borrow().node_count()).sum();
        let entries = graphs.iter().map(|graph| 2 * graph.borrow().graph().edge_count()).sum();
        let mut first = None;
        let mut edge_labels = graphs.iter().flat_map(|graph| graph.borrow().labeled_edges().map(|(_, label)| label));
        let are_equal = edge_labels.all(|label| *first.get_or_insert(label) == label);
        drop(edge_labels);
        let mut union = Self {
            starts: vec![0],
            labels: Vec::with_capacity(nodes),
            offsets: Vec::with_capacity(nodes + 1),
            neighbors: Vec::with_capacity(entries),
            edge_labels: vec![0; if are_equal { 0 } else { entries }],
        };
        union.offsets.push(0);
        graphs.iter().for_each(|graph| union.add(graph.borrow()));
        union
    }

    fn add(&mut self, graph: &LabeledGraph) {
        let first = self.labels.len();
        for node in graph.nodes() {
            self.neighbors.extend(graph.graph().neighbors(node).iter().map(|other| first as u32 + other));
            self.offsets.push(self.neighbors.len());
        }
        if !self.edge_labels.is_empty() {
            let mut next = self.offsets[first..].to_vec();
            // Edges in ascending order visit the neighbors of each node in ascending order.
            for (endpoints, label) in graph.labeled_edges() {
                for end in endpoints {
                    self.edge_labels[next[end as usize]] = label;
                    next[end as usize] += 1;
                }
            }
        }
        self.labels.extend(graph.labels());
        self.starts.push(self.labels.len());
    }

    pub fn node_count(&self) -> usize {
        self.labels.len()
    }

    pub fn has_edge_labels(&self) -> bool {
        !self.edge_labels.is_empty()
    }

    pub fn degree(&self, node: u32) -> usize {
        self.entries(node).len()
    }

    pub fn neighbors(&self, node: u32) -> &[u32] {
        &self.neighbors[self.entries(node)]
    }

    /// The labels of the edges to the neighbors of a node; empty if all edges have the same label.
    pub fn edge_labels(&self, node: u32) -> &[u32] {
        self.edge_labels.get(self.entries(node)).unwrap_or(&[])
    }

    fn entries(&self, node: u32) -> Range<usize> {
        self.offsets[node as usize]..self.offsets[node as usize + 1]
    }
}
