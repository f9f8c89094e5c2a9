//! From the layers of a scene to a model.

use bevy_ecs::{entity::Entity, world::World};
use connectome_components::{Field, FieldError, Graph, GraphNode, Model, Parameter, Signal, Topology};
use connectome_systems::{
    ModelBuilder,
    layers::{BuildError, Room},
};

use super::check::memory::available;
use super::description::SceneFile;
use super::features::Features;

/// What a model is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// It learns, and tells as well.
    Training,
    /// Inference only: without gradients and moments it takes less memory.
    Inference,
}

/// What a scene's model is once it is built.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// Which rows its output is on.
    pub output: Rows,
    /// How wide its output is.
    pub width: usize,
    /// What it takes.
    pub size: ModelSize,
}

/// What a model has in its world.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ModelSize {
    /// Its columns, of those of each kind of rows.
    pub nodes: Columns,
    pub edges: Columns,
    pub graphs: Columns,
    /// Values of parameters, learned or not.
    pub values: usize,
    /// Those that are learned.
    pub learned: usize,
    /// Values, gradients, moments and what else is kept of them, together.
    pub numbers: usize,
    /// How many normalizations it asks of the topology.
    pub normalizations: usize,
}

/// Some columns of `f32`s.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Columns {
    pub count: usize,
    /// Numbers in a row of all of them.
    pub width: usize,
    /// Numbers in a row of the widest of those that are copied when their table grows.
    pub copied: usize,
}

impl Columns {
    pub(super) fn add(&mut self, width: usize) {
        self.count += 1;
        self.width = self.width.saturating_add(width);
        // The allocator moves others page by page: those that are aligned to no more than it aligns anyway.
        if width.is_multiple_of(8) {
            self.copied = self.copied.max(width);
        }
    }
}

/// What the rows of a model's output are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rows {
    Nodes,
    Edges,
    Graphs,
}

impl SceneFile {
    /// The scene's model over the nodes of `graph`, which reads `input`, and learns as the scene says from `seed`.
    pub fn model(&self, graph: Entity, input: Signal, seed: u64) -> ModelBuilder {
        self.model_for(Purpose::Training, graph, input, seed)
    }

    /// The same for one purpose.
    pub(crate) fn model_for(&self, purpose: Purpose, graph: Entity, input: Signal, seed: u64) -> ModelBuilder {
        let training = &self.training;
        let builder = ModelBuilder::new(graph).name(&self.name).input(input).seed(seed);
        let mut builder = self.model.iter().fold(builder, |builder, layer| builder.layer(layer.clone()));
        if purpose == Purpose::Inference {
            return builder;
        }
        builder = builder.learn(self.optimizer, training.schedule);
        if training.accumulation_steps > 1 {
            builder = builder.accumulate(u32::try_from(training.accumulation_steps).unwrap_or(u32::MAX));
        }
        if let Some(norm) = training.clip_norm {
            builder = builder.clip(norm);
        }
        builder
    }

    /// The most numbers that a row of `features` stores, if they are few and the model can read them sparse.
    pub(crate) fn stored_features(&self, features: &Features) -> Option<usize> {
        let Features::Sparse { width, offsets, .. } = features else { return None };
        let longest = offsets.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0).max(1);
        let room = Room { nodes: 1, edges: 0, subgraphs: 0, bytes: available() };
        let input = Input { width: *width, stored: Some(longest), edges: None };
        let is_refused = || matches!(self.plan(&input, Purpose::Training, room), Err(BuildError::Sparse { .. }));
        (2 * longest < *width && !is_refused()).then_some(longest)
    }

    /// Builds the model in an empty world: on no rows, it takes hardly any memory.
    pub(super) fn plan(&self, input: &Input, purpose: Purpose, room: Room) -> Result<Plan, BuildError> {
        let mut world = World::new();
        let graph = Graph::spawn(&mut world);
        let signal = input.register(&mut world)?;
        let mut builder = self.model_for(purpose, graph, signal, 0).planned(room);
        if let Some(width) = input.edges {
            let edges = world.get::<Graph>(graph).map(|graph| graph.edges).ok_or(BuildError::NoGraph(graph))?;
            builder = builder.edge_input(Field::register(&mut world, "edge features", edges, width)?);
        }
        let entity = builder.build(&mut world)?;
        let rows = *world.get::<Graph>(graph).ok_or(BuildError::NoGraph(graph))?;
        let model = world.get::<Model>(entity).cloned().ok_or(BuildError::NoModel(entity))?;
        let output = match model.output.domain() {
            on if on == rows.nodes => Rows::Nodes,
            on if on == rows.edges => Rows::Edges,
            _ => Rows::Graphs,
        };
        let mut size = ModelSize::default();
        for column in &model.columns {
            match column.domain() {
                on if on == rows.nodes => size.nodes.add(column.width()),
                on if on == rows.edges => size.edges.add(column.width()),
                _ => size.graphs.add(column.width()),
            }
        }
        for parameter in model.parameters.iter().filter_map(|entity| world.get::<Parameter>(*entity)) {
            let [value, gradient, moments] = [Some(parameter.value), parameter.gradient, parameter.moments]
                .map(|field| field.map_or(0, |field| field.width()));
            size.values += value;
            size.learned += gradient;
            size.numbers = [value, gradient, moments].into_iter().fold(size.numbers, usize::saturating_add);
            if self.training.accumulation_steps > 1 {
                // The sum of gradients moves the parameter to another table, and the first one stays.
                size.numbers =
                    [value, gradient, gradient, moments].into_iter().fold(size.numbers, usize::saturating_add);
            }
        }
        if purpose == Purpose::Training {
            // The best values so far.
            size.numbers = size.numbers.saturating_add(size.values);
        }
        size.normalizations = world.get::<Topology>(graph).map_or(0, |topology| topology.normalizations.len());
        Ok(Plan { output, width: model.output.width(), size })
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
        let nodes = world.register_component::<GraphNode>();
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
