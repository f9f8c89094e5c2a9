//! Elementwise nonlinearities and their derivatives.

use serde::{Deserialize, Serialize};

use super::{exp, exp_m1, ln_1p, normal::normal};

/// An elementwise nonlinearity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Activation {
    /// `x`.
    #[default]
    Identity,
    /// `max(x, 0)`.
    Relu,
    /// `x` above 0, `slope * x` below (Maas et al. 2013).
    LeakyRelu(f32),
    /// `x` above 0, `alpha * (exp(x) - 1)` below (Clevert et al. 2016).
    Elu(f32),
    /// `x * Phi(x)` with the normal distribution function `Phi`, exact (Hendrycks & Gimpel 2016).
    Gelu,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// `x * sigmoid(x)` (Elfwing et al. 2018).
    Silu,
    /// `ln(1 + exp(x))`.
    Softplus,
    /// Hyperbolic tangent.
    Tanh,
}

impl Activation {
    /// `values[i] = f(values[i])`.
    #[inline(always)]
    pub fn apply(self, values: &mut [f32]) {
        match self {
            Self::Identity => {}
            Self::Relu => each(values, |x| x.max(0.0)),
            Self::LeakyRelu(slope) => each(values, |x| if x > 0.0 { x } else { slope * x }),
            Self::Elu(alpha) => each(values, |x| if x > 0.0 { x } else { alpha * exp_m1(x) }),
            Self::Gelu => each(values, |x| x * normal(x).0),
            Self::Sigmoid => each(values, |x| sigmoids(x).0),
            Self::Silu => each(values, |x| x * sigmoids(x).0),
            Self::Softplus => each(values, softplus),
            Self::Tanh => each(values, tanh),
        }
    }

    /// `gradients[i] *= f'(inputs[i])`.
    #[inline(always)]
    pub fn chain(self, inputs: &[f32], gradients: &mut [f32]) {
        match self {
            Self::Identity => {}
            Self::Relu => chain(inputs, gradients, |x| if x > 0.0 { 1.0 } else { 0.0 }),
            Self::LeakyRelu(slope) => chain(inputs, gradients, |x| if x > 0.0 { 1.0 } else { slope }),
            Self::Elu(alpha) => chain(inputs, gradients, |x| if x > 0.0 { 1.0 } else { alpha * exp(x) }),
            Self::Gelu => chain(inputs, gradients, |x| {
                let (distribution, density) = normal(x);
                distribution + x * density
            }),
            Self::Sigmoid => chain(inputs, gradients, |x| {
                let (up, down) = sigmoids(x);
                up * down
            }),
            Self::Silu => chain(inputs, gradients, |x| {
                let (up, down) = sigmoids(x);
                up * (1.0 + x * down)
            }),
            Self::Softplus => chain(inputs, gradients, |x| sigmoids(x).0),
            // 1 - tanh^2 would cancel far from 0.
            Self::Tanh => chain(inputs, gradients, |x| {
                let (up, down) = sigmoids(2.0 * x);
                4.0 * up * down
            }),
        }
    }

    /// Whether the derivative can be computed from the output.
    pub fn derivative_from_output(self) -> bool {
        self.chain_from_output(&[], &mut [])
    }

    /// `gradients[i] *= f'(x)` where `outputs[i] = f(x)`: for functions whose derivative can be computed from the
    /// output, so that a fused operator need not save its input. Returns false for others.
    #[inline(always)]
    pub fn chain_from_output(self, outputs: &[f32], gradients: &mut [f32]) -> bool {
        match self {
            Self::Identity => {}
            Self::Relu => chain(outputs, gradients, |y| if y > 0.0 { 1.0 } else { 0.0 }),
            Self::LeakyRelu(slope) if slope > 0.0 => {
                chain(outputs, gradients, |y| if y > 0.0 { 1.0 } else { slope });
            }
            Self::Sigmoid => chain(outputs, gradients, |y| y * (1.0 - y)),
            Self::Tanh => chain(outputs, gradients, |y| 1.0 - y * y),
            _ => return false,
        }
        true
    }
}

#[inline(always)]
fn each(values: &mut [f32], function: impl Fn(f32) -> f32) {
    for value in values {
        *value = function(*value);
    }
}

#[inline(always)]
fn chain(values: &[f32], gradients: &mut [f32], derivative: impl Fn(f32) -> f32) {
    for (gradient, value) in gradients.iter_mut().zip(values) {
        *gradient *= derivative(*value);
    }
}

/// `1 / (1 + exp(-x))` and `1 / (1 + exp(x))`, which is 1 minus the first.
#[inline(always)]
fn sigmoids(x: f32) -> (f32, f32) {
    let exponential = exp(-x.abs());
    let large = 1.0 / (1.0 + exponential);
    let small = exponential * large;
    if x >= 0.0 { (large, small) } else { (small, large) }
}

/// `1 / (1 + exp(-x))`.
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    sigmoids(x).0
}

#[inline(always)]
fn softplus(x: f32) -> f32 {
    x.max(0.0) + ln_1p(exp(-x.abs()))
}

/// `(1 - exp(-2|x|)) / (1 + exp(-2|x|))` with the sign of `x`.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    let difference = exp_m1(-2.0 * x.abs());
    (-difference / (2.0 + difference)).copysign(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Activation; 9] = [
        Activation::Identity,
        Activation::Relu,
        Activation::LeakyRelu(0.2),
        Activation::Elu(1.5),
        Activation::Gelu,
        Activation::Sigmoid,
        Activation::Silu,
        Activation::Softplus,
        Activation::Tanh,
    ];

    fn at(activation: Activation, x: f32) -> f32 {
        let mut value = [x];
        activation.apply(&mut value);
        value[0]
    }

    #[test]
    fn derivatives_agree_with_central_differences() {
        for activation in ALL {
            for x in [-3.1, -1.0, -0.3, 0.2, 0.9, 2.5] {
                let step = 5e-3;
                let difference = (at(activation, x + step) - at(activation, x - step)) / (2.0 * step);
                let mut gradient = [2.0];
                activation.chain(&[x], &mut gradient);
                assert!((gradient[0] / 2.0 - difference).abs() < 1e-3, "{activation:?} at {x}");
                let mut from_output = [2.0];
                if activation.chain_from_output(&[at(activation, x)], &mut from_output) {
                    assert!((from_output[0] - gradient[0]).abs() < 1e-5, "{activation:?} at {x}");
                }
            }
        }
    }

    #[test]
    fn large_arguments_stay_finite() {
        for activation in ALL {
            for x in [-1e30, -200.0, 200.0] {
                let mut gradient = [1.0];
                activation.chain(&[x], &mut gradient);
                assert!(at(activation, x).is_finite() && gradient[0].is_finite(), "{activation:?} at {x}");
            }
        }
    }

    /// `f(x)` and `f'(x)` in 64 bits.
    fn exact(activation: Activation, x: f64) -> [f64; 2] {
        let sigmoid = 1.0 / (1.0 + (-x).exp());
        let down = 1.0 / (1.0 + x.exp());
        match activation {
            Activation::Elu(alpha) if x <= 0.0 => [f64::from(alpha) * x.exp_m1(), f64::from(alpha) * x.exp()],
            Activation::Gelu => {
                let (distribution, density) = normal_by_series(x);
                [x * distribution, distribution + x * density]
            }
            Activation::Sigmoid => [sigmoid, sigmoid * down],
            Activation::Silu => [x * sigmoid, sigmoid * (1.0 + x * down)],
            Activation::Softplus => [x.max(0.0) + (-x.abs()).exp().ln_1p(), sigmoid],
            Activation::Tanh => [x.tanh(), x.cosh().powi(-2)],
            _ => [x, 1.0],
        }
    }

    /// `Phi(x) = 1/2 + phi(x) (x + x^3 / 3 + x^5 / (3 5) + ...)`, and the density `phi`.
    fn normal_by_series(x: f64) -> (f64, f64) {
        let density = (-0.5 * x * x).exp() / (2.0 * core::f64::consts::PI).sqrt();
        let (mut term, mut sum) = (x, x);
        for n in 1..300 {
            term *= x * x / f64::from(2 * n + 1);
            sum += term;
        }
        (0.5 + density * sum, density)
    }

    const SMOOTH: [Activation; 6] = [
        Activation::Elu(1.5),
        Activation::Gelu,
        Activation::Sigmoid,
        Activation::Silu,
        Activation::Softplus,
        Activation::Tanh,
    ];

    /// The largest errors of value and derivative on a dense grid, relative to the largest value and derivative there.
    fn errors(activation: Activation, low: f32, high: f32) -> [f64; 2] {
        let (mut worst, mut largest) = ([0f64; 2], [0f64; 2]);
        for step in 0..=40_000 {
            let x = low + (high - low) * step as f32 / 40_000.0;
            let mut slope = [1.0];
            activation.chain(&[x], &mut slope);
            for (index, (found, expected)) in
                [at(activation, x), slope[0]].into_iter().zip(exact(activation, x.into())).enumerate()
            {
                worst[index] = worst[index].max((f64::from(found) - expected).abs());
                largest[index] = largest[index].max(expected.abs());
            }
        }
        [worst[0] / largest[0], worst[1] / largest[1]]
    }

    #[test]
    fn errors_are_small_relative_to_the_largest_value() {
        for activation in SMOOTH {
            for reach in [1.0, 6.0, 12.0] {
                let [value, slope] = errors(activation, -reach, reach);
                assert!(value < 2e-7 && slope < 2.5e-7, "{activation:?} up to {reach}: {value:e}, slope {slope:e}");
            }
            // Also where all values are small.
            for (low, high) in [(-0.01, 0.01), (-4.0, -1.0), (-8.0, -4.0), (1.0, 4.0)] {
                let [value, slope] = errors(activation, low, high);
                assert!(value < 1e-6 && slope < 1e-6, "{activation:?} {low} to {high}: {value:e}, slope {slope:e}");
            }
        }
    }

    #[test]
    fn bits_depend_neither_on_the_partition_nor_on_the_vectors() {
        let inputs: Vec<f32> = (0..1000).map(|index| (index * 619 % 1000) as f32 * 0.03 - 15.0).collect();
        for activation in ALL {
            let (mut whole, mut slopes) = (inputs.clone(), vec![1.0; 1000]);
            crate::kernels::vectorize(
                #[inline(always)]
                || {
                    activation.apply(&mut whole);
                    activation.chain(&inputs, &mut slopes);
                },
            );
            for (index, input) in inputs.iter().enumerate() {
                let mut slope = [1.0];
                activation.chain(&[*input], &mut slope);
                let single = [at(activation, *input), slope[0]].map(f32::to_bits);
                assert_eq!([whole[index], slopes[index]].map(f32::to_bits), single, "{activation:?} at {input}");
            }
        }
    }

    #[test]
    fn infinite_arguments_give_the_limits_and_nan_stays_nan() {
        for activation in SMOOTH {
            let (infinite, nan) = (at(activation, f32::INFINITY), at(activation, f32::NAN));
            let bounded = matches!(activation, Activation::Sigmoid | Activation::Tanh);
            assert_eq!(infinite, if bounded { 1.0 } else { f32::INFINITY }, "{activation:?}");
            let mut slope = [1.0];
            activation.chain(&[f32::NAN], &mut slope);
            assert!(nan.is_nan() && slope[0].is_nan(), "{activation:?}");
        }
        let [elu, sigmoid] = [Activation::Elu(1.5), Activation::Sigmoid].map(|f| at(f, f32::NEG_INFINITY));
        assert_eq!((elu, sigmoid, at(Activation::Tanh, f32::NEG_INFINITY)), (-1.5, 0.0, -1.0));
        assert!(at(Activation::Tanh, -0.0).is_sign_negative());
    }
}
