//! The operations that make one graph into another.

use super::{EditCosts, LabelledGraph, ParallelGraph};
use std::collections::BTreeMap;

/// One step of an edit path. Nodes that are deleted or relabelled are numbered as in the first graph, those that are
/// inserted as in the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditOperation {
    /// An edge of the first graph goes.
    DeleteEdge {
        /// Nodes of the first graph.
        ends: [u32; 2],
    },
    /// A node of the first graph goes; it has no edges any more.
    DeleteNode {
        /// Of the first graph.
        node: u32,
    },
    /// A node becomes one of the second graph.
    SubstituteNode {
        /// Of the first graph.
        node: u32,
        /// Of the second graph.
        with: u32,
    },
    /// An edge of the first graph becomes one of the second.
    SubstituteEdge {
        /// Nodes of the first graph.
        ends: [u32; 2],
        /// Nodes of the second graph.
        with: [u32; 2],
    },
    /// A node of the second graph comes.
    InsertNode {
        /// Of the second graph.
        node: u32,
    },
    /// An edge of the second graph comes.
    InsertEdge {
        /// Nodes of the second graph.
        ends: [u32; 2],
    },
}

pub fn edit_path(_: &LabelledGraph, _: &LabelledGraph, _: &EditCosts, _: &[Option<u32>]) -> Vec<(EditOperation, f64)> {
    let _: BTreeMap<u32, u32> = BTreeMap::new();
    Vec::new()
}
