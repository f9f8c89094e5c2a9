//! The step of a mixture of experts.

use bevy_ecs::{component::ComponentId, entity::Entity, name::Name, world::World};
use connectome_components::{
    Field, Graph, LearningFault, MixtureOfExperts, Model, Parameter, Split, Topology, TrainingState,
};

use super::{
    builder::{check_competition, check_noise, check_top_k},
    competition::Competition,
    gating::Gating,
    member::Member,
    part::{Part, abandon, is_trained, run_forward},
};
use crate::{
    error::{BuildError, LearningError, MixtureError},
    kernels::ln,
    model::{ModelBuilder, Plans},
    parallel::Workers,
    random::Philox,
    topology::{Scratch, update_topology},
};

/// The experts of a mixture, and what a step saves for its backward pass.
pub(super) struct Mixture {
    /// The builder of the gate, without its last layer.
    pub(super) gate: ModelBuilder,
    pub(super) members: Vec<Member>,
    pub(super) graph: Entity,
    /// The component of the rows: nodes or subgraphs.
    pub(super) domain: ComponentId,
    /// What the experts predict together `[R, F]`.
    pub(super) mixed: Field,
    /// The gradient of the loss with respect to it.
    pub(super) gradient: Option<Field>,
    splits: Field<Split>,
    pub(super) gating: Gating,
    /// Whether the gate has run forward in this training step.
    gate_has_run: bool,
    /// Rows in the order of their keys.
    order: Vec<u32>,
    /// What is added to the logits where experts are chosen `[R, E]`; empty without noise.
    noise: Vec<f32>,
    /// `[R, F]`.
    pub(super) values: Vec<f32>,
    /// The gradients with respect to the outputs of an expert.
    pub(super) gradients: Vec<f32>,
    /// The probabilities of a row.
    pub(super) shares: Vec<f32>,
    /// The gradients with respect to the weights, and then to the logits `[R, E]`.
    pub(super) slopes: Vec<f32>,
    /// How experts compete, or why they cannot.
    competition: Result<Competition, BuildError>,
    /// Whether they do in this step.
    competes: bool,
    scratch: Scratch,
}

impl Mixture {
    pub(super) fn new(
        world: &mut World,
        gate: ModelBuilder,
        members: Vec<Member>,
        (graph, domain): (Entity, ComponentId),
        (mixed, gradient): (Field, Option<Field>),
        competition: Result<Competition, BuildError>,
    ) -> Result<Self, BuildError> {
        let splits = Field::of_component(world, domain)?;
        Ok(Self {
            gate,
            members,
            graph,
            domain,
            mixed,
            gradient,
            splits,
            gating: Gating::default(),
            gate_has_run: false,
            order: Vec::new(),
            noise: Vec::new(),
            values: Vec::new(),
            gradients: Vec::new(),
            shares: Vec::new(),
            slopes: Vec::new(),
            competition,
            competes: false,
            scratch: Scratch::default(),
        })
    }

    /// The forward pass of gate and experts, up to what the model of the mixture reads.
    pub(super) fn forward(&mut self, world: &mut World, mixture: Entity, trains: bool) -> Result<(), BuildError> {
        self.members.iter_mut().for_each(|member| member.has_run = false);
        self.gate_has_run = false;
        let outcome = self.compute(world, mixture, trains);
        if outcome.is_err() {
            self.abandon(world, mixture);
        }
        outcome
    }

    fn compute(&mut self, world: &mut World, mixture: Entity, trains: bool) -> Result<(), BuildError> {
        let settings = world.get::<MixtureOfExperts>(mixture).ok_or(MixtureError::NoMixture(mixture))?;
        let (found, expected) = (settings.experts.len(), self.members.len());
        if found != expected {
            return Err(MixtureError::Entries { found, expected }.into());
        }
        let top_k = check_top_k(settings.top_k, expected)?;
        check_competition(settings.competition)?;
        self.competes = trains && settings.competition.is_some();
        if let (true, Err(error)) = (self.competes, &self.competition) {
            return Err(error.clone());
        }
        let top_k = if self.competes { expected } else { top_k };
        for (member, expert) in self.members.iter_mut().zip(&settings.experts) {
            member.trains = trains && !expert.is_frozen && member.is_trained();
        }
        let (gate, side_by_side, mixing, weights) =
            (settings.gate, settings.side_by_side, settings.mixing, settings.weights);
        check_noise(settings.noise)?;
        let noise = if trains && top_k < expected { settings.noise } else { 0.0 };
        let trains_gate = trains && is_trained(world, gate);
        run_forward(world, gate, trains_gate)?;
        self.gate_has_run = trains_gate;
        self.order_rows(world)?;
        let state = world.get::<TrainingState>(mixture).copied().unwrap_or_default();
        self.draw(noise, state, expected);
        self.choose(world, gate, trains_gate, top_k)?;
        let workers = world.get_resource_or_init::<Workers>().clone();
        let corpus: &World = world;
        each(&mut self.members, &workers, side_by_side, |member, workers| member.forward(corpus, workers));
        self.take_error()?;
        self.mix(world, mixing);
        for (to, from) in weights.matrix_mut(world).rows_mut().zip(self.gating.weights().chunks_exact(expected)) {
            to.copy_from_slice(from);
        }
        self.report(world, mixture);
        Ok(())
    }

    /// Distributes the rows among the experts.
    fn choose(&mut self, world: &mut World, gate: Entity, trains: bool, top_k: usize) -> Result<(), BuildError> {
        for index in 0..self.members.len() {
            let origin = self.members[index].origin;
            let is_first = self.members[..index].iter().all(|member| member.origin != origin);
            if origin != self.graph && is_first {
                update_topology(world, origin, &mut self.scratch);
            }
        }
        let trained = world.get::<Plans>(gate).and_then(|plans| plans.trained_output).filter(|_| trains);
        let logits = trained.or_else(|| world.get::<Model>(gate).map(|model| model.output));
        let logits = logits.ok_or(BuildError::NoModel(gate))?.matrix(world);
        self.gating.choose(&logits, top_k, &self.noise);
        if self.gating.row_count() != self.order.len() {
            return Err(BuildError::ChangedRows(self.graph));
        }
        for (expert, member) in self.members.iter_mut().enumerate() {
            member.rows.clear();
            let chosen = |row: &&u32| self.gating.is_chosen(**row as usize, expert);
            member.rows.extend(self.order.iter().filter(chosen));
        }
        Ok(())
    }

    /// Finds the order of the rows.
    fn order_rows(&mut self, world: &World) -> Result<(), BuildError> {
        let graph = world.get::<Graph>(self.graph).ok_or(BuildError::NoGraph(self.graph))?;
        let topology = world.get::<Topology>(self.graph).ok_or(BuildError::NoGraph(self.graph))?;
        let (rows, order) = match self.domain == graph.nodes {
            true => (topology.nodes.len(), &topology.node_order),
            false => (topology.subgraphs.len(), &topology.subgraph_order),
        };
        if rows == 0 && self.mixed.domain() == graph.nodes && !topology.nodes.is_empty() {
            return Err(MixtureError::NoSubgraphs(self.graph).into());
        }
        self.order.clear();
        match order.permutation() {
            Some(order) => self.order.extend_from_slice(order),
            None => self.order.extend(0..rows as u32),
        }
        Ok(())
    }

    /// Draws the noise of a step, by the places of rows in the order of their keys.
    fn draw(&mut self, scale: f32, state: TrainingState, experts: usize) {
        self.noise.clear();
        if scale == 0.0 {
            return;
        }
        self.slopes.clear();
        self.slopes.resize(self.order.len() * experts, 0.0);
        Philox::new(state.seed, CHOICES, state.micro_step()).fill_uniform(&mut self.slopes);
        self.noise.resize(self.slopes.len(), 0.0);
        for (row, uniform) in self.order.iter().zip(self.slopes.chunks_exact(experts)) {
            let start = *row as usize * experts;
            for (noise, uniform) in self.noise[start..start + experts].iter_mut().zip(uniform) {
                // Whose logarithm is finite.
                let uniform = uniform.max(0.5 / (1 << 24) as f32);
                *noise = -scale * ln(-ln(uniform));
            }
        }
    }

    /// Writes what the step has found.
    fn report(&self, world: &mut World, mixture: Entity) {
        let Some(mut component) = world.get_mut::<MixtureOfExperts>(mixture) else { return };
        for (index, (expert, member)) in component.experts.iter_mut().zip(&self.members).enumerate() {
            let weights = self.order.iter().map(|row| f64::from(self.gating.weight(*row as usize, index)));
            let sum: f64 = weights.sum();
            expert.rows = member.rows.len();
            expert.weight = (sum / self.order.len().max(1) as f64) as f32;
        }
    }

    /// The backward pass of gate and experts, and then the steps of their optimizers: all of them or, if a gradient is not
    /// finite, none.
    pub(super) fn backward(&mut self, world: &mut World, mixture: Entity) -> Result<(), BuildError> {
        if world.get::<LearningFault>(mixture).is_some_and(|fault| fault.0.is_some()) {
            // The optimizer of the model reports it.
            self.abandon(world, mixture);
            return Ok(());
        }
        let outcome = self.learn(world, mixture);
        if outcome.is_err() {
            self.abandon(world, mixture);
        }
        outcome
    }

    fn learn(&mut self, world: &mut World, mixture: Entity) -> Result<(), BuildError> {
        let settings = world.get::<MixtureOfExperts>(mixture).ok_or(MixtureError::NoMixture(mixture))?;
        let (gate, side_by_side) = (settings.gate, settings.side_by_side);
        self.write_gradients(world, mixture, gate);
        let workers = world.get_resource_or_init::<Workers>().clone();
        each(&mut self.members, &workers, side_by_side, |member, workers| member.run(Part::Backward, workers));
        self.take_error()?;
        if self.gate_has_run {
            Part::Backward(gate).run(world, gate)?;
            faulty_gradient(world, gate)?;
        }
        faulty_gradient(world, mixture)?;
        for member in self.members.iter().filter(|member| member.has_run) {
            faulty_gradient(&member.world, member.model)?;
        }
        each(&mut self.members, &workers, side_by_side, |member, workers| member.run(Part::Optimize, workers));
        let outcome = self.take_error();
        if self.gate_has_run {
            Part::Optimize(gate).run(world, gate)?;
        }
        self.members.iter_mut().for_each(|member| member.has_run = false);
        self.gate_has_run = false;
        outcome
    }

    /// Writes the gradients with respect to the outputs of the experts and the logits of the gate.
    fn write_gradients(&mut self, world: &mut World, mixture: Entity, gate: Entity) {
        let Some(settings) = world.get::<MixtureOfExperts>(mixture) else { return };
        let (mixing, loss_weights, experts) = (settings.mixing, settings.loss_weights, self.members.len());
        let sharpness = settings.competition.filter(|_| self.competes);
        self.slopes.clear();
        self.slopes.resize(self.gating.row_count() * experts, 0.0);
        match (sharpness, &mut self.competition) {
            (Some(sharpness), Ok(competition)) => {
                competition.compete(world, sharpness, (&self.gating, &self.members), &mut self.slopes);
                for (expert, member) in self.members.iter_mut().enumerate().filter(|(_, member)| member.has_run) {
                    self.gradients.clear();
                    competition.differentiate(world, (expert, experts), member, &mut self.gradients);
                    member.write_gradient(&self.gradients);
                }
            }
            _ => {
                self.differentiate(world, mixing);
                self.gating.differentiate(&mut self.slopes);
            }
        }
        if !self.gate_has_run {
            return;
        }
        let splits = self.splits.matrix(world);
        let is_train = |row: &u32| splits.row(*row as usize)[0] == Split::Train;
        if self.order.iter().any(is_train) {
            self.order.retain(is_train);
        }
        let losses = self.gating.losses(&self.order, loss_weights, &mut self.slopes);
        if let Some(mut component) = world.get_mut::<MixtureOfExperts>(mixture) {
            component.losses = losses;
        }
        let Some(gradient) = world.get::<Model>(gate).and_then(|model| model.output_gradient) else { return };
        for (to, from) in gradient.matrix_mut(world).rows_mut().zip(self.slopes.chunks_exact(experts)) {
            to.copy_from_slice(from);
        }
    }

    /// The first error of an expert.
    fn take_error(&mut self) -> Result<(), BuildError> {
        let mut first = Ok(());
        // All are taken, so that none remains for a later step.
        for member in &mut self.members {
            let outcome = core::mem::replace(&mut member.outcome, Ok(()));
            if first.is_ok() {
                first = outcome;
            }
        }
        first
    }

    /// Ends the training step of gate and experts without a change of their parameters and buffers.
    fn abandon(&mut self, world: &mut World, mixture: Entity) {
        self.members.iter_mut().for_each(Member::abandon);
        if core::mem::take(&mut self.gate_has_run)
            && let Some(gate) = world.get::<MixtureOfExperts>(mixture).map(|settings| settings.gate)
        {
            abandon(world, gate);
        }
    }
}

/// The stream of random numbers for the choice of experts.
const CHOICES: u32 = 0x4D69_0000;

/// Calls `body` with each expert that has rows: side by side with a worker each, or one after another with all of them.
fn each(members: &mut [Member], workers: &Workers, side_by_side: bool, body: impl Fn(&mut Member, &Workers) + Sync) {
    let has_rows = |member: &Member| !member.rows.is_empty();
    let busy = members.iter().filter(|member| has_rows(member)).count();
    if side_by_side && busy > 1 && 2 * busy >= workers.count() {
        // A worker that waited within one expert could be given another one to compute, so each has just one.
        let single = Workers::single();
        workers.for_each(members, |member| {
            if has_rows(member) {
                body(member, &single);
            }
        });
    } else {
        members.iter_mut().filter(|member| has_rows(member)).for_each(|member| body(member, workers));
    }
}

/// Whether all values are finite: of the bits without the sign the largest tell it, which vectors find quickly.
fn are_finite(values: &[f32]) -> bool {
    let largest = values.iter().map(|value| value.to_bits() & !(1 << 31)).fold(0, u32::max);
    f32::from_bits(largest).is_finite()
}

/// The error of a gradient that is not finite.
fn faulty_gradient(world: &World, model: Entity) -> Result<(), BuildError> {
    let parameters = world.get::<Model>(model).map_or(&[][..], |model| &model.parameters);
    for parameter in parameters.iter().filter_map(|parameter| world.get::<Parameter>(*parameter)) {
        let Some(gradient) = parameter.gradient else { continue };
        if !gradient.matrix(world).rows().all(are_finite) {
            let model = world.get::<Name>(model).map_or_else(|| model.to_string(), |name| name.to_string());
            return Err(LearningError::Gradient { model, parameter: parameter.name.clone() }.into());
        }
    }
    Ok(())
}
