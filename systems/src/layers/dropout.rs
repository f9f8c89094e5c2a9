//! Dropout.

use serde::{Deserialize, Serialize};

use super::Layer;
use crate::{
    error::BuildError,
    operators::dropout,
    program::{Program, Value},
};

/// Sets each element to 0 with this probability in training, and scales the others by `1 / (1 - p)`; see [`dropout`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Dropout(pub f32);

impl Layer for Dropout {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        dropout(program, input, self.0)
    }
}
