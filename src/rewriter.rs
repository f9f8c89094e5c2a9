//! A trained network that rewrites the terms of a world.

use bevy_ecs::{
    entity::Entity,
    schedule::IntoScheduleConfigs,
    system::{ParamBuilder, Query, SystemParamBuilder},
    world::World,
};
use std::sync::Arc;

use crate::components::{ClassLabel, ColumnMut, EdgePosition, Field, Graph, Model, Topology};
use crate::data::RewriteData;
use crate::languages::rewriting::{EntityDag, Rewrite, Slot, rewrite_terms};
use crate::systems::{GraphSystems, Infer, ModelBuilder, WorldModelExt, layers::BuildError};

/// What a rewriter reads of a graph.
pub(crate) struct Inputs {
    graph: Entity,
    rewriting: Arc<RewriteData>,
    /// One-hot codes of labels.
    features: Field,
    /// Of edges.
    positions: Field,
}

impl Inputs {
    pub(crate) fn register(world: &mut World, graph: Entity, rewriting: RewriteData) -> Result<Self, BuildError> {
        let Graph { nodes, edges, .. } = *world.get(graph).ok_or(BuildError::NoGraph(graph))?;
        let features = Field::register(world, "features", nodes, rewriting.feature_width())?;
        let positions = Field::register(world, "edge features", edges, 1)?;
        Ok(Self { graph, rewriting: Arc::new(rewriting), features, positions })
    }

    pub(crate) fn connect(&self, model: ModelBuilder) -> ModelBuilder {
        model.input(self.features).edge_input(self.positions)
    }

    /// Adds the systems that write the inputs, and the one that carries out what the model predicts.
    pub(crate) fn add_systems(self, world: &mut World, model: Entity) -> Result<(), BuildError> {
        let Self { graph, rewriting, features, positions } = self;
        let output = world.get::<Model>(model).ok_or(BuildError::NoModel(model))?.output;
        let labels = Arc::clone(&rewriting);
        let state = (ParamBuilder::query::<&Topology>(), ParamBuilder::query::<&ClassLabel>(), features.write());
        let nodes = state.build_state(world).build_system(
            move |graphs: Query<&Topology>, nodes: Query<&ClassLabel>, mut features: ColumnMut| {
                let Ok(topology) = graphs.get(graph) else { return };
                for (row, node) in features.matrix().rows_mut().zip(topology.nodes.entities()) {
                    row.fill(0.0);
                    let feature = nodes.get(*node).map(|label| labels.feature(label.0, || false));
                    if let Some(value) = feature.ok().and_then(|feature| row.get_mut(feature as usize)) {
                        *value = 1.0;
                    }
                }
            },
        );
        let state = (ParamBuilder::query::<&Topology>(), ParamBuilder::query::<&EdgePosition>(), positions.write());
        let edges = state.build_state(world).build_system(
            move |graphs: Query<&Topology>, edges: Query<&EdgePosition>, mut positions: ColumnMut| {
                let Ok(topology) = graphs.get(graph) else { return };
                for (row, edge) in positions.matrix().rows_mut().zip(topology.edges.entities()) {
                    row[0] = edges.get(*edge).map_or(0.0, |position| position.0 as f32);
                }
            },
        );
        let slots = move |world: &World, terms: &EntityDag| {
            let layout = rewriting.coding.layout;
            let mut slots: Vec<Slot> = Vec::with_capacity(terms.nodes.len() * layout.slots as usize);
            for (node, number) in terms.nodes.iter().zip(terms.dag.nodes()) {
                match output.get(world, *node) {
                    Ok(outputs) => slots.extend(rewriting.coding.read(outputs, terms.dag.children(number).len())),
                    // It was spawned since the forward pass: its slots are null.
                    Err(_) => slots.resize(slots.len() + layout.slots as usize, Slot::default()),
                }
            }
            let nodes = terms.nodes.len();
            Rewrite::new(layout, nodes, slots).unwrap_or_else(|error| unreachable!("each node has its slots: {error}"))
        };
        let rewrite = rewrite_terms(graph, slots, EntityDag::node, EntityDag::edge);
        world.add_model_systems(Infer(model), (nodes, edges).in_set(GraphSystems::Observe))?;
        world.add_model_systems(Infer(model), rewrite.in_set(GraphSystems::Act))
    }
}
