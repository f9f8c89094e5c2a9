//! Elementwise nonlinearities and their derivatives.

use serde::{Deserialize, Serialize};

/// A function applied to every number of a signal.
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
        let each = |function: fn(f32) -> f32, values: &mut [f32]| values.iter_mut().for_each(|x| *x = function(*x));
        match self {
            Self::Identity => {}
            Self::Relu => values.iter_mut().for_each(|x| *x = x.max(0.0)),
            Self::LeakyRelu(slope) => values.iter_mut().for_each(|x| *x = if *x > 0.0 { *x } else { slope * *x }),
            Self::Elu(alpha) => values.iter_mut().for_each(|x| *x = if *x > 0.0 { *x } else { alpha * x.exp_m1() }),
            Self::Gelu => each(|x| x * normal_distribution(x), values),
            Self::Sigmoid => each(sigmoid, values),
            Self::Silu => each(|x| x * sigmoid(x), values),
            Self::Softplus => each(|x| x.max(0.0) + (-x.abs()).exp().ln_1p(), values),
            Self::Tanh => each(f32::tanh, values),
        }
    }

    /// `gradients[i] *= f'(inputs[i])`.
    #[inline(always)]
    pub fn chain(self, inputs: &[f32], gradients: &mut [f32]) {
        match self {
            Self::Identity => {}
            Self::Relu => chain(inputs, gradients, |x| if x > 0.0 { 1.0 } else { 0.0 }),
            Self::LeakyRelu(slope) => chain(inputs, gradients, |x| if x > 0.0 { 1.0 } else { slope }),
            Self::Elu(alpha) => chain(inputs, gradients, |x| if x > 0.0 { 1.0 } else { alpha * x.exp() }),
            Self::Gelu => chain(inputs, gradients, |x| normal_distribution(x) + x * normal_density(x)),
            Self::Sigmoid => chain(inputs, gradients, |x| sigmoid(x) * sigmoid(-x)),
            Self::Silu => chain(inputs, gradients, |x| sigmoid(x) * (1.0 + x * sigmoid(-x))),
            Self::Softplus => chain(inputs, gradients, sigmoid),
            Self::Tanh => chain(inputs, gradients, |x| 1.0 - x.tanh() * x.tanh()),
        }
    }

    /// Whether the derivative can be told from the output.
    pub fn is_told_from_output(self) -> bool {
        self.chain_from_output(&[], &mut [])
    }

    /// `gradients[i] *= f'(x)` where `outputs[i] = f(x)`: for functions whose derivative can be told from the output, so
    /// that the layer which applies them in passing need not keep its input. False if it cannot.
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
fn chain(values: &[f32], gradients: &mut [f32], derivative: impl Fn(f32) -> f32) {
    for (gradient, value) in gradients.iter_mut().zip(values) {
        *gradient *= derivative(*value);
    }
}

pub(crate) fn sigmoid(x: f32) -> f32 {
    let small = (-x.abs()).exp();
    if x >= 0.0 { 1.0 / (1.0 + small) } else { small / (1.0 + small) }
}

fn normal_density(x: f32) -> f32 {
    const ONE_OVER_ROOT_TWO_PI: f32 = 0.398_942_3;
    ONE_OVER_ROOT_TWO_PI * (-0.5 * x * x).exp()
}

/// By the complementary error function of Numerical Recipes (Press et al., 3rd edition, section 6.2.2), whose Chebyshev
/// fit is good to 1.2e-7.
fn normal_distribution(x: f32) -> f32 {
    const COEFFICIENTS: [f64; 10] = [
        -1.265_512_23,
        1.000_023_68,
        0.374_091_96,
        0.096_784_18,
        -0.186_288_06,
        0.278_868_07,
        -1.135_203_98,
        1.488_515_87,
        -0.822_152_23,
        0.170_872_77,
    ];
    let z = f64::from(x.abs()) * core::f64::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.5 * z);
    let polynomial = COEFFICIENTS.iter().rev().fold(0.0, |sum, coefficient| sum * t + coefficient);
    let tail = 0.5 * t * (-z * z + polynomial).exp();
    (if x >= 0.0 { 1.0 - tail } else { tail }) as f32
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
    fn derivatives_are_the_limits_of_differences() {
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
    fn far_arguments_stay_finite() {
        for activation in ALL {
            for x in [-1e30, -200.0, 200.0] {
                let mut gradient = [1.0];
                activation.chain(&[x], &mut gradient);
                assert!(at(activation, x).is_finite() && gradient[0].is_finite(), "{activation:?} at {x}");
            }
        }
    }
}
