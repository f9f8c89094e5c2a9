//! How large a program may become.

use super::{Layout, Program};
use crate::error::BuildError;

/// The most operations of a program, and of its backward pass.
pub const MAX_OPERATIONS: usize = 1 << 17;

/// The most parameters and buffers of a program. Each is an entity with components of its own, and the memory and time
/// that bevy_ecs takes for their tables grow with the square of their number.
pub const MAX_PARAMETERS: usize = 1 << 12;

/// The most columns of a model, each of which is a component: the memory and time that bevy_ecs takes for them grow with
/// the square of their number.
pub const MAX_COLUMNS: usize = 1 << 14;

/// The most heads of a model: each has systems of its own, and building their schedule takes time that grows with the
/// square of their number.
pub const MAX_HEADS: usize = 1 << 8;

/// Bounds on the size of a program.
///
/// They are checked while a program is recorded, so that a layer that exceeds one of them is refused before anything is
/// planned or allocated, whatever its counts and widths are; columns are counted when it is planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramLimits {
    /// Number of operations, and of those of the backward pass; at most [`MAX_OPERATIONS`].
    pub operations: usize,
    /// Number of parameters and buffers; at most [`MAX_PARAMETERS`].
    pub parameters: usize,
    /// Number of columns that all plans share; at most [`MAX_COLUMNS`].
    pub columns: usize,
    /// Number of elements of all parameters and buffers together, and of a row of a value.
    pub elements: usize,
}

impl Default for ProgramLimits {
    /// The most operations, parameters and columns, and more elements than any machine has memory for; products of a few
    /// sizes can be counted all the same.
    fn default() -> Self {
        let (operations, parameters, columns) = (MAX_OPERATIONS, MAX_PARAMETERS, MAX_COLUMNS);
        Self { operations, parameters, columns, elements: 1 << 48 }
    }
}

impl Program {
    /// The same with other bounds on its size.
    pub fn with_limits(self, limits: ProgramLimits) -> Self {
        let limits = ProgramLimits {
            operations: limits.operations.min(MAX_OPERATIONS),
            parameters: limits.parameters.min(MAX_PARAMETERS),
            columns: limits.columns.min(MAX_COLUMNS),
            elements: limits.elements,
        };
        Self { limits, ..self }
    }

    /// The error if there is no room for another operation.
    pub(super) fn check_operations(&self) -> Result<(), BuildError> {
        let most = self.limits.operations;
        if self.operations.len() < most {
            return Ok(());
        }
        Err(BuildError::TooManyOperations { layer: self.layer, path: self.nested_path(), most })
    }

    /// The error if a row of a value cannot have so many elements.
    pub(super) fn check_width(&self, width: usize) -> Result<(), BuildError> {
        if width <= self.limits.elements { Ok(()) } else { Err(self.too_large(Some(width))) }
    }

    /// The error if there is no room for another parameter `[rows, columns]`; the number of its elements.
    pub(super) fn check_parameter(&self, [rows, columns]: [usize; 2]) -> Result<usize, BuildError> {
        let most = self.limits.parameters;
        if self.parameters.len() >= most {
            return Err(BuildError::TooManyParameters { layer: self.layer, path: self.nested_path(), most });
        }
        let size = rows.checked_mul(columns);
        let total = size.and_then(|size| size.checked_add(self.parameter_elements));
        match size {
            Some(size) if total.is_some_and(|total| total <= self.limits.elements) => Ok(size),
            _ => Err(self.too_large(total)),
        }
    }

    /// The error if plans have too many columns.
    pub(super) fn check_columns(&self, layout: &Layout) -> Result<(), BuildError> {
        let most = self.limits.columns;
        match layout.columns.get(most) {
            Some((_, layer)) => Err(BuildError::TooManyColumns { layer: *layer, most }),
            None => Ok(()),
        }
    }

    fn too_large(&self, elements: Option<usize>) -> BuildError {
        let needed = elements.and_then(|elements| elements.checked_mul(size_of::<f32>()));
        BuildError::TooLarge { layer: self.layer, path: self.nested_path(), needed }
    }
}
