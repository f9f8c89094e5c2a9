//! What the layers have in common that multiply by a normalized adjacency.

use connectome_components::Normalization;

use super::{BuildError, Initialization};
use crate::{
    operators::{add_bias, aggregate, linear},
    program::{Program, Value},
};

/// `Y = A X W + b` with the normalized adjacency `A`; the weights are called `weight`.
///
/// `(A X) W = A (X W)`, so the narrower of the two widths is sent along the edges; a sparse input is multiplied first in
/// any case.
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
    if input.width() <= width && !input.is_sparse() {
        let sums = aggregate(program, input, normalization)?;
        return linear(program, sums, &weight, Some(&bias));
    }
    let messages = linear(program, input, &weight, None)?;
    let sums = aggregate(program, messages, normalization)?;
    add_bias(program, sums, &bias)
}
