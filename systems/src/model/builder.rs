//! The builder of models.

use bevy_ecs::entity::Entity;
use connectome_components::{
    FeatureField, Features, Field, GradientAccumulation, GradientClipping, LearningRateSchedule, Loss, Optimizer,
};
use std::sync::Arc;

use crate::{layers::Layer, program::ProgramLimits};

use super::{
    Act, Head, Observe,
    components::{ComponentBinding, RowSystem},
    input::Input,
    kinds::{EdgeRelation, NodeKind},
};

/// Describes a model; [`WorldModelExt::spawn_model`](crate::WorldModelExt::spawn_model) builds it in a world.
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
#[derive(Clone)]
pub struct ModelBuilder {
    pub(super) name: String,
    pub(super) graph: Entity,
    pub(super) input: Input,
    /// The name of its own kind of nodes, the others, and the relations between them.
    pub(super) own_kind: String,
    pub(super) kinds: Vec<NodeKind>,
    pub(super) relations: Vec<EdgeRelation>,
    pub(super) edges: Option<Input>,
    pub(super) coordinates: Option<Input>,
    /// Inputs whose gradient is requested, each with the field that receives it.
    pub(super) input_gradients: Vec<(Field, Field)>,
    pub(super) layers: Vec<Arc<dyn Layer>>,
    pub(super) seed: u64,
    pub(super) limits: ProgramLimits,
    pub(super) keeps_attention: bool,
    pub(super) is_for_samples: bool,
    pub(super) optimizer: Option<Optimizer>,
    pub(super) schedule: LearningRateSchedule,
    /// The only head, if `heads` is empty.
    output: Head,
    /// Whether a setting of that head was changed.
    pub(super) is_output_set: bool,
    pub(super) heads: Vec<Head>,
    /// The component that holds the targets of the first head.
    pub(super) target_component: Option<ComponentBinding>,
    /// The component to which the output of the first head is written.
    pub(super) written: Option<ComponentBinding>,
    /// The components of the input.
    pub(super) components: Vec<ComponentBinding>,
    /// The function that computes the input from components, for an observed input.
    pub(super) observer: Option<RowSystem>,
    /// The functions that write the output to components.
    pub(super) actors: Vec<RowSystem>,
    pub(super) accumulation: Option<GradientAccumulation>,
    pub(super) clipping: Option<GradientClipping>,
}

impl ModelBuilder {
    /// A model on the nodes of `graph`, with an input of width 1, no layers, and no optimizer.
    pub fn new(graph: Entity) -> Self {
        Self {
            name: "model".to_owned(),
            graph,
            input: Input::Width(1),
            own_kind: "node".to_owned(),
            kinds: Vec::new(),
            relations: Vec::new(),
            edges: None,
            coordinates: None,
            input_gradients: Vec::new(),
            layers: Vec::new(),
            seed: 0,
            limits: ProgramLimits::default(),
            keeps_attention: false,
            is_for_samples: false,
            optimizer: None,
            schedule: LearningRateSchedule::Constant,
            output: Head::new("output"),
            is_output_set: false,
            heads: Vec::new(),
            target_component: None,
            written: None,
            components: Vec::new(),
            observer: None,
            actors: Vec::new(),
            accumulation: None,
            clipping: None,
        }
    }

    /// Sets the name of the model's entity.
    pub fn name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Reads a new field of this width, [`Model::input`](connectome_components::Model::input).
    pub fn input_width(mut self, width: usize) -> Self {
        self.input = Input::Width(width);
        self
    }

    /// Reads sparse features, of whose `width` values in a row at most `stored` are not 0. Only for a dry run; to build
    /// the model, use [`ModelBuilder::input`].
    pub fn sparse_input_width(mut self, width: usize, stored: usize) -> Self {
        self.input = Input::Sparse { width, stored };
        self
    }

    /// Reads existing fields.
    pub fn input(mut self, features: impl Into<FeatureField>) -> Self {
        self.input = Input::Given(features.into());
        self
    }

    /// Reads a component of the nodes: in place if it is `Pod`, otherwise copied by [`Features`]. Its default is
    /// inserted into nodes that lack it.
    ///
    /// Called several times, the input is the components side by side, in this order; each is copied. So systems that write
    /// different ones of them do not conflict.
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
        self.input.add_component::<T>(&mut self.components);
        self
    }

    /// Reads the array that a function computes from components of each node, such as `|(position, speed): (&Position,
    /// &Speed)| [position.x, position.y, speed.0]`. The parameter needs a type annotation. The input of nodes that lack
    /// one of the components is 0.
    ///
    /// It is called after the systems in [`GraphSystems::Observe`](crate::GraphSystems::Observe), in all schedules of
    /// the model.
    pub fn observe<Marker, const WIDTH: usize>(mut self, observe: impl Observe<Marker, WIDTH>) -> Self {
        let observe = Arc::new(observe);
        self.observer = Some(Arc::new(move |world, rows| Arc::clone(&observe).system(world, rows)));
        self.input = Input::Observed(WIDTH);
        self
    }

    /// Writes the output to a component of its nodes, edges or subgraphs, in all schedules of the model: in place if it
    /// is `Pod`, otherwise copied by [`Features`]. It is marked as changed, for `Changed<T>`. Its default is inserted
    /// into entities that lack it.
    ///
    /// If the model also reads the component, or calls functions by [`ModelBuilder::act`], the output is always copied,
    /// before [`GraphSystems::Act`](crate::GraphSystems::Act).
    pub fn writes<T: Features>(mut self) -> Self {
        self.written = Some(ComponentBinding::of::<T>());
        self
    }

    /// Calls a function with each row of the output and components of its entity, such as `|output: &[f32], steering:
    /// &mut Steering| steering.0 = output[0]`. The parameters need type annotations; in a tuple of components, mutable
    /// ones come first. Entities that lack one of them are skipped.
    ///
    /// It is called before the systems in [`GraphSystems::Act`](crate::GraphSystems::Act), in all schedules of the
    /// model; several functions in the order in which they were added.
    pub fn act<Marker>(mut self, act: impl Act<Marker>) -> Self {
        let act = Arc::new(act);
        self.actors.push(Arc::new(move |world, rows| Arc::clone(&act).system(world, rows)));
        self
    }

    /// Reads a component of the edges as edge features; see [`ModelBuilder::reads`].
    pub fn reads_edges<T: Features>(mut self) -> Self {
        self.edges = Some(Input::Component(ComponentBinding::of::<T>()));
        self
    }

    /// Reads existing fields as edge features, for the layers that read them.
    pub fn edge_input(mut self, features: impl Into<FeatureField>) -> Self {
        self.edges = Some(Input::Given(features.into()));
        self
    }

    /// Reads a new field of this width as edge features.
    pub fn edge_input_width(mut self, width: usize) -> Self {
        self.edges = Some(Input::Width(width));
        self
    }

    /// Reads an existing field, such as `[N, 3]`, as coordinates of the nodes, for the layers that update them. The
    /// result is [`Model::coordinates`](connectome_components::Model::coordinates); a system of yours in
    /// [`GraphSystems::Act`](crate::GraphSystems::Act) may copy it back.
    pub fn coordinates(mut self, features: impl Into<FeatureField>) -> Self {
        self.coordinates = Some(Input::Given(features.into()));
        self
    }

    /// Writes the gradient of the loss with respect to an input in each training step: `input` is a field given for
    /// node features, edge features or coordinates, `gradient` a field of the same width on the same rows.
    pub fn input_gradient(mut self, input: Field, gradient: Field) -> Self {
        self.input_gradients.push((input, gradient));
        self
    }

    /// Names the kind of the nodes of the model's graph, for relations; `node` by default.
    pub fn kind_name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.own_kind);
        self
    }

    /// Adds another kind of nodes with what is read of them. Layers are applied to each kind with parameters of its own, but
    /// for those that pass messages along relations.
    pub fn kind(mut self, kind: NodeKind) -> Self {
        self.kinds.push(kind);
        self
    }

    /// Adds a relation, along which layers as [`HeteroConv`](crate::layers::HeteroConv) pass messages from nodes of one kind to
    /// those of another, or of the same.
    ///
    /// ```
    /// use bevy_ecs::prelude::*;
    /// use bytemuck::{Pod, Zeroable};
    /// use connectome_components::{Edge, Graph};
    /// use connectome_systems::{
    ///     EdgeRelation, ModelBuilder, NodeKind, WorldModelExt,
    ///     layers::{HeteroConv, Linear, SageConv},
    /// };
    ///
    /// #[derive(Component, Clone, Copy, Default, Pod, Zeroable)]
    /// #[repr(C)]
    /// struct Player([f32; 3]);
    /// #[derive(Component, Clone, Copy, Default, Pod, Zeroable)]
    /// #[repr(C)]
    /// struct Item([f32; 5]);
    /// #[derive(Component)]
    /// struct Owns;
    ///
    /// let mut world = World::new();
    /// let owns = Graph::relation::<Player, Owns, Item>(&mut world);
    /// let owned_by = Graph::reversed(&mut world, owns).unwrap();
    /// let model = ModelBuilder::new(owned_by)
    ///     .kind_name("player")
    ///     .reads::<Player>()
    ///     .kind(NodeKind::new("item").reads::<Item>())
    ///     .relation(EdgeRelation::new("owns", owns, ["player", "item"]))
    ///     .relation(EdgeRelation::new("owned_by", owned_by, ["item", "player"]))
    ///     .layer(HeteroConv::new(SageConv::new(8)))
    ///     .layer(Linear::new(2));
    /// let model = world.spawn_model(model)?;
    /// let (player, sword) = (world.spawn(Player::default()).id(), world.spawn(Item::default()).id());
    /// world.spawn((Edge { source: player, target: sword }, Owns));
    /// world.infer(model)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn relation(mut self, relation: EdgeRelation) -> Self {
        self.relations.push(relation);
        self
    }

    /// Reads the previous output of the model: a state of this width for each node, double-buffered and swapped in
    /// [`GraphSystems::Commit`](crate::GraphSystems::Commit). Such a model cannot be trained yet.
    pub fn recurrent(mut self, width: usize) -> Self {
        self.input = Input::State(width);
        self
    }

    /// Appends a layer.
    pub fn layer(mut self, layer: impl Layer + 'static) -> Self {
        self.layers.push(Arc::new(layer));
        self
    }

    /// Sets bounds on the size of the program; a layer that exceeds one of them is refused.
    pub fn limits(mut self, limits: ProgramLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Keeps the weights of attention to neighbors in [`Model::kept`](connectome_components::Model::kept), for pictures and
    /// explanations: a field `[E, heads]` for each such layer, in order, before other kept values.
    pub fn keep_attention(mut self) -> Self {
        self.keeps_attention = true;
        self
    }

    /// Prepares the model for samples of neighborhoods, as [`Extract::sample_neighbors`](crate::batch::Extract::sample_neighbors)
    /// draws them: convolutions that may do either sum over neighbors before they multiply, because few rows receive what
    /// many send. Otherwise the narrower of both is summed. It changes results by rounding alone.
    pub fn for_samples(mut self) -> Self {
        self.is_for_samples = true;
        self
    }

    /// Sets the random seed of initialization and training; 0 by default.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Trains the model by this optimizer, in the schedule [`Train`](crate::Train). A
    /// [`Split`](connectome_components::Split) is inserted into the nodes, edges or subgraphs of the output, and a
    /// [`ClassLabel`](connectome_components::ClassLabel) if the loss takes classes.
    pub fn optimizer(mut self, optimizer: Optimizer) -> Self {
        self.optimizer = Some(optimizer);
        self
    }

    /// Sets the learning rate schedule; [`LearningRateSchedule::Constant`] by default. It has no effect without an
    /// [optimizer](Self::optimizer).
    pub fn learning_rate_schedule(mut self, schedule: LearningRateSchedule) -> Self {
        self.schedule = schedule;
        self
    }

    /// Appends a head. All heads read the output of the layers of the model. Without heads, the model has the one head
    /// `output`, which is configured by [`loss`](Self::loss), [`targets`](Self::targets) and
    /// [`external_gradient`](Self::external_gradient).
    ///
    /// ```
    /// use bevy_ecs::prelude::*;
    /// use connectome_components::{Graph, Loss, Model, Optimizer};
    /// use connectome_systems::{Head, ModelBuilder, layers::{GcnConv, Linear}};
    ///
    /// let mut world = World::new();
    /// let graph = Graph::spawn(&mut world);
    /// let model = ModelBuilder::new(graph)
    ///     .input_width(3)
    ///     .layer(GcnConv::new(8))
    ///     .head(Head::new("species").layer(Linear::new(4)))
    ///     .head(Head::new("mass").layer(Linear::new(1)).loss(Loss::MeanSquaredError).weight(0.1))
    ///     .optimizer(Optimizer::adam(0.01))
    ///     .build(&mut world)?;
    /// let mass = world.get::<Model>(model).and_then(|model| model.head("mass")).unwrap();
    /// assert_eq!(mass.output.width(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn head(mut self, head: Head) -> Self {
        self.heads.push(head);
        self
    }

    /// Trains the model to predict a component of its nodes, edges or subgraphs, which is as wide as the output:
    /// minimizes a loss that takes values, by this optimizer. Training rows are those whose
    /// [`Split`](connectome_components::Split) is `Train`.
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
    /// struct Target(f32);
    ///
    /// let mut world = World::new();
    /// let graph = Graph::of::<Mood, Edge>(&mut world);
    /// let model = ModelBuilder::new(graph)
    ///     .reads::<Mood>()
    ///     .layer(GcnConv::new(1))
    ///     .learns::<Target>(Loss::MeanSquaredError, Optimizer::adam(0.1));
    /// let model = world.spawn_model(model)?;
    /// world.spawn((Mood(0.5), Target(1.0), Split::Train));
    /// for _ in 0..100 {
    ///     world.train(model)?;
    /// }
    /// assert!(world.get::<Metrics>(model).unwrap().of(Split::Train).loss() < 1e-2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn learns<T: Features>(self, loss: Loss, optimizer: Optimizer) -> Self {
        self.predicts::<T>().loss(loss).optimizer(optimizer)
    }

    /// Takes the target values of the first head from a component, as [`ModelBuilder::learns`] does, for a loss and an optimizer
    /// that are set elsewhere. It has no effect without an [optimizer](Self::optimizer).
    pub fn predicts<T: Features>(mut self) -> Self {
        self.target_component = Some(ComponentBinding::of::<T>());
        self
    }

    /// Sets the loss; [`Loss::CrossEntropy`] by default.
    pub fn loss(self, loss: Loss) -> Self {
        self.output_head(|head| head.loss(loss))
    }

    /// Sets the field of the target values, for a loss that takes values; by default a new field,
    /// [`Model::targets`](connectome_components::Model::targets).
    pub fn targets(self, targets: Field) -> Self {
        self.output_head(|head| head.targets(targets))
    }

    /// Replaces the loss by an external gradient with respect to the output, as for policy gradients: a system of yours
    /// in [`GraphSystems::Loss`](crate::GraphSystems::Loss) of [`Train`](crate::Train) writes all rows of
    /// [`Model::output_gradient`](connectome_components::Model::output_gradient).
    pub fn external_gradient(self) -> Self {
        self.output_head(Head::external_gradient)
    }

    /// Changes the head `output` of a model to which no [`head`](Self::head) is added.
    pub fn output_head(mut self, change: impl FnOnce(Head) -> Head) -> Self {
        self.output = change(self.output);
        self.is_output_set = true;
        self
    }

    /// As [`ModelBuilder::heads`], to change them.
    pub(super) fn heads_mut(&mut self) -> &mut [Head] {
        if self.heads.is_empty() { core::slice::from_mut(&mut self.output) } else { &mut self.heads }
    }

    /// The heads; at least one.
    pub(super) fn heads(&self) -> &[Head] {
        if self.heads.is_empty() { core::slice::from_ref(&self.output) } else { &self.heads }
    }

    /// Accumulates the gradients of this number of training passes for each optimizer step; see
    /// [`GradientAccumulation`].
    pub fn accumulate_gradients(mut self, micro_batches: u32) -> Self {
        self.accumulation = Some(GradientAccumulation::new(micro_batches));
        self
    }

    /// Clips the norm of the gradient of all parameters together; see [`GradientClipping`].
    pub fn clip_norm(mut self, norm: f32) -> Self {
        self.clipping = Some(GradientClipping::new(norm));
        self
    }
}
