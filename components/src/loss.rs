//! What a model is to make small, as data.

use serde::{Deserialize, Serialize};

/// How far an output is from its target. The loss of a model is the mean over the training rows; rows may be nodes, edges
/// or whole graphs.
///
/// The forms are those of `torch.nn.functional` with the reduction `mean`: over rows where the target is a class, over rows
/// and columns where it is numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Loss {
    /// Softmax cross-entropy `-ln softmax(z)[y]` with one class `y` for each row, a [`ClassLabel`](crate::ClassLabel).
    #[default]
    CrossEntropy,
    /// `ln(1 + exp(z)) - y z`: cross-entropy of the sigmoid of each number with a target `y` of 0 or 1.
    BinaryCrossEntropy,
    /// `(z - y)^2`.
    MeanSquaredError,
    /// `|z - y|`. Its slope is 0 where output and target are equal.
    MeanAbsoluteError,
    /// `(z - y)^2 / 2` up to a difference of `delta`, and from there on along the tangent, `delta (|z - y| - delta / 2)`
    /// (Huber 1964).
    Huber {
        /// The difference from which on it is straight; more than 0.
        #[serde(default = "delta")]
        delta: f32,
    },
}

fn delta() -> f32 {
    1.0
}

impl Loss {
    /// Whether the target of a row is one class. If not, it is as many numbers as the output has.
    pub fn is_classification(&self) -> bool {
        matches!(self, Self::CrossEntropy)
    }
}
