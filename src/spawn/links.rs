//! A scene that predicts links.

use bevy_ecs::{entity::Entity, name::Name, schedule::IntoScheduleConfigs, world::World};
use std::borrow::Cow;

use super::{GraphEntities, SceneEntities, build_model};
use crate::components::{Edge, Field, FieldError, Graph, Marker, Split};
use crate::data::{CandidatePair, GraphData, LinkSplit, hide_edges};
use crate::scene::{SceneFile, model::Purpose};
use crate::systems::{GraphSystems, Train, add_systems, layers::BuildError, sample_negatives};
use crate::task::LinkPrediction;

/// Spawns the edges that are not hidden as the graph, and the pairs that are to be told apart as the edges of a second
/// graph over the same nodes. Pairs to learn from that have no edge are drawn anew for each step, as many as there are
/// with one.
pub(super) fn spawn(
    world: &mut World,
    scene: &SceneFile,
    data: Cow<GraphData>,
    links: LinkPrediction,
    purpose: Purpose,
    seed: u64,
) -> Result<SceneEntities, BuildError> {
    let split = hide_edges(&data, links.validation, links.test, seed);
    let mut graph = GraphEntities::declare(world, scene, &data)?;
    let pair_marker = Marker::register(world, &format!("pair of {}", scene.name));
    let rows = Graph::new(graph.node_marker.id(), pair_marker.id(), graph.subgraph_marker.id());
    let pairs = world.spawn((Name::new(format!("pairs of {}", scene.name)), rows)).id();
    let targets = Field::<f32>::register(world, "link", pair_marker.id(), 1)?;
    let model = build_model(world, scene, &graph, Some((pairs, targets)), purpose, seed)?;
    graph.fill(world, Cow::Owned(with_messages(data, &split)))?;
    let negatives = spawn_pairs(world, &split.pairs, &graph.nodes, pair_marker, targets, purpose)?;
    if purpose == Purpose::Training {
        let sample = sample_negatives(model, graph.graph, negatives);
        add_systems(world, Train(model), sample.before(GraphSystems::Sync))?;
    }
    Ok(graph.with_model(model))
}

/// The data with those edges alone that carry messages.
fn with_messages(data: Cow<GraphData>, split: &LinkSplit) -> GraphData {
    let mut data = data.into_owned();
    let kept = || split.message_numbers.iter().map(|number| *number as usize);
    data.edges.clone_from(&split.messages);
    data.weights = data.weights.map(|weights| kept().map(|edge| weights[edge]).collect());
    data.edge_features = data.edge_features.map(|rows| rows.select(kept()));
    data.edge_labels = data.edge_labels.map(|labels| labels.select(kept()));
    data
}

/// Spawns the pairs and, to learn, one that is to be drawn for each with an edge to learn from; returns those to be drawn.
fn spawn_pairs(
    world: &mut World,
    pairs: &[CandidatePair],
    nodes: &[Entity],
    marker: Marker,
    targets: Field,
    purpose: Purpose,
) -> Result<Vec<Entity>, FieldError> {
    let edge = |pair: &CandidatePair| {
        let [source, target] = pair.endpoints.map(|end| nodes[end as usize]);
        (Edge { source, target }, pair.split)
    };
    let given = marker.spawn(world, pairs.iter().map(edge));
    let is_drawn = |pair: &&CandidatePair| purpose == Purpose::Training && pair.split == Split::Train;
    let drawn = marker.spawn(world, pairs.iter().filter(is_drawn).map(edge));
    for (entity, pair) in given.iter().zip(pairs) {
        targets.set(world, *entity, &[f32::from(pair.positive)])?;
    }
    Ok(drawn)
}
