//! Graphs that are written out in a scene.

use std::collections::HashMap;

use super::description::{SceneEdge, SceneNode};
use super::error::Fault;
use super::locate::Step::{self, Field, Index};
use crate::data::{DenseRows, EdgeLabels, Features, GraphData};
use crate::suggest::{nearest, quote};
use connectome_components::Split;

/// Node numbers by name.
pub(super) type Numbers<'a> = HashMap<&'a str, u32>;

/// The graph that `nodes` and `edges` describe.
pub(super) fn graph(nodes: &[SceneNode], edges: &[SceneEdge], undirected: bool) -> Result<GraphData, Fault> {
    check_no_kinds(nodes, edges)?;
    let numbers = number(nodes)?;
    let Edges { endpoints, weights, features: edge_features, labels } = connect(nodes, &numbers, edges, undirected)?;
    Ok(GraphData {
        edges: endpoints,
        weights: weights.iter().any(|&weight| weight != 1.0).then_some(weights),
        edge_features: Some(edge_features).filter(|rows| rows.width > 0),
        edge_labels: Some(labels).filter(|labels| {
            labels.classes > 1 || labels.targets.is_some() || labels.splits.iter().any(|split| *split != Split::Unused)
        }),
        ..nodes_of(nodes.iter().enumerate())?
    })
}

/// Checks that no node has a kind and no edge a relation.
fn check_no_kinds(nodes: &[SceneNode], edges: &[SceneEdge]) -> Result<(), Fault> {
    let help = "write `kind`, `nodes` and `relations` in the scene as well, or remove it";
    if let Some(place) = nodes.iter().position(|node| node.kind.is_some()) {
        let message = format!("node {place} is of a kind, but the scene names no kinds of nodes");
        return Err(Fault::new(node_field(place, "kind"), message, help));
    }
    match edges.iter().position(|edge| edge.relation.is_some()) {
        None => Ok(()),
        Some(place) => {
            let message = format!("edge {place} is of a relation, but the scene names no relations");
            Err(Fault::new(edge_field(place, "relation"), message, help))
        }
    }
}

/// Nodes with what is known of them, each with its place in the scene.
pub(super) fn nodes_of<'a>(nodes: impl Iterator<Item = (usize, &'a SceneNode)> + Clone) -> Result<GraphData, Fault> {
    let features = nodes.clone().map(|(place, node)| (place, &node.features));
    let DenseRows { width, values } = rows(features, "node", "features", node_field)?;
    let targets = rows(nodes.clone().map(|(place, node)| (place, &node.targets)), "node", "targets", node_field)?;
    let nodes = nodes.map(|(_, node)| node);
    Ok(GraphData {
        nodes: nodes.clone().count(),
        features: Features::Dense { width, values },
        labels: nodes.clone().map(|node| node.label).collect(),
        splits: nodes.clone().map(|node| node.split).collect(),
        classes: nodes.clone().map(|node| node.label as usize + 1).max().unwrap_or(0),
        targets: Some(targets).filter(|rows| rows.width > 0),
        names: nodes.map(|node| node.name.clone()).collect(),
        ..GraphData::default()
    })
}

pub(super) fn node_field(number: usize, name: &'static str) -> [Step<'static>; 4] {
    [Field("graph"), Field("nodes"), Index(number), Field(name)]
}

pub(super) fn edge_field(number: usize, name: &'static str) -> [Step<'static>; 4] {
    [Field("graph"), Field("edges"), Index(number), Field(name)]
}

/// Numbers the nodes by their names.
pub(super) fn number(nodes: &[SceneNode]) -> Result<Numbers<'_>, Fault> {
    let mut numbers = Numbers::with_capacity(nodes.len());
    for (position, node) in nodes.iter().enumerate() {
        let fault = |message, help| Err(Fault::new(node_field(position, "name"), message, help));
        if node.name.is_empty() {
            return fault(format!("node {position} has an empty name"), "give it a name that edges can use");
        }
        let Ok(number) = u32::try_from(position) else {
            return fault("there are more nodes than can be numbered".to_owned(), "use a smaller graph");
        };
        if let Some(first) = numbers.insert(node.name.as_str(), number) {
            let message = format!("node {position} is named {} like node {first}", quote(&node.name));
            return fault(message, "give each node a name of its own");
        }
    }
    Ok(numbers)
}

/// The numbers that each node or edge has under the name `field`: as many as the first, and finite. Each comes with its place.
pub(super) fn rows<'a>(
    all: impl Iterator<Item = (usize, &'a Vec<f32>)>,
    what: &str,
    field: &'static str,
    path: impl Fn(usize, &'static str) -> [Step<'static>; 4],
) -> Result<DenseRows, Fault> {
    let (mut first, mut values) = (None, Vec::new());
    for (position, row) in all {
        let (given, (start, width)) = (row.len(), *first.get_or_insert((position, row.len())));
        if given != width {
            let message = format!("{what} {position} has {given} {field}, but {what} {start} has {width}");
            return Err(Fault::new(path(position, field), message, format!("give every {what} as many {field}")));
        }
        if let Some(column) = row.iter().position(|value| !value.is_finite()) {
            let singular = field.trim_end_matches('s');
            let message = format!("{singular} {column} of {what} {position} is {}", row[column]);
            let path = [&path(position, field)[..], &[Index(column)]].concat();
            return Err(Fault::new(path, message, "write a finite number"));
        }
        values.extend(row);
    }
    Ok(DenseRows { width: first.map_or(0, |(_, width)| width), values })
}

/// What edges carry beside their endpoints.
struct Edges {
    endpoints: Vec<[u32; 2]>,
    weights: Vec<f32>,
    features: DenseRows,
    labels: EdgeLabels,
}

fn connect(nodes: &[SceneNode], numbers: &Numbers, edges: &[SceneEdge], undirected: bool) -> Result<Edges, Fault> {
    let features = rows(edges.iter().map(|edge| &edge.features).enumerate(), "edge", "features", edge_field)?;
    let targets = rows(edges.iter().map(|edge| &edge.targets).enumerate(), "edge", "targets", edge_field)?;
    // The index of the edge that each way is of.
    let (mut endpoints, mut edge_of) = (Vec::new(), Vec::new());
    for (position, edge) in edges.iter().enumerate() {
        let source = end(nodes, numbers, position, "source", &edge.source)?;
        let target = end(nodes, numbers, position, "target", &edge.target)?;
        check_weight(position, edge)?;
        let ways = if undirected && source != target { 2 } else { 1 };
        endpoints.extend([[source, target], [target, source]].into_iter().take(ways));
        edge_of.extend(std::iter::repeat_n(position, ways));
    }
    let labels = EdgeLabels {
        labels: edges.iter().map(|edge| edge.label).collect(),
        classes: edges.iter().map(|edge| edge.label as usize + 1).max().unwrap_or(0),
        targets: Some(targets).filter(|rows| rows.width > 0),
        splits: edges.iter().map(|edge| edge.split).collect(),
    };
    let edge_of = edge_of.iter().copied();
    Ok(Edges {
        endpoints,
        weights: edge_of.clone().map(|edge| edges[edge].weight).collect(),
        features: features.select(edge_of.clone()),
        labels: labels.select(edge_of),
    })
}

/// Checks that the weight of an edge is a number.
pub(super) fn check_weight(position: usize, edge: &SceneEdge) -> Result<(), Fault> {
    if edge.weight.is_finite() {
        return Ok(());
    }
    let message = format!("the weight of edge {position} is {}", edge.weight);
    Err(Fault::new(edge_field(position, "weight"), message, "write a finite number"))
}

/// The number of the node at one end of an edge.
pub(super) fn end(
    nodes: &[SceneNode],
    numbers: &Numbers,
    edge: usize,
    field: &'static str,
    name: &str,
) -> Result<u32, Fault> {
    numbers.get(name).copied().ok_or_else(|| {
        let message = format!("edge {edge} names the {field} {}, but no node has that name", quote(name));
        let help = match nearest(name, nodes.iter().map(|node| node.name.as_str())) {
            Some(near) => format!("did you mean {}?", quote(near)),
            None => format!("add a node with this name, or name another {field}"),
        };
        Fault::new(edge_field(edge, field), message, help)
    })
}
