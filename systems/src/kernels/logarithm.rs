//! The natural logarithm, for vectors.

/// `ln(1 + x)` for `x` from 0 to 1, within 2 units in the last place however small `x` is; NaN for NaN.
///
/// From `sqrt(2) - 1` on it is `ln 2 + ln(1 + (x - 1) / 2)`; the polynomial is that of Cephes (Moshier 1989, `logf`). There
/// are no branches and no calls, so loops over it become vector instructions.
#[inline(always)]
pub fn ln_1p(x: f32) -> f32 {
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
    /// `ln 2` in two parts: what the first one loses in the sum is little.
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];

    let is_large = x > core::f32::consts::SQRT_2 - 1.0;
    let r = if is_large { 0.5 * x - 0.5 } else { x };
    let mut polynomial = 0.0;
    for coefficient in COEFFICIENTS {
        polynomial = polynomial * r + coefficient;
    }
    let square = r * r;
    let curve = polynomial * r * square;
    let small = if is_large { LN_2[1] } else { 0.0 };
    let large = if is_large { LN_2[0] } else { 0.0 };
    r + (curve + small - 0.5 * square) + large
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_argument_is_within_two_units_in_the_last_place() {
        let steps = (1..=1_000_000).map(|step| step as f32 * 1e-6);
        for x in steps.chain((0..120).map(|power| 0.7 * 0.5f32.powi(power))) {
            let expected = f64::from(x).ln_1p();
            let unit = f64::from(f32::EPSILON) * 2f64.powf(expected.log2().floor());
            let error = (f64::from(ln_1p(x)) - expected).abs() / unit;
            assert!(error < 2.0, "{x}: {error} units");
        }
        assert_eq!(ln_1p(0.0), 0.0);
        assert!(ln_1p(f32::NAN).is_nan());
    }
}
