//! The builder of mixtures of experts.

use bevy_ecs::{component::ComponentId, entity::Entity, world::World};
use connectome_components::{Expert, Field, FieldPool, GateLosses, Graph, Mixing, MixtureOfExperts, Model};

use super::{
    Experts, attach,
    competition::Competition,
    member::{Member, same_rows, same_width},
    part::Part,
    step::Mixture,
};
use crate::{
    error::{BuildError, MixtureError},
    layers::{Layer, Linear},
    model::{ModelBuilder, input::Input, remove_model},
    operators::copy,
    program::{Program, Value},
};

/// Describes a mixture of experts; [`WorldModelExt::spawn_mixture`](crate::WorldModelExt::spawn_mixture) builds it in a
/// world.
///
/// ```
/// use bevy_ecs::prelude::*;
/// use connectome_components::{Field, Graph, GraphNode, InSubgraph, Loss, MixtureOfExperts, Optimizer, Split, Subgraph};
/// use connectome_systems::{MixtureBuilder, ModelBuilder, WorldModelExt, layers::{GinConv, Linear, Mlp, Readout}};
///
/// let mut world = World::new();
/// let graph = Graph::spawn(&mut world);
/// let nodes = world.register_component::<GraphNode>();
/// let features = Field::register(&mut world, "features", nodes, 2)?;
/// let adam = Optimizer::adam(0.01);
/// let gate = ModelBuilder::new(graph).input(features).layer(Readout::Mean).optimizer(adam);
/// let expert = ModelBuilder::new(graph)
///     .input(features)
///     .layer(GinConv::new(Mlp::new([8, 8])))
///     .layer(Readout::Mean)
///     .layer(Linear::new(1))
///     .optimizer(adam);
/// let model = ModelBuilder::new(graph).loss(Loss::MeanSquaredError).optimizer(adam);
/// let mixture = MixtureBuilder::new(gate, model).expert(expert.clone()).expert(expert).top_k(1);
/// let mixture = world.spawn_mixture(mixture)?;
///
/// for _ in 0..4 {
///     let subgraph = world.spawn((Subgraph, Split::Train)).id();
///     world.spawn((GraphNode, InSubgraph(subgraph)));
/// }
/// world.train(mixture)?;
/// let rows: usize = world.get::<MixtureOfExperts>(mixture).unwrap().experts.iter().map(|expert| expert.rows).sum();
/// assert_eq!(rows, 4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct MixtureBuilder {
    pub(super) gate: ModelBuilder,
    pub(super) model: ModelBuilder,
    pub(super) experts: Vec<ModelBuilder>,
    pub(super) top_k: Option<usize>,
    mixing: Mixing,
    loss_weights: GateLosses,
    pub(super) noise: f32,
    pub(super) competition: Option<f32>,
    side_by_side: bool,
}

impl MixtureBuilder {
    /// A mixture, so far without experts.
    ///
    /// `gate` computes the features of nodes or subgraphs by which experts are chosen; a [`Linear`] layer is appended
    /// that makes a logit of each expert of them. `model` reads what the experts predict together, `[R, F]`, and has the
    /// heads, losses and metrics; without layers it predicts just that. If it is given an input, that is what gate and
    /// experts read that have none of their own; the same for features of edges and coordinates. Each is trained if it
    /// has an optimizer.
    pub fn new(gate: ModelBuilder, model: ModelBuilder) -> Self {
        Self {
            gate,
            model,
            experts: Vec::new(),
            top_k: None,
            mixing: Mixing::Values,
            loss_weights: GateLosses::default(),
            noise: 0.0,
            competition: None,
            side_by_side: true,
        }
    }

    /// Appends an expert: a model on the same nodes, without a head or loss, that predicts the rows of the gate, or nodes
    /// where the gate chooses for subgraphs. It is trained if it has an optimizer.
    ///
    /// It is built in a world of its own, where its inputs are copies of the rows that it computes: they are fields, or
    /// components that are `Pod`. Of an expert on nodes these are also the nodes from which messages
    /// reach the rows. Its seed is increased by its index, so that like experts begin differently.
    pub fn expert(mut self, expert: ModelBuilder) -> Self {
        self.experts.push(expert);
        self
    }

    /// Sets the number of experts that compute each row; see [`MixtureOfExperts::top_k`].
    pub fn top_k(mut self, top_k: usize) -> Self {
        self.top_k = Some(top_k);
        self
    }

    /// Sets how the outputs of experts are summed; [`Mixing::Values`] by default.
    pub fn mixing(mut self, mixing: Mixing) -> Self {
        self.mixing = mixing;
        self
    }

    /// Sets the weights of the auxiliary losses of the gate; 0 by default.
    pub fn loss_weights(mut self, weights: GateLosses) -> Self {
        self.loss_weights = weights;
        self
    }

    /// Sets the noise by which experts are chosen in training; 0 by default. See [`MixtureOfExperts::noise`].
    pub fn noise(mut self, noise: f32) -> Self {
        self.noise = noise;
        self
    }

    /// Lets experts compete, instead of learning what their sum gets wrong; see [`MixtureOfExperts::competition`]. The model
    /// has no layers then, and one head with a built-in loss.
    pub fn competition(mut self, competition: f32) -> Self {
        self.competition = Some(competition);
        self
    }

    /// Sets whether experts are computed side by side; true by default. See [`MixtureOfExperts::side_by_side`].
    pub fn side_by_side(mut self, side_by_side: bool) -> Self {
        self.side_by_side = side_by_side;
        self
    }

    /// Builds the mixture; returns the entity of its model, which has a [`MixtureOfExperts`]. Its schedules are
    /// [`Infer`], and with an optimizer [`Train`] and [`Evaluate`].
    ///
    /// A step runs the gate, copies each row to the experts that were chosen for it, runs these, and then the model; in
    /// training gradients are copied back in the same way, and all optimizers take their steps, or none of them if a gradient is
    /// not finite. An expert without rows is skipped: its weights, moments and count of steps stay as they are. Sums
    /// follow the order of experts and of keys, so neither workers nor the way of running experts change a bit.
    ///
    /// [`Infer`]: crate::Infer
    /// [`Train`]: crate::Train
    /// [`Evaluate`]: crate::Evaluate
    ///
    /// # Errors
    /// Those of [`ModelBuilder::build`] for each model; and if there is no expert, they predict other rows than the gate
    /// or differ in rows or width, or one has a head, loss or targets of its own or an input that cannot be copied.
    pub fn build(self, world: &mut World) -> Result<Entity, BuildError> {
        let mut built = Built::default();
        match built.build(world, self.with_shared_inputs()) {
            Ok(mixture) => Ok(mixture),
            Err(error) => {
                for model in built.model.into_iter().chain(built.gate) {
                    Part::remove_all(world, model);
                    remove_model(world, model)?;
                }
                FieldPool::give_back(world, built.fields);
                Err(error)
            }
        }
    }
}

impl MixtureBuilder {
    /// Gives gate and experts what the model reads and they do not, and the model's bounds on programs.
    pub(super) fn with_shared_inputs(mut self) -> Self {
        let given = |input: &Input| !matches!(input, Input::Width(1));
        let model = &mut self.model;
        let input = core::mem::replace(&mut model.input, Input::Width(1));
        let (observer, components) = (model.observer.take(), core::mem::take(&mut model.components));
        for part in core::iter::once(&mut self.gate).chain(&mut self.experts) {
            if given(&input) && !given(&part.input) {
                part.input = input;
                part.observer.clone_from(&observer);
                part.components.clone_from(&components);
            }
            part.edges = part.edges.or(model.edges);
            part.coordinates = part.coordinates.or(model.coordinates);
            part.limits = model.limits;
            part.is_for_samples = model.is_for_samples;
        }
        self
    }
}

/// What has been built so far.
#[derive(Default)]
struct Built {
    gate: Option<Entity>,
    model: Option<Entity>,
    fields: Vec<Field>,
}

impl Built {
    fn build(&mut self, world: &mut World, builder: MixtureBuilder) -> Result<Entity, BuildError> {
        let MixtureBuilder { gate, model, experts, top_k, mixing, loss_weights, noise, competition, side_by_side } =
            builder;
        if experts.is_empty() {
            return Err(MixtureError::NoExperts.into());
        }
        check_top_k(top_k, experts.len())?;
        check_noise(noise)?;
        check_competition(competition)?;
        let graph = gate.graph;
        check_gate(&gate)?;
        check_model(&model, graph)?;
        let gate_model = build_gate(world, &gate, experts.len())?;
        self.gate = Some(gate_model);
        let rows = *world.get::<Graph>(graph).ok_or(BuildError::NoGraph(graph))?;
        let domain = world.get::<Model>(gate_model).ok_or(BuildError::NoModel(gate_model))?.output.domain();
        if domain != rows.nodes && domain != rows.subgraphs {
            return Err(unfit_gate());
        }
        let mut members = Vec::new();
        for (index, expert) in experts.into_iter().enumerate() {
            members.push(Member::new(world, expert, index, (rows, domain))?);
        }
        let widths: Vec<usize> = members.iter().filter_map(Member::width).collect();
        let width = widths[0];
        members.iter().zip(&widths).try_for_each(|(member, found)| same_width(&member.name, *found, width))?;
        let of_nodes = members[0].of_nodes;
        members.iter().try_for_each(|member| same_rows(&member.name, member.of_nodes, of_nodes))?;
        let predicted = if of_nodes { rows.nodes } else { rows.subgraphs };
        let mut take = |world: &mut World, domain: ComponentId, width: usize| -> Result<Field, BuildError> {
            let field = FieldPool::take(world, Some(domain), width)?;
            self.fields.push(field);
            Ok(field)
        };
        let mixed = take(world, predicted, width)?;
        let weights = take(world, domain, members.len())?;
        let gradient = model.optimizer.map(|_| take(world, predicted, width)).transpose()?;
        let described = model.clone();
        let mut model = complete(model).input(mixed);
        if let Some(gradient) = gradient {
            model = model.input_gradient(mixed, gradient);
        }
        let mixture = model.build(world)?;
        self.model = Some(mixture);
        attach(world, mixture)?;
        let competing = match Competition::new(world, &described, mixture) {
            Err(error) if competition.is_some() && described.optimizer.is_some() => return Err(error),
            competing => competing,
        };
        let experts = members.iter().map(|member| entry(&member.name)).collect();
        let losses = GateLosses::default();
        let component = MixtureOfExperts {
            gate: gate_model,
            top_k,
            mixing,
            loss_weights,
            noise,
            competition,
            side_by_side,
            experts,
            weights,
            losses,
        };
        let state = Mixture::new(world, gate, members, (graph, domain), (mixed, gradient), competing)?;
        let experts = Experts { gate: gate_model, fields: self.fields.clone(), state: Some(Box::new(state)) };
        world.entity_mut(mixture).insert((component, experts));
        Ok(mixture)
    }
}

/// The entry of an expert in the component.
pub(super) fn entry(name: &str) -> Expert {
    Expert { name: name.to_owned(), is_frozen: false, rows: 0, weight: 0.0 }
}

/// Builds a gate for a number of experts.
pub(super) fn build_gate(world: &mut World, gate: &ModelBuilder, experts: usize) -> Result<Entity, BuildError> {
    let gate = gate_builder(gate, experts).build(world)?;
    Part::add_all(world, gate)?;
    Ok(gate)
}

/// The builder of a gate with a logit for each expert.
pub(super) fn gate_builder(gate: &ModelBuilder, experts: usize) -> ModelBuilder {
    gate.clone().layer(Linear::new(experts)).trained_from_outside()
}

impl ModelBuilder {
    /// Learns from a gradient that is written from outside, if it learns.
    pub(super) fn trained_from_outside(self) -> Self {
        if self.optimizer.is_some() { self.external_gradient() } else { self }
    }
}

/// The model of a mixture with one layer at least.
pub(super) fn complete(model: ModelBuilder) -> ModelBuilder {
    let is_empty = model.layers.is_empty() && model.heads().iter().any(|head| head.layers.is_empty());
    if is_empty { model.layer(Identity) } else { model }
}

/// Checks how many of the experts compute a row.
pub(super) fn check_top_k(top_k: Option<usize>, experts: usize) -> Result<usize, BuildError> {
    match top_k.unwrap_or(experts) {
        top_k if (1..=experts).contains(&top_k) => Ok(top_k),
        top_k => Err(MixtureError::TopK { top_k, experts }.into()),
    }
}

/// Checks the noise by which experts are chosen.
pub(super) fn check_noise(noise: f32) -> Result<(), BuildError> {
    if noise.is_finite() && noise >= 0.0 { Ok(()) } else { Err(MixtureError::Noise(noise).into()) }
}

/// Checks how sharply experts compete.
pub(super) fn check_competition(competition: Option<f32>) -> Result<(), BuildError> {
    match competition {
        Some(sharpness) if !(sharpness.is_finite() && sharpness > 0.0) => {
            Err(MixtureError::Competition(sharpness).into())
        }
        _ => Ok(()),
    }
}

fn check_gate(gate: &ModelBuilder) -> Result<(), BuildError> {
    if !gate.heads.is_empty() || gate.is_output_set || gate.target_component.is_some() {
        return Err(unfit("the gate", "has a head, a loss or targets; set `loss_weights` of the mixture instead"));
    }
    Ok(())
}

fn check_model(model: &ModelBuilder, graph: Entity) -> Result<(), BuildError> {
    if model.graph != graph {
        return Err(unfit("the model of the mixture", "is on another graph than the gate; give it the same"));
    }
    Ok(())
}

/// The error of the model that reads what experts predict.
pub(super) fn unfit_model(reason: &str) -> BuildError {
    unfit("the model of the mixture", reason)
}

/// The error of a gate for other rows.
pub(super) fn unfit_gate() -> BuildError {
    unfit("the gate", "chooses for neither nodes nor subgraphs; end it on one of these")
}

fn unfit(model: &str, reason: &str) -> BuildError {
    MixtureError::Unfit { model: model.to_owned(), reason: reason.to_owned() }.into()
}

/// What a model without layers computes.
struct Identity;

impl Layer for Identity {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        copy(program, input)
    }
}
