//! Whether a step leaves all numbers finite.

use connectome_components::{Columns, Matrix};

use super::{BLOCK, Place};
use crate::{
    kernels::vectorize,
    parallel::{Blocks, PerBlock, Workers},
};

/// As long as gradients, weights and moments are smaller, no step makes one of them infinite.
pub(super) const MODERATE: f32 = 1e15;

/// The largest absolute value; infinite or NaN if a number is not finite.
pub(super) fn largest(workers: &Workers, numbers: Matrix<'_>, sums: &mut Vec<u32>) -> f32 {
    let mut total = 0;
    for row in numbers.rows() {
        let blocks = Blocks::Uniform { start: 0, rows: row.len(), size: BLOCK };
        sums.clear();
        sums.resize(blocks.count(), 0);
        workers.for_each_block(blocks, 1, PerBlock::new(&mut sums[..], BLOCK), |places, sum| {
            vectorize(
                #[inline(always)]
                || sum.data[0] = largest_bits(&row[places]),
            );
        });
        total = sums.iter().copied().fold(total, u32::max);
    }
    f32::from_bits(total)
}

/// Without their signs floats are ordered as their bits, and what is not finite comes last.
#[inline(always)]
fn largest_bits(numbers: &[f32]) -> u32 {
    const LANES: usize = 16;
    let mut lanes = [0; LANES];
    let (chunks, rest) = numbers.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, number) in lanes.iter_mut().zip(chunk) {
            *lane = (*lane).max(number.to_bits() & !(1 << 31));
        }
    }
    for (lane, number) in lanes.iter_mut().zip(rest) {
        *lane = (*lane).max(number.to_bits() & !(1 << 31));
    }
    lanes.into_iter().fold(0, u32::max)
}

/// Applies a step to the parameters, and takes it back if one of them or of their moments is not finite then: the first such
/// parameter. Keeps a copy of all meanwhile, which only numbers that are about to leave their range are worth.
pub(super) fn restore_unless_finite(
    columns: &mut Columns<'_, '_>,
    learned: &[Place],
    mut apply: impl FnMut(&mut Columns<'_, '_>),
) -> Option<usize> {
    let copy = |columns: &mut Columns<'_, '_>, column: usize| -> Vec<f32> {
        columns.split_mut(&[]).0.matrix(column).rows().flatten().copied().collect()
    };
    let before: Vec<[Vec<f32>; 2]> =
        learned.iter().map(|place| place.written.map(|column| copy(columns, column))).collect();
    apply(columns);
    let at_fault = learned.iter().position(|place| {
        let numbers = place.written.map(|column| copy(columns, column));
        numbers.iter().flatten().any(|number| !number.is_finite())
    })?;
    for (place, before) in learned.iter().zip(&before) {
        for (column, before) in place.written.iter().zip(before) {
            let (_, [column, ..]) = columns.split_mut(&[*column]);
            let rows = column.into_iter().flat_map(|column| column.rows_mut());
            rows.flatten().zip(before).for_each(|(number, before)| *number = *before);
        }
    }
    Some(at_fault)
}
