//! The natural logarithm, for vectors.

/// `ln(x)` for positive normal `x`, within 1 unit in the last place where `x` is not next to 1; NaN for NaN.
///
/// `x = 2^n (1 + r)`, where `1 + r` is between the roots of 1/2 and of 2. There are no branches and no calls, so loops
/// over it are vectorized.
#[inline(always)]
pub fn ln(x: f32) -> f32 {
    /// The smallest `1 + r`, the root of 1/2.
    const SMALLEST: u32 = core::f32::consts::FRAC_1_SQRT_2.to_bits();

    let power = x.to_bits().wrapping_sub(SMALLEST) as i32 >> 23;
    let rest = f32::from_bits(x.to_bits().wrapping_sub((power as u32) << 23));
    let logarithm = ln_of_power(power as f32, rest - 1.0);
    if x.is_nan() { x } else { logarithm }
}

/// `ln(1 + x)` for `x` from 0 to 1, within 2 units in the last place however small `x` is; NaN for NaN.
///
/// From `sqrt(2) - 1` on it is `ln 2 + ln(1 + (x - 1) / 2)`. There are no branches and no calls.
#[inline(always)]
pub fn ln_1p(x: f32) -> f32 {
    let is_large = x > core::f32::consts::SQRT_2 - 1.0;
    let power = if is_large { 1.0 } else { 0.0 };
    ln_of_power(power, if is_large { 0.5 * x - 0.5 } else { x })
}

/// `ln(2^power (1 + r))` where `1 + r` is between the roots of 1/2 and of 2, by the polynomial of Cephes (Moshier 1989,
/// `logf`).
#[inline(always)]
fn ln_of_power(power: f32, r: f32) -> f32 {
    const COEFFICIENTS: [f32; 9] = [
        7.037_683_6e-2,
        -1.151_461e-1,
        1.167_699_9e-1,
        -1.242_014_1e-1,
        1.424_932_3e-1,
        -1.666_805_8e-1,
        2.000_071_5e-1,
        -2.499_999_4e-1,
        3.333_333e-1,
    ];
    /// `ln 2` in two parts, the first with so few digits that its product with the power is exact.
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];

    let mut polynomial = 0.0;
    for coefficient in COEFFICIENTS {
        polynomial = polynomial * r + coefficient;
    }
    let square = r * r;
    let curve = polynomial * r * square;
    r + (curve + power * LN_2[1] - 0.5 * square) + power * LN_2[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ln_1p_is_within_two_units_in_the_last_place() {
        let steps = (1..=1_000_000).map(|step| step as f32 * 1e-6);
        for x in steps.chain((0..120).map(|power| 0.7 * 0.5f32.powi(power))) {
            let expected = f64::from(x).ln_1p();
            let unit = f64::from(f32::EPSILON) * 2f64.powf(expected.log2().floor());
            let error = (f64::from(ln_1p(x)) - expected).abs() / unit;
            assert!(error < 2.0, "{x}: {error} units");
        }
        assert_eq!((ln_1p(0.0), ln(1.0)), (0.0, 0.0));
        assert!(ln_1p(f32::NAN).is_nan() && ln(f32::NAN).is_nan());
    }

    #[test]
    fn ln_is_accurate_over_all_powers_of_two() {
        for power in -126..=127 {
            for step in 0..5000 {
                let x = 2f32.powi(power) * (1.0 + step as f32 / 5000.0);
                let expected = f64::from(x).ln();
                let unit = f64::from(f32::EPSILON) * expected.abs().max(1e-2);
                let error = (f64::from(ln(x)) - expected).abs() / unit;
                assert!(error < 1.5, "{x}: {error} units");
            }
        }
    }
}
