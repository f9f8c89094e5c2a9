//! Helpers of convolutions: products of a normalized adjacency, features and weights.

use connectome_components::Normalization;

use super::Initialization;
use crate::{
    error::BuildError,
    operators::{add, add_bias, aggregate, linear, linear_pair},
    program::{Program, Value, Weight},
};

/// `Y = A X W + b` with the normalized adjacency `A`; the weights are called `weight`.
///
/// `(A X) W = A (X W)`; [`Program::sums_first`] says which of the two is aggregated.
pub(crate) fn convolve(
    program: &mut Program,
    input: Value,
    width: usize,
    weight: &str,
    normalization: Normalization,
    weight_decay: Option<f32>,
) -> Result<Value, BuildError> {
    let weight = program.weight(weight, [input.width(), width], weight_decay)?;
    let bias = program.vector("bias", width, Initialization::ZEROS, weight_decay)?;
    if program.sums_first(input, width) {
        let sums = aggregate(program, input, normalization)?;
        return linear(program, sums, &weight, Some(&bias));
    }
    let messages = linear(program, input, &weight, None)?;
    let sums = aggregate(program, messages, normalization)?;
    add_bias(program, sums, &bias)
}

/// `Y = A X W + b + Z W_root`: separate linear maps of the neighbors and of the node itself. `map` is `W` and `b`,
/// `root` is `Z` and `W_root`, if the node itself is read.
///
/// As in [`convolve`], `X` or `X W` is aggregated.
pub(crate) fn aggregate_with_root(
    program: &mut Program,
    features: Value,
    map: (Weight, Weight),
    root: Option<(Value, Weight)>,
    normalization: Normalization,
) -> Result<Value, BuildError> {
    let (weight, bias) = map;
    if program.sums_first(features, weight.shape()[1]) {
        let aggregated = aggregate(program, features, normalization)?;
        return linear_with_root(program, aggregated, map, root);
    }
    let messages = linear(program, features, &weight, None)?;
    let mut sums = aggregate(program, messages, normalization)?;
    if let Some((input, weight)) = root {
        let mapped = linear(program, input, &weight, None)?;
        sums = add(program, [(sums, 1.0), (mapped, 1.0)])?;
    }
    add_bias(program, sums, &bias)
}

/// `Y = X W + b + Z W_root` with the aggregated neighbors `X`; see [`aggregate_with_root`].
pub(crate) fn linear_with_root(
    program: &mut Program,
    aggregated: Value,
    (weight, bias): (Weight, Weight),
    root: Option<(Value, Weight)>,
) -> Result<Value, BuildError> {
    match root {
        Some((input, root)) => linear_pair(program, [(aggregated, weight), (input, root)], Some(&bias)),
        None => linear(program, aggregated, &weight, Some(&bias)),
    }
}
