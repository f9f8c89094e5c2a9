//! The values of metrics, whichever there are.

use std::{fmt, sync::Arc};

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::components::{Metrics, Split};

/// What the names of the loads of experts begin with, before the number of the expert.
pub(crate) const LOAD: &str = "load_of_expert_";

/// The name of how far experts differ in what they compute.
pub(crate) const SPECIALIZATION: &str = "specialization";

/// The values of metrics on the splits of the data: an open list, with whatever was measured.
///
/// Names are those of [`HeadMetrics::values`](crate::components::HeadMetrics::values), such as `loss` and `accuracy`. If a
/// model has several heads, `loss` is what it minimizes, and those of a head follow its name and a dot, as in
/// `role.accuracy`. The order is that of the splits, then that of the heads, the loss first.
///
/// As JSON it is an object of keys `{split}_{name}`, such as `validation_accuracy` or `validation_role.accuracy`. A value that
/// was not measured has none. One that is not finite is `null`, which is read back as NaN. Other keys are skipped.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measures(Vec<Measure>);

#[derive(Clone, Debug, PartialEq)]
struct Measure {
    split: Split,
    /// Shared with the copies of the list.
    name: Arc<str>,
    value: f64,
}

impl Measures {
    /// The value of a metric on a split, if it was measured.
    #[must_use]
    pub fn get(&self, split: Split, name: &str) -> Option<f64> {
        self.iter().find(|(of, metric, _)| (*of, *metric) == (split, name)).map(|(.., value)| value)
    }

    /// Sets the value of a metric on a split.
    pub fn set(&mut self, split: Split, name: &str, value: f64) {
        match self.0.iter_mut().find(|measure| (measure.split, &*measure.name) == (split, name)) {
            Some(measure) => measure.value = value,
            None => self.0.push(Measure { split, name: name.into(), value }),
        }
    }

    /// All values with their splits and metrics.
    pub fn iter(&self) -> impl Iterator<Item = (Split, &str, f64)> {
        self.0.iter().map(|measure| (measure.split, &*measure.name, measure.value))
    }

    /// Number of values.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The metric to name first: the first one that is no loss, or `loss` if there is no other.
    #[must_use]
    pub fn main_metric(&self) -> &str {
        let is_loss = |name: &str| name.rsplit('.').next() == Some("loss");
        self.iter().map(|(_, name, _)| name).find(|name| !is_loss(name)).unwrap_or("loss")
    }

    /// The metric to name first of each head, in their order; of a model with one head [`main_metric`](Self::main_metric).
    #[must_use]
    pub fn main_metrics(&self) -> Vec<&str> {
        let head_of = |name: &str| name.rsplit_once('.').map_or("", |(head, _)| head).to_owned();
        let mut metrics: Vec<&str> = Vec::new();
        for (_, name, _) in self.iter().filter(|(_, name, _)| name.rsplit('.').next() != Some("loss")) {
            if metrics.iter().all(|other| head_of(other) != head_of(name)) {
                metrics.push(name);
            }
        }
        if metrics.is_empty() { vec![self.main_metric()] } else { metrics }
    }

    /// Writes what was measured on some splits over the values from `index` on, and returns the index behind the last one.
    /// Names that are there already are kept, so that an epoch with the metrics of the one before allocates nothing.
    pub(crate) fn write(&mut self, mut index: usize, metrics: &Metrics, splits: &[Split]) -> usize {
        let has_several = metrics.heads.len() > 1;
        for split in splits {
            let of_all = total_loss(metrics, *split).filter(|_| has_several);
            let of_all = of_all.into_iter().map(|loss| (["", "", "loss"], loss));
            let of_heads = metrics.heads.iter().flat_map(|head| {
                let [head_name, dot] = if has_several { [head.name.as_str(), "."] } else { [""; 2] };
                head.values(*split).map(move |value| ([head_name, dot, value.name], value.value))
            });
            for (name, value) in of_all.chain(of_heads) {
                index = self.place(index, *split, name, value);
            }
        }
        index
    }

    /// Writes a value over the one at `index`, whose name is kept if it is the same; returns the next index.
    pub(crate) fn place(&mut self, index: usize, split: Split, name: [&str; 3], value: f64) -> usize {
        let is_same = |old: &Measure| old.name.bytes().eq(name.iter().flat_map(|part| part.bytes()));
        match self.0.get_mut(index) {
            Some(old) if old.split == split && is_same(old) => old.value = value,
            old => {
                let new = Measure { split, name: name.concat().into(), value };
                if let Some(old) = old { *old = new } else { self.0.push(new) }
            }
        }
        index + 1
    }

    pub(crate) fn truncate(&mut self, length: usize) {
        self.0.truncate(length);
    }
}

/// What is minimized; none unless all heads have terms.
fn total_loss(metrics: &Metrics, split: Split) -> Option<f64> {
    let losses = metrics.heads.iter().map(|head| {
        let sums = head.splits[split as usize];
        (sums.count > 0).then(|| f64::from(head.weight) * sums.loss_sum / sums.weight)
    });
    losses.sum()
}

impl<const N: usize> From<[(Split, &str, f64); N]> for Measures {
    fn from(values: [(Split, &str, f64); N]) -> Self {
        let mut measures = Self::default();
        values.into_iter().for_each(|(split, name, value)| measures.set(split, name, value));
        measures
    }
}

impl Serialize for Measures {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (split, name, value) in self.iter() {
            map.serialize_entry(&format_args!("{}_{name}", split.name()), &value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Measures {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MeasuresVisitor)
    }
}

struct MeasuresVisitor;

impl<'de> Visitor<'de> for MeasuresVisitor {
    type Value = Measures;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("an object of metrics, such as train_loss")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Measures, A::Error> {
        let mut measures = Measures::default();
        while let Some(key) = map.next_key::<String>()? {
            let name = |split: Split| Some((split, key.strip_prefix(split.name())?.strip_prefix('_')?));
            match Split::MEASURED.into_iter().find_map(name) {
                Some((split, name)) => measures.set(split, name, map.next_value::<Option<f64>>()?.unwrap_or(f64::NAN)),
                None => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(measures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::components::SplitMetrics;

    #[test]
    fn several_heads_have_their_names_and_a_total_loss() {
        let mut metrics = Metrics::new([("role", 0.5), ("mass", 0.25)]);
        let mut add = |head: usize, split: Split, loss_sum| {
            let term = SplitMetrics { count: 1, weight: 1.0, classified: 1, loss_sum, ..SplitMetrics::default() };
            metrics.heads[head].splits[split as usize] = term;
        };
        add(0, Split::Train, 2.0);
        add(1, Split::Train, 6.0);
        // Without terms of all heads there is no total.
        add(1, Split::Test, 1.0);
        let mut measures = Measures::default();
        let mut written = |metrics: &Metrics| {
            let end = measures.write(0, metrics, &Split::MEASURED);
            measures.truncate(end);
            serde_json::to_string(&measures).unwrap()
        };
        let expected = concat!(
            r#"{"train_loss":2.5,"train_role.loss":2.0,"train_role.accuracy":0.0,"train_mass.loss":6.0,"#,
            r#""train_mass.accuracy":0.0,"test_mass.loss":1.0,"test_mass.accuracy":0.0}"#
        );
        assert_eq!(written(&metrics), expected);
        metrics.heads.truncate(1);
        assert_eq!(written(&metrics), r#"{"train_loss":2.0,"train_accuracy":0.0}"#);
        assert_eq!(written(&Metrics::default()), "{}");
    }
}
