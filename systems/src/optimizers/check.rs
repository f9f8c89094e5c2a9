//! Checks that a step keeps all values finite.

use connectome_components::{Columns, Matrix};

use super::{BLOCK, ParameterColumns};
use crate::{
    kernels::vectorize,
    parallel::{Blocks, PerBlock, Workers},
};

/// While gradients, weights and moments are smaller, a step keeps them finite.
pub(super) const MODERATE: f32 = 1e15;

/// The largest absolute value; infinite or NaN if a value is not finite.
pub(super) fn largest(workers: &Workers, values: Matrix<'_>, maxima: &mut Vec<u32>) -> f32 {
    let mut total = 0;
    for row in values.rows() {
        let blocks = Blocks::Uniform { start: 0, rows: row.len(), size: BLOCK };
        maxima.clear();
        maxima.resize(blocks.count(), 0);
        workers.for_each_block(blocks, 1, PerBlock::new(&mut maxima[..], BLOCK), |range, maximum| {
            vectorize(
                #[inline(always)]
                || maximum.data[0] = largest_bits(&row[range]),
            );
        });
        total = maxima.iter().copied().fold(total, u32::max);
    }
    f32::from_bits(total)
}

/// The bits of the largest absolute value: without signs floats are ordered as their bits, not finite ones last.
#[inline(always)]
fn largest_bits(values: &[f32]) -> u32 {
    const LANES: usize = 16;
    let mut lanes = [0; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = (*lane).max(value.to_bits() & !(1 << 31));
        }
    }
    for (lane, value) in lanes.iter_mut().zip(rest) {
        *lane = (*lane).max(value.to_bits() & !(1 << 31));
    }
    lanes.into_iter().fold(0, u32::max)
}

/// Applies a step to the parameters, and reverts it if a parameter or one of its moments is not finite then; returns
/// the first such parameter. Copies all parameters, so it is used only for values that may overflow.
pub(super) fn restore_unless_finite(
    columns: &mut Columns<'_, '_>,
    learned: &[ParameterColumns],
    mut apply: impl FnMut(&mut Columns<'_, '_>),
) -> Option<usize> {
    let copy = |columns: &mut Columns<'_, '_>, column: usize| -> Vec<f32> {
        columns.split_mut(&[]).0.matrix(column).rows().flatten().copied().collect()
    };
    let before: Vec<[Vec<f32>; 2]> =
        learned.iter().map(|parameter| parameter.written.map(|column| copy(columns, column))).collect();
    apply(columns);
    let faulty = learned.iter().position(|parameter| {
        let values = parameter.written.map(|column| copy(columns, column));
        values.iter().flatten().any(|value| !value.is_finite())
    })?;
    for (parameter, before) in learned.iter().zip(&before) {
        for (column, before) in parameter.written.iter().zip(before) {
            let (_, [column, ..]) = columns.split_mut(&[*column]);
            let rows = column.into_iter().flat_map(|column| column.rows_mut());
            rows.flatten().zip(before).for_each(|(value, before)| *value = *before);
        }
    }
    Some(faulty)
}
