//! Loops over few elements, written so that they are vectorized.

use core::array;

/// `numbers[i] = f(numbers[i], others[i])` for rows of one length.
#[inline(always)]
pub(super) fn combine(numbers: &mut [f32], others: &[f32], f: impl Fn(f32, f32) -> f32) {
    combine_both(
        numbers,
        [others, others],
        #[inline(always)]
        |number, other, _| f(number, other),
    );
}

/// `numbers[i] = f(numbers[i], ones[i], others[i])` for rows of one length.
///
/// Eight and then four at a time are read before any is written: the compiler need not assume that the rows overlap,
/// and unrolls the loop where the length is known.
#[inline(always)]
pub(super) fn combine_both(numbers: &mut [f32], [ones, others]: [&[f32]; 2], f: impl Fn(f32, f32, f32) -> f32) {
    let (eights, numbers) = numbers.as_chunks_mut::<8>();
    let ((one_eights, ones), (other_eights, others)) = (ones.as_chunks::<8>(), others.as_chunks::<8>());
    for (numbers, (ones, others)) in eights.iter_mut().zip(one_eights.iter().zip(other_eights)) {
        *numbers = array::from_fn(|place| f(numbers[place], ones[place], others[place]));
    }
    let (fours, numbers) = numbers.as_chunks_mut::<4>();
    let ((one_fours, ones), (other_fours, others)) = (ones.as_chunks::<4>(), others.as_chunks::<4>());
    for (numbers, (ones, others)) in fours.iter_mut().zip(one_fours.iter().zip(other_fours)) {
        *numbers = array::from_fn(|place| f(numbers[place], ones[place], others[place]));
    }
    for (number, (one, other)) in numbers.iter_mut().zip(ones.iter().zip(others)) {
        *number = f(*number, *one, *other);
    }
}

/// Calls `work(size)`, specialized for the usual sizes.
#[inline(always)]
pub(super) fn by_size(size: usize, mut work: impl FnMut(usize)) {
    match size {
        1 => work(1),
        4 => work(4),
        8 => work(8),
        16 => work(16),
        _ => work(size),
    }
}
