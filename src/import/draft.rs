//! What importers find in a file, before it becomes data to learn from.

use std::collections::HashMap;

use connectome_components::Split;

use super::Imported;
use crate::data::{DenseRows, Features, GraphData, stratified_folds};

/// Of so many parts of the nodes, one is to test on and one to validate on, where a file does not tell.
const PARTS: u8 = 5;

/// One graph as it was found.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    /// What the file calls each node.
    pub names: Vec<String>,
    /// The class of each node, if it has one.
    pub labels: Vec<Option<String>>,
    /// The split of each node; none if the file does not tell.
    pub splits: Option<Vec<Split>>,
    /// One row for each node.
    pub features: DenseRows,
    /// Source and target of each edge.
    pub edges: Vec<[u32; 2]>,
    /// The weight of each edge.
    pub weights: Option<Vec<f32>>,
    /// One row for each edge.
    pub edge_features: Option<DenseRows>,
}

impl Draft {
    /// Adds the way back of each undirected edge; self-loops, and ways back that the file lists itself, are not doubled.
    pub fn add_ways_back(&mut self, is_undirected: impl Fn(usize) -> bool) {
        let mut known = self.edges.clone();
        known.sort_unstable();
        for edge in 0..self.edges.len() {
            let [source, target] = self.edges[edge];
            if !is_undirected(edge) || source == target || known.binary_search(&[target, source]).is_ok() {
                continue;
            }
            self.edges.push([target, source]);
            if let Some(weights) = &mut self.weights {
                weights.push(weights[edge]);
            }
            if let Some(rows) = &mut self.edge_features {
                rows.values.extend_from_within(edge * rows.width..(edge + 1) * rows.width);
            }
        }
    }

    /// The data. Where the file tells classes but no splits, each class is split by the seed 0.
    pub fn finish(self, notes: Vec<String>) -> Imported {
        let labels: Vec<Option<&str>> = self.labels.iter().map(Option::as_deref).collect();
        let (classes, class_names) = number_classes(&labels);
        let nodes = self.names.len();
        let data = GraphData {
            nodes,
            features: Features::Dense { width: self.features.width, values: self.features.values },
            splits: self.splits.unwrap_or_else(|| split(&classes, nodes)),
            labels: if classes.is_empty() {
                vec![0; nodes]
            } else {
                classes.iter().map(|class| class.unwrap_or(0)).collect()
            },
            classes: class_names.len().max(usize::from(nodes > 0)),
            edges: self.edges,
            weights: self.weights.filter(|weights| weights.iter().any(|&weight| weight != 1.0)),
            edge_features: self.edge_features,
            names: if are_numbers(&self.names) { Vec::new() } else { self.names },
            ..GraphData::default()
        };
        Imported { data, class_names, notes }
    }
}

/// Whether each name is the number of its node.
fn are_numbers(names: &[String]) -> bool {
    names.iter().enumerate().all(|(number, name)| *name == number.to_string())
}

/// The splits of nodes that have classes: a fifth each to validate and to test on.
fn split(classes: &[Option<u32>], nodes: usize) -> Vec<Split> {
    let labeled: Vec<usize> = (0..classes.len()).filter(|&node| classes[node].is_some()).collect();
    let labels: Vec<u32> = labeled.iter().filter_map(|&node| classes[node]).collect();
    let mut splits = vec![Split::Unused; nodes];
    for (node, fold) in labeled.into_iter().zip(stratified_folds(&labels, PARTS, 0)) {
        // Folds are dealt from 0 on, so that something is to learn from however few nodes there are.
        splits[node] = match fold {
            1 => Split::Validation,
            2 => Split::Test,
            _ => Split::Train,
        };
    }
    splits
}

/// Numbers the classes that occur: by value if all are whole numbers, else by name.
pub(super) fn number_classes(labels: &[Option<&str>]) -> (Vec<Option<u32>>, Vec<String>) {
    let mut names: Vec<&str> = labels.iter().flatten().copied().collect();
    names.sort_unstable();
    names.dedup();
    if let Some(mut numbers) = names.iter().map(|name| name.parse::<i64>().ok()).collect::<Option<Vec<i64>>>() {
        // Different texts, such as 1 and 01, may be one number; then they are told apart as texts.
        numbers.sort_unstable();
        numbers.dedup();
        if numbers.len() == names.len() {
            names.sort_by_key(|name| name.parse::<i64>().unwrap_or(0));
        }
    }
    let numbers: HashMap<&str, u32> = names.iter().copied().zip(0..).collect();
    let classes = labels.iter().map(|label| label.and_then(|label| numbers.get(label).copied())).collect();
    (classes, names.into_iter().map(str::to_owned).collect())
}

/// The split that a file may call by this name.
pub(super) fn split_named(name: &str) -> Option<Split> {
    match name.to_lowercase().as_str() {
        "train" | "training" => Some(Split::Train),
        "val" | "valid" | "validation" | "dev" => Some(Split::Validation),
        "test" | "testing" => Some(Split::Test),
        "" | "none" | "unused" => Some(Split::Unused),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_numbered_by_value_or_by_name() {
        let names = |labels: &[&str]| number_classes(&labels.iter().map(|&label| Some(label)).collect::<Vec<_>>()).1;
        assert_eq!(names(&["10", "9", "-1", "9"]), ["-1", "9", "10"]);
        assert_eq!(names(&["b", "10", "9"]), ["10", "9", "b"]);
        assert_eq!(names(&["1", "01"]), ["01", "1"]);
        let (classes, _) = number_classes(&[Some("b"), None, Some("a")]);
        assert_eq!(classes, [Some(1), None, Some(0)]);
    }

    #[test]
    fn ways_back_are_added_once() {
        let mut draft = Draft {
            edges: vec![[0, 1], [1, 1], [1, 2], [2, 1]],
            weights: Some(vec![1.0, 2.0, 3.0, 4.0]),
            edge_features: Some(DenseRows { width: 1, values: vec![5.0, 6.0, 7.0, 8.0] }),
            ..Draft::default()
        };
        draft.add_ways_back(|_| true);
        assert_eq!(draft.edges, [[0, 1], [1, 1], [1, 2], [2, 1], [1, 0]]);
        assert_eq!(draft.weights, Some(vec![1.0, 2.0, 3.0, 4.0, 1.0]));
        assert_eq!(draft.edge_features, Some(DenseRows { width: 1, values: vec![5.0, 6.0, 7.0, 8.0, 5.0] }));
    }
}
