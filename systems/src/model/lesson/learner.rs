//! A model that learns in a world of its own.

use bevy_ecs::{entity::Entity, world::World};
use connectome_components::{LearningRateSchedule, Metrics, Optimizer, Rows, Topology};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, OnceLock};

use crate::{
    batch::{Batch, BatchError},
    error::{BuildError, LearningError, LessonError},
    model::{Train, run},
    optimizers::{ModelState, Moments, set_component},
    parallel::{Gate, Workers},
};

/// What a model has learned, and how well it did.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Learned {
    pub(crate) state: ModelState,
    /// The optimizer that wrote the moments.
    pub(crate) moments_of: Option<Optimizer>,
    /// The metrics of the last step.
    pub(crate) metrics: Metrics,
}

/// One lesson: all that its outcome depends on. Whoever computes it, and whenever, the outcome has the same bits.
#[derive(Debug)]
pub(crate) struct Assignment {
    /// The frame at which its batch was extracted.
    pub(crate) began: u64,
    /// The frame at which its weights are taken over.
    pub(crate) arrives: u64,
    pub(crate) steps: u32,
    /// The weights and moments that it begins with.
    pub(crate) start: Arc<Learned>,
    pub(crate) optimizer: Option<Optimizer>,
    pub(crate) schedule: Option<LearningRateSchedule>,
    pub(crate) batch: Batch,
    pub(crate) outcome: OnceLock<Result<Arc<Learned>, BuildError>>,
}

/// A copy of a model, which is trained in a world of its own.
pub(super) struct Learner {
    pub(super) world: World,
    pub(super) graph: Entity,
    /// The graphs of the other parts of a batch.
    pub(super) parts: Vec<Entity>,
    pub(super) model: Entity,
    pub(super) workers: Workers,
    /// The graph and the model in the live world.
    pub(super) origin: (Entity, Entity),
}

impl Learner {
    /// Computes the outcome of a lesson, unless the gate is canceled meanwhile.
    pub(super) fn learn(&mut self, assignment: &Assignment, gate: &Arc<Gate>) {
        self.world.insert_resource(self.workers.with_gate(gate));
        if let Some(outcome) = self.compute(assignment, gate).transpose() {
            _ = assignment.outcome.set(outcome.map(Arc::new));
        }
        // What bevy keeps of the entities that were despawned.
        self.world.clear_trackers();
    }

    fn compute(&mut self, assignment: &Assignment, gate: &Gate) -> Result<Option<Learned>, BuildError> {
        let Assignment { began: frame, start, batch, .. } = assignment;
        gate.pass();
        batch.load(&mut self.world, self.graph).map_err(|error| self.of_batch(*frame, error))?;
        for (part, graph) in batch.parts().iter().zip(&self.parts) {
            part.load(&mut self.world, *graph).map_err(|error| self.of_batch(*frame, error))?;
        }
        set_component(&mut self.world, self.model, assignment.optimizer);
        set_component(&mut self.world, self.model, assignment.schedule);
        if let (Some(optimizer), Some(mut moments)) = (start.moments_of, self.world.get_mut::<Moments>(self.model)) {
            moments.set_optimizer(optimizer);
        }
        start.state.write(&mut self.world, self.model);
        for step in 0..assignment.steps {
            gate.pass();
            if gate.is_canceled() {
                return Ok(None);
            }
            run(&mut self.world, Train(self.model)).map_err(|error| {
                let error = Box::new(self.in_origin(error, batch));
                LessonError::Discarded { frame: *frame, step, error }
            })?;
        }
        Ok(Some(self.learned()))
    }

    /// What the model has learned so far.
    pub(super) fn learned(&self) -> Learned {
        let mut state = ModelState::default();
        state.take(&self.world, self.model);
        let moments_of = self.world.get::<Moments>(self.model).map(Moments::optimizer);
        let metrics = self.world.get::<Metrics>(self.model).cloned().unwrap_or_default();
        Learned { state, moments_of, metrics }
    }

    fn of_batch(&self, frame: u64, error: BatchError) -> BuildError {
        LessonError::Batch { model: super::name_of(&self.world, self.model), frame, error }.into()
    }

    /// An error with the entities of the world from which the batch was extracted.
    fn in_origin(&self, mut error: BuildError, batch: &Batch) -> BuildError {
        let (origin_graph, origin_model) = self.origin;
        let graphs = core::iter::once((self.graph, batch)).chain(self.parts.iter().copied().zip(batch.parts()));
        let translate = |entity: &mut Entity| {
            let origin = |(rows, origins): (&Rows, &[Entity])| origins.get(rows.row_of(&self.world, *entity)?).copied();
            let found = graphs.clone().find_map(|(graph, batch)| {
                let topology = self.world.get::<Topology>(graph)?;
                let kinds = [
                    (&topology.nodes, batch.nodes()),
                    (&topology.edges, batch.edges()),
                    (&topology.subgraphs, batch.subgraphs()),
                ];
                kinds.into_iter().find_map(origin)
            });
            if let Some(origin) = found {
                *entity = origin;
            }
        };
        match &mut error {
            BuildError::Learning(
                LearningError::Label { entity, .. }
                | LearningError::Loss { entity, .. }
                | LearningError::RowWeight { entity, .. },
            ) => translate(entity),
            BuildError::Cycle { graph, cycle } => {
                *graph = origin_graph;
                cycle.nodes.iter_mut().for_each(translate);
            }
            BuildError::CannotLearn { model, .. } => *model = origin_model,
            _ => {}
        }
        error
    }
}
