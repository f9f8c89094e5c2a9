//! `connectome train`.

use clap::Args;
use connectome::{
    RunRecorder, Trainer,
    components::Split,
    data::{GraphData, stratified_folds},
    output::{EpochReport, MetricFormat, Opened, RunError, RunFolder, Summary},
    scene::SceneFile,
};
use std::{borrow::Cow, error::Error, mem, ops::ControlFlow, str::FromStr};

use super::{
    SceneArguments,
    output::{Output, OutputArguments},
    print_line,
    progress::Progress,
    signals::{Signals, Stopped, command_to_resume, quoted},
    statistics::Statistics,
};

/// Train the model of a scene.
#[derive(Args, Debug)]
pub struct Train {
    #[command(flatten)]
    scene: SceneArguments,
    /// Seed, instead of the scene's.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    seed: Option<u64>,
    /// Number of epochs, instead of the scene's.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    epochs: Option<u64>,
    /// Train this many times, with one seed after the other, and print mean and deviation.
    #[arg(long, value_name = "N", default_value_t = 1, hide_default_value = true,
          value_parser = clap::value_parser!(u64).range(1..))]
    repeat: u64,
    /// Cross-validate a set of graphs: train this many times, each time without one fold, and print mean and deviation
    /// of the metric on the fold that was held out, in the epoch that is best on average, as in the paper on GIN.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(2..))]
    folds: Option<u8>,
    /// Cross-validate strictly: of the graphs to train on, one more fold is held out and chooses the epoch; the test fold is
    /// only measured.
    #[arg(long, requires = "folds")]
    strict: bool,
    /// Train on one of the splits that the data come with, counted from 0; or with `all` on one after the other, and print
    /// mean and deviation. It is the first one if not given.
    #[arg(long, value_name = "N|all", conflicts_with = "folds")]
    split: Option<SplitChoice>,
    #[command(flatten)]
    output: OutputArguments,
    /// Print one line of JSON for each run, on standard output, and one for mean and deviation.
    #[arg(long)]
    json: bool,
}

/// One of the runs of a command.
#[derive(Clone, Copy)]
pub struct Run {
    pub seed: u64,
    pub fold: Option<u8>,
    pub split: Option<usize>,
}

/// Which of the splits of the data to train on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SplitChoice {
    One(usize),
    All,
}

impl FromStr for SplitChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self::All),
            number => number.parse().map(Self::One).map_err(|_| "write the number of a split, or all".to_owned()),
        }
    }
}

impl Train {
    pub fn run(self) -> Result<(), Box<dyn Error>> {
        let (mut scene, mut data) = self.scene.load()?;
        scene.training.epochs = self.epochs.unwrap_or(scene.training.epochs);
        let runs = self.runs(scene.training.seed, data.split_count());
        let folds = self.folds.map(|folds| (folds, self.strict));
        let output = Output::new(&self.output, (&scene, &data), (self.repeat > 1, folds), &runs)?;
        if let Some(count) = self.folds {
            fold(&scene, &mut data, count, self.strict)?;
        }
        let mut progress = Progress::new(runs.len(), scene.training.epochs, &scene.name);
        let score = scene.score_metric();
        let (mut signals, mut summaries, mut folds) = (None, Vec::new(), Vec::new());
        for (number, run) in runs.iter().enumerate() {
            if let (Some(fold), Some(graphs)) = (run.fold, &mut data.graphs) {
                graphs.splits = if self.strict { graphs.hold_out_two(fold) } else { graphs.hold_out(fold) };
            }
            if let Some(split) = run.split {
                data.choose_split(split)?;
                scene.check_data(&data)?;
            }
            let folder = match &output {
                None => None,
                Some(output) => match output.open(*run)? {
                    Opened::Ended(record) => {
                        progress.note(format_args!("the run in {} has ended already", output.folder(*run).display()));
                        progress.end_run();
                        let summary = record.summary.unwrap_or_default();
                        self.print(&progress, &scene, *run, &summary)?;
                        summaries.push(summary);
                        if self.averages_epochs() {
                            folds.push(output.reports(*run)?);
                        }
                        continue;
                    }
                    Opened::Begun(folder) | Opened::Resumed(folder) => Some(folder),
                },
            };
            // The last run takes the data, so that they are not in memory twice.
            let is_last = number + 1 == runs.len();
            let given = if is_last { Cow::Owned(mem::take(&mut data)) } else { Cow::Borrowed(&data) };
            let trainer = self.scene.trainer(&scene, given, run.seed)?;
            // Until here a signal ends the process at once.
            let signals = match &signals {
                Some(signals) => signals,
                None => signals.insert(Signals::listen()?),
            };
            let (summary, reports) = self.train_once(trainer, *run, folder, &mut progress, signals)?;
            summaries.push(summary);
            if self.averages_epochs() {
                folds.push(reports);
            }
        }
        progress.finish();
        let statistics = match self.averages_epochs() {
            true => Statistics::of_folds(score, &folds),
            false => (runs.len() > 1).then(|| Statistics::of_test(score, &summaries)),
        };
        match statistics {
            Some(statistics) if self.json => Ok(print_line(statistics.to_json())?),
            Some(statistics) => Ok(print_line(format!("{}: {statistics}", scene.name))?),
            None => Ok(()),
        }
    }

    /// Whether the fold that is held out is measured in the epoch that is best on average.
    fn averages_epochs(&self) -> bool {
        self.folds.is_some() && !self.strict
    }

    /// All runs; the data come with so many splits.
    fn runs(&self, seed: u64, splits: usize) -> Vec<Run> {
        let first = self.seed.unwrap_or(seed);
        let seeds = (0..self.repeat).map(|number| first.wrapping_add(number));
        let of_seed = |seed| match (self.folds, self.split) {
            (Some(folds), _) => (0..folds).map(|fold| Run { seed, fold: Some(fold), split: None }).collect(),
            (None, Some(SplitChoice::All)) => {
                (0..splits).map(|split| Run { seed, fold: None, split: Some(split) }).collect()
            }
            (None, Some(SplitChoice::One(split))) => vec![Run { seed, fold: None, split: Some(split) }],
            (None, None) => vec![Run { seed, fold: None, split: None }],
        };
        seeds.flat_map(of_seed).collect()
    }

    /// Returns the reports of all epochs too, where something is made of them.
    fn train_once(
        &self,
        mut trainer: Trainer,
        run: Run,
        folder: Option<RunFolder>,
        progress: &mut Progress,
        signals: &Signals,
    ) -> Result<(Summary, Vec<EpochReport>), Box<dyn Error>> {
        let start = |folder| RunRecorder::start(folder, &mut trainer, self.output.checkpoint);
        let mut recorder = folder.map(start).transpose()?;
        if let Some(recorder) = &recorder {
            self.tell_start(recorder, progress);
        }
        let (mut reports, needs_reports) = (Vec::new(), recorder.is_none() && self.averages_epochs());
        let (mut is_told, mut stopped) = (false, None);
        let outcome = trainer.train_while(|trainer| {
            progress.advance(trainer.report());
            if needs_reports {
                reports.push(trainer.report().clone());
            }
            if let Some(Err(error)) = recorder.as_mut().map(|recorder| recorder.add(trainer))
                && !mem::replace(&mut is_told, true)
            {
                progress.note(format_args!("{error}; training goes on"));
            }
            let Some(signal) = signals.received() else { return ControlFlow::Continue(()) };
            let saved = recorder.take().map(|recorder| recorder.stop(trainer));
            stopped = Some(Stopped { signal, epoch: trainer.report().epoch, advice: advice(saved) });
            ControlFlow::Break(())
        });
        progress.end_run();
        if let Some(stopped) = stopped {
            return Err(stopped.into());
        }
        match (outcome, recorder) {
            (Ok(summary), recorder) => {
                self.print(progress, trainer.scene(), run, &summary)?;
                match recorder {
                    Some(recorder) => Ok((summary.clone(), recorder.finish(&trainer, &summary)?)),
                    None => Ok((summary, reports)),
                }
            }
            (Err(error), recorder) => {
                match recorder.map(|recorder| recorder.fail(&trainer, &error)) {
                    Some(Ok(weights)) => {
                        progress.note(format_args!("the best weights so far are in {}", weights.display()));
                    }
                    Some(Err(error)) => progress.note(error),
                    None => {}
                }
                Err(error.into())
            }
        }
    }

    /// Says where a run begins, if that is not clear.
    fn tell_start(&self, recorder: &RunRecorder, progress: &mut Progress) {
        if let Some(damaged) = recorder.damaged() {
            progress.note(format_args!("{damaged}; the one before is taken"));
        }
        match recorder.resumed_after() {
            Some(epoch) => {
                progress.skip(epoch);
                progress.note(format_args!("goes on after epoch {epoch}"));
            }
            None if self.output.resume => progress.note("there is no checkpoint to go on from; the run begins"),
            None => {}
        }
    }

    fn print(&self, progress: &Progress, scene: &SceneFile, run: Run, summary: &Summary) -> Result<(), Box<dyn Error>> {
        let printed = progress.suspend(|| match self.json {
            true => print_line(summary),
            false => print_line(sentence(scene, run, self.strict, summary)),
        });
        Ok(printed?)
    }
}

/// How to go on with a run that was stopped, by what came of saving it.
fn advice(saved: Option<Result<(), RunError>>) -> String {
    match saved {
        Some(Ok(())) => format!("go on with: {}", command_to_resume()),
        Some(Err(RunError::SavedElsewhere { error, path, saved })) => {
            let files = [saved, path].map(|path| quoted(&path.to_string_lossy())).join(" ");
            format!("{error}; make room, and go on with: mv {files} && {}", command_to_resume())
        }
        Some(Err(error)) => error.to_string(),
        None => "nothing of it was saved, for that takes --output DIR".to_owned(),
    }
}

/// A scene cannot be cross-validated.
#[derive(Debug, thiserror::Error)]
enum FoldError {
    #[error("--folds divides a set of graphs, but the scene has one graph; leave it out, or use --repeat")]
    OneGraph,
    #[error("{count} folds need {count} graphs at least, but the scene has {graphs}; ask for fewer")]
    TooFew { count: u8, graphs: usize },
    #[error("strict cross-validation holds out two folds, which leaves none of 2 to train on; ask for 3 at least")]
    TwoFolds,
}

/// Gives the graphs `count` folds: those of the data if there are as many, else new ones.
fn fold(scene: &SceneFile, data: &mut GraphData, count: u8, is_strict: bool) -> Result<(), FoldError> {
    if is_strict && count < 3 {
        return Err(FoldError::TwoFolds);
    }
    let graphs = data.graphs.as_mut().ok_or(FoldError::OneGraph)?;
    if graphs.len() < usize::from(count) {
        return Err(FoldError::TooFew { count, graphs: graphs.len() });
    }
    if graphs.fold_count() != usize::from(count) {
        graphs.folds = Some(stratified_folds(&graphs.labels, count, scene.training.seed));
    }
    Ok(())
}

fn sentence(scene: &SceneFile, run: Run, is_strict: bool, summary: &Summary) -> String {
    let times = match summary.epochs {
        0 => String::new(),
        _ => format!(
            " of {:.3} ms and {:.3} ms evaluation with {} workers",
            summary.milliseconds_per_epoch, summary.evaluation_milliseconds, summary.workers
        ),
    };
    let (seed, epochs) = (run.seed, summary.epochs);
    let of_metric = |metric: &str| {
        let format = MetricFormat::of(metric);
        let [train, validation, test] = Split::MEASURED.map(|split| format.text(summary.get(split, metric)));
        let label = format.label;
        if let Some(fold) = run.fold.filter(|_| !is_strict) {
            return format!("fold {fold}: {label} {validation} (train {train})");
        }
        let score = scene.score_metric().filter(|score| *score != metric);
        let score = score.and_then(|score| Some((MetricFormat::of(score), summary.get(Split::Test, score)?)));
        let score = score.map(|(format, value)| format!(", {} {}", format.label, format.text(Some(value))));
        format!("test {label} {test}{} (validation {validation}, train {train})", score.unwrap_or_default())
    };
    let reached: Vec<String> = summary.metrics.main_metrics().into_iter().map(of_metric).collect();
    let reached = reached.join(", ");
    let part = match run {
        Run { fold: Some(fold), .. } if is_strict => format!(", fold {fold}:"),
        Run { fold: Some(_), .. } => ",".to_owned(),
        Run { split: Some(split), .. } => format!(", split {split}:"),
        _ => ":".to_owned(),
    };
    format!("{} seed {seed}{part} {reached} after {epochs} epochs{times}", scene.name)
}
