//! What the layers have in common that multiply by a normalised adjacency.

use connectome_components::{Normalization, Signal};

use super::{BuildError, Initialization, LayerBuilder};
use crate::{
    kernels::Activation,
    stages::{Epilogue, aggregate, aggregate_and_map, linear},
};

/// `Y = activation(A X W + b)` with the normalised adjacency `A`; the weights are called `weight`.
///
/// `(A X) W = A (X W)`, so the narrower of the two widths is sent along the edges; a sparse input is multiplied first in
/// any case. The derivative of `activation` must be told from its output.
pub(crate) fn convolve(
    layer: &mut LayerBuilder,
    input: Signal,
    width: usize,
    weight: &str,
    normalization: Normalization,
    activation: Activation,
    weight_decay: Option<f32>,
) -> Result<Signal, BuildError> {
    let weight = layer.weight(weight, [input.width(), width], weight_decay)?;
    let bias = layer.vector("bias", width, Initialization::ZEROS, weight_decay)?;
    let epilogue = Epilogue { bias: Some(bias), activation, ..Epilogue::default() };
    let is_sparse = matches!(input, Signal::Sparse { .. });
    if input.width() <= width && !is_sparse {
        aggregate_and_map(layer, input, normalization, &weight, epilogue)
    } else {
        layer.messages();
        let messages = linear(layer, input, &weight, Epilogue::default())?;
        layer.release(input);
        layer.last_stage();
        aggregate(layer, messages, normalization, epilogue)
    }
}
