//! Progress of a training run: a bar on a terminal, a few quiet lines elsewhere.

use std::{fmt::Display, io::Write};

use indicatif::{ProgressBar, ProgressStyle};

use connectome::{
    components::Split,
    output::{EpochReport, MetricFormat},
};

/// Lines in the output of all runs if there is no terminal.
const LINES: u128 = 10;

/// Shows the progress of one or several training runs on standard error.
///
/// On a terminal it is a bar over all of them, with the training loss and the main metric of validation in the last epoch.
/// Piped into a file it is one line about every tenth of the whole, and one for the last epoch. Standard output stays
/// free for results.
#[derive(Debug)]
pub struct Progress {
    /// Counts the epochs of all runs, whether it is drawn or not.
    bar: ProgressBar,
    runs: u64,
    epochs: u64,
    /// Number of finished runs.
    ended: u64,
    /// The line of the last epoch, as long as it is not written.
    unwritten: Option<String>,
}

impl Progress {
    /// Starts the display of `runs` runs of `epochs` epochs each under the name `label`.
    ///
    /// A run may have fewer epochs, or more; then each further epoch of the last run has a line.
    #[must_use]
    pub fn new(runs: usize, epochs: u64, label: &str) -> Self {
        let runs = runs as u64;
        let bar = ProgressBar::new(runs.saturating_mul(epochs));
        let bar = bar.with_style(bar_style()).with_prefix(label.to_owned());
        Self { bar, runs, epochs, ended: 0, unwritten: None }
    }

    /// Counts an epoch.
    pub fn advance(&mut self, report: &EpochReport) {
        let line = self.count(report);
        if self.bar.is_hidden() {
            write_line(line);
        }
    }

    /// The present run goes on after so many epochs, which were counted before.
    pub fn skip(&mut self, epochs: u64) {
        self.bar.set_position(self.ended.saturating_mul(self.epochs).saturating_add(epochs));
    }

    /// Prints a note to standard error, above the bar. Errors are ignored as those of the display are.
    pub fn note(&self, note: impl Display) {
        self.bar.suspend(|| write_line(Some(format!("note: {note}"))));
    }

    /// The next epoch is the first of another run.
    pub fn end_run(&mut self) {
        self.ended += 1;
        self.bar.set_position(self.ended.saturating_mul(self.epochs));
    }

    /// Prints something to standard output, above the bar.
    pub fn suspend<R>(&self, print: impl FnOnce() -> R) -> R {
        self.bar.suspend(print)
    }

    /// Ends the display and leaves its last state visible. Without it the line of the last epoch may be missing.
    pub fn finish(self) {
        if self.bar.is_hidden() {
            write_line(self.unwritten);
        } else {
            self.bar.abandon();
            // The bar leaves the cursor at its end.
            write_line(Some(String::new()));
        }
    }

    /// Counts an epoch; returns its line if one is due.
    fn count(&mut self, report: &EpochReport) -> Option<String> {
        let before = self.parts_done();
        let measures = measures(report);
        self.bar.inc(1);
        self.bar.set_message(measures.clone());
        let run = match self.runs {
            0 | 1 => String::new(),
            runs => format!("run {}/{runs}, ", (self.ended + 1).min(runs)),
        };
        let line = format!("{}: {run}epoch {}/{}, {measures}", self.bar.prefix(), report.epoch, self.epochs);
        let is_due = self.parts_done() > before || self.bar.position() >= self.total();
        self.unwritten = (!is_due).then(|| line.clone());
        is_due.then_some(line)
    }

    fn total(&self) -> u64 {
        self.runs.saturating_mul(self.epochs)
    }

    fn parts_done(&self) -> u128 {
        u128::from(self.bar.position()) * LINES / u128::from(self.total().max(1))
    }
}

/// The numbers shown beside an epoch.
fn measures(report: &EpochReport) -> String {
    let metric = report.metrics.main_metric();
    let format = MetricFormat::of(metric);
    let [loss, validation] =
        [(Split::Train, "loss"), (Split::Validation, metric)].map(|(split, name)| report.get(split, name));
    let loss = MetricFormat::of("loss").text(loss);
    format!("train loss {loss}, validation {} {}", format.label, format.text(validation))
}

/// Writes to standard error. Errors are ignored: training goes on without a display.
fn write_line(line: Option<String>) {
    if let Some(line) = line {
        let _ = writeln!(std::io::stderr(), "{line}");
    }
}

fn bar_style() -> ProgressStyle {
    ProgressStyle::with_template("{prefix} {wide_bar:.cyan/dim} {pos}/{len} {msg} {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━━─")
}

#[cfg(test)]
mod tests {
    use indicatif::ProgressDrawTarget;

    use super::*;

    fn report(epoch: u64) -> EpochReport {
        let metrics = [
            (Split::Train, "loss", 0.61234),
            (Split::Train, "accuracy", 0.98),
            (Split::Validation, "loss", 0.9),
            (Split::Validation, "accuracy", 0.79),
        ];
        EpochReport { epoch, metrics: metrics.into(), ..EpochReport::default() }
    }

    /// Progress that is counted and not shown, wherever the tests run.
    fn hidden(runs: usize, epochs: u64) -> Progress {
        let progress = Progress::new(runs, epochs, "cora");
        progress.bar.set_draw_target(ProgressDrawTarget::hidden());
        progress
    }

    /// The epochs that have a line in a run that was to have `total` epochs and had `ran`.
    fn written(total: u64, ran: u64) -> Vec<u64> {
        let mut progress = hidden(1, total);
        let mut lines: Vec<String> = (1..=ran).filter_map(|epoch| progress.count(&report(epoch))).collect();
        lines.extend(progress.unwritten);
        let epoch_of = |line: &String| line["cora: epoch ".len()..].split_once('/')?.0.parse().ok();
        lines.iter().filter_map(epoch_of).collect()
    }

    #[test]
    fn lines_come_with_every_tenth_of_the_run() {
        assert_eq!(written(200, 200), [20, 40, 60, 80, 100, 120, 140, 160, 180, 200]);
        assert_eq!(written(15, 15), [2, 3, 5, 6, 8, 9, 11, 12, 14, 15]);
        assert_eq!(written(3, 3), [1, 2, 3]);
    }

    #[test]
    fn the_last_epoch_has_a_line_when_the_run_stops_early_or_late() {
        assert_eq!(written(100, 25), [10, 20, 25]);
        assert_eq!(written(2, 4), [1, 2, 3, 4]);
        assert_eq!(written(0, 1), [1]);
        assert_eq!(written(10, 0), [0; 0]);
        assert_eq!(written(u64::MAX, 2), [2]);
    }

    #[test]
    fn several_runs_are_one_whole() {
        let mut progress = hidden(2, 10);
        let mut written = Vec::new();
        for run in 0..2 {
            written.extend((1..=9).filter_map(|epoch| progress.count(&report(epoch))));
            assert_eq!(progress.bar.position(), 10 * run + 9);
            progress.end_run();
        }
        assert_eq!(written.len(), 8);
        assert!(written[0].starts_with("cora: run 1/2, epoch 2/10,"), "{}", written[0]);
        assert!(written[7].starts_with("cora: run 2/2, epoch 8/10,"), "{}", written[7]);
    }

    #[test]
    fn a_line_is_short_and_whole() {
        assert_eq!(
            hidden(1, 1).count(&report(1)).as_deref(),
            Some("cora: epoch 1/1, train loss 0.6123, validation accuracy 79.0 %")
        );
        assert_eq!(measures(&EpochReport::default()), "train loss none, validation loss none");
    }

    #[test]
    fn the_style_of_the_bar_is_understood() {
        let template = bar_style();
        let bar = ProgressBar::hidden().with_style(template);
        bar.set_message(measures(&report(1)));
        bar.finish();
        let mut progress = Progress::new(1, 2, "quiet {braces}");
        progress.advance(&report(1));
        progress.finish();
    }
}
