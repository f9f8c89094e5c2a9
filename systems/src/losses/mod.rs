//! Losses: the output against its target.
//!
//! [`row`] says what a loss is, `cross_entropy` and `elementwise` say it for each, and [`systems`] goes through the rows for all
//! of them; `quality` counts what they tell apart.

mod cross_entropy;
mod elementwise;
mod operator;
mod parts;
mod quality;
mod row;
mod systems;
mod targets;
mod weights;

use bevy_ecs::{entity::Entity, system::BoxedSystem, world::World};
use connectome_components::{Field, Loss};

use cross_entropy::CrossEntropy;
use elementwise::{BinaryCrossEntropy, Elementwise, Huber, MeanAbsoluteError, MeanSquaredError};
use systems::system;

pub(crate) use operator::{OperatorFields, operator_system};
pub(crate) use parts::Parts;
pub use targets::{LossError, Targets};

/// The system that writes the gradient of the loss by the output, and the [`Metrics`] of the training rows.
///
/// The loss is the mean over the training rows, and over their columns where targets are numbers; all other rows have
/// gradient 0. Without training rows the loss is NaN and every gradient 0. A label that is no column makes the loss NaN. Weighted, it is
/// the weighted mean.
///
/// `output`, `gradient` and `targets` are fields of the same rows. The metrics are those of the entity `model`.
///
/// [`Metrics`]: connectome_components::Metrics
///
/// # Errors
/// If the fields do not fit to each other or to the loss.
pub fn loss_and_gradient(
    world: &mut World,
    model: Entity,
    loss: Loss,
    output: Field,
    gradient: Field,
    targets: Targets,
) -> Result<BoxedSystem, LossError> {
    head_system(world, loss, Parts::new(model, output, Some(gradient), targets.splits()), targets)
}

/// The system that measures the [`Metrics`](connectome_components::Metrics) of every split, without gradients.
///
/// # Errors
/// If the fields do not fit to each other or to the loss.
pub fn measure(
    world: &mut World,
    model: Entity,
    loss: Loss,
    output: Field,
    targets: Targets,
) -> Result<BoxedSystem, LossError> {
    head_system(world, loss, Parts::new(model, output, None, targets.splits()), targets)
}

/// The system of the loss of one head: with a gradient it learns, without it measures.
pub(crate) fn head_system(
    world: &mut World,
    loss: Loss,
    parts: Parts,
    targets: Targets,
) -> Result<BoxedSystem, LossError> {
    targets.check(world, loss, parts.output)?;
    parts.check(world)?;
    Ok(match (loss, targets) {
        (Loss::CrossEntropy, Targets::Classes { labels, .. }) => system(world, CrossEntropy::NEW, parts, labels),
        (Loss::CrossEntropy, Targets::Indices { labels, .. }) => system(world, CrossEntropy::NEW, parts, labels),
        (Loss::BinaryCrossEntropy, Targets::Values { values, .. }) => {
            system(world, Elementwise(BinaryCrossEntropy), parts, values)
        }
        (Loss::MeanSquaredError, Targets::Values { values, .. }) => {
            system(world, Elementwise(MeanSquaredError), parts, values)
        }
        (Loss::MeanAbsoluteError, Targets::Values { values, .. }) => {
            system(world, Elementwise(MeanAbsoluteError), parts, values)
        }
        (Loss::Huber { delta }, Targets::Values { values, .. }) => {
            system(world, Elementwise(Huber { delta }), parts, values)
        }
        (loss, _) => return Err(LossError::WrongKind { loss }),
    })
}
