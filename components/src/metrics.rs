//! Metrics of a model on each split of the data.

use std::borrow::Cow;

use bevy_ecs::component::Component;
use serde::{Deserialize, Serialize};

use crate::{Ranking, Split};

/// The loss and the quality of the outputs on each split, a component of the model entity written by the systems of the
/// losses.
///
/// It holds sums, so that those of several batches can be [merged](Metrics::merge); the accessors divide.
#[derive(Component, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "reflect", derive(bevy_reflect::Reflect), reflect(bevy_ecs::reflect::Component))]
pub struct Metrics {
    /// Those of each head of the model, in the order of its heads.
    pub heads: Vec<HeadMetrics>,
}

impl Metrics {
    /// Empty metrics of heads of these names and loss weights.
    pub fn new<'a>(heads: impl IntoIterator<Item = (&'a str, f32)>) -> Self {
        let head = |(name, weight): (&str, f32)| HeadMetrics { name: name.to_owned(), weight, ..Default::default() };
        Self { heads: heads.into_iter().map(head).collect() }
    }

    /// Adds metrics over other terms, such as another batch.
    pub fn merge(&mut self, other: &Self) {
        if self.heads.len() < other.heads.len() {
            self.heads.extend(other.heads[self.heads.len()..].iter().map(HeadMetrics::emptied));
        }
        self.heads.iter_mut().zip(&other.heads).for_each(|(head, other)| head.merge(other));
    }

    /// The sums of the first head over one split.
    pub fn of(&self, split: Split) -> SplitMetrics {
        self.heads.first().map_or_else(SplitMetrics::default, |head| head.of(split))
    }

    /// The metrics of the head of this name.
    pub fn head(&self, name: &str) -> Option<&HeadMetrics> {
        self.heads.iter().find(|head| head.name == name)
    }

    /// The objective: the sum of the heads' losses times their weights; NaN if one of them has no terms.
    pub fn loss(&self, split: Split) -> f32 {
        self.heads.iter().map(|head| head.weight * head.of(split).loss()).sum()
    }

    /// The number of terms of all heads.
    pub fn count(&self, split: Split) -> u64 {
        self.heads.iter().map(|head| head.of(split).count).sum()
    }

    /// The sum of the weights of the terms of all heads.
    pub fn weight(&self, split: Split) -> f64 {
        self.heads.iter().map(|head| head.of(split).weight).sum()
    }

    /// The metrics of head `index`, added if missing.
    pub fn head_mut(&mut self, index: usize) -> &mut HeadMetrics {
        if self.heads.len() <= index {
            self.heads.resize_with(index + 1, HeadMetrics::default);
        }
        &mut self.heads[index]
    }
}

/// Copies into metrics of the same heads do not allocate.
impl Clone for Metrics {
    fn clone(&self) -> Self {
        Self { heads: self.heads.clone() }
    }

    fn clone_from(&mut self, source: &Self) {
        self.heads.clone_from(&source.heads);
    }
}

/// The metrics of one head.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "reflect", derive(bevy_reflect::Reflect))]
pub struct HeadMetrics {
    /// The name of the head.
    pub name: String,
    /// The weight of its loss in the objective of the model.
    pub weight: f32,
    /// The sums over each [`Split`], in its order.
    pub splits: [SplitMetrics; 4],
    /// For each split, the counts of each class, or of each label of a multi-label target. Measured outside of
    /// training.
    pub classes: [Vec<ClassCounts>; 4],
    /// For each split, the confusion matrix `[actual, predicted]`, row by row; empty if rows have no class or there are
    /// more than [`MAX_CONFUSED`] classes. Measured outside of training.
    pub confusion: [Vec<u64>; 4],
    /// The scores of a binary classifier of one logit. Measured outside of training.
    pub ranking: Ranking,
    /// User-defined metrics.
    others: Vec<OtherMetric>,
}

/// The maximum number of classes for which a confusion matrix is computed.
pub const MAX_CONFUSED: usize = 256;

/// How often a class was predicted and is right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "reflect", derive(bevy_reflect::Reflect))]
pub struct ClassCounts {
    /// Rows that have the class and were predicted to have it: true positives.
    pub correct: u64,
    /// Rows that were predicted to have the class.
    pub predicted: u64,
    /// Rows that have the class.
    pub actual: u64,
}

impl ClassCounts {
    /// F1, the harmonic mean of precision and recall; none if no row has the class or was predicted to.
    pub fn f1(&self) -> Option<f64> {
        let both = self.predicted + self.actual;
        (both > 0).then(|| 2.0 * self.correct as f64 / both as f64)
    }

    fn merge(&mut self, other: &Self) {
        self.correct += other.correct;
        self.predicted += other.predicted;
        self.actual += other.actual;
    }
}

/// A metric with its value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MetricValue<'a> {
    /// Such as `f1_macro`.
    pub name: &'a str,
    /// The split of the data.
    pub split: Split,
    /// The value.
    pub value: f64,
}

/// A user-defined metric: a weighted mean.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "reflect", derive(bevy_reflect::Reflect))]
struct OtherMetric {
    name: Cow<'static, str>,
    split: Split,
    sum: f64,
    weight: f64,
}

impl Clone for HeadMetrics {
    fn clone(&self) -> Self {
        let mut copy = Self::default();
        copy.clone_from(self);
        copy
    }

    fn clone_from(&mut self, source: &Self) {
        let Self { name, weight, splits, classes, confusion, ranking, others } = source;
        self.name.clone_from(name);
        (self.weight, self.splits) = (*weight, *splits);
        self.classes.clone_from(classes);
        self.confusion.clone_from(confusion);
        self.ranking.clone_from(ranking);
        self.others.clone_from(others);
    }
}

impl Default for HeadMetrics {
    fn default() -> Self {
        Self {
            name: "output".to_owned(),
            weight: 1.0,
            splits: Default::default(),
            classes: Default::default(),
            confusion: Default::default(),
            ranking: Ranking::default(),
            others: Vec::new(),
        }
    }
}

impl HeadMetrics {
    /// Adds metrics over other terms.
    pub fn merge(&mut self, other: &Self) {
        self.splits.iter_mut().zip(&other.splits).for_each(|(sum, other)| sum.merge(other));
        for (counts, other) in self.classes.iter_mut().zip(&other.classes) {
            counts.resize(counts.len().max(other.len()), ClassCounts::default());
            counts.iter_mut().zip(other).for_each(|(counts, other)| counts.merge(other));
        }
        for (counts, other) in self.confusion.iter_mut().zip(&other.confusion) {
            counts.resize(counts.len().max(other.len()), 0);
            counts.iter_mut().zip(other).for_each(|(count, other)| *count += other);
        }
        self.ranking.merge(&other.ranking);
        other.others.iter().for_each(|other| self.add_named(other.name.clone(), other.split, other.sum, other.weight));
    }

    /// Empty metrics of the same name and weight.
    pub fn emptied(&self) -> Self {
        Self { name: self.name.clone(), weight: self.weight, ..Self::default() }
    }

    /// Removes all terms and keeps their memory.
    pub fn clear(&mut self) {
        self.splits = Default::default();
        self.classes.iter_mut().for_each(Vec::clear);
        self.confusion.iter_mut().for_each(Vec::clear);
        self.ranking.clear();
        self.others.iter_mut().for_each(|other| (other.sum, other.weight) = (0.0, 0.0));
    }

    /// Removes the terms of one split.
    pub fn forget(&mut self, split: Split) {
        self.splits[split as usize] = SplitMetrics::default();
        self.classes[split as usize].clear();
        self.confusion[split as usize].clear();
        self.ranking.forget(split);
        let others = self.others.iter_mut().filter(|other| other.split == split);
        others.for_each(|other| (other.sum, other.weight) = (0.0, 0.0));
    }

    /// Adds terms to a user-defined metric, which is a weighted mean: `sum` is the sum of values times their weights,
    /// `weight` that of the weights. The loss of each step clears the metrics, so add in `GraphSystems::Act`.
    pub fn add(&mut self, name: &'static str, split: Split, sum: f64, weight: f64) {
        self.add_named(Cow::Borrowed(name), split, sum, weight);
    }

    fn add_named(&mut self, name: Cow<'static, str>, split: Split, sum: f64, weight: f64) {
        match self.others.iter_mut().find(|other| (&other.name, other.split) == (&name, split)) {
            Some(other) => {
                other.sum += sum;
                other.weight += weight;
            }
            None => self.others.push(OtherMetric { name, split, sum, weight }),
        }
    }

    /// The sums over one split.
    pub fn of(&self, split: Split) -> SplitMetrics {
        SplitMetrics { area_under_curve: self.ranking.area_under_curve(split), ..self.splits[split as usize] }
    }

    /// Micro-averaged F1: over the total counts of all classes or labels; equal to the accuracy if each row has one
    /// class.
    pub fn f1_micro(&self, split: Split) -> Option<f64> {
        let mut total = ClassCounts::default();
        self.classes[split as usize].iter().for_each(|counts| total.merge(counts));
        total.f1()
    }

    /// Macro-averaged F1: the mean over the classes or labels that some row has or was predicted to have.
    pub fn f1_macro(&self, split: Split) -> Option<f64> {
        let (sum, count) = self.classes[split as usize]
            .iter()
            .filter_map(ClassCounts::f1)
            .fold((0.0, 0), |(sum, count), f1| (sum + f1, count + 1));
        (count > 0).then(|| sum / f64::from(count))
    }

    /// All metrics measured on one split: the built-in ones first, then the user-defined ones.
    pub fn values(&self, split: Split) -> impl Iterator<Item = MetricValue<'_>> {
        let sums = self.of(split);
        let mean = |sum: f64, count: u64| (count > 0).then(|| sum / count as f64);
        let built_in = [
            ("loss", Some(sums.loss_sum / sums.weight)),
            ("accuracy", mean(sums.correct as f64, sums.classified)),
            ("f1_micro", self.f1_micro(split)),
            ("f1_macro", self.f1_macro(split)),
            ("area_under_curve", sums.area_under_curve),
            ("average_precision", self.ranking.average_precision(split)),
            ("mean_absolute_error", mean(sums.absolute_error_sum, sums.regressed)),
            ("root_mean_squared_error", sums.root_mean_squared_error()),
            ("r2", sums.r2()),
        ];
        let built_in = built_in.into_iter().filter(move |_| sums.count > 0);
        let built_in = built_in.filter_map(move |(name, value)| Some(MetricValue { name, split, value: value? }));
        let others = self.others.iter().filter(move |other| other.split == split && other.weight != 0.0);
        built_in.chain(others.map(move |other| MetricValue {
            name: &other.name,
            split,
            value: other.sum / other.weight,
        }))
    }
}

/// Sums over the terms of one split. A row with a class is one term, a row with values one term for each output
/// dimension.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "reflect", derive(bevy_reflect::Reflect))]
pub struct SplitMetrics {
    /// Number of terms.
    pub count: u64,
    /// Sum of their weights; their number if they have no weights.
    pub weight: f64,
    /// Sum of their losses, times their weights.
    pub loss_sum: f64,
    /// Number of terms of classification, which are right or wrong: all of them, or none in regression and for a loss of yours.
    pub classified: u64,
    /// Number of these that are right: the output of the class is the greatest, or it is positive exactly if the target
    /// is 1.
    pub correct: u64,
    /// Number of terms of regression, which have an error: all of them, or none in classification and for a loss of yours.
    pub regressed: u64,
    /// Sum of the absolute differences between outputs and targets, over the terms of regression.
    pub absolute_error_sum: f64,
    /// Sum of the squares of these differences.
    pub squared_error_sum: f64,
    /// Sum of the targets of these terms.
    pub target_sum: f64,
    /// Sum of the squares of these targets.
    pub squared_target_sum: f64,
    /// The area under the ROC curve: the fraction of pairs of a positive and a negative row in which the positive one
    /// has the greater output; ties count half. Measured for single logits, outside of training; none if there is no
    /// pair.
    pub area_under_curve: Option<f64>,
}

impl SplitMetrics {
    /// Adds sums over other terms.
    #[inline(always)]
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.weight += other.weight;
        self.loss_sum += other.loss_sum;
        self.classified += other.classified;
        self.correct += other.correct;
        self.regressed += other.regressed;
        self.absolute_error_sum += other.absolute_error_sum;
        self.squared_error_sum += other.squared_error_sum;
        self.target_sum += other.target_sum;
        self.squared_target_sum += other.squared_target_sum;
    }

    /// The mean loss; NaN without terms.
    pub fn loss(&self) -> f32 {
        (self.loss_sum / self.weight) as f32
    }

    /// The fraction of correct terms; NaN without terms of classification.
    pub fn accuracy(&self) -> f32 {
        self.correct as f32 / self.classified as f32
    }

    /// The mean absolute difference between output and target; NaN without terms of regression.
    pub fn mean_absolute_error(&self) -> f32 {
        (self.absolute_error_sum / self.regressed as f64) as f32
    }

    /// The root of the mean squared difference between output and target; none without terms of regression.
    pub fn root_mean_squared_error(&self) -> Option<f64> {
        (self.regressed > 0).then(|| (self.squared_error_sum / self.regressed as f64).sqrt())
    }

    /// The coefficient of determination `1 - sum (y - z)^2 / sum (y - mean y)^2` over all output dimensions together;
    /// none without terms of regression, and if all targets are equal.
    pub fn r2(&self) -> Option<f64> {
        let variation = self.squared_target_sum - self.target_sum * self.target_sum / self.regressed as f64;
        (self.regressed > 0 && variation > 0.0).then(|| 1.0 - self.squared_error_sum / variation)
    }
}
