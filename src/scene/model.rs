//! From the layers of a scene to a model.

use bevy_ecs::{entity::Entity, world::World};
use connectome_components::{Field, FieldError, Graph, Model, Node, Optimizer, Parameter, Signal};
use connectome_systems::{
    ModelBuilder,
    layers::{BuildError, Room},
};

use super::description::Scene;
use super::features::Features;
use super::memory::available;

/// What a scene's model is once it is built.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// Which rows its output is on.
    pub output: Rows,
    /// How wide its output is.
    pub width: usize,
    /// Bytes of its columns and parameters on a graph of the size that was asked for.
    pub bytes: usize,
}

/// What the rows of a model's output are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rows {
    Nodes,
    Edges,
    Graphs,
}

impl Scene {
    /// The scene's model over the nodes of `graph`, which reads `input`, and learns as the scene says from `seed`.
    pub fn model(&self, graph: Entity, input: Signal, seed: u64) -> ModelBuilder {
        let training = &self.training;
        let mut builder = self.layers(graph, input, seed);
        if training.accumulate > 1 {
            builder = builder.accumulate(u32::try_from(training.accumulate).unwrap_or(u32::MAX));
        }
        if let Some(norm) = training.clip_norm {
            builder = builder.clip(norm);
        }
        builder
    }

    fn layers(&self, graph: Entity, input: Signal, seed: u64) -> ModelBuilder {
        let builder = ModelBuilder::new(graph).name(&self.name).input(input).seed(seed);
        let builder = builder.learn(self.optimizer, self.training.schedule);
        self.model.iter().fold(builder, |builder, layer| builder.layer(layer.clone()))
    }

    /// The most numbers that a row of `features` stores, if they are few and the model can read them sparse.
    pub(crate) fn stored_features(&self, features: &Features) -> Option<usize> {
        let Features::Sparse { width, offsets, .. } = features else { return None };
        let longest = offsets.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0).max(1);
        let room = Room { nodes: 1, edges: 0, subgraphs: 0, bytes: available() };
        let input = Input { width: *width, stored: Some(longest), edges: None };
        let is_refused = || matches!(self.plan(&input, room), Err(BuildError::Sparse { .. }));
        (2 * longest < *width && !is_refused()).then_some(longest)
    }

    /// Builds the model in an empty world: on no rows, it takes hardly any memory but that of its parameters.
    pub(super) fn plan(&self, input: &Input, room: Room) -> Result<Plan, BuildError> {
        let mut world = World::new();
        let graph = Graph::spawn(&mut world);
        let signal = input.register(&mut world)?;
        let mut builder = self.layers(graph, signal, 0).planned(room);
        if let Some(width) = input.edges {
            let edges = world.get::<Graph>(graph).map(|graph| graph.edges).ok_or(BuildError::NoGraph(graph))?;
            builder = builder.edge_input(Field::register(&mut world, "edge features", edges, width)?);
        }
        let entity = builder.build(&mut world)?;
        let rows = *world.get::<Graph>(graph).ok_or(BuildError::NoGraph(graph))?;
        let model = world.get::<Model>(entity).cloned().ok_or(BuildError::NoModel(entity))?;
        let optimizer = world.get::<Optimizer>(entity).copied();
        let of_rows = |field: &Field| match field.on() {
            on if on == rows.nodes => (Rows::Nodes, room.nodes),
            on if on == rows.edges => (Rows::Edges, room.edges),
            _ => (Rows::Graphs, room.subgraphs),
        };
        let columns: usize = model.columns.iter().map(|column| column.width().saturating_mul(of_rows(column).1)).sum();
        // Gradients that are summed up over batches have a field of their own.
        let summed = usize::from(self.training.accumulate > 1);
        let parameter = |entity: &Entity| {
            let parameter = world.get::<Parameter>(*entity)?;
            let moments =
                optimizer.filter(|_| parameter.gradient.is_some()).map_or(0, |rule| 1 + rule.moments() + summed);
            Some(parameter.value.width() * (1 + moments))
        };
        let parameters: usize = model.parameters.iter().filter_map(parameter).sum();
        Ok(Plan {
            output: of_rows(&model.output).0,
            width: model.output.width(),
            bytes: columns.saturating_add(parameters).saturating_mul(size_of::<f32>()),
        })
    }
}

/// What a model reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Input {
    /// Columns of the features of the nodes.
    pub width: usize,
    /// The most numbers that a row stores, if the model reads them sparse.
    pub stored: Option<usize>,
    /// Columns of the features of the edges, if there are any.
    pub edges: Option<usize>,
}

impl Input {
    fn register(&self, world: &mut World) -> Result<Signal, FieldError> {
        let nodes = world.register_component::<Node>();
        Ok(match self.stored {
            None => Field::register(world, "features", nodes, self.width)?.into(),
            Some(stored) => Signal::Sparse {
                columns: Field::register(world, "feature columns", nodes, stored)?,
                values: Field::register(world, "features", nodes, stored)?,
                width: self.width,
            },
        })
    }
}
