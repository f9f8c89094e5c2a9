//! What the layers have in common that multiply by a normalised adjacency.

use connectome_components::{Normalization, Signal};

use super::{
    BuildError, Initialization, LayerBuilder,
    stages::{
        Direction, Epilogue, activation_backward, aggregate, bias_gradient, input_gradient, transform, weight_gradient,
    },
};
use crate::{Phase, kernels::Activation};

/// `Y = activation(A X W + b)` with the normalised adjacency `A`.
///
/// `(A X) W = A (X W)`, so the narrower of the two widths is sent along the edges; a sparse input is multiplied first in
/// any case. The derivative of `activation` must be told from its output.
pub(crate) fn convolve(
    layer: &mut LayerBuilder,
    input: Signal,
    width: usize,
    normalization: Normalization,
    activation: Activation,
    weight_decay: Option<f32>,
) -> Result<Signal, BuildError> {
    let weight = layer.parameter("weight", [input.width(), width], Initialization::Glorot, weight_decay)?;
    let bias = layer.parameter("bias", [1, width], Initialization::Zeros, weight_decay)?;
    let adjacency = layer.require(normalization);
    let epilogue = Epilogue { bias: Some(bias.value), activation };
    let (value, gradient) = match input {
        Signal::Dense { value: features, gradient: features_gradient } if features.width() < width => {
            let aggregated = layer.field("aggregated", features.width())?;
            aggregate(layer, Direction::Forward, adjacency, features, Epilogue::NONE, aggregated);
            layer.release(input);
            let (value, gradient) = layer.output(width)?;
            let input = Signal::Dense { value: aggregated, gradient: None };
            transform(layer, Phase::Update, input, weight.value, epilogue, value);
            if let Some(gradient) = gradient {
                activation_backward(layer, activation, value, gradient);
                bias_gradient(layer, gradient, &bias);
                weight_gradient(layer, input, gradient, &weight);
                if let Some(features_gradient) = features_gradient {
                    // What was aggregated is not read any more: its place takes its gradient.
                    input_gradient(layer, gradient, weight.value, aggregated);
                    aggregate(layer, Direction::Backward, adjacency, aggregated, Epilogue::NONE, features_gradient);
                }
            }
            (value, gradient)
        }
        _ => {
            let messages = layer.field("messages", width)?;
            transform(layer, Phase::Message, input, weight.value, Epilogue::NONE, messages);
            layer.release(input);
            let (value, gradient) = layer.output(width)?;
            aggregate(layer, Direction::Forward, adjacency, messages, epilogue, value);
            if let Some(gradient) = gradient {
                activation_backward(layer, activation, value, gradient);
                bias_gradient(layer, gradient, &bias);
                // The messages are not read any more: their place takes their gradient.
                aggregate(layer, Direction::Backward, adjacency, gradient, Epilogue::NONE, messages);
                weight_gradient(layer, input, messages, &weight);
                if let Signal::Dense { gradient: Some(features_gradient), .. } = input {
                    input_gradient(layer, messages, weight.value, features_gradient);
                }
            }
            (value, gradient)
        }
    };
    Ok(Signal::Dense { value, gradient })
}
