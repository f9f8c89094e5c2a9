//! The kinds of nodes and the relations of a graph, as text and for JSON.

use connectome::data::{GraphData, GraphKinds, RelationEdges};
use serde::Serialize;
use std::fmt::{self, Write};

use super::Inspected;

/// A kind of nodes.
#[derive(Serialize)]
pub struct KindSize {
    name: String,
    nodes: usize,
    feature_width: usize,
    stored_features: usize,
}

/// A relation.
#[derive(Serialize)]
pub struct RelationSize {
    name: String,
    source: String,
    target: String,
    reverse: Option<String>,
    edges: usize,
    weighted: bool,
    feature_width: Option<usize>,
}

/// The names of all kinds, first that of the task.
fn names(kinds: &GraphKinds) -> Vec<&str> {
    std::iter::once(&*kinds.own).chain(kinds.others.iter().map(|kind| &*kind.name)).collect()
}

impl KindSize {
    /// All kinds of a graph.
    pub fn all(data: &GraphData, kinds: &GraphKinds) -> Vec<Self> {
        let size = |name: &str| {
            let GraphData { nodes, features, .. } = data.of_kind(Some(name));
            let (feature_width, stored_features) = (features.width(), features.values().len());
            Self { name: name.to_owned(), nodes: *nodes, feature_width, stored_features }
        };
        names(kinds).into_iter().map(size).collect()
    }
}

impl RelationSize {
    /// All relations of a graph.
    pub fn all(kinds: &GraphKinds) -> Vec<Self> {
        let names = names(kinds);
        let size = |relation: &RelationEdges| {
            let [source, target] = relation.ends.map(|kind| names.get(kind).copied().unwrap_or_default().to_owned());
            Self {
                name: relation.name.clone(),
                source,
                target,
                reverse: relation.reverse.clone(),
                edges: relation.edges.len(),
                weighted: relation.weights.is_some(),
                feature_width: relation.features.as_ref().map(|rows| rows.width),
            }
        };
        kinds.relations.iter().map(size).collect()
    }
}

/// A line for each kind of nodes, and one for each relation.
pub fn write(text: &mut String, inspected: &Inspected, kinds: &GraphKinds) -> fmt::Result {
    let Inspected { scene, data, .. } = inspected;
    let names = names(kinds);
    let predicted = scene.predicted(data);
    for name in &names {
        let nodes = data.of_kind(Some(name));
        let columns = predicted.iter().filter(|of| of.kind.as_deref().unwrap_or(&kinds.own) == *name);
        let columns: Vec<String> = columns.map(|of| format!("{} {}", of.count, of.name)).collect();
        let predicted = if columns.is_empty() { String::new() } else { format!(" ({})", columns.join(", ")) };
        let (width, stored) = (nodes.features.width(), nodes.features.values().len());
        writeln!(text, "  {name}: {} nodes{predicted}, features {width} wide, {stored} stored numbers", nodes.nodes)?;
    }
    for relation in &kinds.relations {
        let [source, target] = relation.ends.map(|kind| names.get(kind).copied().unwrap_or_default());
        let weighted = if relation.weights.is_some() { ", weighted" } else { "" };
        let features =
            relation.features.as_ref().map_or_else(String::new, |of| format!(", features {} wide", of.width));
        let back = relation.reverse.as_ref().map_or_else(String::new, |name| format!(", back as {name}"));
        let (name, count) = (&relation.name, relation.edges.len());
        writeln!(text, "  {name}: {count} edges from {source} to {target}{weighted}{features}{back}")?;
    }
    Ok(())
}
