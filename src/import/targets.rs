//! Values to predict of nodes.

use super::columns::{Columns, Value};
use crate::data::DenseRows;

/// Whether a column of this name holds values to predict, which must never be a feature.
pub(super) fn is_target(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name == "target" || name == "targets" || name.starts_with("target_")
}

/// The targets of nodes, read node by node.
#[derive(Clone, Debug, Default)]
pub(super) struct Targets {
    width: usize,
    columns: Columns,
    /// How many targets each node has.
    counts: Vec<usize>,
}

/// What targets are.
pub(super) enum Meaning {
    /// There are none.
    Nothing,
    /// The class of each node, if it has one.
    Classes(Vec<Option<String>>),
    /// Values of each node, and whether it has all of them.
    Values(DenseRows, Vec<bool>),
}

impl Targets {
    pub fn new(names: Vec<String>) -> Self {
        Self { width: names.len(), columns: Columns::new(names), counts: Vec::new() }
    }

    /// Adds a target of a node, which comes after those before; the error is what is wrong with it.
    pub fn push(&mut self, target: usize, node: usize, text: &str) -> Result<(), String> {
        self.counts.resize(self.counts.len().max(node + 1), 0);
        self.counts[node] += usize::from(!matches!(Value::parse(text)?, Value::Missing));
        self.columns.push(target, node, text)
    }

    /// Whether some node has a target.
    pub fn has_values(&self) -> bool {
        self.counts.iter().any(|count| *count > 0)
    }

    /// Whether the node has all targets that there are.
    pub fn is_known(&self, node: usize) -> bool {
        self.counts.get(node).copied().unwrap_or_default() == self.width
    }

    /// What the targets of all nodes are: values if they are numbers, classes if they are words.
    pub fn meaning(self, nodes: usize) -> Result<Meaning, String> {
        if self.width == 0 {
            return Ok(Meaning::Nothing);
        }
        if let Some(values) = self.columns.numbers(nodes)? {
            let are_known = (0..nodes).map(|node| self.is_known(node)).collect();
            return Ok(Meaning::Values(values, are_known));
        }
        match self.columns.words(nodes) {
            Some(words) => Ok(Meaning::Classes(words)),
            None => Err("the targets are neither numbers nor one column of classes".to_owned()),
        }
    }
}
