//! `connectome evaluate` and `connectome infer`, with trained weights.

use clap::Args;
use connectome::components::{Split, SplitMetrics};
use connectome::{Rename, Trainer, output::write_file, scene::Task};
use ndarray::{Array1, ArrayView1, ArrayView2};
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
                print_line(format_args!("{name:<10} {quality} of {}, loss {:.4}", part.count, part.loss()))?;
            }
        }
        Ok(())
    }
}

/// Write the output for every node, graph or pair.
#[derive(Args, Debug)]
pub struct Infer {
    #[command(flatten)]
    scene: SceneArguments,
    #[command(flatten)]
    weights: Weights,
    /// The file to write: arrays `logits` [N, classes] and `prediction` [N]; or `prediction` [N, targets] alone for
    /// regression.
    #[arg(long, value_name = "FILE.npz")]
    output: PathBuf,
}

impl Infer {
    pub fn run(self) -> Result<(), Box<dyn Error>> {
        let (scene, data) = self.scene.load()?;
        let mut trainer = Trainer::for_inference(&scene, data, self.scene.workers()?)?;
        trainer.load_weights(&self.weights.weights, &self.weights.rename)?;
        let (output, width) = trainer.infer()?;
        drop(trainer);
        let output = ArrayView2::from_shape((output.len() / width, width), &output)?;
        let mut npz = NpzWriter::new_compressed(Cursor::new(Vec::new()));
        if let Task::NodeRegression { .. } = scene.task {
            npz.add_array("prediction", &output)?;
        } else {
            let prediction: Array1<u32> = output.rows().into_iter().map(class).collect();
            npz.add_array("logits", &output)?;
            npz.add_array("prediction", &prediction)?;
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
