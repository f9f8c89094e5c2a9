//! Linear maps inside of layers.

use connectome_components::TensorLayout;

use super::Initialization;
use crate::{
    error::BuildError,
    operators::linear,
    program::{Program, Value},
};

/// A linear map `X W + b` with parameters `{name}.weight` and `{name}.bias`.
pub(super) struct Affine<'a> {
    pub(super) name: &'a str,
    pub(super) width: usize,
    /// Whether there is a `b`.
    pub(super) bias: bool,
    /// Initialization of the weights; [`Affine::default_initialization`], that of the bias, if none.
    pub(super) initialization: Option<Initialization>,
    pub(super) weight_decay: Option<f32>,
}

impl Affine<'_> {
    /// Initialization of PyTorch's `Linear`: uniform within `1 / sqrt(inputs)`.
    fn default_initialization(input: Value) -> Initialization {
        Initialization::Uniform(1.0 / (input.width().max(1) as f32).sqrt())
    }

    /// Records the map of a value.
    ///
    /// # Errors
    /// If the parameters exceed the address space.
    pub(super) fn of(&self, program: &mut Program, input: Value) -> Result<Value, BuildError> {
        let &Self { name, width, bias, initialization, weight_decay } = self;
        let default = Self::default_initialization(input);
        let layout = TensorLayout { shape: vec![width, input.width()], transposed: true };
        let initialization = initialization.unwrap_or(default);
        let weight = format!("{name}.weight");
        let weight = program.parameter(&weight, [input.width(), width], layout, initialization, weight_decay)?;
        let bias = bias.then(|| program.vector(&format!("{name}.bias"), width, default, weight_decay)).transpose()?;
        linear(program, input, &weight, bias.as_ref())
    }
}
