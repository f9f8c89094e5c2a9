//! The graph of a scene as entities.

use bevy_ecs::{entity::Entity, name::Name, world::World};

use super::{GraphEntities, SceneEntities, features};
use crate::components::{Edge, EdgeWeight, Field, FieldError, Graph, InGraph, Label, Marker, Node, attach_fields};
use crate::scene::{DenseRows, Features, GraphData, GraphSet, Scene};

/// How the features of a scene's nodes are stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// The most numbers that a row stores, if the model reads them sparse.
    pub stored: Option<usize>,
    /// Whether the numbers to predict are learned.
    pub has_targets: bool,
}

impl Shape {
    pub fn of(scene: &Scene, data: &GraphData) -> Self {
        Self { stored: scene.stored_features(&data.features), has_targets: scene.task.regression_loss().is_some() }
    }
}

/// Spawns the nodes, edges and subgraphs of `data` with all that they carry.
pub(crate) fn spawn_graph(
    world: &mut World,
    name: &str,
    data: &GraphData,
    shape: Shape,
) -> Result<GraphEntities, FieldError> {
    let node_marker = Marker::register(world, &format!("node of {name}"));
    let edge_marker = Marker::register(world, &format!("edge of {name}"));
    let subgraph_marker = Marker::register(world, &format!("subgraph of {name}"));
    let graph = Graph { nodes: node_marker.id(), edges: edge_marker.id(), subgraphs: subgraph_marker.id() };
    let graph = world.spawn((Name::new(name.to_owned()), graph)).id();

    let subgraphs = data.graphs.as_ref().map(|set| spawn_subgraphs(world, set, subgraph_marker)).transpose()?;
    let subgraphs = subgraphs.unwrap_or_default();
    let nodes = spawn_nodes(world, data, node_marker, &subgraphs)?;
    let edges = spawn_edges(world, data, edge_marker, &nodes)?;
    let input = features::node_features(world, node_marker.id(), &data.features, shape, &nodes)?;
    let edge_input = |rows: &DenseRows| features::dense(world, "edge features", edge_marker.id(), rows, &edges);
    let edge_input: Option<Field> = data.edge_features.as_ref().map(edge_input).transpose()?;
    let targets = data.targets.as_ref().filter(|_| shape.has_targets);
    let targets = targets.map(|rows| features::dense(world, "targets", node_marker.id(), rows, &nodes)).transpose()?;
    for marker in [node_marker, edge_marker, subgraph_marker] {
        attach_fields(world, marker.id());
    }
    Ok(GraphEntities { graph, nodes, subgraphs, node_marker, edge_marker, subgraph_marker, input, edge_input, targets })
}

/// The data of no node, edge or graph, with columns as wide as those of `data`.
pub(crate) fn without_rows(data: &GraphData) -> GraphData {
    let features = match &data.features {
        Features::Dense { width, .. } => Features::Dense { width: *width, values: Vec::new() },
        Features::Sparse { width, .. } => {
            Features::Sparse { width: *width, offsets: vec![0], indices: Vec::new(), values: Vec::new() }
        }
    };
    let empty = |rows: &DenseRows| DenseRows { width: rows.width, values: Vec::new() };
    let [edge_features, targets] = [&data.edge_features, &data.targets].map(|rows| rows.as_ref().map(empty));
    GraphData { features, edge_features, targets, classes: data.classes, ..GraphData::default() }
}

fn spawn_subgraphs(world: &mut World, set: &GraphSet, marker: Marker) -> Result<Vec<Entity>, FieldError> {
    let bundles: Vec<_> = set.labels.iter().zip(&set.splits).map(|(label, split)| (Label(*label), *split)).collect();
    let subgraphs: Vec<Entity> = world.spawn_batch(bundles).collect();
    subgraphs.iter().try_for_each(|subgraph| marker.insert(world, *subgraph))?;
    Ok(subgraphs)
}

fn spawn_nodes(
    world: &mut World,
    data: &GraphData,
    marker: Marker,
    subgraphs: &[Entity],
) -> Result<Vec<Entity>, FieldError> {
    let bundles: Vec<_> =
        data.labels.iter().zip(&data.splits).map(|(label, split)| (Node, Label(*label), *split)).collect();
    let nodes: Vec<Entity> = world.spawn_batch(bundles).collect();
    for node in &nodes {
        marker.insert(world, *node)?;
    }
    if let Some(set) = &data.graphs {
        for (graph, subgraph) in subgraphs.iter().enumerate() {
            for node in &nodes[set.nodes(graph)] {
                world.entity_mut(*node).insert(InGraph(*subgraph));
            }
        }
    }
    for (node, name) in nodes.iter().zip(&data.names) {
        world.entity_mut(*node).insert(Name::new(name.clone()));
    }
    Ok(nodes)
}

fn spawn_edges(
    world: &mut World,
    data: &GraphData,
    marker: Marker,
    nodes: &[Entity],
) -> Result<Vec<Entity>, FieldError> {
    let edge = |[source, target]: &[u32; 2]| Edge { source: nodes[*source as usize], target: nodes[*target as usize] };
    let edges: Vec<Edge> = data.edges.iter().map(edge).collect();
    let edges: Vec<Entity> = match &data.weights {
        None => world.spawn_batch(edges).collect(),
        Some(weights) => {
            let weighted: Vec<_> = edges.into_iter().zip(weights.iter().map(|weight| EdgeWeight(*weight))).collect();
            world.spawn_batch(weighted).collect()
        }
    };
    edges.iter().try_for_each(|edge| marker.insert(world, *edge))?;
    Ok(edges)
}

impl GraphEntities {
    /// Together with the model on it.
    pub fn with_model(self, world: &mut World, model: Entity) -> SceneEntities {
        let Self { graph, nodes, subgraphs, node_marker, edge_marker, subgraph_marker, .. } = self;
        // What the model computes, so that it can be read before the first run.
        for marker in [node_marker, edge_marker, subgraph_marker] {
            attach_fields(world, marker.id());
        }
        SceneEntities { graph, model, nodes, subgraphs, node_marker, edge_marker, subgraph_marker }
    }
}
