//! The losses of a model's heads.

use bevy_ecs::{
    entity::Entity,
    schedule::{IntoScheduleConfigs, Schedule, SystemSet},
    system::BoxedSystem,
    world::World,
};
use connectome_components::{Field, Loss, ModelHead};

use super::{Head, HeadLoss, HeadTargets};
use crate::{
    GraphSystems,
    layers::BuildError,
    loss::{LossError, OperatorFields, Parts, Targets, head_system, operator_system},
    program::Domain,
};

impl Head {
    /// Says what the rows of a head are to become; a head without targets of the user's has a field of its own for values.
    pub(super) fn register_targets(&self, world: &mut World, parts: &mut ModelHead) -> Result<(), BuildError> {
        let output = parts.output;
        match (&self.loss, self.targets) {
            (HeadLoss::External, _) => {}
            (_, Some(HeadTargets::Values(values))) => parts.targets = Some(values),
            (_, Some(HeadTargets::Classes(labels))) => parts.labels = Some(labels),
            (_, Some(HeadTargets::Indices(_))) => {}
            (HeadLoss::Given(loss), None) if loss.is_classification() => {
                parts.labels = Some(Field::of_component(world, output.domain())?);
            }
            _ => parts.targets = Some(Field::register(world, "target", output.domain(), output.width())?),
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
pub(super) struct Losses<'a> {
    pub(super) model: Entity,
    pub(super) graph: Entity,
    pub(super) heads: &'a [Head],
    /// Where the numbers of the heads are.
    pub(super) parts: &'a [ModelHead],
    /// The rows of their outputs.
    pub(super) domains: &'a [Domain],
    /// For the losses that are operators, a number of the model's own.
    pub(super) numbers: &'a [Option<Field>],
}

impl Losses<'_> {
    /// Whether the gradients of all heads come from outside.
    pub(super) fn are_external(&self) -> bool {
        self.heads.iter().all(|head| matches!(head.loss, HeadLoss::External))
    }

    /// Adds the systems that write the gradients with respect to the outputs; `trained` are the outputs in training.
    pub(super) fn add_learning(
        &self,
        world: &mut World,
        schedule: &mut Schedule,
        trained: impl Fn(usize) -> Option<Field>,
    ) -> Result<(), BuildError> {
        for (head, parts) in self.heads.iter().zip(self.parts) {
            if parts.output_gradient.is_none() {
                let reason =
                    "ends on nothing that can be learned, so there is nothing to learn; add a layer with parameters";
                return Err(head.error(reason));
            }
        }
        self.add(schedule, |number, is_first| {
            let parts = &self.parts[number];
            let output = trained(number).unwrap_or(parts.output);
            self.system(world, number, is_first, output, parts.output_gradient)
        })
    }

    /// Adds the systems that measure the outputs.
    pub(super) fn add_measures(&self, world: &mut World, schedule: &mut Schedule) -> Result<(), BuildError> {
        self.add(schedule, |number, is_first| self.system(world, number, is_first, self.parts[number].output, None))
    }

    /// Adds the systems of all heads, one after another: they write the metrics of one model.
    fn add(
        &self,
        schedule: &mut Schedule,
        mut system: impl FnMut(usize, bool) -> Result<Option<BoxedSystem>, BuildError>,
    ) -> Result<(), BuildError> {
        let mut last = None;
        for number in 0..self.heads.len() {
            let Some(system) = system(number, last.is_none())? else { continue };
            schedule.add_systems(system.in_set(GraphSystems::Loss).in_set(LossOf(number)));
            if let Some(last) = last {
                schedule.configure_sets(LossOf(number).after(LossOf(last)));
            }
            last = Some(number);
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

/// The loss of the head of this number.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct LossOf(usize);
