//! `connectome train`.

use clap::Args;
use connectome::{
    Trainer,
    output::{EpochReport, MetricsWriter, OutputError, Summary, training_curves, write_file, write_weights},
    scene::Scene,
};
use std::{
    collections::BTreeMap,
    error::Error,
    fs,
    path::{Path, PathBuf},
};

use super::{SceneArguments, percent, print_line, progress::Progress};

/// Train the model of a scene.
#[derive(Args, Debug)]
pub struct Train {
    #[command(flatten)]
    scene: SceneArguments,
    /// Seed in place of the scene's.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    seed: Option<u64>,
    /// Epochs in place of the scene's.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    epochs: Option<u64>,
    /// Train this many times, with one seed after the other, and print mean and deviation.
    #[arg(long, value_name = "N", default_value_t = 1, hide_default_value = true,
          value_parser = clap::value_parser!(u64).range(1..))]
    repeat: u64,
    /// Folder for weights.safetensors, metrics.jsonl and curves.svg; with --repeat one folder for each seed.
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// End with one line of JSON for each run, on standard output.
    #[arg(long)]
    json: bool,
}

impl Train {
    pub fn run(self) -> Result<(), Box<dyn Error>> {
        let (mut scene, data) = self.scene.load()?;
        scene.training.epochs = self.epochs.unwrap_or(scene.training.epochs);
        let first_seed = self.seed.unwrap_or(scene.training.seed);
        let mut summaries = Vec::new();
        for number in 0..self.repeat {
            let seed = first_seed.wrapping_add(number);
            let trainer = self.scene.trainer(&scene, &data, seed)?;
            let summary = self.train_once(&scene, trainer, seed)?;
            if self.json {
                print_line(summary)?;
            } else {
                print_line(sentence(&scene.name, &summary))?;
            }
            summaries.push(summary);
        }
        if self.repeat > 1 && !self.json {
            print_line(spread(&scene.name, &summaries))?;
        }
        Ok(())
    }

    fn train_once(&self, scene: &Scene, mut trainer: Trainer, seed: u64) -> Result<Summary, Box<dyn Error>> {
        let mut files = self.files(seed)?;
        let mut progress = Progress::new(scene.training.epochs, &format!("{} seed {seed}", scene.name));
        let quiet = self.repeat > 1;
        let mut written = Ok(());
        let outcome = trainer.train(|report| {
            if !quiet {
                progress.advance(report);
            }
            if let (Some(files), Ok(())) = (&mut files, &written) {
                written = files.add(report);
            }
        });
        progress.finish();
        // What was learned is saved before anything else that went wrong is told.
        if let Some(files) = files {
            files.finish(scene, &trainer)?;
        }
        written?;
        Ok(outcome?)
    }

    fn files(&self, seed: u64) -> Result<Option<Files>, OutputError> {
        let Some(folder) = &self.output else { return Ok(None) };
        let folder = if self.repeat > 1 { folder.join(format!("seed-{seed}")) } else { folder.clone() };
        Files::create(&folder).map(Some)
    }
}

/// What a run leaves in its folder.
struct Files {
    folder: PathBuf,
    metrics: MetricsWriter,
    reports: Vec<EpochReport>,
}

impl Files {
    fn create(folder: &Path) -> Result<Self, OutputError> {
        fs::create_dir_all(folder).map_err(|source| OutputError::CannotCreate { path: folder.to_owned(), source })?;
        let metrics = MetricsWriter::create(folder.join("metrics.jsonl"))?;
        Ok(Self { folder: folder.to_owned(), metrics, reports: Vec::new() })
    }

    fn add(&mut self, report: &EpochReport) -> Result<(), OutputError> {
        self.reports.push(*report);
        self.metrics.write(report)
    }

    fn finish(self, scene: &Scene, trainer: &Trainer) -> Result<(), OutputError> {
        let about = BTreeMap::from([("scene".to_owned(), scene.name.clone())]);
        write_weights(&self.folder.join("weights.safetensors"), &trainer.weights(), about)?;
        write_file(&self.folder.join("curves.svg"), training_curves(&scene.name, &self.reports).as_bytes())?;
        self.metrics.finish()
    }
}

fn sentence(name: &str, summary: &Summary) -> String {
    let accuracies = [summary.test_accuracy, summary.validation_accuracy, summary.train_accuracy].map(percent);
    let [test, validation, train] = accuracies;
    let times = match summary.epochs {
        0 => String::new(),
        _ => format!(
            " of {:.3} ms and {:.3} ms evaluation with {} workers",
            summary.milliseconds_per_epoch, summary.evaluation_milliseconds, summary.workers
        ),
    };
    let (seed, epochs) = (summary.seed, summary.epochs);
    format!(
        "{name} seed {seed}: test accuracy {test} (validation {validation}, train {train}) after {epochs} epochs{times}"
    )
}

/// Mean and standard deviation of the test accuracy.
fn spread(name: &str, summaries: &[Summary]) -> String {
    let accuracies = || summaries.iter().map(|summary| 100.0 * f64::from(summary.test_accuracy));
    let mean = accuracies().sum::<f64>() / summaries.len() as f64;
    let squares: f64 = accuracies().map(|accuracy| (accuracy - mean).powi(2)).sum();
    let deviation = (squares / (summaries.len() as f64 - 1.0)).sqrt();
    format!("{name}: test accuracy {mean:.2} % +- {deviation:.2} over {} seeds", summaries.len())
}
