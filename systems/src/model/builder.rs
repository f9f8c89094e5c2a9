//! Describes a model.

use bevy_ecs::{component::ComponentId, entity::Entity, world::World};
use connectome_components::{
    FeatureField, Features, Field, GradientAccumulation, GradientClipping, Graph, LearningRateSchedule, Loss, Optimizer,
};
use std::sync::Arc;

use crate::{
    error::BuildError,
    layers::Layer,
    program::{Column, Domain, GraphIndex, Program, Shape, Value},
};

use super::{
    Act, DryRun, Head, Observe,
    components::{ComponentBinding, RowSystem},
};

/// Describes a model; [`WorldModelExt::spawn_model`](crate::WorldModelExt::spawn_model) puts it into a world.
///
/// ```
/// use bevy_ecs::prelude::*;
/// use connectome_components::{Edge, Graph, Model, GraphNode};
/// use connectome_systems::{ModelBuilder, WorldModelExt, kernels::Activation, layers::{GcnConv, Linear}};
///
/// let mut world = World::new();
/// let graph = Graph::spawn(&mut world);
/// let model = ModelBuilder::new(graph)
///     .input_width(3)
///     .layer(GcnConv::new(8))
///     .layer(Activation::Relu)
///     .layer(Linear::new(2));
/// let model = world.spawn_model(model)?;
///
/// let [a, b] = [world.spawn(GraphNode).id(), world.spawn(GraphNode).id()];
/// world.spawn(Edge { source: a, target: b });
/// world.infer(model)?;
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
    /// The only head, if no others are given.
    output: Head,
    /// Whether something was said of that one.
    is_output_set: bool,
    heads: Vec<Head>,
    /// The component that holds the targets of the first head.
    pub(super) target_component: Option<ComponentBinding>,
    /// The component that the output of the first head goes to.
    pub(super) written: Option<ComponentBinding>,
    /// The function that makes the input of components, of an input that is observed.
    pub(super) observer: Option<RowSystem>,
    /// The functions that bring the output into components.
    pub(super) actors: Vec<RowSystem>,
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
    /// A component of the user's.
    Component(ComponentBinding),
    /// What a function of the user's makes of components, so wide.
    Observed(usize),
    /// The model's own last output, so wide.
    State(usize),
}

impl Input {
    fn width(&self) -> usize {
        match self {
            Self::Width(width) | Self::State(width) | Self::Observed(width) | Self::Sparse { width, .. } => *width,
            Self::Component(component) => component.width,
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
            output: Head::new("output"),
            is_output_set: false,
            heads: Vec::new(),
            target_component: None,
            written: None,
            observer: None,
            actors: Vec::new(),
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

    /// Reads a component of the nodes: plain `f32`s as they are, without a copy; others by [`Features`]. Nodes that lack it are
    /// given its default.
    ///
    /// ```
    /// use bevy_ecs::prelude::*;
    /// use bytemuck::{Pod, Zeroable};
    /// use connectome_components::{Edge, Graph};
    /// use connectome_systems::{ModelBuilder, WorldModelExt, layers::GcnConv};
    ///
    /// #[derive(Component, Clone, Copy, Default, Pod, Zeroable)]
    /// #[repr(C)]
    /// struct Mood(f32);
    ///
    /// #[derive(Component, Clone, Copy, Default, Pod, Zeroable)]
    /// #[repr(C)]
    /// struct Steering([f32; 2]);
    ///
    /// let mut world = World::new();
    /// let graph = Graph::of::<Mood, Edge>(&mut world);
    /// let model = ModelBuilder::new(graph).reads::<Mood>().layer(GcnConv::new(2)).writes::<Steering>();
    /// let model = world.spawn_model(model)?;
    /// let [ann, bob] = [0.2, 0.9].map(|mood| world.spawn(Mood(mood)).id());
    /// world.spawn(Edge { source: ann, target: bob });
    /// world.infer(model)?;
    /// assert_ne!(world.get::<Steering>(bob).unwrap().0, [0.0; 2]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reads<T: Features>(mut self) -> Self {
        self.input = Input::Component(ComponentBinding::of::<T>());
        self
    }

    /// Reads what a function makes of the components of each node, such as
    /// `|(place, speed): (&Place, &Speed)| [place.x, place.y, speed.0]`: as many numbers as the array has. The types of the
    /// parameter are to be written. Nodes that lack one of the components are given zeros.
    ///
    /// It is called after the systems in [`GraphSystems::Observe`](crate::GraphSystems::Observe), in all schedules of the model.
    pub fn observe<Marker, const WIDTH: usize>(mut self, observe: impl Observe<Marker, WIDTH>) -> Self {
        let observe = Arc::new(observe);
        self.observer = Some(Arc::new(move |world, rows| Arc::clone(&observe).system(world, rows)));
        self.input = Input::Observed(WIDTH);
        self
    }

    /// Writes the output to a component of the rows that it has, nodes, edges or subgraphs, in all schedules of the model: plain
    /// `f32`s as they are, without a copy; others by [`Features`]. Then it counts as changed, for `Changed<T>`. Rows that lack it
    /// are given its default.
    ///
    /// A component that the model reads as well, and one of a model that acts by functions, too, is copied to before
    /// [`GraphSystems::Act`](crate::GraphSystems::Act).
    pub fn writes<T: Features>(mut self) -> Self {
        self.written = Some(ComponentBinding::of::<T>());
        self
    }

    /// Calls a function with each row of the output and components of its entity, such as
    /// `|output: &[f32], steering: &mut Steering| steering.0 = output[0]`. The types of the parameters are to be written; of
    /// a tuple of components those that are written come first. Entities that lack one of them are passed over.
    ///
    /// It is called before the systems in [`GraphSystems::Act`](crate::GraphSystems::Act), in all schedules of the model; several
    /// in the order in which they were given.
    pub fn act<Marker>(mut self, act: impl Act<Marker>) -> Self {
        let act = Arc::new(act);
        self.actors.push(Arc::new(move |world, rows| Arc::clone(&act).system(world, rows)));
        self
    }

    /// Reads a component of the edges as their features, as [`ModelBuilder::reads`] does one of the nodes.
    pub fn reads_edges<T: Features>(mut self) -> Self {
        self.edges = Some(Input::Component(ComponentBinding::of::<T>()));
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

    /// Adds a head after those added before, all of them on what the layers of the model compute. A model without any has the
    /// one head `output`, which [`loss`](Self::loss), [`targets`](Self::targets) and
    /// [`external_gradient`](Self::external_gradient) describe.
    ///
    /// ```
    /// use bevy_ecs::prelude::*;
    /// use connectome_components::{Graph, LearningRateSchedule, Loss, Model, Optimizer};
    /// use connectome_systems::{Head, ModelBuilder, layers::{GcnConv, Linear}};
    ///
    /// let mut world = World::new();
    /// let graph = Graph::spawn(&mut world);
    /// let model = ModelBuilder::new(graph)
    ///     .input_width(3)
    ///     .layer(GcnConv::new(8))
    ///     .head(Head::new("species").layer(Linear::new(4)))
    ///     .head(Head::new("mass").layer(Linear::new(1)).loss(Loss::MeanSquaredError).weight(0.1))
    ///     .learn(Optimizer::adam(0.01), LearningRateSchedule::Constant)
    ///     .build(&mut world)?;
    /// let mass = world.get::<Model>(model).and_then(|model| model.head("mass")).unwrap();
    /// assert_eq!(mass.output.width(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn head(mut self, head: Head) -> Self {
        self.heads.push(head);
        self
    }

    /// Lets the output of the model become a component of the rows that it has, which is as wide: minimizes a loss that takes
    /// values, at a constant learning rate. Rows learn whose [`Split`](connectome_components::Split) is `Train`.
    ///
    /// ```
    /// use bevy_ecs::prelude::*;
    /// use bytemuck::{Pod, Zeroable};
    /// use connectome_components::{Edge, Graph, Loss, Metrics, Optimizer, Split};
    /// use connectome_systems::{ModelBuilder, WorldModelExt, layers::GcnConv};
    ///
    /// #[derive(Component, Clone, Copy, Default, Pod, Zeroable)]
    /// #[repr(C)]
    /// struct Mood(f32);
    ///
    /// #[derive(Component, Clone, Copy, Default, Pod, Zeroable)]
    /// #[repr(C)]
    /// struct Wanted(f32);
    ///
    /// let mut world = World::new();
    /// let graph = Graph::of::<Mood, Edge>(&mut world);
    /// let model = ModelBuilder::new(graph)
    ///     .reads::<Mood>()
    ///     .layer(GcnConv::new(1))
    ///     .learns::<Wanted>(Loss::MeanSquaredError, Optimizer::adam(0.1));
    /// let model = world.spawn_model(model)?;
    /// world.spawn((Mood(0.5), Wanted(1.0), Split::Train));
    /// for _ in 0..100 {
    ///     world.train(model)?;
    /// }
    /// assert!(world.get::<Metrics>(model).unwrap().of(Split::Train).loss() < 1e-2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn learns<T: Features>(mut self, loss: Loss, optimizer: Optimizer) -> Self {
        self.target_component = Some(ComponentBinding::of::<T>());
        self.loss(loss).learn(optimizer, LearningRateSchedule::Constant)
    }

    /// What is minimized; [`Loss::CrossEntropy`] if nothing is said.
    pub fn loss(self, loss: Loss) -> Self {
        self.output_head(|head| head.loss(loss))
    }

    /// The values that the output is to become, for a loss that takes values; without, the model has a field of its own
    /// for them, [`Model::targets`](connectome_components::Model::targets).
    pub fn targets(self, targets: Field) -> Self {
        self.output_head(|head| head.targets(targets))
    }

    /// Takes the gradient with respect to the output from outside in place of a loss, as rewards are learned from: a system of
    /// yours in [`GraphSystems::Loss`](crate::GraphSystems::Loss) of [`Train`](crate::Train) writes
    /// [`Model::output_gradient`](connectome_components::Model::output_gradient), all rows of it.
    pub fn external_gradient(self) -> Self {
        self.output_head(Head::external_gradient)
    }

    /// Changes the one head of a model that [`head`](Self::head) gives none, which is named `output`.
    pub fn output_head(mut self, change: impl FnOnce(Head) -> Head) -> Self {
        self.output = change(self.output);
        self.is_output_set = true;
        self
    }

    /// The heads; at least one.
    pub(super) fn heads(&self) -> &[Head] {
        if self.heads.is_empty() { core::slice::from_ref(&self.output) } else { &self.heads }
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
        self.check_heads()?;
        let mut program = Program::new(self.graph);
        let wanted = |field: Field| self.wanted.iter().any(|(wanted, _)| *wanted == field);
        let mut add = |name: &str, input: &Input, usual: Domain| -> Result<Value, BuildError> {
            let domain = input.given().map_or(Ok(usual), |features| domain(features.values()))?;
            let shape = Shape::new(domain, input.width());
            Ok(match input {
                Input::Sparse { stored, .. } => program.sparse_input(name, shape, *stored),
                Input::Given(FeatureField::Sparse { values, .. }) => program.sparse_input(name, shape, values.width()),
                Input::Given(FeatureField::Dense(value)) => program.input(name, shape, wanted(*value)),
                Input::Width(_) | Input::Component(_) | Input::Observed(_) => program.input(name, shape, false),
                Input::State(_) => program.state(name, shape),
            })
        };
        let input = add("input", &self.input, Domain::Nodes)?;
        let edges = self.edges.map(|edges| add("edge features", &edges, Domain::Edges(GraphIndex(0)))).transpose()?;
        let coordinates = self.coordinates.map(|place| add("coordinates", &place, Domain::Nodes)).transpose()?;
        edges.into_iter().for_each(|edges| program.set_edge_features(edges));
        coordinates.into_iter().for_each(|coordinates| program.set_coordinates(coordinates));
        let trunk = program.layers(&self.layers, input)?;
        let mut first = self.layers.len();
        for head in self.heads() {
            let mut output = program.head_layers(&head.name, first, &head.layers, trunk)?;
            first += head.layers.len();
            output = program.dense(output)?;
            if let Input::State(width) = self.input {
                output = self.next_state(&program, input, output, width)?;
            }
            program.head(&head.name, output);
        }
        if coordinates.is_some() {
            let moved = program.coordinates()?;
            program.keep(moved);
        }
        Ok(program)
    }

    fn check_heads(&self) -> Result<(), BuildError> {
        if self.layers.is_empty() && self.heads().iter().any(|head| head.layers.is_empty()) {
            return Err(BuildError::Empty);
        }
        let error =
            |head: &str, reason: &str| Err(BuildError::Head { head: head.to_owned(), reason: reason.to_owned() });
        if let (Some(head), true) = (self.heads.first(), self.is_output_set) {
            let reason = "stands beside a loss, targets or an external gradient of the model; give these to a head";
            return error(&head.name, reason);
        }
        for (number, head) in self.heads.iter().enumerate() {
            if self.heads[..number].iter().any(|other| other.name == head.name) {
                return error(&head.name, "has the name of another; give each a name of its own");
            }
            if head.name.is_empty() || head.name.contains('.') {
                return error(
                    &head.name,
                    "has an empty name or one with a dot, which parts the names of parameters; rename it",
                );
            }
            if matches!(self.input, Input::State(_)) {
                return error(&head.name, "is one of a recurrent model, whose output is its next state; leave it out");
            }
        }
        Ok(())
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
