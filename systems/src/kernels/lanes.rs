//! Elementwise loops over few elements, written so that they are vectorized.

use core::array;

/// `values[i] = f(values[i], others[i])` for rows of equal length.
#[inline(always)]
pub(super) fn combine(values: &mut [f32], others: &[f32], f: impl Fn(f32, f32) -> f32) {
    combine_both(
        values,
        [others, others],
        #[inline(always)]
        |value, other, _| f(value, other),
    );
}

/// `values[i] = f(values[i], ones[i], others[i])` for rows of equal length.
///
/// Eight and then four elements are read before any is written, so the compiler need not assume that the rows overlap,
/// and unrolls the loop if the length is known.
#[inline(always)]
pub(super) fn combine_both(values: &mut [f32], [ones, others]: [&[f32]; 2], f: impl Fn(f32, f32, f32) -> f32) {
    let (eights, values) = values.as_chunks_mut::<8>();
    let ((one_eights, ones), (other_eights, others)) = (ones.as_chunks::<8>(), others.as_chunks::<8>());
    for (values, (ones, others)) in eights.iter_mut().zip(one_eights.iter().zip(other_eights)) {
        *values = array::from_fn(|index| f(values[index], ones[index], others[index]));
    }
    let (fours, values) = values.as_chunks_mut::<4>();
    let ((one_fours, ones), (other_fours, others)) = (ones.as_chunks::<4>(), others.as_chunks::<4>());
    for (values, (ones, others)) in fours.iter_mut().zip(one_fours.iter().zip(other_fours)) {
        *values = array::from_fn(|index| f(values[index], ones[index], others[index]));
    }
    for (value, (one, other)) in values.iter_mut().zip(ones.iter().zip(others)) {
        *value = f(*value, *one, *other);
    }
}

/// Calls `work(size)`, specialized for common sizes.
#[inline(always)]
pub(super) fn by_size(size: usize, mut work: impl FnMut(usize)) {
    match size {
        8 => work(8),
        16 => work(16),
        _ => work(size),
    }
}
