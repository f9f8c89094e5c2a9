//! `connectome evaluate` and `connectome infer`, with trained weights.

use clap::Args;
use connectome::components::{Split, SplitMetrics};
use connectome::{Rename, Trainer, output::write_file, scene::Task};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2};
use ndarray_npy::NpzWriter;
use std::{error::Error, io::Cursor, path::PathBuf};

use super::{SceneArguments, percent, print_line};

/// The weights to load.
#[derive(Args, Debug)]
struct Weights {
    /// The weights, a safetensors file of `train --output`, or of PyTorch Geometric.
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// Prefixes of names in the file and their replacements, such as conv1=layers.0,conv2=layers.3.
    #[arg(long, value_name = "FROM=TO", value_delimiter = ',')]
    rename: Vec<Rename>,
}

/// Evaluate trained weights.
#[derive(Args, Debug)]
pub struct Evaluate {
    #[command(flatten)]
    scene: SceneArguments,
    #[command(flatten)]
    weights: Weights,
}

impl Evaluate {
    pub fn run(self) -> Result<(), Box<dyn Error>> {
        let (scene, data) = self.scene.load()?;
        let mut trainer = self.scene.trainer(&scene, data, scene.training.seed)?;
        trainer.load_weights(&self.weights.weights, &self.weights.rename)?;
        let metrics = trainer.evaluate()?;
        for split in [Split::Train, Split::Validation, Split::Test] {
            let part: SplitMetrics = metrics.of(split);
            if part.count > 0 {
                let name = format!("{split:?}").to_lowercase();
                let error = part.mean_absolute_error();
                let quality = match error.is_nan() {
                    true => percent(part.accuracy()),
                    false => format!("mean absolute error {error:.4}"),
                };
                let others = metrics
                    .heads
                    .iter()
                    .flat_map(|head| head.values(split))
                    .filter(|value| !SHOWN.contains(&value.name));
                let others: String =
                    others.map(|other| format!(", {} {:.4}", other.name.replace('_', " "), other.value)).collect();
                print_line(format_args!("{name:<10} {quality} of {}, loss {:.4}{others}", part.count, part.loss()))?;
            }
        }
        Ok(())
    }
}

/// The metrics that stand first in a line.
const SHOWN: [&str; 3] = ["loss", "accuracy", "mean_absolute_error"];

/// Write the output for every node, graph or pair.
#[derive(Args, Debug)]
pub struct Infer {
    #[command(flatten)]
    scene: SceneArguments,
    #[command(flatten)]
    weights: Weights,
    /// The file to write: arrays `logits` [N, classes] and `prediction` [N]; `prediction` [N, targets] alone, where the targets
    /// are numbers; or `pairs` [N, 2], `logits` [N, 1] and the `probability` [N] of a link, where links are predicted.
    #[arg(long, value_name = "FILE.npz")]
    output: PathBuf,
}

impl Infer {
    pub fn run(self) -> Result<(), Box<dyn Error>> {
        let (scene, data) = self.scene.load()?;
        let mut trainer = Trainer::for_inference(&scene, data, self.scene.workers()?)?;
        trainer.load_weights(&self.weights.weights, &self.weights.rename)?;
        let (output, width) = trainer.infer()?;
        let pairs = trainer.pairs();
        drop(trainer);
        let output = ArrayView2::from_shape((output.len() / width, width), &output)?;
        let mut npz = NpzWriter::new_compressed(Cursor::new(Vec::new()));
        // No task may be left out: what is not told apart here would be written as something else.
        match scene.task {
            Task::NodeRegression { .. } => npz.add_array("prediction", &output)?,
            Task::NodeClassification | Task::GraphClassification => {
                let prediction: Array1<u32> = output.rows().into_iter().map(class).collect();
                npz.add_array("logits", &output)?;
                npz.add_array("prediction", &prediction)?;
            }
            Task::LinkPrediction { .. } => {
                let probability: Array1<f32> = output.iter().map(|logit| sigmoid(*logit)).collect();
                npz.add_array("pairs", &Array2::from(pairs))?;
                npz.add_array("logits", &output)?;
                npz.add_array("probability", &probability)?;
            }
        }
        write_file(&self.output, npz.finish()?.get_ref())?;
        print_line(format_args!("wrote {} rows to {}", output.nrows(), self.output.display()))?;
        Ok(())
    }
}

/// The index of the largest output, the first one of several.
fn class(logits: ArrayView1<f32>) -> u32 {
    let best = (0..logits.len()).reduce(|best, next| if logits[next] > logits[best] { next } else { best });
    best.unwrap_or(0) as u32
}

/// The probability that a logit stands for.
fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}
