//! Kinds of nodes and relations as entities.

use bevy_ecs::{entity::Entity, name::Name, world::World};

use super::features;
use crate::components::{ClassLabel, Edge, EdgeWeight, FeatureField, Field, FieldError, Graph, GraphNode, Marker};
use crate::data::{GraphData, GraphKinds, RelationEdges, RowKind};
use crate::scene::{
    SceneFile,
    kinds::{KindInputs, RelationGraphs},
};
use crate::systems::{ModelBuilder, Scratch, update_topology};

/// The nodes of a kind beside that of the task.
#[derive(Clone, Debug)]
pub struct KindEntities {
    /// The kind.
    pub name: String,
    /// The nodes, in the order of the scene.
    pub nodes: Vec<Entity>,
    /// Marks them; give it to further nodes to make them of this kind.
    pub marker: Marker,
}

/// A relation.
#[derive(Clone, Debug)]
pub struct RelationEntities {
    /// What it is called.
    pub name: String,
    /// The graph of its edges, whose nodes are the targets.
    pub graph: Entity,
    /// The graph along which messages go back on the same edges, if they do.
    pub reversed: Option<Entity>,
    /// Marks its edges.
    pub edge_marker: Marker,
}

/// The kinds and relations of a scene in a world.
#[derive(Clone, Debug, Default)]
pub(crate) struct KindsInWorld {
    pub kinds: Vec<KindEntities>,
    pub relations: Vec<RelationEntities>,
    /// The features of the nodes of each kind.
    inputs: Vec<FeatureField>,
    /// The features of the edges of each relation.
    edge_inputs: Vec<Option<Field>>,
    /// The values to predict of nodes of other kinds, by the name of the kind.
    pub targets: Vec<(String, Field)>,
}

impl KindsInWorld {
    /// Registers the fields of the kinds beside that of the task, and spawns the graphs of the relations; `graph` is that of the
    /// task's kind.
    pub fn declare(
        world: &mut World,
        (scene, data): (&SceneFile, &GraphData),
        inputs: &KindInputs,
        graph: Graph,
    ) -> Result<Self, FieldError> {
        let mut declared = Self::default();
        let Some(kinds) = &data.kinds else { return Ok(declared) };
        for (kind, input) in kinds.others.iter().zip(&inputs.kinds) {
            let name = &kind.name;
            let marker = Marker::register(world, &format!("{name} of {}", scene.name));
            declared.inputs.push(features::register(world, marker.id(), input.width, input.stored)?);
            let targets = kind.nodes.targets.as_ref().filter(|_| scene.reads_targets(RowKind::Nodes, Some(name)));
            if let Some(targets) = targets {
                let field = Field::register(world, "targets", marker.id(), targets.width)?;
                declared.targets.push((name.clone(), field));
            }
            declared.kinds.push(KindEntities { name: name.clone(), nodes: Vec::new(), marker });
        }
        for (relation, width) in kinds.relations.iter().zip(&inputs.relations) {
            let edge_marker = Marker::register(world, &format!("{} of {}", relation.name, scene.name));
            let register = |width| Field::register(world, "edge features", edge_marker.id(), width);
            declared.edge_inputs.push(width.map(register).transpose()?);
            let of_kind = |kind: usize| {
                kind.checked_sub(1).and_then(|other| declared.kinds.get(other)).map_or(graph.nodes, |of| of.marker.id())
            };
            let [sources, nodes] = relation.ends.map(of_kind);
            let rows = Graph { sources, ..Graph::new(nodes, edge_marker.id(), graph.subgraphs) };
            let graph = world.spawn((Name::new(relation.name.clone()), rows)).id();
            let reverse = relation.reverse.as_ref();
            let reversed = reverse.and_then(|name| {
                let reversed = Graph::reversed(world, graph)?;
                world.entity_mut(reversed).insert(Name::new(name.clone()));
                Some(reversed)
            });
            declared.relations.push(RelationEntities { name: relation.name.clone(), graph, reversed, edge_marker });
        }
        Ok(declared)
    }

    /// Gives a model the kinds and relations.
    pub fn connect(&self, scene: &SceneFile, model: ModelBuilder) -> ModelBuilder {
        let graphs = self.relations.iter().zip(&self.edge_inputs);
        let graphs: Vec<RelationGraphs> = graphs
            .map(|(relation, input)| RelationGraphs {
                graph: relation.graph,
                reversed: relation.reversed,
                input: *input,
            })
            .collect();
        scene.with_kinds(model, &self.inputs, &graphs)
    }

    /// Spawns the nodes of the kinds and the edges of the relations; `own` are the nodes of the task's kind.
    pub fn fill(&mut self, world: &mut World, own: &[Entity], kinds: &GraphKinds) -> Result<(), FieldError> {
        for ((kind, input), data) in self.kinds.iter_mut().zip(&self.inputs).zip(&kinds.others) {
            let nodes = &data.nodes;
            kind.nodes = spawn_nodes(world, kind.marker, nodes);
            features::write(world, *input, &nodes.features, &kind.nodes)?;
            let field = self.targets.iter().find(|(name, _)| *name == kind.name).map(|(_, field)| *field);
            if let Some((field, targets)) = field.zip(nodes.targets.as_ref()) {
                features::write_dense(world, field, targets, &kind.nodes)?;
            }
        }
        for ((relation, input), data) in self.relations.iter().zip(&self.edge_inputs).zip(&kinds.relations) {
            let nodes = |kind: usize| kind.checked_sub(1).map_or(own, |other| &self.kinds[other].nodes);
            let edges = spawn_edges(world, relation.edge_marker, data, data.ends.map(nodes));
            if let Some((field, rows)) = input.zip(data.features.as_ref()) {
                features::write_dense(world, field, rows, &edges)?;
            }
            for graph in [Some(relation.graph), relation.reversed].into_iter().flatten() {
                update_topology(world, graph, &mut Scratch::default());
            }
        }
        Ok(())
    }
}

/// Returns the nodes by their numbers.
fn spawn_nodes(world: &mut World, marker: Marker, data: &GraphData) -> Vec<Entity> {
    let nodes = (0..data.nodes).map(|number| {
        let label = data.labels.get(number).copied().unwrap_or_default();
        (GraphNode, ClassLabel(label), data.splits.get(number).copied().unwrap_or_default())
    });
    match data.names.is_empty() {
        true => marker.spawn(world, nodes),
        false => marker.spawn(world, nodes.zip(data.names.iter().map(|name| Name::new(name.clone())))),
    }
}

/// Returns the edges by their numbers; `ends` are the nodes of the kinds of their sources and of their targets.
fn spawn_edges(world: &mut World, marker: Marker, data: &RelationEdges, ends: [&[Entity]; 2]) -> Vec<Entity> {
    let edges = data
        .edges
        .iter()
        .map(|[source, target]| Edge { source: ends[0][*source as usize], target: ends[1][*target as usize] });
    match &data.weights {
        None => marker.spawn(world, edges),
        Some(weights) => marker.spawn(world, edges.zip(weights.iter().copied().map(EdgeWeight))),
    }
}
