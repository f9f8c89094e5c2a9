//! What importers find in a file, before it becomes data to learn from.

use connectome_components::Split;

use super::Imported;
use super::columns::Columns;
use super::kinds::Kinds;
use super::labeled::SourceLabels;
use super::targets::{Meaning, Targets, is_target};
use crate::data::{DenseRows, EdgeLabels, Features, GraphData, stratified_folds};
use crate::suggest::quote;

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
    /// What those features are called.
    pub feature_names: Vec<String>,
    /// Values to predict of each node, and whether they are known.
    pub targets: Option<(DenseRows, Vec<bool>)>,
    /// Source and target of each edge.
    pub edges: Vec<[u32; 2]>,
    /// The weight of each edge.
    pub weights: Option<Vec<f32>>,
    /// One row for each edge.
    pub edge_features: Option<DenseRows>,
    /// What is to be predicted of the edges.
    pub edge_labels: Option<EdgeLabels>,
    /// The kinds of the edges that the file lists; none if there are more than the maximum.
    pub edge_kinds: Option<Kinds>,
    /// What was left out or made up.
    pub notes: Vec<String>,
}

impl Draft {
    /// Checks that the node whose label was read last has what a node in this split must have.
    pub fn check_split(&self, split: Split, targets: &Targets) -> Result<(), String> {
        let node = self.splits.as_ref().map_or(0, Vec::len);
        let lack = match split {
            Split::Unused => return Ok(()),
            _ if self.labels.last().is_some_and(Option::is_none) => "label",
            _ if !targets.is_known(node) => "target",
            _ => return Ok(()),
        };
        Err(format!("the node is in a split, but has no {lack}"))
    }

    /// Takes the features and targets of all nodes from columns of the file.
    pub fn take_node_columns(&mut self, mut features: Columns, targets: Targets, nodes: usize) -> Result<(), String> {
        self.features = features.features(nodes, "nodes", &mut self.notes)?;
        self.feature_names.extend(features.names().into_iter().map(str::to_owned));
        match targets.meaning(nodes)? {
            Meaning::Nothing => {}
            Meaning::Classes(_) if !self.labels.is_empty() => {
                return Err("the nodes have labels, but their targets are words, too".to_owned());
            }
            Meaning::Classes(labels) => {
                self.notes.push("the targets are words, and read as labels".to_owned());
                self.labels = labels;
            }
            Meaning::Values(values, are_known) => {
                let mut note = "the targets are numbers to predict; where they are classes, call them label".to_owned();
                let unknown = are_known.iter().filter(|known| !**known).count();
                if unknown > 0 {
                    note += &format!("; {unknown} of {nodes} nodes have none, and are in no split");
                }
                self.notes.push(note);
                self.targets = Some((values, are_known));
            }
        }
        Ok(())
    }

    /// Takes the features of the edges, their kinds and what is to be predicted of them from columns of the file: a column
    /// `label` or `class` is the class of an edge, `target` a value to predict, and `split` its split.
    pub fn take_edge_columns(&mut self, mut columns: Columns) -> Result<(), String> {
        let edges = self.edges.len();
        let named =
            |names: &'static [&str]| move |name: &str| names.iter().any(|other| name.eq_ignore_ascii_case(other));
        let mut labels = columns.take(named(&["label", "edge_label"]));
        if labels.is_empty() {
            labels = columns.take(named(&["class"]));
        }
        let targets = columns.take(is_target);
        let splits = columns.take(named(&["split"]));
        let features = columns.features(edges, "edges", &mut self.notes)?;
        self.edge_features = (features.width > 0).then_some(features);
        self.feature_names.extend(targets.names().into_iter().map(str::to_owned));
        self.edge_labels = self.edge_labels_of(&labels, &targets, &splits)?;
        columns.append(labels);
        self.edge_kinds = columns.kinds(edges);
        Ok(())
    }

    fn edge_labels_of(
        &mut self,
        labels: &Columns,
        targets: &Columns,
        splits: &Columns,
    ) -> Result<Option<EdgeLabels>, String> {
        let edges = self.edges.len();
        let mut classes = labels.kinds(edges).unwrap_or_default();
        if classes.names.is_empty() && !labels.is_empty() {
            self.notes.push("the labels of edges are left out: there are none, or too many".to_owned());
        }
        let mut values = None;
        if !targets.is_empty() {
            match (targets.numbers(edges)?, targets.words(edges)) {
                (Some(numbers), _) => values = Some(numbers),
                (None, Some(_)) if !classes.names.is_empty() => {
                    return Err("the edges have labels, but their targets are words, too".to_owned());
                }
                (None, Some(words)) => classes = Kinds::of(words.into_iter(), usize::MAX).unwrap_or_default(),
                (None, None) => {
                    return Err("the targets of edges are neither numbers nor one column of classes".to_owned());
                }
            }
        }
        if classes.names.is_empty() && values.is_none() {
            if !splits.is_empty() {
                self.notes.push("the splits of edges are left out: the edges have nothing to predict".to_owned());
            }
            return Ok(None);
        }
        if classes.names.is_empty() {
            classes.indices = vec![0; edges];
        } else {
            self.notes.push(format!("the edges have labels to predict: {}", numbered(&classes.names)));
        }
        let known = targets.are_known(edges);
        classes.indices.iter_mut().zip(known).filter(|(_, known)| !known).for_each(|(class, _)| *class = Kinds::NONE);
        let unknown = classes.indices.iter().filter(|&&class| class == Kinds::NONE).count();
        if unknown > 0 {
            self.notes.push(format!("{unknown} of {edges} edges have none, and are in no split"));
        }
        let splits = match splits.words(edges) {
            Some(words) => edge_splits(&words, &classes.indices)?,
            None if splits.names().is_empty() => split(&classes.indices, edges),
            None => return Err("the splits of edges are no words such as train, validation and test".to_owned()),
        };
        let known = |&class: &u32| if class == Kinds::NONE { 0 } else { class };
        let labels = classes.indices.iter().map(known).collect();
        let count = classes.names.len().max(usize::from(edges > 0));
        Ok(Some(EdgeLabels { labels, classes: count, targets: values, splits }))
    }

    /// Adds the reverse of each undirected edge, with its weight and features; self-loops are their own reverse.
    ///
    /// An edge that the file lists several times stays as many edges in either direction, so that the adjacency is
    /// symmetric.
    pub fn add_reverse_edges(&mut self, is_undirected: impl Fn(usize) -> bool) {
        let mut pairs = Vec::new();
        for edge in 0..self.edges.len() {
            let [source, target] = self.edges[edge];
            if !is_undirected(edge) || source == target {
                continue;
            }
            pairs.push([source.min(target), source.max(target)]);
            self.edges.push([target, source]);
            if let Some(weights) = &mut self.weights {
                weights.push(weights[edge]);
            }
            if let Some(rows) = &mut self.edge_features {
                rows.values.extend_from_within(edge * rows.width..(edge + 1) * rows.width);
            }
            if let Some(EdgeLabels { labels, targets, splits, .. }) = &mut self.edge_labels {
                labels.push(labels[edge]);
                splits.push(splits[edge]);
                targets.iter_mut().for_each(|rows| {
                    rows.values.extend_from_within(edge * rows.width..(edge + 1) * rows.width);
                });
            }
            if let Some(kinds) = self.edge_kinds.as_mut().filter(|kinds| !kinds.indices.is_empty()) {
                kinds.indices.push(kinds.indices[edge]);
            }
        }
        let listed = pairs.len();
        pairs.sort_unstable();
        pairs.dedup();
        if pairs.len() < listed {
            let count = listed - pairs.len();
            self.notes.push(format!(
                "{count} of {listed} undirected edges join nodes that others join already; each is an edge of its own"
            ));
        }
    }

    /// The data. Where the file tells classes or targets but no splits, they are split by the seed 0.
    pub fn finish(mut self) -> Imported {
        let nodes = self.names.len();
        let unlabeled = self.labels.iter().filter(|label| label.is_none()).count();
        if unlabeled > 0 {
            self.notes.push(format!("{unlabeled} of {nodes} nodes have no label, and are in no split"));
        }
        let kinds = Kinds::of(std::mem::take(&mut self.labels).into_iter(), usize::MAX).unwrap_or_default();
        let splits = self.splits.take().unwrap_or_else(|| {
            let mut classes = match &self.targets {
                Some(_) if kinds.indices.is_empty() => vec![0; nodes],
                _ => kinds.indices.clone(),
            };
            let are_known = self.targets.iter().flat_map(|(_, are_known)| are_known);
            classes.iter_mut().zip(are_known).filter(|(_, known)| !**known).for_each(|(class, _)| *class = Kinds::NONE);
            split(&classes, nodes)
        });
        // A node without a label is in no split, so that its class is never read.
        let class = |&kind: &u32| if kind == Kinds::NONE { 0 } else { kind };
        let data = GraphData {
            nodes,
            features: Features::Dense { width: self.features.width, values: self.features.values },
            splits,
            labels: if kinds.indices.is_empty() { vec![0; nodes] } else { kinds.indices.iter().map(class).collect() },
            classes: kinds.names.len().max(usize::from(nodes > 0)),
            class_names: kinds.names.clone(),
            edges: self.edges,
            weights: self.weights.filter(|weights| weights.iter().any(|&weight| weight != 1.0)),
            edge_features: self.edge_features,
            edge_labels: self.edge_labels,
            targets: self.targets.map(|(targets, _)| targets),
            names: if are_numbers(&self.names) { Vec::new() } else { self.names },
            ..GraphData::default()
        };
        let edges = self.edge_kinds.or_else(|| data.edge_features.is_none().then(Kinds::default));
        let labels = SourceLabels { nodes: kinds, edges, unlabeled: self.feature_names };
        Imported { data, notes: self.notes, labels: Some(labels) }
    }
}

/// The splits of edges that are called so, of which those without a class must be in none.
fn edge_splits(words: &[Option<String>], classes: &[u32]) -> Result<Vec<Split>, String> {
    let split = |(edge, word): (usize, &Option<String>)| {
        let word = word.as_deref().unwrap_or_default();
        match split_named(word) {
            None => Err(format!("{} of edge {edge} is no split", quote(word))),
            Some(Split::Unused) => Ok(Split::Unused),
            Some(_) if classes[edge] == Kinds::NONE => {
                Err(format!("edge {edge} is in a split, but has nothing to predict"))
            }
            Some(split) => Ok(split),
        }
    };
    words.iter().enumerate().map(split).collect()
}

/// Names with their numbers, as far as a note has room for them.
fn numbered(names: &[String]) -> String {
    const MAX_SHOWN: usize = 20;
    let shown: Vec<String> =
        names.iter().take(MAX_SHOWN).enumerate().map(|(number, name)| format!("{number} = {}", quote(name))).collect();
    shown.join(", ") + if names.len() > MAX_SHOWN { ", …" } else { "" }
}

/// Whether each name is the number of its node.
fn are_numbers(names: &[String]) -> bool {
    names.iter().enumerate().all(|(number, name)| *name == number.to_string())
}

/// The splits of nodes that have classes: a fifth each to validate and to test on.
pub(super) fn split(classes: &[u32], nodes: usize) -> Vec<Split> {
    let labeled: Vec<usize> = (0..classes.len()).filter(|&node| classes[node] != Kinds::NONE).collect();
    let labels: Vec<u32> = labeled.iter().map(|&node| classes[node]).collect();
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
    fn undirected_edges_are_as_many_in_either_direction() {
        let mut draft = Draft {
            edges: vec![[0, 1], [1, 1], [1, 2], [2, 1]],
            weights: Some(vec![1.0, 2.0, 3.0, 4.0]),
            edge_features: Some(DenseRows { width: 1, values: vec![5.0, 6.0, 7.0, 8.0] }),
            ..Draft::default()
        };
        draft.add_reverse_edges(|_| true);
        assert_eq!(draft.edges, [[0, 1], [1, 1], [1, 2], [2, 1], [1, 0], [2, 1], [1, 2]]);
        assert_eq!(draft.weights, Some(vec![1.0, 2.0, 3.0, 4.0, 1.0, 3.0, 4.0]));
        let values = vec![5.0, 6.0, 7.0, 8.0, 5.0, 7.0, 8.0];
        assert_eq!(draft.edge_features, Some(DenseRows { width: 1, values }));
        assert_eq!(draft.notes.len(), 1);
    }
}
