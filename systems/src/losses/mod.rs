//! Losses and metrics.
//!
//! [`row`] defines the interface of a loss, `cross_entropy`, `elementwise` and `set_cross_entropy` implement it, [`systems`]
//! evaluates it over all rows, and `quality` measures the metrics of classification.

mod by_row;
mod cross_entropy;
mod elementwise;
mod loss_head;
mod operator;
mod quality;
mod row;
mod set_cross_entropy;
mod systems;
mod targets;
mod weights;

use bevy_ecs::{entity::Entity, system::BoxedSystem, world::World};
use connectome_components::{Field, Loss};

use cross_entropy::CrossEntropy;
use elementwise::{BinaryCrossEntropy, Elementwise, Huber, MeanAbsoluteError, MeanSquaredError};
use row::RowLoss;
use set_cross_entropy::SetCrossEntropy;
use systems::system;

pub(crate) use by_row::{LossByRow, loss_by_row};
pub(crate) use loss_head::LossHead;
pub(crate) use operator::{OperatorFields, operator_system};
pub use targets::{LossError, Targets};

/// A system that writes the gradient of the loss with respect to the output, and the [`Metrics`] of the training rows.
///
/// The loss is the mean over the training rows, and over the output dimensions if targets are values; all other rows
/// have gradient 0. Without training rows the loss is NaN and every gradient 0. A label out of range makes the loss
/// NaN.
///
/// `output`, `gradient` and `targets` are fields on the same rows. The metrics are those of the entity `model`.
///
/// [`Metrics`]: connectome_components::Metrics
///
/// # Errors
/// If the fields do not fit each other or the loss.
pub fn loss_and_gradient(
    world: &mut World,
    model: Entity,
    loss: Loss,
    output: Field,
    gradient: Field,
    targets: Targets,
) -> Result<BoxedSystem, LossError> {
    head_system(world, loss, LossHead::new(model, output, Some(gradient), targets.splits()), targets)
}

/// A system that measures the [`Metrics`](connectome_components::Metrics) of every split, without gradients.
///
/// # Errors
/// If the fields do not fit each other or the loss.
pub fn measure(
    world: &mut World,
    model: Entity,
    loss: Loss,
    output: Field,
    targets: Targets,
) -> Result<BoxedSystem, LossError> {
    head_system(world, loss, LossHead::new(model, output, None, targets.splits()), targets)
}

/// The system of the loss of one head: [`loss_and_gradient`] if the head has a gradient, otherwise [`measure`].
pub(crate) fn head_system(
    world: &mut World,
    loss: Loss,
    head: LossHead,
    targets: Targets,
) -> Result<BoxedSystem, LossError> {
    targets.check(world, loss, head.output)?;
    head.check(world)?;
    if matches!(loss, Loss::SetCrossEntropy(_)) && !head.class_weights.is_empty() {
        return Err(LossError::SetWeights);
    }
    visit(loss, targets, HeadSystem(world, head))
}

struct HeadSystem<'w>(&'w mut World, LossHead);

impl LossVisitor for HeadSystem<'_> {
    type Output = BoxedSystem;

    fn visit<L: RowLoss>(self, loss: L, targets: Field<L::Target>) -> BoxedSystem {
        system(self.0, loss, self.1, targets)
    }
}

/// What is done with a loss, whichever it is.
trait LossVisitor {
    type Output;

    fn visit<L: RowLoss>(self, loss: L, targets: Field<L::Target>) -> Self::Output;
}

/// Shows a visitor the loss and its targets.
fn visit<V: LossVisitor>(loss: Loss, targets: Targets, visitor: V) -> Result<V::Output, LossError> {
    Ok(match (loss, targets) {
        (Loss::CrossEntropy, Targets::Classes { labels, .. }) => visitor.visit(CrossEntropy::NEW, labels),
        (Loss::CrossEntropy, Targets::Indices { labels, .. }) => visitor.visit(CrossEntropy::NEW, labels),
        (Loss::BinaryCrossEntropy, Targets::Values { values, .. }) => {
            visitor.visit(Elementwise(BinaryCrossEntropy), values)
        }
        (Loss::MeanSquaredError, Targets::Values { values, .. }) => {
            visitor.visit(Elementwise(MeanSquaredError), values)
        }
        (Loss::MeanAbsoluteError, Targets::Values { values, .. }) => {
            visitor.visit(Elementwise(MeanAbsoluteError), values)
        }
        (Loss::Huber { delta }, Targets::Values { values, .. }) => visitor.visit(Elementwise(Huber { delta }), values),
        (Loss::SetCrossEntropy(groups), Targets::Values { values, .. }) => {
            visitor.visit(SetCrossEntropy(groups), values)
        }
        (loss, _) => return Err(LossError::WrongKind { loss }),
    })
}
