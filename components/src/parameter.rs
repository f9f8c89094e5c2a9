//! What a model learns.

use bevy_ecs::component::Component;

use crate::Field;

/// A matrix of weights `[rows, columns]` as an entity of its own: it carries the fields `value`, `gradient` and the
/// optimizer's moments, each `rows * columns` wide.
///
/// Each parameter has fields of its own, so the scheduler tells the systems of different parameters apart.
#[derive(Component, Clone, Debug)]
pub struct Parameter {
    /// Its name in weight files, such as `layers.1.weight`.
    pub name: String,
    /// Rows and columns; a bias has one row.
    pub shape: [usize; 2],
    /// The weights.
    pub value: Field,
    /// The gradient of the loss by the weights. Each backward pass writes it anew, so none is ever cleared. None in a model that does not
    /// learn.
    pub gradient: Option<Field>,
    /// What the optimizer remembers from step to step: `[Optimizer::moments, rows * columns]`. None in a model that
    /// does not learn.
    pub moments: Option<Field>,
    /// This parameter's weight decay; the optimizer's if none.
    pub weight_decay: Option<f32>,
}
