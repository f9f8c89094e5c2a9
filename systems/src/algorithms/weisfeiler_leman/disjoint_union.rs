//! Disjoint unions of graphs.

use core::{borrow::Borrow, ops::Range};
use std::borrow::Cow;

use crate::algorithms::{LabeledGraph, ParallelGraph};

/// The disjoint union of graphs, in compressed sparse rows. It has fewer than 2^32 nodes.
pub(super) struct DisjointUnion<'a> {
    /// The first node of each graph; `[G + 1]`.
    pub starts: Vec<usize>,
    /// The label of each node.
    pub labels: Cow<'a, [u32]>,
    /// The neighbors of node `i` are `neighbors[offsets[i]..offsets[i + 1]]`; `[N + 1]`.
    offsets: Cow<'a, [usize]>,
    neighbors: Cow<'a, [u32]>,
    /// The label of the edge to each neighbor; empty if all are equal.
    edge_labels: Vec<u32>,
}

impl<'a> DisjointUnion<'a> {
    /// The union; a single graph is not copied, but for labels of edges.
    pub fn of(graphs: &'a [impl Borrow<LabeledGraph>]) -> Self {
        let mut first = None;
        let mut edge_labels = graphs.iter().flat_map(|graph| graph.borrow().edge_labels());
        let are_equal = edge_labels.all(|label| first.get_or_insert(label) == &label);
        let mut union = match graphs {
            [graph] => Self::single(graph.borrow()),
            graphs => Self::copied(graphs),
        };
        if !are_equal {
            union.edge_labels.resize(union.neighbors.len(), 0);
            let firsts = union.starts.clone();
            graphs.iter().zip(firsts).for_each(|(graph, first)| union.label_edges(graph.borrow(), first));
        }
        union
    }

    fn single(graph: &'a LabeledGraph) -> Self {
        let (offsets, neighbors) = graph.graph().sparse_rows();
        Self {
            starts: vec![0, graph.node_count()],
            labels: Cow::Borrowed(graph.labels()),
            offsets: Cow::Borrowed(offsets),
            neighbors: Cow::Borrowed(neighbors),
            edge_labels: Vec::new(),
        }
    }

    fn copied(graphs: &[impl Borrow<LabeledGraph>]) -> Self {
        let graphs = || graphs.iter().map(Borrow::borrow);
        let nodes = graphs().map(LabeledGraph::node_count).sum();
        let entries = graphs().map(|graph| 2 * graph.graph().edge_count()).sum();
        let (mut starts, mut labels) = (vec![0], Vec::with_capacity(nodes));
        let (mut offsets, mut neighbors) = (Vec::with_capacity(nodes + 1), Vec::with_capacity(entries));
        offsets.push(0);
        for graph in graphs() {
            let first = labels.len() as u32;
            for node in graph.nodes() {
                neighbors.extend(graph.graph().neighbors(node).iter().map(|other| first + other));
                offsets.push(neighbors.len());
            }
            labels.extend_from_slice(graph.labels());
            starts.push(labels.len());
        }
        let (labels, offsets, neighbors) = (labels.into(), offsets.into(), neighbors.into());
        Self { starts, labels, offsets, neighbors, edge_labels: Vec::new() }
    }

    /// Writes the labels of the edges of a graph whose first node is `first`.
    fn label_edges(&mut self, graph: &LabeledGraph, first: usize) {
        let mut next = self.offsets[first..].to_vec();
        // Edges in ascending order visit the neighbors of each node in ascending order.
        for (endpoints, label) in graph.labeled_edges() {
            for end in endpoints {
                self.edge_labels[next[end as usize]] = label;
                next[end as usize] += 1;
            }
        }
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
