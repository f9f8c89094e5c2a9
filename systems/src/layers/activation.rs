//! Activations as layers.

use super::Layer;
use crate::{
    error::BuildError,
    kernels::Activation,
    operators::activate,
    program::{Program, Value},
};

/// `Y = f(X)`, elementwise; `[N, F]` to `[N, F]`.
impl Layer for Activation {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        activate(program, input, *self)
    }
}
