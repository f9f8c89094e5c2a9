//! Parameters of models.

use bevy_ecs::component::Component;

use crate::Field;

/// A matrix of weights `[rows, columns]`, as an entity that carries the fields `value`, `gradient`,
/// `moments` and `accumulated`.
///
/// Each parameter has its own fields, so that systems of different parameters do not conflict.
#[derive(Component, Clone, Debug)]
pub struct Parameter {
    /// Its name in weight files, such as `layers.1.weight`.
    pub name: String,
    /// Rows and columns; a bias has one row.
    pub shape: [usize; 2],
    /// Its layout in weight files.
    pub layout: TensorLayout,
    /// The weights, `rows * columns` wide.
    pub value: Field,
    /// The gradient of the loss with respect to the weights, overwritten by each backward pass. None for buffers, such
    /// as running statistics.
    pub gradient: Option<Field>,
    /// The optimizer's moments: `[Optimizer::moments, rows * columns]`. None for buffers.
    pub moments: Option<Field>,
    /// The sum of the gradients of the passes since the last step, as wide as the gradient, if gradients are
    /// accumulated.
    pub accumulated: Option<Field>,
    /// The weight decay of this parameter; the optimizer's if none.
    pub weight_decay: Option<f32>,
}

impl Parameter {
    /// Converts weights, `[rows, columns]`, to the layout of weight files.
    pub fn to_stored(&self, weights: &[f32]) -> Vec<f32> {
        let [rows, columns] = self.shape;
        if self.layout.transposed { transpose(weights, rows, columns) } else { weights.to_vec() }
    }

    /// Converts weights in the layout of weight files to `[rows, columns]`.
    pub fn from_stored(&self, weights: &[f32]) -> Vec<f32> {
        let [rows, columns] = self.shape;
        if self.layout.transposed { transpose(weights, columns, rows) } else { weights.to_vec() }
    }
}

/// The transpose of a row-major matrix `[rows, columns]`, row-major.
fn transpose(matrix: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|column| (0..rows).map(move |row| matrix[row * columns + column])).collect()
}

/// The shape of a parameter in weight files, which is that of PyTorch: `[outputs, inputs]` for a linear layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorLayout {
    /// Length of each dimension; their product is that of [`Parameter::shape`].
    pub shape: Vec<usize>,
    /// Whether the file has the transpose.
    pub transposed: bool,
}
