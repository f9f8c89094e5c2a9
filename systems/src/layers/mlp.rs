//! The multilayer perceptron, by itself and as a part of other layers.

use connectome_components::{Parameter, Signal, TensorLayout};
use serde::{Deserialize, Serialize};

use super::{BatchNorm, BuildError, Initialization, Layer, LayerBuilder};
use crate::{
    kernels::Activation,
    stages::{self, Epilogue},
};

/// `Y[i] = W_k f(... f(W_1 X[i] + b_1) ...) + b_k`, each row by itself: linear maps with an activation between any two of
/// them (Rumelhart, Hinton & Williams, Nature 1986). With `batch_norm`, `f(BatchNorm(W X[i] + b))`.
///
/// `X` is `[N, F]` on rows of any kind, dense or sparse; `W_1` is `[F, widths[0]]`, each further map from one width to the
/// next, and `Y` `[N, last of widths]`. Nothing follows the last map. Costs `N` times the sum of the products of
/// neighbouring widths. Border: rows meet no others, so edges matter to none.
///
/// Parameters are those of PyTorch's `Sequential`: `0.weight`, `0.bias`, `2.weight`, and so on, as activations are
/// counted too; with `batch_norm` `0.*`, `1.*`, `3.*`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mlp {
    /// Output width of each linear map.
    pub widths: Vec<usize>,
    /// What stands between the maps.
    #[serde(default = "relu")]
    pub activation: Activation,
    /// Whether each map but the last is followed by a batch normalisation.
    #[serde(default)]
    pub batch_norm: bool,
    /// Decay of this layer's parameters; the optimizer's if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f32>,
}

fn relu() -> Activation {
    Activation::Relu
}

impl Mlp {
    /// Linear maps to these widths with rectifiers between them.
    pub fn new(widths: impl Into<Vec<usize>>) -> Self {
        Self { widths: widths.into(), activation: relu(), batch_norm: false, weight_decay: None }
    }

    /// The same with another activation.
    pub fn with_activation(self, activation: Activation) -> Self {
        Self { activation, ..self }
    }

    /// Width of the output; 0 if there are no maps.
    pub fn width(&self) -> usize {
        self.widths.last().copied().unwrap_or(0)
    }

    /// Weights and bias of the first map, from so many inputs, for a layer in which this is the part `name`.
    ///
    /// A map of several signals put side by side is the sum of a map of each, by its own rows of the weights: so a layer
    /// maps what its edges read on the nodes, before it is gathered, applies what [`Mlp::first_epilogue`] says, and goes on
    /// with [`Mlp::after_first`].
    ///
    /// # Errors
    /// If there are no maps.
    pub fn first(
        &self,
        layer: &mut LayerBuilder,
        name: &str,
        inputs: usize,
    ) -> Result<(Parameter, Parameter), BuildError> {
        let shape = [inputs, self.width_of(layer, 0)?];
        torch_linear(layer, &format!("{name}.0"), shape, self.weight_decay)
    }

    /// What the first map does in passing: adds its bias, and applies the activation where no other map needs what it is
    /// applied to.
    pub fn first_epilogue(&self, bias: &Parameter) -> Epilogue {
        Epilogue { activation: self.passing_activation(0), ..Epilogue::bias(bias) }
    }

    /// What follows the first map and its epilogue, to be nested under the same name as the whole.
    pub fn after_first(&self) -> AfterFirst<'_> {
        AfterFirst(self)
    }

    fn width_of(&self, layer: &LayerBuilder, map: usize) -> Result<usize, BuildError> {
        let width = self.widths.get(map).copied();
        width.ok_or_else(|| layer.refuse("is a perceptron without maps; give at least one width"))
    }

    /// The place of a map in PyTorch's `Sequential`.
    fn place(&self, map: usize) -> usize {
        map * if self.batch_norm { 3 } else { 2 }
    }

    /// Map number `map` and, unless it is the last, what comes before the next one.
    fn step(&self, layer: &mut LayerBuilder, input: Signal, map: usize) -> Result<Signal, BuildError> {
        let width = self.width_of(layer, map)?;
        let shape = [input.width(), width];
        let (weight, bias) = torch_linear(layer, &self.place(map).to_string(), shape, self.weight_decay)?;
        let is_last = map + 1 == self.widths.len();
        if is_last {
            layer.last_stage();
        }
        let epilogue = Epilogue { activation: self.passing_activation(map), ..Epilogue::bias(&bias) };
        let output = stages::linear(layer, input, &weight, epilogue)?;
        layer.release(input);
        if is_last { Ok(output) } else { self.between(layer, output, map) }
    }

    /// The activation that map number `map` applies in passing: one whose derivative is told from its output, if nothing
    /// stands before it.
    pub(crate) fn passing_activation(&self, map: usize) -> Activation {
        let is_last = map + 1 >= self.widths.len();
        let passes = !is_last && !self.batch_norm && self.activation.derivative_from_output();
        if passes { self.activation } else { Activation::Identity }
    }

    /// What stands between the epilogue of map number `map` and the next one.
    fn between(&self, layer: &mut LayerBuilder, input: Signal, map: usize) -> Result<Signal, BuildError> {
        if self.passing_activation(map) != Activation::Identity {
            return Ok(input);
        }
        let mut signal = input;
        if self.batch_norm {
            let norm = BatchNorm { weight_decay: self.weight_decay, ..BatchNorm::new() };
            signal = layer.nested(&(self.place(map) + 1).to_string(), &norm, signal)?;
        }
        let output = stages::activate(layer, signal, self.activation)?;
        layer.release(signal);
        Ok(output)
    }
}

impl Layer for Mlp {
    fn build(&self, input: Signal, layer: &mut LayerBuilder) -> Result<Signal, BuildError> {
        let mut signal = self.step(layer, input, 0)?;
        for map in 1..self.widths.len() {
            signal = self.step(layer, signal, map)?;
        }
        Ok(signal)
    }
}

/// What of an [`Mlp`] follows its first map, whose output it takes.
#[derive(Clone, Copy, Debug)]
pub struct AfterFirst<'a>(&'a Mlp);

impl Layer for AfterFirst<'_> {
    fn build(&self, input: Signal, layer: &mut LayerBuilder) -> Result<Signal, BuildError> {
        if self.0.widths.len() < 2 {
            return Ok(input);
        }
        let mut signal = self.0.between(layer, input, 0)?;
        for map in 1..self.0.widths.len() {
            signal = self.0.step(layer, signal, map)?;
        }
        Ok(signal)
    }
}

/// Weights `[inputs, outputs]` and bias of a linear map, called `name.weight` and `name.bias`, which begin as those of
/// PyTorch's `Linear`: uniform within `1 / sqrt(inputs)` on either side of 0.
pub(crate) fn torch_linear(
    layer: &mut LayerBuilder,
    name: &str,
    shape: [usize; 2],
    weight_decay: Option<f32>,
) -> Result<(Parameter, Parameter), BuildError> {
    let weight = torch_weight(layer, name, shape, weight_decay)?;
    let bias = layer.vector(&format!("{name}.bias"), shape[1], torch_uniform(shape), weight_decay)?;
    Ok((weight, bias))
}

/// As [`torch_linear`], without a bias.
pub(crate) fn torch_weight(
    layer: &mut LayerBuilder,
    name: &str,
    shape: [usize; 2],
    weight_decay: Option<f32>,
) -> Result<Parameter, BuildError> {
    let stored = TensorLayout { shape: vec![shape[1], shape[0]], transposed: true };
    layer.parameter(&format!("{name}.weight"), shape, stored, torch_uniform(shape), weight_decay)
}

fn torch_uniform(shape: [usize; 2]) -> Initialization {
    Initialization::Uniform(1.0 / (shape[0].max(1) as f32).sqrt())
}
