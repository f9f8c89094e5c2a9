//! What records a formula into a program.

use std::sync::Arc;

use super::{Program, Value};
use crate::error::BuildError;

/// A formula that computes one value from another.
///
/// [`Layer::build`] records the formula into a [`Program`], the same for training and inference. Operations come from
/// [operators](crate::operators), or are your own:
///
/// ```
/// use connectome_systems::{
///     layers::{BuildError, Layer},
///     program::{Operation, Operator, Partition, Program, Shape, Step, Tape, Value},
/// };
///
/// /// Multiplies its input by a constant.
/// #[derive(Clone, Copy, Debug)]
/// struct Scale(f32);
///
/// impl Operator for Scale {
///     fn name(&self) -> &'static str {
///         "scale"
///     }
///
///     fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
///         Ok(vec![inputs[0].shape()])
///     }
///
///     fn run(&self, step: &mut Step<'_>) {
///         step.write_rows(Partition::Uniform, [0], |_, [input], rows, output| {
///             for (output, input) in output.iter_mut().zip(input.slice(rows)) {
///                 *output = self.0 * input;
///             }
///         });
///     }
///
///     // Called in training only, and only if a gradient with respect to the input is needed.
///     fn differentiate(&self, operation: &Operation, gradient: Value, tape: &mut Tape<'_>) -> Result<(), BuildError> {
///         tape.gradient(operation.inputs[0], *self, &[gradient])
///     }
/// }
///
/// impl Layer for Scale {
///     fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
///         program.record_one(*self, &[program.dense(input)?])
///     }
/// }
/// ```
pub trait Layer: Send + Sync {
    /// Records the operations that compute the output from the input; returns the output.
    ///
    /// # Errors
    /// If the layer's settings are invalid, or do not fit the input.
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError>;

    /// Whether it reads nodes of all kinds, as [`HeteroConv`](crate::layers::HeteroConv) does. Any other layer of a model with
    /// several kinds is applied to each of them, with parameters of its own for each.
    fn reads_all_kinds(&self) -> bool {
        false
    }
}

impl<L: Layer + ?Sized> Layer for Box<L> {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        (**self).build(input, program)
    }

    fn reads_all_kinds(&self) -> bool {
        (**self).reads_all_kinds()
    }
}

impl<L: Layer + ?Sized> Layer for Arc<L> {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        (**self).build(input, program)
    }

    fn reads_all_kinds(&self) -> bool {
        (**self).reads_all_kinds()
    }
}
