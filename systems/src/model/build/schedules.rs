//! The schedules of a model.

use bevy_ecs::{
    entity::Entity,
    schedule::{IntoScheduleConfigs, Schedule, ScheduleLabel, SingleThreadedExecutor},
    system::{IntoSystem, Query},
    world::World,
};
use connectome_components::{Field, LearningFault, Metrics, ModelHead, Optimizer, Parity, TrainingState};
use std::sync::Arc;

use super::Construction;
use crate::{
    error::{BuildError, StepFault},
    model::{
        Evaluate, Head, HeadLoss, Infer, Train,
        components::Copies,
        emit::{Bindings, Emission},
        learning::Losses,
        limits::Limits,
        plans::Emitter,
        schedules::{finish, settings},
    },
    optimizers::{self, LossWeighting, Moments},
    phases::{GraphSystems, PassSystem, Sets},
    program::{Domain, Pass, Plan},
    topology::rebuild_topologies,
};

impl Construction<'_> {
    /// Adds the schedule [`Infer`]. `owner` is the entity with the parity of a recurrent model's state.
    pub(super) fn add_inference(
        &mut self,
        world: &mut World,
        bindings: &Arc<Bindings>,
        copies: &Arc<Copies>,
        output: Field,
        owner: Option<Entity>,
    ) -> Result<(), BuildError> {
        let (bindings, plan) = (bindings.clone(), self.planned.inference.clone());
        let (readings, copies) = (self.readings[0].clone(), copies.clone());
        let infer = Emitter::new(move |world, infer, sets| {
            let emission = Emission { plan: &plan, bindings: &bindings, limits: None, readings: &readings, sets };
            add_pass(world, infer, &emission, Pass::Forward)?;
            if let Some(owner) = owner {
                let flip = IntoSystem::into_system(flip(owner)).with_name("flip");
                infer.add_systems(flip.in_set(sets.of(GraphSystems::Commit)));
            }
            copies.add(world, infer, sets, output, false)
        });
        self.emit(world, Infer(self.model), 0, infer)
    }

    /// Adds the schedules [`Train`] and [`Evaluate`].
    pub(super) fn add_learning(
        &mut self,
        world: &mut World,
        optimizer: Optimizer,
        training: &Arc<Plan>,
        bindings: &Arc<Bindings>,
        heads: &[ModelHead],
        copies: &Arc<Copies>,
    ) -> Result<(), BuildError> {
        let (model, builder_heads) = (self.model, self.builder.heads());
        let state = TrainingState { seed: self.builder.seed, ..TrainingState::default() };
        let metrics = Metrics::new(builder_heads.iter().map(|head| (&*head.name, head.weight)));
        let mut entity = world.entity_mut(model);
        entity.insert((optimizer, self.builder.schedule, metrics, state, LearningFault::default()));
        entity.insert(Moments::new(optimizer, self.learned.len(), self.builder.accumulation.is_some()));
        self.builder.accumulation.map(|accumulation| entity.insert(accumulation));
        self.builder.clipping.map(|clipping| entity.insert(clipping));

        let losses = Arc::new(Losses {
            model,
            graphs: training.program.heads.iter().map(|head| self.graph_with(head.output.domain())).collect(),
            heads: builder_heads.iter().map(Head::without_layers).collect(),
            fields: heads.to_vec(),
            domains: training.program.heads.iter().map(|head| head.output.domain()).collect(),
            values: self.loss_values(world)?,
        });
        let output = heads.first().ok_or(BuildError::Empty)?.output;
        let counts_splits = |head: usize| {
            // A component that outputs are copied into has all rows.
            let is_given = builder_heads.get(head).is_some_and(|head| matches!(head.loss, HeadLoss::Given(_)));
            is_given && self.builder.written.is_none()
        };
        let limits = Limits::new(world, training, self.graphs[0].nodes, counts_splits)?;
        let train = {
            let (bindings, plan, readings) = (bindings.clone(), training.clone(), self.readings[1].clone());
            let (learned, losses, copies) = (self.learned.clone(), losses.clone(), copies.clone());
            let weighting = if losses.are_external() { LossWeighting::Uniform } else { LossWeighting::Terms };
            let buffers = bindings.parameters.iter().zip(&bindings.gradients);
            let buffers = buffers.filter(|(_, gradient)| gradient.is_none()).map(|(buffer, _)| *buffer);
            let buffers: Vec<Field> = buffers.collect();
            Emitter::new(move |world, train, sets| {
                let limits = limits.as_ref();
                let emission = Emission { plan: &plan, bindings: &bindings, limits, readings: &readings, sets };
                add_pass(world, train, &emission, Pass::Forward)?;
                let trained = |head: usize| bindings.field(plan.column(plan.output(head)?)?);
                losses.add_learning(world, train, sets, trained)?;
                add_pass(world, train, &emission, Pass::Backward)?;
                optimizers::add(world, train, model, (&learned, &buffers), weighting, sets, &bindings.fault);
                copies.add(world, train, sets, trained(0).unwrap_or(output), true)
            })
        };
        self.emit(world, Train(model), 1, train)?;
        let evaluate = {
            let (bindings, plan) = (bindings.clone(), self.planned.inference.clone());
            let (readings, copies) = (self.readings[2].clone(), copies.clone());
            Emitter::new(move |world, evaluate, sets| {
                let emission = Emission { plan: &plan, bindings: &bindings, limits: None, readings: &readings, sets };
                add_pass(world, evaluate, &emission, Pass::Forward)?;
                losses.add_measures(world, evaluate, sets)?;
                copies.add(world, evaluate, sets, output, true)
            })
        };
        self.emit(world, Evaluate(model), 2, evaluate)
    }

    /// The graph in whose topology the rows of a domain are.
    fn graph_with(&self, domain: Domain) -> Entity {
        let program = &self.planned.program;
        program.graphs[program.graph_with(domain).0 as usize]
    }

    /// Adds a schedule of the model, and stores the emitter of its systems.
    fn emit(
        &mut self,
        world: &mut World,
        label: impl ScheduleLabel,
        index: usize,
        emitter: Emitter,
    ) -> Result<(), BuildError> {
        emitter.add_schedule(world, label, &self.planned.program.graphs, &self.fault)?;
        self.emitters[index] = Some(emitter);
        Ok(())
    }
}

impl Emitter {
    /// Adds a schedule of the model alone to the world, with its phases in order, in which ambiguities are errors, and which
    /// updates the topologies of the graphs.
    ///
    /// Its systems run one after another and distribute their rows over the workers: for a single model that costs less
    /// than a multithreaded executor.
    pub(in crate::model) fn add_schedule(
        &self,
        world: &mut World,
        label: impl ScheduleLabel,
        graphs: &[Entity],
        fault: &StepFault,
    ) -> Result<(), BuildError> {
        let mut schedule = Schedule::new(label);
        schedule.set_build_settings(settings());
        schedule.set_executor(SingleThreadedExecutor::new());
        GraphSystems::chain(&mut schedule);
        Sets::Single.order_copies(&mut schedule);
        Sets::Single.stop_at(&mut schedule, fault);
        let rebuild = IntoSystem::into_system(rebuild_topologies(graphs.to_vec(), fault.clone()));
        schedule.add_systems(rebuild.with_name("rebuild_topology").in_set(GraphSystems::Sync));
        self.emit(world, &mut schedule, Sets::Single)?;
        finish(world, schedule)
    }
}

fn add_pass(world: &mut World, schedule: &mut Schedule, emission: &Emission, pass: Pass) -> Result<(), BuildError> {
    let set = match pass {
        Pass::Forward => GraphSystems::Forward,
        Pass::Backward => GraphSystems::Backward,
    };
    let Some(system) = emission.system(world, pass)? else { return Ok(()) };
    let system = match emission.limits.filter(|_| pass == Pass::Forward) {
        Some(limits) => (limits.system(world), system).chain(),
        None => system.into_configs(),
    };
    let model = emission.bindings.model;
    schedule.add_systems(system.in_set(emission.sets.of(set)).in_set(PassSystem(model, set)));
    Ok(())
}

fn flip(owner: Entity) -> impl FnMut(Query<&mut Parity>) {
    move |mut parities| {
        if let Ok(mut parity) = parities.get_mut(owner) {
            parity.flip();
        }
    }
}
