//! Describes a model.

use bevy_ecs::{component::ComponentId, entity::Entity, world::World};
use connectome_components::{
    FeatureField, Field, GradientAccumulation, GradientClipping, Graph, LearningRateSchedule, Loss, Optimizer,
};

use crate::{
    layers::{BuildError, Layer},
    program::{Column, Domain, GraphIndex, Program, Shape, Value},
};

use super::DryRun;

/// Describes a model; [`ModelBuilder::build`] puts it into a world.
///
/// ```
/// use bevy_ecs::prelude::*;
/// use connectome_components::{Edge, Graph, Model, GraphNode};
/// use connectome_systems::{Infer, ModelBuilder, kernels::Activation, layers::{GcnConv, Linear}, run};
///
/// let mut world = World::new();
/// let graph = Graph::spawn(&mut world);
/// let model = ModelBuilder::new(graph)
///     .input_width(3)
///     .layer(GcnConv::new(8))
///     .layer(Activation::Relu)
///     .layer(Linear::new(2))
///     .build(&mut world)?;
///
/// let [a, b] = [world.spawn(GraphNode).id(), world.spawn(GraphNode).id()];
/// world.spawn(Edge { source: a, target: b });
/// run(&mut world, Infer(model))?;
/// let output = world.get::<Model>(model).map(|model| model.output).unwrap();
/// assert_eq!(output.get(&world, b)?.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ModelBuilder {
    pub(super) name: String,
    pub(super) graph: Entity,
    pub(super) input: Input,
    pub(super) edges: Option<Input>,
    pub(super) coordinates: Option<Input>,
    /// Values given from outside whose gradient is asked for, and where it goes.
    pub(super) wanted: Vec<(Field, Field)>,
    pub(super) layers: Vec<Box<dyn Layer>>,
    pub(super) seed: u64,
    pub(super) learning: Option<Learning>,
    pub(super) loss: Loss,
    pub(super) targets: Option<Field>,
    /// Whether the gradient with respect to the output comes from outside, in place of a loss.
    pub(super) is_external: bool,
    pub(super) accumulation: Option<GradientAccumulation>,
    pub(super) clipping: Option<GradientClipping>,
}

/// What a model is given from outside.
#[derive(Clone, Copy, Debug)]
pub(super) enum Input {
    /// A field of the model's own, so wide.
    Width(usize),
    /// The same, of which so many numbers of each row are stored: for a dry run.
    Sparse { width: usize, stored: usize },
    /// Fields that exist already.
    Given(FeatureField),
    /// The model's own last output, so wide.
    State(usize),
}

impl Input {
    fn width(&self) -> usize {
        match self {
            Self::Width(width) | Self::State(width) | Self::Sparse { width, .. } => *width,
            Self::Given(features) => features.width(),
        }
    }

    /// The field that is given.
    pub(super) fn given(&self) -> Option<FeatureField> {
        match self {
            Self::Given(features) => Some(*features),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Learning {
    pub(super) optimizer: Optimizer,
    pub(super) schedule: LearningRateSchedule,
}

impl ModelBuilder {
    /// A model over the nodes of `graph`, with an input of width 1, no layers, and nothing to learn.
    pub fn new(graph: Entity) -> Self {
        Self {
            name: "model".to_owned(),
            graph,
            input: Input::Width(1),
            edges: None,
            coordinates: None,
            wanted: Vec::new(),
            layers: Vec::new(),
            seed: 0,
            learning: None,
            loss: Loss::CrossEntropy,
            targets: None,
            is_external: false,
            accumulation: None,
            clipping: None,
        }
    }

    /// The name of its entity.
    pub fn name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Reads a field of its own, so many numbers wide.
    pub fn input_width(mut self, width: usize) -> Self {
        self.input = Input::Width(width);
        self
    }

    /// Reads sparse features: at most `stored` of `width` numbers of each row are not 0. For a dry run; a model in a world is
    /// given its fields.
    pub fn sparse_input_width(mut self, width: usize, stored: usize) -> Self {
        self.input = Input::Sparse { width, stored };
        self
    }

    /// Reads fields that exist already.
    pub fn input(mut self, features: impl Into<FeatureField>) -> Self {
        self.input = Input::Given(features.into());
        self
    }

    /// Features of the edges, for the layers that read them.
    pub fn edge_input(mut self, features: impl Into<FeatureField>) -> Self {
        self.edges = Some(Input::Given(features.into()));
        self
    }

    /// Features of the edges, so many numbers wide, in a field of the model's own.
    pub fn edge_input_width(mut self, width: usize) -> Self {
        self.edges = Some(Input::Width(width));
        self
    }

    /// Coordinates of the nodes, for the layers that move them: a field of the nodes such as `[N, 3]`. Where they have moved to
    /// is [`Model::coordinates`](connectome_components::Model::coordinates); a system of yours in
    /// [`GraphSystems::Act`](crate::GraphSystems::Act) can bring it back.
    pub fn coordinates(mut self, features: impl Into<FeatureField>) -> Self {
        self.coordinates = Some(Input::Given(features.into()));
        self
    }

    /// Asks each training step for the gradient of the loss with respect to a field that the model reads, the input, the
    /// features of the edges or the coordinates, and where it goes: a field of the same width on the same rows.
    pub fn input_gradient(mut self, of: Field, into: Field) -> Self {
        self.wanted.push((of, into));
        self
    }

    /// Reads its own last output: a state of so many numbers for each node, in two buffers that change roles at
    /// [`GraphSystems::Commit`](crate::GraphSystems::Commit). Such a model does not learn yet.
    pub fn recurrent(mut self, width: usize) -> Self {
        self.input = Input::State(width);
        self
    }

    /// Adds a layer after those added before.
    pub fn layer(mut self, layer: impl Layer + 'static) -> Self {
        self.layers.push(Box::new(layer));
        self
    }

    /// What the random numbers of the weights and of training are keyed by.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Lets the model learn the targets of the rows that its output has: nodes, edges or subgraphs. Of these rows each
    /// has a [`Split`](connectome_components::Split), and a [`ClassLabel`](connectome_components::ClassLabel) if the loss takes
    /// classes.
    pub fn learn(mut self, optimizer: Optimizer, schedule: LearningRateSchedule) -> Self {
        self.learning = Some(Learning { optimizer, schedule });
        self
    }

    /// What is minimized; [`Loss::CrossEntropy`] if nothing is said.
    pub fn loss(mut self, loss: Loss) -> Self {
        self.loss = loss;
        self
    }

    /// The values that the output is to become, for a loss that takes values; without, the model has a field of its own
    /// for them, [`Model::targets`](connectome_components::Model::targets).
    pub fn targets(mut self, targets: Field) -> Self {
        self.targets = Some(targets);
        self
    }

    /// Takes the gradient with respect to the output from outside in place of a loss, as rewards are learned from: a system of
    /// yours in [`GraphSystems::Loss`](crate::GraphSystems::Loss) of [`Train`](crate::Train) writes
    /// [`Model::output_gradient`](connectome_components::Model::output_gradient), all rows of it.
    pub fn external_gradient(mut self) -> Self {
        self.is_external = true;
        self
    }

    /// Lets so many training passes make one step of the optimizer; see [`GradientAccumulation`].
    pub fn accumulate_gradients(mut self, micro_batches: u32) -> Self {
        self.accumulation = Some(GradientAccumulation::new(micro_batches));
        self
    }

    /// Shortens the gradient of all parameters together to this length; see [`GradientClipping`].
    pub fn clip_norm(mut self, norm: f32) -> Self {
        self.clipping = Some(GradientClipping::new(norm));
        self
    }

    /// Records the program of the model; `domain` are the rows of a field that exists already.
    pub(super) fn program(&self, domain: impl Fn(Field) -> Result<Domain, BuildError>) -> Result<Program, BuildError> {
        if self.layers.is_empty() {
            return Err(BuildError::Empty);
        }
        let mut program = Program::new(self.graph);
        let wanted = |field: Field| self.wanted.iter().any(|(wanted, _)| *wanted == field);
        let mut add = |name: &str, input: &Input, usual: Domain| -> Result<Value, BuildError> {
            let domain = input.given().map_or(Ok(usual), |features| domain(features.values()))?;
            let shape = Shape::new(domain, input.width());
            Ok(match input {
                Input::Sparse { stored, .. } => program.sparse_input(name, shape, *stored),
                Input::Given(FeatureField::Sparse { values, .. }) => program.sparse_input(name, shape, values.width()),
                Input::Given(FeatureField::Dense(value)) => program.input(name, shape, wanted(*value)),
                Input::Width(_) => program.input(name, shape, false),
                Input::State(_) => program.state(name, shape),
            })
        };
        let input = add("input", &self.input, Domain::Nodes)?;
        let edges = self.edges.map(|edges| add("edge features", &edges, Domain::Edges(GraphIndex(0)))).transpose()?;
        let coordinates = self.coordinates.map(|place| add("coordinates", &place, Domain::Nodes)).transpose()?;
        edges.into_iter().for_each(|edges| program.set_edge_features(edges));
        coordinates.into_iter().for_each(|coordinates| program.set_coordinates(coordinates));
        let mut output = program.layers(&self.layers, input)?;
        output = program.dense(output)?;
        if let Input::State(width) = self.input {
            output = self.next_state(&program, input, output, width)?;
        }
        program.head("output", output);
        if coordinates.is_some() {
            let moved = program.coordinates()?;
            program.keep(moved);
        }
        Ok(program)
    }

    /// The output of a recurrent model, which is written to where the next step reads it.
    fn next_state(&self, program: &Program, input: Value, output: Value, width: usize) -> Result<Value, BuildError> {
        if output.shape() != input.shape() {
            let found = output.width();
            return Err(program.error(format!("is {found} wide, but the model's state is {width} wide")));
        }
        Ok(output)
    }
}

impl ModelBuilder {
    /// Sees that a recurrent model writes its state outside of training, too.
    pub(super) fn check_state(&self, planned: &DryRun) -> Result<(), BuildError> {
        let output = planned.inference.output(0).and_then(|output| planned.inference.column(output));
        match (self.input, output) {
            (Input::State(_), Some(Column::Layout(_))) => Ok(()),
            (Input::State(_), _) => {
                let reason = "hands its input on, so the next state is never written; end with a layer that computes";
                Err(BuildError::Layer { layer: self.layers.len() - 1, setting: None, reason: reason.to_owned() })
            }
            _ => Ok(()),
        }
    }
}

/// The rows of a field on a graph's nodes, edges or subgraphs.
pub(super) fn domain_of(world: &World, rows: Graph, field: Field) -> Result<Domain, BuildError> {
    let on = |component: ComponentId| component == field.domain();
    match field.domain() {
        _ if on(rows.nodes) => Ok(Domain::Nodes),
        _ if on(rows.edges) => Ok(Domain::Edges(GraphIndex(0))),
        _ if on(rows.subgraphs) => Ok(Domain::Subgraphs(GraphIndex(0))),
        _ => Err(BuildError::OtherRows { field: field.name(world) }),
    }
}
