//! Dropout.

use crate::random::{LANES, Philox};

/// Number of elements for 128 random bits, 16 each.
const GROUP: usize = 8;

/// `values = values * mask / (1 - rate)`, where each element is retained with probability `1 - rate` (Srivastava et al.
/// 2014).
///
/// The values are those of a matrix from index `start` on. The mask depends on `random` and the index alone, so the
/// backward pass calls the same function on the gradient, and any partition into blocks gives the same mask. The rate
/// is rounded to a multiple of 2^-16, and the scale is that of the rounded rate.
pub fn dropout(rate: f32, random: &Philox, start: usize, values: &mut [f32]) {
    let dropped = (f64::from(rate) * 65536.0).round().min(65535.0) as u32;
    let scale = (65536.0 / f64::from(65536 - dropped)) as f32;
    let ahead = (start.next_multiple_of(GROUP) - start).min(values.len());
    let (values_ahead, values) = values.split_at_mut(ahead);
    super::vectorize(
        #[inline(always)]
        || {
            let first = (start / GROUP) as u64;
            if ahead > 0 {
                let mask = masks(random.blocks(first), dropped)[0] >> (start % GROUP);
                apply_mask(mask, scale, values_ahead);
            }
            let (groups, values_behind) = values.as_chunks_mut::<GROUP>();
            let mut block = first + u64::from(ahead > 0);
            for groups in groups.chunks_mut(LANES) {
                let masks = masks(random.blocks(block), dropped);
                for (mask, values) in masks.iter().zip(groups.iter_mut()) {
                    apply_mask(*mask, scale, values);
                }
                block += groups.len() as u64;
            }
            if !values_behind.is_empty() {
                apply_mask(masks(random.blocks(block), dropped)[0], scale, values_behind);
            }
        },
    );
}

/// For each lane which elements of its group are retained, one bit each.
#[inline(always)]
fn masks(words: [[u32; LANES]; 4], dropped: u32) -> [u32; LANES] {
    let mut masks = [0; LANES];
    for (index, word) in words.iter().enumerate() {
        for lane in 0..LANES {
            masks[lane] |= u32::from(word[lane] & 0xFFFF >= dropped) << (2 * index);
            masks[lane] |= u32::from(word[lane] >> 16 >= dropped) << (2 * index + 1);
        }
    }
    masks
}

#[inline(always)]
fn apply_mask(mask: u32, scale: f32, values: &mut [f32]) {
    for (index, value) in values.iter_mut().enumerate() {
        *value = if mask >> index & 1 == 1 { *value * scale } else { 0.0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_retained_fraction_and_the_mean_are_as_specified() {
        for rate in [0.0, 0.3, 0.5, 0.9] {
            let (rows, width) = (20_000, 13);
            let mut output = vec![1.0; rows * width];
            dropout(rate, &Philox::new(5, 1, 9), 0, &mut output);
            let count = (rows * width) as f64;
            let retained = output.iter().filter(|value| **value != 0.0).count() as f64;
            let sum = output.iter().map(|value| f64::from(*value)).sum::<f64>();
            assert!((retained / count - f64::from(1.0 - rate)).abs() < 0.005, "{rate}: {retained}");
            assert!((sum / count - 1.0).abs() < 0.02, "{rate}: {sum}");
        }
    }

    #[test]
    fn the_mask_does_not_depend_on_the_partition() {
        let (mut whole, mut blocks) = (vec![1.0; 500], vec![1.0; 500]);
        let random = Philox::new(5, 1, 9);
        dropout(0.5, &random, 0, &mut whole);
        for range in [0..3, 3..5, 5..16, 16..333, 333..500] {
            dropout(0.5, &random, range.start, &mut blocks[range]);
        }
        assert_eq!(whole, blocks);
    }
}
