//! Loss functions, as data.

use core::ops::Range;
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
    /// `-ln sum of softmax(z)[y] over the right answers y` in each of several groups of outputs. The target of an output is
    /// 1 for a right answer, 0 for a wrong one, and negative for one that is excluded from the softmax. The mean is over
    /// the groups that have a right answer.
    SetCrossEntropy(SoftmaxGroups),
}

/// Consecutive groups of outputs, each of which is a softmax: `repeats` times one group of `leading` outputs and `following`
/// groups of `width` outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SoftmaxGroups {
    /// How often the groups are repeated.
    pub repeats: u32,
    /// The outputs of the first group.
    pub leading: u32,
    /// The number of groups after it.
    #[serde(default)]
    pub following: u32,
    /// The outputs of each of them.
    #[serde(default)]
    pub width: u32,
}

impl SoftmaxGroups {
    /// The outputs of each group.
    #[inline(always)]
    pub fn ranges(self) -> impl Iterator<Item = Range<usize>> {
        let mut end = 0;
        (0..self.repeats).flat_map(move |_| 0..=self.following).map(move |group| {
            let start = end;
            end += if group == 0 { self.leading } else { self.width } as usize;
            start..end
        })
    }

    /// The outputs of all groups; none if they are too many to count.
    pub fn total(self) -> Option<usize> {
        let following = (self.following as usize).checked_mul(self.width as usize)?;
        following.checked_add(self.leading as usize)?.checked_mul(self.repeats as usize)
    }
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
