//! `connectome train`.

use clap::Args;
use connectome::{
    Trainer,
    components::Split,
    data::{GraphData, stratified_folds},
    output::{EpochReport, MetricFormat, OutputError, Summary},
    scene::SceneFile,
};
use std::{borrow::Cow, error::Error, mem, path::PathBuf, str::FromStr};

use super::{SceneArguments, files::Files, print_line, progress::Progress, statistics::Statistics};

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
    /// Folder for weights.safetensors, metrics.jsonl and curves.svg; one folder for each seed, fold and split.
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Print one line of JSON for each run, on standard output, and one for mean and deviation.
    #[arg(long)]
    json: bool,
}

/// One of the runs of a command.
#[derive(Clone, Copy)]
struct Run {
    seed: u64,
    fold: Option<u8>,
    split: Option<usize>,
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
        if let Some(count) = self.folds {
            fold(&scene, &mut data, count, self.strict)?;
        }
        let runs = self.runs(scene.training.seed, data.split_count());
        let mut progress = Progress::new(runs.len(), scene.training.epochs, &scene.name);
        let score = scene.score_metric();
        let (mut summaries, mut folds) = (Vec::new(), Vec::new());
        for (number, run) in runs.iter().enumerate() {
            if let (Some(fold), Some(graphs)) = (run.fold, &mut data.graphs) {
                graphs.splits = if self.strict { graphs.hold_out_two(fold) } else { graphs.hold_out(fold) };
            }
            if let Some(split) = run.split {
                data.choose_split(split)?;
                scene.check_data(&data)?;
            }
            // The last run takes the data, so that they are not in memory twice.
            let is_last = number + 1 == runs.len();
            let given = if is_last { Cow::Owned(mem::take(&mut data)) } else { Cow::Borrowed(&data) };
            let trainer = self.scene.trainer(&scene, given, run.seed)?;
            let (summary, reports) = self.train_once(&scene, trainer, *run, &mut progress)?;
            progress.suspend(|| match self.json {
                true => print_line(&summary),
                false => print_line(sentence(&scene, *run, self.strict, &summary)),
            })?;
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
        scene: &SceneFile,
        mut trainer: Trainer,
        run: Run,
        progress: &mut Progress,
    ) -> Result<(Summary, Vec<EpochReport>), Box<dyn Error>> {
        let mut files = self.files(run)?;
        let (mut reports, needs_reports) = (Vec::new(), files.is_some() || self.averages_epochs());
        let mut written = Ok(());
        let outcome = trainer.train(|report| {
            progress.advance(report);
            if needs_reports {
                reports.push(report.clone());
            }
            if let (Some(files), Ok(())) = (&mut files, &written) {
                written = files.add(report);
            }
        });
        progress.end_run();
        // The weights are saved before other errors are reported.
        if let Some(files) = files {
            files.finish(scene, &trainer, &reports)?;
        }
        written?;
        Ok((outcome?, reports))
    }

    fn files(&self, run: Run) -> Result<Option<Files>, OutputError> {
        let Some(folder) = &self.output else { return Ok(None) };
        let mut folder = folder.clone();
        if self.repeat > 1 {
            folder.push(format!("seed-{}", run.seed));
        }
        if let Some(fold) = run.fold {
            folder.push(format!("fold-{fold}"));
        }
        if let Some(split) = run.split {
            folder.push(format!("split-{split}"));
        }
        Files::create(&folder).map(Some)
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
