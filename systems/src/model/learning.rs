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
    losses::{LossError, OperatorFields, Parts, Targets, head_system, operator_system},
    phases::{GraphSystems, Sets},
    program::Domain,
};

impl Head {
    /// Says what the rows of a head are to become; a head without targets of the user's has a field of its own for values,
    /// which it borrows.
    pub(super) fn take_targets(
        &self,
        world: &mut World,
        parts: &mut ModelHead,
        borrowed: &mut Vec<Field>,
    ) -> Result<(), BuildError> {
        let output = parts.output;
        match (&self.loss, self.targets) {
            (HeadLoss::External, _) => {}
            (_, Some(HeadTargets::Values(values))) => parts.targets = Some(values),
            (_, Some(HeadTargets::Classes(labels))) => parts.labels = Some(labels),
            (_, Some(HeadTargets::Indices(_))) => {}
            (HeadLoss::Given(loss), None) if loss.is_classification() => {
                parts.labels = Some(Field::of_component(world, output.domain())?);
            }
            _ => {
                let values = FieldPool::take(world, Some(output.domain()), output.width())?;
                borrowed.push(values);
                parts.targets = Some(values);
            }
        }
        Ok(())
    }

    fn error(&self, reason: impl ToString) -> BuildError {
        BuildError::Head { head: self.name.clone(), reason: reason.to_string() }
    }

    /// The targets for a loss of this crate.
    fn targets_of(&self, world: &mut World, parts: &ModelHead, loss: Loss) -> Result<Targets, BuildError> {
        let splits = Field::of_component(world, parts.output.domain())?;
        let given = self.targets.or(parts.labels.map(Into::into)).or(parts.targets.map(Into::into));
        let given = given.ok_or_else(|| self.error(format!("has no targets for {loss:?}; give it some")))?;
        Ok(match given {
            HeadTargets::Values(values) => Targets::Values { values, splits },
            HeadTargets::Classes(labels) => Targets::Classes { labels, splits },
            HeadTargets::Indices(labels) => Targets::Indices { labels, splits },
        })
    }
}

/// The losses of a model.
pub(super) struct Losses {
    pub(super) model: Entity,
    pub(super) graph: Entity,
    /// The heads, whose layers are of no use here.
    pub(super) heads: Vec<Head>,
    /// Where the numbers of the heads are.
    pub(super) parts: Vec<ModelHead>,
    /// The rows of their outputs.
    pub(super) domains: Vec<Domain>,
    /// For the losses that are operators, a number of the model's own.
    pub(super) numbers: Vec<Option<Field>>,
}

impl Losses {
    /// Whether the gradients of all heads come from outside.
    pub(super) fn are_external(&self) -> bool {
        self.heads.iter().all(|head| matches!(head.loss, HeadLoss::External))
    }

    /// Adds the systems that write the gradients with respect to the outputs; `trained` are the outputs in training.
    pub(super) fn add_learning(
        &self,
        world: &mut World,
        schedule: &mut Schedule,
        sets: Sets,
        trained: impl Fn(usize) -> Option<Field>,
    ) -> Result<(), BuildError> {
        for (head, parts) in self.heads.iter().zip(&self.parts) {
            if parts.output_gradient.is_none() {
                let reason =
                    "ends on nothing that can be learned, so there is nothing to learn; add a layer with parameters";
                return Err(head.error(reason));
            }
        }
        self.add(schedule, sets, |number, is_first| {
            let parts = &self.parts[number];
            let output = trained(number).unwrap_or(parts.output);
            self.system(world, number, is_first, output, parts.output_gradient)
        })
    }

    /// Adds the systems that measure the outputs.
    pub(super) fn add_measures(
        &self,
        world: &mut World,
        schedule: &mut Schedule,
        sets: Sets,
    ) -> Result<(), BuildError> {
        let output = |number: usize| self.parts[number].output;
        self.add(schedule, sets, |number, is_first| self.system(world, number, is_first, output(number), None))
    }

    /// Adds the systems of all heads, one after another: they write the metrics of one model.
    fn add(
        &self,
        schedule: &mut Schedule,
        sets: Sets,
        mut system: impl FnMut(usize, bool) -> Result<Option<BoxedSystem>, BuildError>,
    ) -> Result<(), BuildError> {
        let mut systems: Option<ScheduleConfigs<ScheduleSystem>> = None;
        for number in 0..self.heads.len() {
            let Some(system) = system(number, systems.is_none())? else { continue };
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

    /// The system of a head; none if its gradient comes from outside.
    fn system(
        &self,
        world: &mut World,
        number: usize,
        is_first: bool,
        output: Field,
        gradient: Option<Field>,
    ) -> Result<Option<BoxedSystem>, BuildError> {
        let (head, place) = (&self.heads[number], &self.parts[number]);
        let splits = Field::of_component(world, output.domain())?;
        let parts = Parts {
            head: number,
            is_first,
            weight: head.weight,
            row_weights: head.row_weights,
            class_weights: head.class_weights.clone(),
            ..Parts::new(self.model, output, gradient, splits)
        };
        let unfit = |error: LossError| head.error(format!("cannot learn: {error}"));
        match &head.loss {
            HeadLoss::External => Ok(None),
            HeadLoss::Operator(operator) => {
                let (Some(targets), Some(gradient), Some(loss)) =
                    (place.targets, place.output_gradient, self.numbers[number])
                else {
                    return Err(head.error("takes classes for an operator; give it values as wide as its output"));
                };
                let fields =
                    OperatorFields { graph: self.graph, domain: self.domains[number], targets, gradient, loss };
                operator_system(world, operator.clone(), &parts, fields).map(Some).map_err(unfit)
            }
            HeadLoss::Given(loss) => {
                let targets = head.targets_of(world, place, *loss)?;
                head_system(world, *loss, parts, targets).map(Some).map_err(unfit)
            }
        }
    }
}
