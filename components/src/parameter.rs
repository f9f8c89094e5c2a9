//! Parameters of models.

use bevy_ecs::component::Component;

use crate::Field;

/// A matrix of weights `[rows, columns]`, as an entity: it carries the fields `value`, `gradient` and the
/// optimizer's moments, each `rows * columns` wide.
///
/// Each parameter has fields of its own, so the scheduler tells the systems of different parameters apart.
#[derive(Component, Clone, Debug)]
pub struct Parameter {
    /// Its name in weight files, such as `layers.1.weight`.
    pub name: String,
    /// Rows and columns; a bias has one row.
    pub shape: [usize; 2],
    /// Its layout in weight files.
    pub layout: TensorLayout,
    /// The weights.
    pub value: Field,
    /// The gradient of the loss with respect to the weights, overwritten by each backward pass. None for buffers, such
    /// as running statistics.
    pub gradient: Option<Field>,
    /// The optimizer's moments: `[Optimizer::moments, rows * columns]`. None for buffers.
    pub moments: Option<Field>,
    /// This parameter's weight decay; the optimizer's if none.
    pub weight_decay: Option<f32>,
}

impl Parameter {
    /// Converts `numbers`, `[rows, columns]`, to the layout of weight files.
    pub fn to_stored(&self, numbers: &[f32]) -> Vec<f32> {
        let [rows, columns] = self.shape;
        if self.layout.transposed { transpose(numbers, rows, columns) } else { numbers.to_vec() }
    }

    /// Converts `numbers` of a weight file to `[rows, columns]`.
    pub fn from_stored(&self, numbers: &[f32]) -> Vec<f32> {
        let [rows, columns] = self.shape;
        if self.layout.transposed { transpose(numbers, columns, rows) } else { numbers.to_vec() }
    }
}

/// The transpose of `[rows, columns]`, row by row.
fn transpose(numbers: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|column| (0..rows).map(move |row| numbers[row * columns + column])).collect()
}

/// The shape of a parameter in weight files, which are those of PyTorch: a linear map is `[outputs, inputs]` there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorLayout {
    /// Length of each dimension; their product is that of [`Parameter::shape`].
    pub shape: Vec<usize>,
    /// Whether the file has the transpose.
    pub transposed: bool,
}
