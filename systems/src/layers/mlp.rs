//! The multilayer perceptron, as a layer and as a building block of others.

use connectome_components::TensorLayout;
use serde::{Deserialize, Serialize};

use super::{BatchNorm, Initialization, Layer};
use crate::{
    error::BuildError,
    kernels::Activation,
    operators::{activate, linear},
    program::{Program, Value, Weight},
};

/// `Y[i] = W_k f(... f(W_1 X[i] + b_1) ...) + b_k`, row by row: linear maps with an activation between them
/// (Rumelhart, Hinton & Williams, Nature 1986). With `batch_norm`, `f(BatchNorm(W X[i] + b))`.
///
/// `X` is `[N, F]` on any domain, dense or sparse; `W_1` is `[F, widths[0]]`, each further map from one width to the
/// next, and `Y` `[N, last of widths]`. There is no activation after the last map. Costs `N` times the sum of the
/// products of consecutive widths. Border: rows are independent of each other and of the edges.
///
/// Parameters are called as in a `Sequential` of PyTorch: `0.weight`, `0.bias`, `2.weight`, and so on, because
/// activations are counted too; with `batch_norm` `0.*`, `1.*`, `3.*`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mlp {
    /// Output width of each linear map.
    pub widths: Vec<usize>,
    /// The activation between the maps.
    #[serde(default = "relu")]
    pub activation: Activation,
    /// Whether each linear map but the last is followed by a batch normalization.
    #[serde(default)]
    pub batch_norm: bool,
    /// Weight decay of this layer's parameters; the optimizer's if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f32>,
}

fn relu() -> Activation {
    Activation::Relu
}

impl Mlp {
    /// A perceptron with these output widths and ReLUs.
    pub fn new(widths: impl Into<Vec<usize>>) -> Self {
        Self { widths: widths.into(), activation: relu(), batch_norm: false, weight_decay: None }
    }

    /// The same with another activation.
    pub fn with_activation(self, activation: Activation) -> Self {
        Self { activation, ..self }
    }

    /// Width of the output; 0 without linear maps.
    pub fn width(&self) -> usize {
        self.widths.last().copied().unwrap_or(0)
    }

    /// Weights and bias of the first linear map, for a layer that calls this perceptron `name`, with `inputs` features.
    ///
    /// The map of a concatenation is the sum of the maps of its values, each by its rows of the weights: so a layer
    /// maps node features before they are gathered on edges, adds the bias, and continues with [`Mlp::after_first`].
    ///
    /// # Errors
    /// If there are no linear maps.
    pub(crate) fn first(
        &self,
        program: &mut Program,
        name: &str,
        inputs: usize,
    ) -> Result<(Weight, Weight), BuildError> {
        let shape = [inputs, self.width_of(program, 0)?];
        torch_linear(program, &format!("{name}.0"), shape, self.weight_decay)
    }

    /// The layers after the first linear map and its bias, to be nested under the name of the perceptron.
    pub(crate) fn after_first(&self) -> AfterFirst<'_> {
        AfterFirst(self)
    }

    fn width_of(&self, program: &Program, map: usize) -> Result<usize, BuildError> {
        let width = self.widths.get(map).copied();
        width.ok_or_else(|| program.error("is a perceptron without linear maps; give at least one width"))
    }

    /// The index of a map in PyTorch's `Sequential`.
    fn index(&self, map: usize) -> usize {
        map * if self.batch_norm { 3 } else { 2 }
    }

    /// Linear map `map` and, unless it is the last, the normalization and the activation after it.
    fn step(&self, program: &mut Program, input: Value, map: usize) -> Result<Value, BuildError> {
        let shape = [input.width(), self.width_of(program, map)?];
        let (weight, bias) = torch_linear(program, &self.index(map).to_string(), shape, self.weight_decay)?;
        let output = linear(program, input, &weight, Some(&bias))?;
        if map + 1 == self.widths.len() { Ok(output) } else { self.between(program, output, map) }
    }

    /// The normalization and the activation between linear map `map` and the next one.
    fn between(&self, program: &mut Program, input: Value, map: usize) -> Result<Value, BuildError> {
        let mut value = input;
        if self.batch_norm {
            let norm = BatchNorm { weight_decay: self.weight_decay, ..BatchNorm::new() };
            value = program.nested(&(self.index(map) + 1).to_string(), &norm, value)?;
        }
        activate(program, value, self.activation)
    }
}

impl Layer for Mlp {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        let first = self.step(program, input, 0)?;
        (1..self.widths.len()).try_fold(first, |value, map| self.step(program, value, map))
    }
}

/// An [`Mlp`] without its first linear map, whose output is the input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AfterFirst<'a>(&'a Mlp);

impl Layer for AfterFirst<'_> {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        if self.0.widths.len() < 2 {
            return Ok(input);
        }
        let hidden = self.0.between(program, input, 0)?;
        (1..self.0.widths.len()).try_fold(hidden, |value, map| self.0.step(program, value, map))
    }
}

/// Weights `[inputs, outputs]` and bias of a linear map, called `name.weight` and `name.bias` and initialized as in
/// PyTorch's `Linear`: uniform within `1 / sqrt(inputs)`.
pub(crate) fn torch_linear(
    program: &mut Program,
    name: &str,
    shape: [usize; 2],
    weight_decay: Option<f32>,
) -> Result<(Weight, Weight), BuildError> {
    let weight = torch_weight(program, name, shape, weight_decay)?;
    let bias = program.vector(&format!("{name}.bias"), shape[1], torch_uniform(shape), weight_decay)?;
    Ok((weight, bias))
}

/// As [`torch_linear`], without a bias.
pub(crate) fn torch_weight(
    program: &mut Program,
    name: &str,
    shape: [usize; 2],
    weight_decay: Option<f32>,
) -> Result<Weight, BuildError> {
    let layout = TensorLayout { shape: vec![shape[1], shape[0]], transposed: true };
    program.parameter(&format!("{name}.weight"), shape, layout, torch_uniform(shape), weight_decay)
}

fn torch_uniform(shape: [usize; 2]) -> Initialization {
    Initialization::Uniform(1.0 / (shape[0].max(1) as f32).sqrt())
}
