//! The builder of models.

mod inputs;
mod learning;

use bevy_ecs::entity::Entity;
use connectome_components::{Field, GradientAccumulation, GradientClipping, LearningRateSchedule, Optimizer};
use std::sync::Arc;

use crate::{layers::Layer, program::ProgramLimits};

use super::{
    Head,
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
}
