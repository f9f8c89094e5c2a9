use serde::{Deserialize, Serialize};
/// An elementwise nonlinearity.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// `x` above 0, `slope * x` below.
    LeakyRelu(f32),
    /// `x` above 0, `alpha * (exp(x) - 1)` below (Clevert et al. 2016).
    Elu(f32),
    /// Gaussian error linear unit, exact form (Hendrycks & Gimpel 2016).
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
