//! Puts a scene into a world.

use bevy_ecs::{entity::Entity, name::Name, world::World};

use crate::components::{Edge, EdgeWeight, Field, FieldError, Graph, Label, Marker, Node, Signal, attach_fields};
use crate::scene::{Features, GraphData, LayerDescription, Scene};
use crate::systems::{
    ModelBuilder,
    layers::{BuildError, Dropout, Layer, LayerBuilder},
};

/// What a scene became in a world.
#[derive(Clone, Debug)]
pub struct SceneEntities {
    /// The graph.
    pub graph: Entity,
    /// The model; run it with the schedules `Train`, `Evaluate` and `Infer`.
    pub model: Entity,
    /// The nodes, in the order of the scene.
    pub nodes: Vec<Entity>,
    /// Marks the nodes of this graph; give it to further nodes to make them part of it.
    pub node_marker: Marker,
    /// Marks the edges of this graph.
    pub edge_marker: Marker,
    /// Marks the subgraphs of this graph; a scene has none.
    pub subgraph_marker: Marker,
}

/// Spawns a scene's nodes, edges and model, which is to learn from `seed`.
///
/// Nodes carry [`Node`], [`Label`], `Split` and, in small scenes, their `Name`. Several scenes may live in one world.
///
/// ```
/// use connectome::{prelude::*, spawn};
/// use bevy_ecs::prelude::*;
///
/// let (scene, data) = Scene::load("assets/karate.ron")?;
/// let mut world = World::new();
/// let karate = spawn(&mut world, &scene, &data, 0)?;
/// for _ in 0..20 {
///     run(&mut world, Train(karate.model))?;
/// }
/// run(&mut world, Evaluate(karate.model))?;
/// let accuracy = world.get::<Metrics>(karate.model).unwrap().of(Split::Test).accuracy();
/// assert!(accuracy > 0.7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If the model cannot be built.
pub fn spawn(world: &mut World, scene: &Scene, data: &GraphData, seed: u64) -> Result<SceneEntities, BuildError> {
    let node_marker = Marker::register(world, &format!("node of {}", scene.name));
    let edge_marker = Marker::register(world, &format!("edge of {}", scene.name));
    let subgraph_marker = Marker::register(world, &format!("subgraph of {}", scene.name));
    let [nodes, edges, subgraphs] = [node_marker, edge_marker, subgraph_marker].map(|marker| marker.id());
    let graph = world.spawn((Name::new(scene.name.clone()), Graph { nodes, edges, subgraphs })).id();

    let nodes = spawn_nodes(world, data, node_marker)?;
    spawn_edges(world, data, edge_marker, &nodes)?;
    let input = features(world, scene, data, node_marker, &nodes)?;

    let mut builder = ModelBuilder::new(graph).name(&scene.name).input(input).seed(seed);
    builder = builder.learn(scene.optimizer, scene.training.schedule);
    for layer in &scene.model {
        builder = builder.layer(layer.clone());
    }
    let model = builder.build(world)?;
    attach_fields(world, node_marker.id());
    Ok(SceneEntities { graph, model, nodes, node_marker, edge_marker, subgraph_marker })
}

fn spawn_nodes(world: &mut World, data: &GraphData, marker: Marker) -> Result<Vec<Entity>, FieldError> {
    let bundles: Vec<_> =
        data.labels.iter().zip(&data.splits).map(|(label, split)| (Node, Label(*label), *split)).collect();
    let nodes: Vec<Entity> = world.spawn_batch(bundles).collect();
    for node in &nodes {
        marker.insert(world, *node)?;
    }
    for (node, name) in nodes.iter().zip(&data.names) {
        world.entity_mut(*node).insert(Name::new(name.clone()));
    }
    Ok(nodes)
}

fn spawn_edges(world: &mut World, data: &GraphData, marker: Marker, nodes: &[Entity]) -> Result<(), FieldError> {
    let edge = |[source, target]: &[u32; 2]| Edge { source: nodes[*source as usize], target: nodes[*target as usize] };
    let edges: Vec<Edge> = data.edges.iter().map(edge).collect();
    let edges: Vec<Entity> = match &data.weights {
        None => world.spawn_batch(edges).collect(),
        Some(weights) => {
            let weighted: Vec<_> = edges.into_iter().zip(weights.iter().map(|weight| EdgeWeight(*weight))).collect();
            world.spawn_batch(weighted).collect()
        }
    };
    edges.into_iter().try_for_each(|edge| marker.insert(world, edge))
}

/// Makes the features fields of the nodes: sparse as long as the first layers can read them so.
fn features(
    world: &mut World,
    scene: &Scene,
    data: &GraphData,
    marker: Marker,
    nodes: &[Entity],
) -> Result<Signal, FieldError> {
    match &data.features {
        Features::Dense { width, values } => {
            let value = Field::register(world, "features", marker.id(), *width)?;
            attach_fields(world, marker.id());
            for (node, row) in nodes.iter().zip(values.chunks_exact(*width)) {
                value.set(world, *node, row)?;
            }
            Ok(value.into())
        }
        Features::Sparse { width, offsets, indices, values } => {
            let longest = offsets.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0).max(1);
            let sparse = 2 * longest < *width && reads_sparse(&scene.model);
            let columns =
                Field::<u32>::register(world, "feature columns", marker.id(), if sparse { longest } else { 1 })?;
            let value = Field::<f32>::register(world, "features", marker.id(), if sparse { longest } else { *width })?;
            attach_fields(world, marker.id());
            let mut row_columns = vec![0; longest];
            let mut row_values = vec![0.0; value.width()];
            for (node, range) in nodes.iter().zip(offsets.windows(2)) {
                let range = range[0]..range[1];
                row_values.fill(0.0);
                if sparse {
                    row_columns.fill(0);
                    row_columns[..range.len()].copy_from_slice(&indices[range.clone()]);
                    row_values[..range.len()].copy_from_slice(&values[range]);
                    columns.set(world, *node, &row_columns)?;
                } else {
                    for (column, number) in indices[range.clone()].iter().zip(&values[range]) {
                        row_values[*column as usize] = *number;
                    }
                }
                value.set(world, *node, &row_values)?;
            }
            Ok(if sparse { Signal::Sparse { columns, values: value, width: *width } } else { value.into() })
        }
    }
}

/// Whether the first layer that is no dropout multiplies by weights.
fn reads_sparse(model: &[LayerDescription]) -> bool {
    let first = model.iter().find(|layer| !matches!(layer, LayerDescription::Dropout(_)));
    first.is_some_and(|layer| layer.width().is_some())
}

impl Layer for LayerDescription {
    fn build(&self, input: Signal, layer: &mut LayerBuilder) -> Result<Signal, BuildError> {
        match self {
            Self::Dropout(rate) => Dropout(*rate).build(input, layer),
            Self::Linear(linear) => linear.build(input, layer),
            Self::GraphConv(convolution) => convolution.build(input, layer),
            Self::MessagePassing(passing) => passing.build(input, layer),
            _ => self.activation().unwrap_or_default().build(input, layer),
        }
    }
}
