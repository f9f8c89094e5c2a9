//! How good a model is on each part of the data.

use bevy_ecs::component::Component;

use crate::{Ranking, Split};

/// The loss on each part of the data and how good the outputs are there, written by the systems of the losses.
///
/// They hold sums, so that those of several batches can be [merged](Metrics::merge); means are taken when they are asked
/// for.
#[derive(Component, Clone, Debug, Default, PartialEq)]
pub struct Metrics {
    /// One for each head of the model, in their order.
    pub heads: Vec<HeadMetrics>,
}

impl Metrics {
    /// Those of heads of these names and weights, over nothing.
    pub fn new<'a>(heads: impl IntoIterator<Item = (&'a str, f32)>) -> Self {
        let head = |(name, weight): (&str, f32)| HeadMetrics { name: name.to_owned(), weight, ..Default::default() };
        Self { heads: heads.into_iter().map(head).collect() }
    }

    /// Adds those of other terms, such as of another batch.
    pub fn merge(&mut self, other: &Self) {
        if self.heads.len() < other.heads.len() {
            self.heads.extend(other.heads[self.heads.len()..].iter().map(HeadMetrics::emptied));
        }
        self.heads.iter_mut().zip(&other.heads).for_each(|(head, other)| head.merge(other));
    }

    /// The sums of the first head over one part.
    pub fn of(&self, split: Split) -> SplitMetrics {
        self.heads.first().map_or_else(SplitMetrics::default, |head| head.of(split))
    }

    /// Those of a head.
    pub fn head(&self, name: &str) -> Option<&HeadMetrics> {
        self.heads.iter().find(|head| head.name == name)
    }

    /// What is minimized: the sum of the heads' losses times their weights; NaN if one of them has no terms.
    pub fn loss(&self, split: Split) -> f32 {
        self.heads.iter().map(|head| head.weight * head.of(split).loss()).sum()
    }

    /// Terms of all heads.
    pub fn count(&self, split: Split) -> u64 {
        self.heads.iter().map(|head| head.of(split).count).sum()
    }

    /// The sum of the weights of the terms of all heads.
    pub fn weight(&self, split: Split) -> f64 {
        self.heads.iter().map(|head| head.of(split).weight).sum()
    }

    /// The metrics of the head with this number, which is made if there is none.
    pub fn head_mut(&mut self, number: usize) -> &mut HeadMetrics {
        if self.heads.len() <= number {
            self.heads.resize_with(number + 1, HeadMetrics::default);
        }
        &mut self.heads[number]
    }
}

/// The metrics of one head.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadMetrics {
    /// The name of the head.
    pub name: String,
    /// What its loss is multiplied by in what the model minimizes.
    pub weight: f32,
    /// Sums by [`Split`], in its order.
    pub splits: [SplitMetrics; 4],
    /// Of each part how often each class was predicted and right, or each column of several labels was. Measured outside of
    /// training.
    pub classes: [Vec<ClassCounts>; 4],
    /// Of each part how many rows of each class were predicted as which, `[actual, predicted]` row by row; empty where a row
    /// has no class or there are more than [`MAX_CONFUSED`]. Measured outside of training.
    pub confusion: [Vec<u64>; 4],
    /// Single outputs that tell two kinds of rows apart. Measured outside of training.
    pub ranking: Ranking,
    /// Metrics of the user's.
    others: Vec<OtherMetric>,
}

/// The most classes of which a confusion matrix is kept.
pub const MAX_CONFUSED: usize = 256;

/// How often a class was predicted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassCounts {
    /// Rows that have it and were told to.
    pub correct: u64,
    /// Rows that were told to have it.
    pub predicted: u64,
    /// Rows that have it.
    pub actual: u64,
}

impl ClassCounts {
    /// The harmonic mean of precision and recall; none if no row has the class or was told to.
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
pub struct MetricValue {
    /// Such as `f1_macro`.
    pub name: &'static str,
    /// The part of the data.
    pub split: Split,
    /// The value.
    pub value: f64,
}

/// A metric of the user's: a weighted mean.
#[derive(Clone, Copy, Debug, PartialEq)]
struct OtherMetric {
    name: &'static str,
    split: Split,
    sum: f64,
    weight: f64,
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
    /// Adds those of other terms.
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
        other.others.iter().for_each(|other| self.add(other.name, other.split, other.sum, other.weight));
    }

    /// The same over nothing.
    pub fn emptied(&self) -> Self {
        Self { name: self.name.clone(), weight: self.weight, ..Self::default() }
    }

    /// Forgets all terms and keeps their memory.
    pub fn clear(&mut self) {
        self.splits = Default::default();
        self.classes.iter_mut().for_each(Vec::clear);
        self.confusion.iter_mut().for_each(Vec::clear);
        self.ranking.clear();
        self.others.iter_mut().for_each(|other| (other.sum, other.weight) = (0.0, 0.0));
    }

    /// Forgets the terms of one part.
    pub fn forget(&mut self, split: Split) {
        self.splits[split as usize] = SplitMetrics::default();
        self.classes[split as usize].clear();
        self.confusion[split as usize].clear();
        self.ranking.forget(split);
        let others = self.others.iter_mut().filter(|other| other.split == split);
        others.for_each(|other| (other.sum, other.weight) = (0.0, 0.0));
    }

    /// Adds terms to a metric of the user's, which is a weighted mean: `sum` of values times their weights, and `weight` of
    /// these. The loss of each step forgets what was added in the last one, so add in `GraphSystems::Act`.
    pub fn add(&mut self, name: &'static str, split: Split, sum: f64, weight: f64) {
        match self.others.iter_mut().find(|other| (other.name, other.split) == (name, split)) {
            Some(other) => {
                other.sum += sum;
                other.weight += weight;
            }
            None => self.others.push(OtherMetric { name, split, sum, weight }),
        }
    }

    /// The sums over one part.
    pub fn of(&self, split: Split) -> SplitMetrics {
        SplitMetrics { area_under_curve: self.ranking.area_under_curve(split), ..self.splits[split as usize] }
    }

    /// F1 over the counts of all classes or columns together; the accuracy, where each row has just one class.
    pub fn f1_micro(&self, split: Split) -> Option<f64> {
        let mut total = ClassCounts::default();
        self.classes[split as usize].iter().for_each(|counts| total.merge(counts));
        total.f1()
    }

    /// The mean F1 of the classes or columns that some row has or was told to have.
    pub fn f1_macro(&self, split: Split) -> Option<f64> {
        let (sum, count) = self.classes[split as usize]
            .iter()
            .filter_map(ClassCounts::f1)
            .fold((0.0, 0), |(sum, count), f1| (sum + f1, count + 1));
        (count > 0).then(|| sum / f64::from(count))
    }

    /// All that was measured on one part: the values of the library first, then those of the user's.
    pub fn values(&self, split: Split) -> impl Iterator<Item = MetricValue> {
        let sums = self.of(split);
        let mean = |sum: f64, count: u64| (count > 0).then(|| sum / count as f64);
        let known = [
            ("loss", Some(sums.loss_sum / sums.weight)),
            ("accuracy", mean(sums.correct as f64, sums.judged)),
            ("f1_micro", self.f1_micro(split)),
            ("f1_macro", self.f1_macro(split)),
            ("area_under_curve", sums.area_under_curve),
            ("average_precision", self.ranking.average_precision(split)),
            ("mean_absolute_error", mean(sums.distance_sum, sums.count - sums.judged)),
            ("root_mean_squared_error", sums.root_mean_squared_error()),
            ("r2", sums.r2()),
        ];
        let known = known.into_iter().filter(move |_| sums.count > 0);
        let known = known.filter_map(move |(name, value)| Some(MetricValue { name, split, value: value? }));
        let others = self.others.iter().filter(move |other| other.split == split && other.weight != 0.0);
        known.chain(others.map(move |other| MetricValue { name: other.name, split, value: other.sum / other.weight }))
    }
}

/// Sums over the terms of one part of the data. A row with a class is one term, a row with values one for each column.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SplitMetrics {
    /// Terms.
    pub count: u64,
    /// Sum of their weights: as many as terms if they have none.
    pub weight: f64,
    /// Sum of their losses, times their weights.
    pub loss_sum: f64,
    /// Terms that are right or wrong: all of them where classes are told apart, none where values are approached.
    pub judged: u64,
    /// Those that are right: the greatest output is that of the class, or is positive if and only if the target is 1.
    pub correct: u64,
    /// Sum of the distances between outputs and targets over the other terms.
    pub distance_sum: f64,
    /// Sum of their squares.
    pub squared_distance_sum: f64,
    /// Sum of the targets of these terms.
    pub target_sum: f64,
    /// Sum of their squares.
    pub squared_target_sum: f64,
    /// The area under the ROC curve: the share of pairs of a positive and a negative row in which the positive one has the
    /// greater output; equal ones count half. Measured for single logits, outside of training; none if there is no pair.
    pub area_under_curve: Option<f64>,
}

impl SplitMetrics {
    /// Adds the sums over other terms.
    #[inline(always)]
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.weight += other.weight;
        self.loss_sum += other.loss_sum;
        self.judged += other.judged;
        self.correct += other.correct;
        self.distance_sum += other.distance_sum;
        self.squared_distance_sum += other.squared_distance_sum;
        self.target_sum += other.target_sum;
        self.squared_target_sum += other.squared_target_sum;
    }

    /// The mean loss; NaN over nothing.
    pub fn loss(&self) -> f32 {
        (self.loss_sum / self.weight) as f32
    }

    /// The share that is correct; NaN where nothing is right or wrong.
    pub fn accuracy(&self) -> f32 {
        self.correct as f32 / self.judged as f32
    }

    /// The mean distance between output and target; NaN where targets are classes.
    pub fn mean_absolute_error(&self) -> f32 {
        (self.distance_sum / (self.count - self.judged) as f64) as f32
    }

    /// The root of the mean squared distance between output and target; none where targets are classes.
    pub fn root_mean_squared_error(&self) -> Option<f64> {
        let count = self.count - self.judged;
        (count > 0).then(|| (self.squared_distance_sum / count as f64).sqrt())
    }

    /// The coefficient of determination `1 - sum (y - z)^2 / sum (y - mean y)^2`, over all columns together; none where targets
    /// are classes or all the same.
    pub fn r2(&self) -> Option<f64> {
        let count = self.count - self.judged;
        let spread = self.squared_target_sum - self.target_sum * self.target_sum / count as f64;
        (count > 0 && spread > 0.0).then(|| 1.0 - self.squared_distance_sum / spread)
    }
}
