//! The exponential function, for vectors.

use core::f32::consts::LOG2_E;

/// The smallest argument whose `exp` is a normal `f32`.
const SMALLEST: f32 = -87.336_54;

/// `exp(x)` for `x` up to 88, within 2 units in the last place; 0 where that would be less than the smallest normal
/// number, and NaN for NaN.
///
/// There are no branches and no calls, so loops over it are vectorized.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    let (rest, power) = factors(x);
    if x < SMALLEST { 0.0 } else { (rest + 1.0) * power }
}

/// `exp(x) - 1` for `x` up to 88, within 3 units in the last place however small `x` is; NaN for NaN.
#[inline(always)]
pub fn exp_m1(x: f32) -> f32 {
    let (rest, power) = factors(x);
    // The second term is exact, and 0 where the first one is small.
    if x < SMALLEST { -1.0 } else { rest * power + (power - 1.0) }
}

/// `exp(x) = (1 + rest) * power`, where `x` is not below the smallest.
///
/// `exp(x) = 2^n exp(r)`, with the integer `n` nearest to `x / ln 2` and the polynomial of Cephes (Moshier 1989,
/// `expf`) for the rest `r`.
#[inline(always)]
fn factors(x: f32) -> (f32, f32) {
    /// `1.5 * 2^23`: added to a number, it leaves the nearest integer in the last bits.
    const ROUND: f32 = 12_582_912.0;
    /// `ln 2` in two parts, the first with so few digits that its product with `n` is exact.
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    const COEFFICIENTS: [f32; 6] = [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];

    let rounded = x * LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = x - n * LN_2[0] - n * LN_2[1];
    let mut polynomial = 0.0;
    for coefficient in COEFFICIENTS {
        polynomial = polynomial * r + coefficient;
    }
    // The bits of `n` move to the exponent, those of `ROUND` out of the number.
    let power = f32::from_bits((rounded.to_bits() << 23).wrapping_add(1.0f32.to_bits()));
    (polynomial * r * r + r, power)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(found: f32, expected: f64) -> f64 {
        let unit = f64::from(f32::EPSILON) * 2f64.powf(expected.abs().log2().floor());
        (f64::from(found) - expected).abs() / unit
    }

    #[test]
    fn exp_is_within_two_units_in_the_last_place() {
        for step in -1_746_000..=1_760_000 {
            let x = step as f32 * 5e-5;
            let error = units(exp(x), f64::from(x).exp());
            assert!(error < 2.0, "{x}: {error} units");
        }
    }

    #[test]
    fn exp_m1_is_within_three_units_in_the_last_place() {
        let steps = (-1_746_000..=1_760_000).filter(|step| *step != 0).map(|step| step as f32 * 5e-5);
        let powers = (0..120).flat_map(|power| [-1.7, -1.0, 1.0, 1.3].map(|x| x * 0.5f32.powi(power)));
        for x in steps.chain(powers) {
            let error = units(exp_m1(x), f64::from(x).exp_m1());
            assert!(error < 3.0, "{x}: {error} units");
        }
    }

    #[test]
    fn small_results_are_zero_and_nan_stays() {
        assert_eq!([0.0, -0.0].map(exp), [1.0, 1.0]);
        assert_eq!([-87.4, -1e9, f32::MIN, f32::NEG_INFINITY].map(exp), [0.0; 4]);
        assert_eq!([-87.4, -1e9, f32::MIN, f32::NEG_INFINITY].map(exp_m1), [-1.0; 4]);
        assert_eq!(exp_m1(0.0), 0.0);
        assert!(exp(f32::NAN).is_nan() && exp_m1(f32::NAN).is_nan());
    }
}
