//! Puts a scene into a world.

mod features;
mod graph;
mod kinds;
mod links;
mod order;

use bevy_ecs::{entity::Entity, world::World};
use std::borrow::Cow;

pub use kinds::{KindEntities, RelationEntities};

use self::kinds::KindsInWorld;
use crate::components::{FeatureField, Field, Marker, SoftmaxGroups};
use crate::data::GraphData;
use crate::scene::{NodeOrder, SceneFile, heads::HeadFields, model::Purpose};
use crate::systems::{ModelBuilder, layers::BuildError};

/// What a scene became in a world.
#[derive(Clone, Debug)]
pub struct SceneEntities {
    /// The graph.
    pub graph: Entity,
    /// The model; run it with the schedules `Train`, `Evaluate` and `Infer`.
    pub model: Entity,
    /// The nodes, in the order of the scene; their rows have the order that the scene asks for.
    pub nodes: Vec<Entity>,
    /// The edges, in the order of the scene, if something of them is predicted; nothing otherwise.
    pub edges: Vec<Entity>,
    /// The graphs of a set, in the order of the scene.
    pub subgraphs: Vec<Entity>,
    /// Marks the nodes of this graph; give it to further nodes to make them part of it.
    pub node_marker: Marker,
    /// Marks the edges of this graph.
    pub edge_marker: Marker,
    /// Marks the subgraphs of this graph, to which nodes belong by `InSubgraph`.
    pub subgraph_marker: Marker,
    /// The nodes of the kinds beside that of the task, in a scene with several.
    pub kinds: Vec<KindEntities>,
    /// The relations of such a scene; the graph has no edges of its own then.
    pub relations: Vec<RelationEntities>,
}

/// The graph of a scene in a world.
#[derive(Clone, Debug)]
pub(crate) struct GraphEntities {
    pub graph: Entity,
    pub nodes: Vec<Entity>,
    pub subgraphs: Vec<Entity>,
    pub node_marker: Marker,
    pub edge_marker: Marker,
    pub subgraph_marker: Marker,
    /// The order of the rows.
    order: NodeOrder,
    /// The features of the nodes, and of the edges if they have any.
    pub input: FeatureField,
    pub edge_input: Option<Field>,
    /// The edges, in the order of the scene, if something of them is predicted.
    pub edges: Vec<Entity>,
    /// The values to predict of nodes, edges and graphs, where a task asks for them.
    pub targets: [Option<Field>; 3],
    /// Whether something of edges is predicted.
    pub labeled_edges: bool,
    /// Other kinds of nodes, and relations.
    kinds: KindsInWorld,
    /// The groups of the outputs of slots, if graphs are rewritten.
    pub groups: Option<SoftmaxGroups>,
}

/// Spawns a scene's nodes, edges and model, which is to learn from `seed`.
///
/// The data are only read if they are borrowed. Data that are given away are dropped while they come into the world, which
/// takes less memory.
///
/// Nodes carry [`GraphNode`](crate::components::GraphNode), [`ClassLabel`](crate::components::ClassLabel), `Split` and, in small scenes, their
/// `Name`. The graphs of a set are [`Subgraph`](crate::components::Subgraph)s of one graph. Several scenes may live in one
/// world.
///
/// ```
/// use connectome::{prelude::*, spawn};
/// use bevy_ecs::prelude::*;
///
/// let (scene, data) = SceneFile::load("assets/karate.ron")?;
/// let mut world = World::new();
/// let karate = spawn(&mut world, &scene, &data, 0)?;
/// for _ in 0..20 {
///     world.train(karate.model)?;
/// }
/// world.evaluate(karate.model)?;
/// let accuracy = world.get::<Metrics>(karate.model).unwrap().of(Split::Test).accuracy();
/// assert!(accuracy > 0.7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If the model cannot be built.
pub fn spawn<'a>(
    world: &mut World,
    scene: &SceneFile,
    data: impl Into<Cow<'a, GraphData>>,
    seed: u64,
) -> Result<SceneEntities, BuildError> {
    spawn_for(world, scene, data.into(), Purpose::Training, seed)
}

/// As [`spawn`], with a model for one purpose.
pub(crate) fn spawn_for(
    world: &mut World,
    scene: &SceneFile,
    data: Cow<GraphData>,
    purpose: Purpose,
    seed: u64,
) -> Result<SceneEntities, BuildError> {
    let links = scene.all_heads().iter().find_map(|head| head.task.links());
    if let Some(links) = links {
        return links::spawn(world, scene, data, links, purpose, seed);
    }
    let mut graph = GraphEntities::declare(world, scene, &data)?;
    let model = build_model(world, scene, &graph, None, purpose, seed)?;
    graph.fill(world, data)?;
    Ok(graph.with_model(model))
}

/// Builds the model of a scene on its graph, and on pairs of nodes with a field of whether an edge joins them.
pub(crate) fn build_model(
    world: &mut World,
    scene: &SceneFile,
    graph: &GraphEntities,
    pairs: Option<(Entity, Field)>,
    purpose: Purpose,
    seed: u64,
) -> Result<Entity, BuildError> {
    let reads = |model: ModelBuilder| {
        let model = graph.kinds.connect(scene, model.input(graph.input));
        match graph.edge_input {
            Some(edges) => model.edge_input(edges),
            None => model,
        }
    };
    let fields =
        HeadFields { targets: graph.targets, of_kinds: graph.kinds.targets.clone(), pairs, groups: graph.groups };
    scene.with_layers(purpose, graph.graph, reads, seed, &fields).build(world)
}
