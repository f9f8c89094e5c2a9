//! How metrics are printed for people.

use super::measures::LOAD;

/// Metrics that are fractions between 0 and 1 or whose names are not their words, and whether they are fractions.
const KNOWN: [(&str, &str, bool); 18] = [
    ("accuracy", "accuracy", true),
    ("f1_micro", "micro F1", true),
    ("f1_macro", "macro F1", true),
    ("area_under_curve", "area under the ROC curve", true),
    ("average_precision", "average precision", true),
    ("r2", "R²", false),
    ("exact_match", "exact match", true),
    ("invalid", "invalid", true),
    ("label_accuracy", "accuracy of labels", true),
    ("address_accuracy", "accuracy of addresses", true),
    ("edit_distance", "edits to mend a wrong result", false),
    ("edit_distance_bound", "edits to mend a wrong result, at most", false),
    ("clean_kept", "kept without a misuse", true),
    ("joint_accuracy", "localized and repaired", true),
    ("localization_accuracy", "localized", true),
    ("repair_accuracy", "repaired at the place", true),
    ("classification_accuracy", "classified", true),
    ("specialization", "specialization of experts", true),
];

/// How a metric is printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricFormat {
    /// The metric in words.
    pub label: String,
    /// Whether its values are fractions, which are printed in percent.
    pub is_fraction: bool,
}

impl MetricFormat {
    /// That of a metric, by its name in [`Measures`](super::Measures). One that is unknown is a plain number.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let (head, metric) = name.rsplit_once('.').unwrap_or(("", name));
        let known = KNOWN.iter().find(|(known, ..)| *known == metric);
        let is_load = metric.starts_with(LOAD);
        let (words, is_fraction) = known.map_or((metric, is_load), |(_, words, is_fraction)| (words, *is_fraction));
        Self { label: format!("{head} {words}").trim_start().replace('_', " "), is_fraction }
    }

    /// A value as text, such as `81.5 %` or `0.2500`; `none` if it was not measured or is NaN.
    #[must_use]
    pub fn text(&self, value: Option<f64>) -> String {
        match value.filter(|value| !value.is_nan()) {
            None => "none".to_owned(),
            Some(value) if self.is_fraction => format!("{:.1} %", 100.0 * value),
            Some(value) => format!("{value:.4}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_metrics_have_words_and_others_their_names() {
        let text = |name: &str| {
            let format = MetricFormat::of(name);
            format!("{} {}", format.label, format.text(Some(0.815)))
        };
        assert_eq!(text("area_under_curve"), "area under the ROC curve 81.5 %");
        assert_eq!(text("mean_absolute_error"), "mean absolute error 0.8150");
        assert_eq!(text("role.accuracy"), "role accuracy 81.5 %");
        assert_eq!(text("hits_at_10"), "hits at 10 0.8150");
        assert_eq!([None, Some(f64::NAN)].map(|value| MetricFormat::of("accuracy").text(value)), ["none"; 2]);
    }
}
