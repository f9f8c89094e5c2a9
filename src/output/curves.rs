//! A picture of a training run, to be looked at in a browser or put into a README.

mod axis;
mod labels;
mod panel;
mod series;

use std::fmt::Write;

use self::axis::measured;
use self::panel::Panel;
use self::series::Series;
use super::EpochReport;

/// Blue, vermillion and green of Okabe and Ito, which color-blind readers tell apart.
const TRAIN: &str = "#0072B2";
const VALIDATION: &str = "#D55E00";
const TEST: &str = "#009E73";

/// Characters of the title that fit into the picture.
const TITLE_LENGTH: usize = 96;

/// Draws the training curves of a run as an SVG picture, 960 wide and 400 high.
///
/// On the left the loss of training and validation, on the right the accuracy of training, validation and test in
/// per cent, or their mean absolute error where targets are numbers; each over the epochs and with its last value beside its
/// end. Values that are not finite are skipped and
/// the line goes on to the next one that is. A curve of more than a thousand points is thinned out, in one way only,
/// and keeps its extremes. Without any values the panels say so.
///
/// The title may hold any characters. Equal reports give equal bytes.
#[must_use]
pub fn training_curves(title: &str, reports: &[EpochReport]) -> String {
    let epochs = epoch_range(reports);
    let loss = loss_panel(reports).draw(epochs);
    let has_numbers = reports.iter().any(|report| report.train_mean_absolute_error.is_some());
    let quality = if has_numbers { error_panel(reports) } else { accuracy_panel(reports) }.draw(epochs);
    let head = head(title);
    format!("{head}{loss}{quality}</svg>\n")
}

fn loss_panel(reports: &[EpochReport]) -> Panel {
    let curve =
        |name, color, loss: fn(&EpochReport) -> f32| Series::new(name, color, reports, |report| loss(report).into());
    Panel {
        left: 0.0,
        title: "Loss",
        limits: (0.0, f64::INFINITY),
        least_span: 0.0,
        write_value: measured,
        series: vec![
            curve("train", TRAIN, |report| report.train_loss),
            curve("validation", VALIDATION, |report| report.validation_loss),
        ],
    }
}

fn accuracy_panel(reports: &[EpochReport]) -> Panel {
    let curve = |name, color, share: fn(&EpochReport) -> f32| {
        Series::new(name, color, reports, |report| f64::from(share(report)) * 100.0)
    };
    Panel {
        left: 480.0,
        title: "Accuracy (%)",
        limits: (0.0, 100.0),
        least_span: 5.0,
        write_value: |value| format!("{value:.1}"),
        series: vec![
            curve("train", TRAIN, |report| report.train_accuracy),
            curve("validation", VALIDATION, |report| report.validation_accuracy),
            curve("test", TEST, |report| report.test_accuracy),
        ],
    }
}

fn error_panel(reports: &[EpochReport]) -> Panel {
    let curve = |name, color, error: fn(&EpochReport) -> Option<f32>| {
        Series::new(name, color, reports, |report| error(report).map_or(f64::NAN, f64::from))
    };
    Panel {
        left: 480.0,
        title: "Mean absolute error",
        limits: (0.0, f64::INFINITY),
        least_span: 0.0,
        write_value: measured,
        series: vec![
            curve("train", TRAIN, |report| report.train_mean_absolute_error),
            curve("validation", VALIDATION, |report| report.validation_mean_absolute_error),
            curve("test", TEST, |report| report.test_mean_absolute_error),
        ],
    }
}

/// The opening of the picture: size, fonts, background and title.
fn head(title: &str) -> String {
    let mut head = String::from(concat!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="960" height="400" viewBox="0 0 960 400" role="img" "#,
        r#"font-family="Helvetica Neue, Helvetica, Arial, Liberation Sans, sans-serif" font-size="12">"#,
        "\n",
    ));
    append(&mut head, format_args!("<title>{}</title>\n", escaped(title)));
    head.push_str("<rect width=\"960\" height=\"400\" fill=\"#ffffff\"/>\n");
    append(
        &mut head,
        format_args!(
            "<text x=\"24\" y=\"32\" font-size=\"17\" font-weight=\"bold\" fill=\"#1a1a1a\">{}</text>\n",
            escaped(&shortened(title))
        ),
    );
    head
}

/// Appends to a string, which never fails.
fn append(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    let _ = text.write_fmt(arguments);
}

/// The first and the last epoch to be shown; a run from the start is shown from 0.
fn epoch_range(reports: &[EpochReport]) -> (f64, f64) {
    let epochs = || reports.iter().map(|report| report.epoch as f64);
    let last = epochs().fold(1.0, f64::max);
    let first = epochs().fold(last, f64::min);
    let is_from_the_start = first <= 1.0 + last / 20.0;
    let starts_at = if is_from_the_start { 0.0 } else { first };
    let least_span = (last / 1000.0).max(1.0);
    (starts_at.min(last - least_span), last)
}

/// As much of the title as fits.
fn shortened(title: &str) -> String {
    if title.chars().count() <= TITLE_LENGTH {
        return title.to_owned();
    }
    let mut short: String = title.chars().take(TITLE_LENGTH - 1).collect();
    short.push('…');
    short
}

/// Text made safe for XML: marks are escaped, and characters that XML cannot hold are replaced.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\t' | '\n' | '\r' => escaped.push(' '),
            '\0'..'\u{20}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run that looks like a graph convolutional network on Cora.
    fn cora(epochs: u64) -> Vec<EpochReport> {
        let wobble = |epoch: u64, salt: u64| {
            let mixed = (epoch ^ (salt << 20)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40;
            mixed as f32 / (1 << 24) as f32 - 0.5
        };
        let rise = |epoch: u64, pace: f32| {
            let time = epoch as f32 / pace;
            time * time / (1.0 + time * time)
        };
        let report = |epoch| EpochReport {
            epoch,
            train_loss: 1.95 - 1.37 * rise(epoch, 60.0) + 0.05 * wobble(epoch, 1),
            train_accuracy: 0.2 + 0.785 * rise(epoch, 14.0) + 0.02 * wobble(epoch, 3),
            validation_loss: 1.95 - 1.02 * rise(epoch, 65.0) + 0.008 * wobble(epoch, 5),
            validation_accuracy: 0.16 + 0.635 * rise(epoch, 16.0) + 0.008 * wobble(epoch, 7),
            test_accuracy: 0.15 + 0.67 * rise(epoch, 16.0) + 0.006 * wobble(epoch, 9),
            validation_area_under_curve: None,
            test_area_under_curve: None,
            train_mean_absolute_error: None,
            validation_mean_absolute_error: None,
            test_mean_absolute_error: None,
            learning_rate: 0.01,
            train_milliseconds: 3.0,
            evaluation_milliseconds: 1.0,
        };
        (1..=epochs).map(report).collect()
    }

    /// Checks what any picture must hold, and gives it back.
    fn checked(title: &str, reports: &[EpochReport]) -> String {
        let picture = training_curves(title, reports);
        assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n"));
        assert_eq!(picture.matches("<text").count(), picture.matches("</text>").count());
        for word in ["NaN", "inf", "--"] {
            assert!(!picture.contains(word), "{word} in {picture}");
        }
        assert_eq!(picture, training_curves(title, reports));
        picture
    }

    #[test]
    fn a_run_shows_five_curves_with_their_last_values() {
        let mut reports = cora(200);
        reports[199].test_accuracy = 0.815;
        reports[199].train_loss = 0.6;
        let picture = checked("GCN on Cora", &reports);
        assert_eq!(picture.matches("<polyline").count(), 5);
        assert!(picture.contains(">81.5<") && picture.contains(">0.600<"));
        assert!(picture.contains("width=\"960\" height=\"400\""));
        for color in [TRAIN, VALIDATION, TEST] {
            assert!(picture.contains(color));
        }
    }

    #[test]
    fn where_targets_are_numbers_their_distance_is_shown() {
        let mut reports = cora(5);
        reports.iter_mut().for_each(|report| report.train_mean_absolute_error = Some(0.25));
        let picture = checked("numbers", &reports);
        assert!(picture.contains("Mean absolute error") && !picture.contains("Accuracy"));
        assert!(picture.contains(">0.250<"));
    }

    #[test]
    fn no_epochs_and_one_epoch_are_drawn() {
        assert_eq!(checked("", &[]).matches("no values yet").count(), 2);
        let one = checked("one", &cora(1));
        assert_eq!(one.matches("<circle").count(), 5);
    }

    #[test]
    fn a_long_run_makes_a_small_picture() {
        let picture = checked("long", &cora(100_000));
        assert!(picture.len() < 100_000, "{}", picture.len());
    }

    #[test]
    fn values_that_are_not_finite_are_skipped() {
        let mut reports = cora(10);
        reports[3].train_loss = f32::NAN;
        reports[9].validation_loss = f32::INFINITY;
        reports.iter_mut().for_each(|it| it.test_accuracy = f32::NAN);
        let picture = checked("gaps", &reports);
        assert_eq!(picture.matches("<polyline").count(), 4);
        reports.iter_mut().for_each(|it| it.validation_loss = f32::NAN);
        reports.iter_mut().for_each(|it| it.train_loss = f32::NAN);
        assert_eq!(checked("none", &reports).matches("no values yet").count(), 1);
    }

    #[test]
    fn constant_and_extreme_values_are_drawn() {
        for value in [0.0, 1.0, -1.0, 1e-45, f32::MAX, f32::MIN] {
            let mut reports = cora(3);
            reports.iter_mut().for_each(|it| it.train_loss = value);
            reports.iter_mut().for_each(|it| it.validation_loss = value);
            reports.iter_mut().for_each(|it| it.train_accuracy = value);
            checked("constant", &reports);
            reports[1].train_loss = -value;
            checked("jump", &reports);
        }
        let mut late = cora(2);
        (late[0].epoch, late[1].epoch) = (u64::MAX, u64::MAX - 1);
        checked("late", &late);
    }

    #[test]
    fn the_title_is_escaped_and_shortened() {
        let picture = checked("a<b & \"c\"\u{1}", &[]);
        assert!(picture.contains("<title>a&lt;b &amp; &quot;c&quot;\u{fffd}</title>"));
        let long = "é".repeat(200);
        let picture = checked(&long, &[]);
        assert!(picture.contains(&format!(">{}…</text>", "é".repeat(95))));
    }
}
