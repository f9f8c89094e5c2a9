//! A scene that predicts links.

use bevy_ecs::{entity::Entity, name::Name, schedule::IntoScheduleConfigs, world::World};

use super::{SceneEntities, Shape, model, spawn_graph};
use crate::components::{Edge, Field, Graph, Loss, Marker, Split, attach_fields};
use crate::scene::{CandidatePair, DenseRows, GraphData, LinkSplit, Scene, hide_edges};
use crate::systems::{
    Phase, Scratch, Train, add_systems,
    layers::{BuildError, InnerProduct},
    sample_negatives, update_topology,
};

/// Spawns the edges that are not hidden as the graph, and the pairs that are to be told apart as the edges of a second
/// graph over the same nodes. Pairs to learn from that have no edge are drawn anew for each step, as many as there are
/// with one.
pub(super) fn spawn(
    world: &mut World,
    scene: &Scene,
    data: &GraphData,
    shape: Shape,
    [validation, test]: [f32; 2],
    seed: u64,
) -> Result<SceneEntities, BuildError> {
    let split = hide_edges(data, validation, test, seed);
    let graph = spawn_graph(world, &scene.name, &with_messages(data, &split), shape)?;
    let pair_marker = Marker::register(world, &format!("pair of {}", scene.name));
    let rows = Graph { nodes: graph.node_marker.id(), edges: pair_marker.id(), subgraphs: graph.subgraph_marker.id() };
    let pairs = world.spawn((Name::new(format!("pairs of {}", scene.name)), rows)).id();
    let targets = Field::<f32>::register(world, "link", pair_marker.id(), 1)?;
    let negatives = spawn_pairs(world, &split.pairs, &graph.nodes, pair_marker, targets)?;

    let model = model(scene, &graph, seed).layer(InnerProduct { pairs });
    let model = model.loss(Loss::BinaryCrossEntropy).targets_in(targets).build(world)?;
    // Pairs are drawn before the schedule derives the topology: the first ones are to know the edges as well.
    update_topology(world, graph.graph, &mut Scratch::default());
    let sample = sample_negatives(model, graph.graph, negatives);
    add_systems(world, Train(model), sample.before(Phase::Prepare))?;
    Ok(graph.with_model(world, model))
}

/// The data with those edges alone that carry messages.
fn with_messages(data: &GraphData, split: &LinkSplit) -> GraphData {
    let kept = || split.message_numbers.iter().map(|number| *number as usize);
    let weights = data.weights.as_ref().map(|weights| kept().map(|edge| weights[edge]).collect());
    let edge_features = data.edge_features.as_ref().map(|rows| {
        let values = kept().flat_map(|edge| &rows.values[edge * rows.width..(edge + 1) * rows.width]);
        DenseRows { width: rows.width, values: values.copied().collect() }
    });
    GraphData { edges: split.messages.clone(), weights, edge_features, ..data.clone() }
}

/// Spawns the pairs, and one that is to be drawn for each with an edge to learn from; returns those to be drawn.
fn spawn_pairs(
    world: &mut World,
    pairs: &[CandidatePair],
    nodes: &[Entity],
    marker: Marker,
    targets: Field,
) -> Result<Vec<Entity>, BuildError> {
    let edge = |pair: &CandidatePair| {
        let [source, target] = pair.ends.map(|end| nodes[end as usize]);
        (Edge { source, target }, pair.split)
    };
    let given: Vec<Entity> = world.spawn_batch(pairs.iter().map(edge).collect::<Vec<_>>()).collect();
    let learned: Vec<_> = pairs.iter().filter(|pair| pair.split == Split::Train).map(edge).collect();
    let drawn: Vec<Entity> = world.spawn_batch(learned).collect();
    given.iter().chain(&drawn).try_for_each(|pair| marker.insert(world, *pair))?;
    attach_fields(world, marker.id());
    for (entity, pair) in given.iter().zip(pairs) {
        targets.set(world, *entity, &[f32::from(pair.positive)])?;
    }
    Ok(drawn)
}
