//! Tests of learning curves.

use super::super::best_epoch;
use super::*;
use crate::scene::Selection;

/// A run that looks like a graph convolutional network on Cora.
fn cora(epochs: u64) -> Vec<EpochReport> {
    let wobble = |epoch: u64, salt: u64| {
        let mixed = (epoch ^ (salt << 20)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40;
        mixed as f64 / f64::from(1 << 24) - 0.5
    };
    let rise = |epoch: u64, pace: f64| {
        let time = epoch as f64 / pace;
        time * time / (1.0 + time * time)
    };
    let report = |epoch| {
        let metrics = [
            (Split::Train, "loss", 1.95 - 1.37 * rise(epoch, 60.0) + 0.05 * wobble(epoch, 1)),
            (Split::Train, "accuracy", 0.2 + 0.785 * rise(epoch, 14.0) + 0.02 * wobble(epoch, 3)),
            (Split::Validation, "loss", 1.95 - 1.02 * rise(epoch, 65.0) + 0.008 * wobble(epoch, 5)),
            (Split::Validation, "accuracy", 0.16 + 0.635 * rise(epoch, 16.0) + 0.008 * wobble(epoch, 7)),
            (Split::Test, "accuracy", 0.15 + 0.67 * rise(epoch, 16.0) + 0.006 * wobble(epoch, 9)),
        ];
        EpochReport { epoch, metrics: metrics.into(), ..EpochReport::default() }
    };
    (1..=epochs).map(report).collect()
}

fn set_all(reports: &mut [EpochReport], split: Split, name: &str, value: f64) {
    reports.iter_mut().for_each(|report| report.metrics.set(split, name, value));
}

/// Checks what any picture must hold, and gives it back.
fn checked(title: &str, reports: &[EpochReport]) -> String {
    let draw = || {
        training_curves(
            title,
            &Curve::from_reports(reports),
            best_epoch(reports, Selection::BestValidation, Some("accuracy")),
        )
    };
    let picture = draw();
    assert!(picture.starts_with("<svg width=\"960\" height=\"400\" viewBox="), "{picture}");
    assert!(picture.ends_with("</svg>\n"));
    for word in ["NaN", "inf", "--"] {
        assert!(!picture.contains(word), "{word} in {picture}");
    }
    assert_eq!(picture, draw());
    picture
}

fn has_text(picture: &str, text: &str) -> bool {
    picture.lines().any(|line| line == text)
}

#[test]
fn a_run_shows_five_curves_with_their_values_in_the_best_epoch() {
    let mut reports = cora(200);
    let best = [(Split::Train, "loss", 0.6), (Split::Validation, "accuracy", 0.9), (Split::Test, "accuracy", 0.815)];
    best.into_iter().for_each(|(split, name, value)| reports[149].metrics.set(split, name, value));
    let picture = checked("GCN on Cora", &reports);
    assert_eq!(picture.matches("<circle").count(), 5);
    assert_eq!(picture.matches("best epoch 150").count(), 2);
    for text in ["GCN on Cora", "Loss", "Accuracy (%)", "test 81.5", "train 0.6", "validation 90"] {
        assert!(has_text(&picture, text), "{text}");
    }
    for color in ["#0072B2", "#D55E00", "#009E73"] {
        assert!(picture.contains(color));
    }
}

#[test]
fn without_a_best_epoch_the_last_values_are_told() {
    let values = vec![(1, 0.5), (2, 0.25), (3, f64::NAN)];
    let curve = Curve { metric: "Hits at 10".to_owned(), split: "test".to_owned(), values };
    let picture = training_curves("links", &[curve], None);
    assert!(has_text(&picture, "Hits at 10") && has_text(&picture, "test 0.25") && !picture.contains("best epoch"));
}

#[test]
fn every_two_metrics_take_a_row() {
    let mut reports = cora(5);
    reports[2].metrics.set(Split::Validation, "area_under_curve", 0.75);
    let picture = training_curves("links", &Curve::from_reports(&reports), None);
    assert!(picture.starts_with("<svg width=\"960\" height=\"752\""));
    assert!(has_text(&picture, "Area under the ROC curve (%)"));
    assert!(has_text(&picture, "validation 75") && !has_text(&picture, "test 75"));
    for metric in 0..9 {
        set_all(&mut reports, Split::Validation, &format!("metric_{metric}"), f64::from(metric));
    }
    let picture = training_curves("many", &Curve::from_reports(&reports), None);
    assert!(picture.starts_with("<svg width=\"960\" height=\"1104\""));
    assert!(has_text(&picture, "Metric 3") && !has_text(&picture, "Metric 4"));
}

#[test]
fn a_metric_that_repeats_another_is_left_out() {
    let mut reports = cora(5);
    for report in &mut reports {
        let accuracy = report.get(Split::Test, "accuracy").unwrap();
        report.metrics.set(Split::Test, "f1_micro", accuracy);
    }
    assert!(!checked("classes", &reports).contains("F1"));
    reports[3].metrics.set(Split::Test, "f1_micro", 0.0);
    let picture = training_curves("labels", &Curve::from_reports(&reports), None);
    assert!(has_text(&picture, "Micro F1 (%)"));
}

#[test]
fn errors_are_plain_numbers() {
    let mut reports = vec![EpochReport::default(); 5];
    set_all(&mut reports, Split::Train, "mean_absolute_error", 0.25);
    let picture = checked("values", &reports);
    assert!(has_text(&picture, "Mean absolute error") && !picture.contains("Accuracy"));
    assert!(has_text(&picture, "train 0.25"));
}

#[test]
fn no_epochs_and_one_epoch_are_drawn() {
    assert_eq!(checked("", &[]).matches("no values yet").count(), 1);
    let one = checked("one", &cora(1));
    assert_eq!(one.matches("<circle").count(), 5);
    assert!(training_curves("nothing", &[], None).contains("nothing"));
}

#[test]
fn a_long_run_makes_a_small_picture_with_its_extremes() {
    let picture = checked("long", &cora(100_000));
    assert!(picture.len() < 100_000, "{}", picture.len());
    let mut points: Vec<(f64, f64)> = (0..100_003).map(|epoch| (f64::from(epoch), f64::from(epoch % 97))).collect();
    assert_eq!(thinned(points[..1000].to_vec()), points[..1000]);
    points[777].1 = -5.0;
    points[54_321].1 = 500.0;
    let thin = thinned(points);
    assert!((500..=1000).contains(&thin.len()), "{}", thin.len());
    assert!(thin.contains(&(777.0, -5.0)) && thin.contains(&(54_321.0, 500.0)));
    assert!(thin.is_sorted_by(|left, right| left.0 < right.0));
}

#[test]
fn values_that_are_not_finite_are_skipped() {
    let mut reports = cora(10);
    reports[3].metrics.set(Split::Train, "loss", f64::NAN);
    reports[9].metrics.set(Split::Validation, "loss", f64::INFINITY);
    set_all(&mut reports, Split::Test, "accuracy", f64::NAN);
    let picture = checked("gaps", &reports);
    assert_eq!(picture.matches("<circle").count(), 4);
    set_all(&mut reports, Split::Validation, "loss", f64::NAN);
    set_all(&mut reports, Split::Train, "loss", f64::NAN);
    assert_eq!(checked("none", &reports).matches("no values yet").count(), 1);
}

#[test]
fn constant_and_extreme_values_are_drawn() {
    for value in [0.0, 1.0, -1.0, 1e-45, f32::MAX.into(), f32::MIN.into(), f64::MAX] {
        let mut reports = cora(3);
        set_all(&mut reports, Split::Train, "loss", value);
        set_all(&mut reports, Split::Validation, "loss", value);
        set_all(&mut reports, Split::Train, "accuracy", value);
        checked("constant", &reports);
        reports[1].metrics.set(Split::Train, "loss", -value);
        checked("jump", &reports);
    }
    let mut late = cora(2);
    (late[0].epoch, late[1].epoch) = (u64::MAX, u64::MAX - 1);
    checked("late", &late);
}

#[test]
fn ticks_are_round_numbers() {
    let picture = checked("GCN on Cora", &cora(200));
    for tick in ["0", "50", "100", "150", "200", "1", "1.5", "2", "40", "80"] {
        assert!(has_text(&picture, tick), "{tick} in {picture}");
    }
    assert_eq!(number(0.1 + 0.2, 6), "0.3");
    assert_eq!(number(-0.0, 6), "0");
    assert_eq!(number(1.057, 3), "1.06");
    assert_eq!(number(f32::MAX.into(), 3), "3.4e38");
    assert_eq!(number(0.601_7, 3), "0.602");
    assert_eq!(number(1200.0, 6), "1200");
}

#[test]
fn names_are_escaped_and_shortened() {
    let picture = checked("a<b & \"c\"\u{1}", &[]);
    assert!(has_text(&picture, "a&lt;b &amp; &quot;c&quot;\u{fffd}"));
    let picture = checked(&"é".repeat(200), &[]);
    assert!(has_text(&picture, &format!("{}…", "é".repeat(95))));
}
