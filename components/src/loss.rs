//! Loss functions, as data.

use serde::{Deserialize, Serialize};

/// A loss function of output `z` and target `y`. The loss of a model is the mean over the training rows, which are
/// nodes, edges or subgraphs.
///
/// The forms are those of `torch.nn.functional` with the reduction `mean`: over rows if the target is a class, over
/// rows and output dimensions if it is values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Loss {
    /// Softmax cross-entropy `-ln softmax(z)[y]` with one class `y` for each row, a [`ClassLabel`](crate::ClassLabel).
    #[default]
    CrossEntropy,
    /// `ln(1 + exp(z)) - y z`: cross-entropy of the sigmoid of each logit `z` with a target `y` of 0 or 1.
    BinaryCrossEntropy,
    /// `(z - y)^2`.
    MeanSquaredError,
    /// `|z - y|`. Its derivative is taken to be 0 where output and target are equal.
    MeanAbsoluteError,
    /// `(z - y)^2 / 2` up to a difference of `delta`, and linear beyond it, `delta (|z - y| - delta / 2)` (Huber 1964).
    Huber {
        /// The difference beyond which the loss is linear; positive.
        #[serde(default = "delta")]
        delta: f32,
    },
}

fn delta() -> f32 {
    1.0
}

impl Loss {
    /// Whether the target of a row is one class; otherwise it is one value for each output dimension.
    pub fn is_classification(&self) -> bool {
        matches!(self, Self::CrossEntropy)
    }
}
