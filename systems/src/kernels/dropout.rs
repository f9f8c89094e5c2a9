//! Dropout of one row.

use crate::random::Random;

/// `output = input * mask / (1 - rate)`, where each number is kept with probability `1 - rate` (Srivastava et al. 2014).
///
/// The mask is drawn anew from `random` and `row`, so the backward pass calls the same function on the gradient. A
/// number takes 16 random bits: the rate is rounded to a multiple of 2^-16, and the scale follows what is really kept.
#[inline(always)]
pub fn drop_row(rate: f32, random: &Random, row: u32, input: &[f32], output: &mut [f32]) {
    let dropped = (f64::from(rate) * 65536.0).round().min(65535.0) as u32;
    let scale = (65536.0 / f64::from(65536 - dropped)) as f32;
    for (block, (output, input)) in output.chunks_mut(8).zip(input.chunks(8)).enumerate() {
        let bits = random.block(row, block as u32);
        for (place, (output, input)) in output.iter_mut().zip(input).enumerate() {
            let draw = (bits[place / 2] >> (16 * (place % 2))) & 0xFFFF;
            *output = if draw >= dropped { input * scale } else { 0.0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_and_the_mean_that_are_kept_are_those_asked_for() {
        for rate in [0.0, 0.3, 0.5, 0.9] {
            let random = Random::new(5, 1, 9);
            let (mut kept, mut sum) = (0usize, 0.0);
            let input = [1.0; 13];
            for row in 0..20_000 {
                let mut output = [f32::NAN; 13];
                drop_row(rate, &random, row, &input, &mut output);
                kept += output.iter().filter(|value| **value != 0.0).count();
                sum += output.iter().map(|value| f64::from(*value)).sum::<f64>();
            }
            let count = 20_000.0 * 13.0;
            assert!((kept as f64 / count - f64::from(1.0 - rate)).abs() < 0.005, "{rate}: {kept}");
            assert!((sum / count - 1.0).abs() < 0.02, "{rate}: {sum}");
        }
    }
}
