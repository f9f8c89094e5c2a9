//! The losses of a model's heads.

use bevy_ecs::{
    entity::Entity,
    schedule::{IntoScheduleConfigs, Schedule, ScheduleConfigs},
    system::{BoxedSystem, ScheduleSystem},
    world::World,
};
use connectome_components::{Field, FieldPool, Loss, ModelHead};

use super::{Head, HeadLoss, HeadTargets};
use crate::{
    error::BuildError,
    losses::{LossError, LossHead, OperatorFields, Targets, head_system, operator_system},
    phases::{GraphSystems, Sets},
    program::Domain,
};

impl Head {
    /// Sets the targets of a head; target values that are not given are a field taken from the pool.
    pub(super) fn take_targets(
        &self,
        world: &mut World,
        fields: &mut ModelHead,
        borrowed: &mut Vec<Field>,
    ) -> Result<(), BuildError> {
        let output = fields.output;
        match (&self.loss, self.targets) {
            (HeadLoss::External, _) => {}
            (_, Some(HeadTargets::Values(values))) => fields.targets = Some(values),
            (_, Some(HeadTargets::Classes(labels))) => fields.labels = Some(labels),
            (_, Some(HeadTargets::Indices(_))) => {}
            (HeadLoss::Given(loss), None) if loss.is_classification() => {
                fields.labels = Some(Field::of_component(world, output.domain())?);
            }
            _ => {
                let values = FieldPool::take(world, Some(output.domain()), output.width())?;
                borrowed.push(values);
                fields.targets = Some(values);
            }
        }
        Ok(())
    }

    fn error(&self, reason: impl ToString) -> BuildError {
        BuildError::Head { head: self.name.clone(), reason: reason.to_string() }
    }

    /// The targets of a built-in loss.
    pub(super) fn targets_of(&self, world: &mut World, fields: &ModelHead, loss: Loss) -> Result<Targets, BuildError> {
        let splits = Field::of_component(world, fields.output.domain())?;
        let targets = self.targets.or(fields.labels.map(Into::into)).or(fields.targets.map(Into::into));
        let targets = targets.ok_or_else(|| self.error(format!("has no targets for {loss:?}; set its `targets`")))?;
        Ok(match targets {
            HeadTargets::Values(values) => Targets::Values { values, splits },
            HeadTargets::Classes(labels) => Targets::Classes { labels, splits },
            HeadTargets::Indices(labels) => Targets::Indices { labels, splits },
        })
    }
}

/// The losses of a model.
pub(super) struct Losses {
    pub(super) model: Entity,
    /// For each head the graph in whose topology the rows of its output are.
    pub(super) graphs: Vec<Entity>,
    /// The heads, without their layers.
    pub(super) heads: Vec<Head>,
    /// The fields of the heads.
    pub(super) fields: Vec<ModelHead>,
    /// The domains of their outputs.
    pub(super) domains: Vec<Domain>,
    /// The fields of the values of losses that are operators.
    pub(super) values: Vec<Option<Field>>,
}

impl Losses {
    /// The graph of a head's output.
    fn graph(&self, head: usize) -> Entity {
        self.graphs[head]
    }

    /// Whether the gradients of all heads are external.
    pub(super) fn are_external(&self) -> bool {
        self.heads.iter().all(|head| matches!(head.loss, HeadLoss::External))
    }

    /// Adds the systems that write the gradients with respect to the outputs; `trained` returns the outputs in
    /// training.
    pub(super) fn add_learning(
        &self,
        world: &mut World,
        schedule: &mut Schedule,
        sets: Sets,
        trained: impl Fn(usize) -> Option<Field>,
    ) -> Result<(), BuildError> {
        for (head, fields) in self.heads.iter().zip(&self.fields) {
            if fields.output_gradient.is_none() {
                return Err(head.error("depends on no trainable parameters; add a layer with parameters"));
            }
        }
        self.add(schedule, sets, |index, is_first| {
            let fields = &self.fields[index];
            let output = trained(index).unwrap_or(fields.output);
            self.system(world, index, is_first, output, fields.output_gradient)
        })
    }

    /// Adds the systems that measure the outputs.
    pub(super) fn add_measures(
        &self,
        world: &mut World,
        schedule: &mut Schedule,
        sets: Sets,
    ) -> Result<(), BuildError> {
        let output = |index: usize| self.fields[index].output;
        self.add(schedule, sets, |index, is_first| self.system(world, index, is_first, output(index), None))
    }

    /// Adds the systems of all heads, one after another, because they write the same metrics.
    fn add(
        &self,
        schedule: &mut Schedule,
        sets: Sets,
        mut system: impl FnMut(usize, bool) -> Result<Option<BoxedSystem>, BuildError>,
    ) -> Result<(), BuildError> {
        let mut systems: Option<ScheduleConfigs<ScheduleSystem>> = None;
        for index in 0..self.heads.len() {
            let Some(system) = system(index, systems.is_none())? else { continue };
            systems = Some(match systems {
                Some(before) => (before, system).chain(),
                None => system.into_configs(),
            });
        }
        if let Some(systems) = systems {
            schedule.add_systems(systems.in_set(sets.of(GraphSystems::Loss)));
        }
        Ok(())
    }

    /// The system of a head; none if its gradient is external.
    fn system(
        &self,
        world: &mut World,
        index: usize,
        is_first: bool,
        output: Field,
        gradient: Option<Field>,
    ) -> Result<Option<BoxedSystem>, BuildError> {
        let (head, fields) = (&self.heads[index], &self.fields[index]);
        let splits = Field::of_component(world, output.domain())?;
        let loss_head = LossHead {
            index,
            is_first,
            rows: Some((self.graph(index), self.domains[index])),
            weight: head.weight,
            row_weights: head.row_weights,
            class_weights: head.class_weights.clone(),
            ..LossHead::new(self.model, output, gradient, splits)
        };
        let unfit = |error: LossError| head.error(format!("cannot learn: {error}"));
        match &head.loss {
            HeadLoss::External => Ok(None),
            HeadLoss::Operator(operator) => {
                let (Some(targets), Some(gradient), Some(loss)) =
                    (fields.targets, fields.output_gradient, self.values[index])
                else {
                    return Err(head.error("has classes as targets of an operator; use values as wide as its output"));
                };
                let fields =
                    OperatorFields { graph: self.graph(index), domain: self.domains[index], targets, gradient, loss };
                operator_system(world, operator.clone(), &loss_head, fields).map(Some).map_err(unfit)
            }
            HeadLoss::Given(loss) => {
                let targets = head.targets_of(world, fields, *loss)?;
                head_system(world, *loss, loss_head, targets).map(Some).map_err(unfit)
            }
        }
    }
}
