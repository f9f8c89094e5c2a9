//! The normal distribution, for vectors.

use super::exp;

/// The distribution function `Phi(x)` and the density `phi(x)` of the standard normal distribution.
///
/// The tail is `Phi(-a) = exp(-a^2 / 2) T(a)`. `T` is smooth: `(3 + a) T(a)` is approximated by a polynomial in
/// `(a - 3) / (a + 3)`, fitted to a relative error of 4e-8 for `a` up to 13.5, beyond which the tail is 0. There are no
/// branches and no calls, so loops over it are vectorized.
#[inline(always)]
pub(super) fn normal(x: f32) -> (f32, f32) {
    const MIDDLE: f32 = 3.0;
    const COEFFICIENTS: [f32; 9] = [
        -2.706_384e-4,
        -9.090_345e-4,
        1.077_125_1e-3,
        6.927_901_4e-3,
        -1.047_966_3e-2,
        -4.725_690_6e-2,
        2.300_192_7e-1,
        -5.093_322e-1,
        7.290_837e-1,
    ];
    const ONE_OVER_ROOT_TWO_PI: f32 = 0.398_942_3;

    let distance = x.abs().min(13.5);
    let reciprocal = 1.0 / (distance + MIDDLE);
    let argument = (distance - MIDDLE) * reciprocal;
    let mut polynomial = 0.0;
    for coefficient in COEFFICIENTS {
        polynomial = polynomial * argument + coefficient;
    }
    let bell = exp(-0.5 * x * x);
    let tail = bell * (polynomial * reciprocal);
    (if x > 0.0 { 1.0 - tail } else { tail }, ONE_OVER_ROOT_TWO_PI * bell)
}
