//! `connectome train`.

use clap::Args;
use connectome::{
    Trainer,
    data::{GraphData, stratified_folds},
    output::{OutputError, Summary},
    scene::SceneFile,
};
use std::{borrow::Cow, error::Error, mem, path::PathBuf};

use super::{SceneArguments, distance, files::Files, percent, print_line, progress::Progress, statistics::Statistics};

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
    /// of the accuracy on the fold that was held out, in the epoch that is best on average.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(2..))]
    folds: Option<u8>,
    /// Folder for weights.safetensors, metrics.jsonl and curves.svg; one folder for each seed and fold.
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
}

impl Train {
    pub fn run(self) -> Result<(), Box<dyn Error>> {
        let (mut scene, mut data) = self.scene.load()?;
        scene.training.epochs = self.epochs.unwrap_or(scene.training.epochs);
        if let Some(count) = self.folds {
            fold(&scene, &mut data, count)?;
        }
        let runs = self.runs(scene.training.seed);
        let mut progress = Progress::new(runs.len(), scene.training.epochs, &scene.name);
        let (mut summaries, mut held_out) = (Vec::new(), Vec::new());
        for (number, run) in runs.iter().enumerate() {
            if let (Some(fold), Some(graphs)) = (run.fold, &mut data.graphs) {
                graphs.splits = graphs.hold_out(fold);
            }
            // The last run takes the data, so that they are not in memory twice.
            let is_last = number + 1 == runs.len();
            let given = if is_last { Cow::Owned(mem::take(&mut data)) } else { Cow::Borrowed(&data) };
            let trainer = self.scene.trainer(&scene, given, run.seed)?;
            let mut accuracies = Vec::new();
            let summary = self.train_once(&scene, trainer, *run, &mut progress, &mut accuracies)?;
            progress.suspend(|| match self.json {
                true => print_line(summary),
                false => print_line(sentence(&scene.name, *run, &summary)),
            })?;
            summaries.push(summary);
            held_out.push(accuracies);
        }
        progress.finish();
        let statistics = match self.folds {
            Some(_) => Statistics::of_folds(&held_out),
            None => (runs.len() > 1).then(|| Statistics::of_test(&summaries)),
        };
        match statistics {
            Some(statistics) if self.json => Ok(print_line(statistics.to_json())?),
            Some(statistics) => Ok(print_line(format!("{}: {statistics}", scene.name))?),
            None => Ok(()),
        }
    }

    fn runs(&self, seed: u64) -> Vec<Run> {
        let first = self.seed.unwrap_or(seed);
        let seeds = (0..self.repeat).map(|number| first.wrapping_add(number));
        seeds
            .flat_map(|seed| match self.folds {
                None => vec![Run { seed, fold: None }],
                Some(folds) => (0..folds).map(|fold| Run { seed, fold: Some(fold) }).collect(),
            })
            .collect()
    }

    fn train_once(
        &self,
        scene: &SceneFile,
        mut trainer: Trainer,
        run: Run,
        progress: &mut Progress,
        accuracies: &mut Vec<f32>,
    ) -> Result<Summary, Box<dyn Error>> {
        let mut files = self.files(run)?;
        let mut written = Ok(());
        let outcome = trainer.train(|report| {
            progress.advance(report);
            accuracies.push(report.validation_accuracy);
            if let (Some(files), Ok(())) = (&mut files, &written) {
                written = files.add(report);
            }
        });
        progress.end_run();
        // The weights are saved before other errors are reported.
        if let Some(files) = files {
            files.finish(scene, &trainer)?;
        }
        written?;
        Ok(outcome?)
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
}

/// Gives the graphs `count` folds: those of the data if there are as many, else new ones.
fn fold(scene: &SceneFile, data: &mut GraphData, count: u8) -> Result<(), FoldError> {
    let graphs = data.graphs.as_mut().ok_or(FoldError::OneGraph)?;
    if graphs.len() < usize::from(count) {
        return Err(FoldError::TooFew { count, graphs: graphs.len() });
    }
    if graphs.fold_count() != usize::from(count) {
        graphs.folds = Some(stratified_folds(&graphs.labels, count, scene.training.seed));
    }
    Ok(())
}

fn sentence(name: &str, run: Run, summary: &Summary) -> String {
    let area = |area: Option<f64>| area.map(|area| format!(", area under the ROC curve {:.1} %", 100.0 * area));
    let has_numbers = summary.train_mean_absolute_error.is_some();
    let measured = if has_numbers { "mean absolute error" } else { "accuracy" };
    let [validation, train, test] = match has_numbers {
        true => [
            summary.validation_mean_absolute_error,
            summary.train_mean_absolute_error,
            summary.test_mean_absolute_error,
        ]
        .map(distance),
        false => [summary.validation_accuracy, summary.train_accuracy, summary.test_accuracy].map(percent),
    };
    let times = match summary.epochs {
        0 => String::new(),
        _ => format!(
            " of {:.3} ms and {:.3} ms evaluation with {} workers",
            summary.milliseconds_per_epoch, summary.evaluation_milliseconds, summary.workers
        ),
    };
    let (seed, epochs) = (run.seed, summary.epochs);
    let reached = match run.fold {
        Some(fold) => format!("fold {fold}: accuracy {validation} (train {train})"),
        None => {
            let area = area(summary.test_area_under_curve).unwrap_or_default();
            format!("test {measured} {test}{area} (validation {validation}, train {train})")
        }
    };
    let separator = if run.fold.is_some() { "," } else { ":" };
    format!("{name} seed {seed}{separator} {reached} after {epochs} epochs{times}")
}
