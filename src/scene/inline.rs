//! Graphs that are written out in a scene.

use std::collections::HashMap;

use super::data::GraphData;
use super::description::{SceneEdge, SceneNode};
use super::error::Fault;
use super::features::Features;
use super::locate::Step::{self, Field, Index};
use super::suggest::{nearest, quote};

/// Node numbers by name.
type Numbers<'a> = HashMap<&'a str, u32>;

/// The graph that `nodes` and `edges` describe.
pub(super) fn graph(nodes: &[SceneNode], edges: &[SceneEdge], undirected: bool) -> Result<GraphData, Fault> {
    let numbers = number(nodes)?;
    let (ends, weights) = connect(nodes, &numbers, edges, undirected)?;
    Ok(GraphData {
        nodes: nodes.len(),
        features: features(nodes)?,
        labels: nodes.iter().map(|node| node.label).collect(),
        splits: nodes.iter().map(|node| node.split).collect(),
        classes: nodes.iter().map(|node| node.label as usize + 1).max().unwrap_or(0),
        edges: ends,
        weights: weights.iter().any(|&weight| weight != 1.0).then_some(weights),
        names: nodes.iter().map(|node| node.name.clone()).collect(),
        ..GraphData::default()
    })
}

fn node_field(number: usize, name: &'static str) -> [Step<'static>; 4] {
    [Field("graph"), Field("nodes"), Index(number), Field(name)]
}

fn edge_field(number: usize, name: &'static str) -> [Step<'static>; 4] {
    [Field("graph"), Field("edges"), Index(number), Field(name)]
}

fn number(nodes: &[SceneNode]) -> Result<Numbers<'_>, Fault> {
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

fn features(nodes: &[SceneNode]) -> Result<Features, Fault> {
    let width = nodes.first().map_or(0, |node| node.features.len());
    for (position, node) in nodes.iter().enumerate() {
        let given = node.features.len();
        if given != width {
            let message = format!("node {position} has {given} features, but node 0 has {width}");
            return Err(Fault::new(node_field(position, "features"), message, "give every node as many features"));
        }
        if let Some(column) = node.features.iter().position(|value| !value.is_finite()) {
            let message = format!("feature {column} of node {position} is {}", node.features[column]);
            let path = [&node_field(position, "features")[..], &[Index(column)]].concat();
            return Err(Fault::new(path, message, "write a finite number"));
        }
    }
    let values = nodes.iter().flat_map(|node| &node.features).copied().collect();
    Ok(Features::Dense { width, values })
}

fn connect(
    nodes: &[SceneNode],
    numbers: &Numbers,
    edges: &[SceneEdge],
    undirected: bool,
) -> Result<(Vec<[u32; 2]>, Vec<f32>), Fault> {
    let (mut ends, mut weights) = (Vec::new(), Vec::new());
    for (position, edge) in edges.iter().enumerate() {
        let source = end(nodes, numbers, position, "source", &edge.source)?;
        let target = end(nodes, numbers, position, "target", &edge.target)?;
        if !edge.weight.is_finite() {
            let message = format!("the weight of edge {position} is {}", edge.weight);
            return Err(Fault::new(edge_field(position, "weight"), message, "write a finite number"));
        }
        ends.push([source, target]);
        weights.push(edge.weight);
        if undirected && source != target {
            ends.push([target, source]);
            weights.push(edge.weight);
        }
    }
    Ok((ends, weights))
}

/// The number of the node at one end of an edge.
fn end(nodes: &[SceneNode], numbers: &Numbers, edge: usize, field: &'static str, name: &str) -> Result<u32, Fault> {
    numbers.get(name).copied().ok_or_else(|| {
        let message = format!("edge {edge} names the {field} {}, but no node has that name", quote(name));
        let help = match nearest(name, nodes.iter().map(|node| node.name.as_str())) {
            Some(near) => format!("did you mean {}?", quote(near)),
            None => format!("add a node with this name, or name another {field}"),
        };
        Fault::new(edge_field(edge, field), message, help)
    })
}
