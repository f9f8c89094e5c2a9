//! `connectome evaluate` and `connectome infer`, with trained weights.

use clap::Args;
use connectome::components::{MetricValue, Split, SplitMetrics};
use connectome::{
    HeadOutput, Rename, Trainer,
    output::{MetricFormat, write_file},
    task::Prediction,
};
use ndarray::{Array2, ArrayView2};
use ndarray_npy::NpzWriter;
use std::{error::Error, io::Cursor, iter::repeat, path::PathBuf};

use super::{SceneArguments, print_line};

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
    /// Which of the splits that the data come with, counted from 0; the first one if not given.
    #[arg(long, value_name = "N")]
    split: Option<usize>,
    /// Other data of the same format: a graph file in place of the scene's, or pairs of graphs in place of those of its test.
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
}

impl Evaluate {
    pub fn run(self) -> Result<(), Box<dyn Error>> {
        let (scene, mut data) = match &self.data {
            None => self.scene.load()?,
            Some(file) => self.scene.load_with(file)?,
        };
        if let Some(split) = self.split {
            data.choose_split(split)?;
        }
        let mut trainer = self.scene.trainer(&scene, data, scene.training.seed)?;
        trainer.load_weights(&self.weights.weights, &self.weights.rename)?;
        let metrics = trainer.evaluate()?;
        let names = metrics.heads.iter().map(|head| if metrics.heads.len() > 1 { &*head.name } else { "" });
        let width = names.clone().map(str::len).max().map_or(0, |longest| if longest > 0 { longest + 1 } else { 0 });
        for (head, name) in metrics.heads.iter().zip(names) {
            for split in Split::MEASURED {
                let part: SplitMetrics = head.of(split);
                if part.count == 0 {
                    continue;
                }
                let mut values: Vec<MetricValue> = head.values(split).collect();
                // The loss comes second.
                values.sort_by_key(|value| value.name == "loss");
                if values.len() > 2 {
                    let loss = values.pop();
                    values.splice(1..1, loss);
                }
                let count = format!(" of {}", part.count);
                let named = values.iter().zip([&*count].into_iter().chain(repeat(""))).map(|(value, count)| {
                    let format = MetricFormat::of(value.name);
                    format!("{} {}{count}", format.label, format.text(Some(value.value)))
                });
                let line = named.collect::<Vec<_>>().join(", ");
                print_line(format_args!("{name:<width$}{:<10} {line}", split.name()))?;
            }
        }
        for split in Split::MEASURED {
            let (_, score) = trainer.rewrite(&[split])?;
            let count = format!(" of {}", score.graphs);
            let values = score.values().zip([&*count].into_iter().chain(repeat(""))).map(|((name, value), count)| {
                let format = MetricFormat::of(name);
                format!("{} {}{count}", format.label, format.text(Some(value)))
            });
            let line = values.collect::<Vec<_>>().join(", ");
            if score.graphs > 0 {
                print_line(format_args!("{:<10} {line}", split.name()))?;
            }
        }
        Ok(())
    }
}

/// Write the output for every node, edge, graph or pair.
#[derive(Args, Debug)]
pub struct Infer {
    #[command(flatten)]
    scene: SceneArguments,
    #[command(flatten)]
    weights: Weights,
    /// The file to write: arrays `logits` [N, classes] and `prediction` [N]; with `probability` and all [N, labels], where rows
    /// have several labels; `prediction` [N, targets] alone, where the targets are values; or `pairs` [N, 2], `logits` [N, 1] and
    /// the `probability` [N] of a link, where links are predicted. With several heads `NAME_logits` and so on. Of a mixture also
    /// `expert_weights` [R, experts] of the rows that its gate chooses for.
    #[arg(long, value_name = "FILE.npz")]
    output: PathBuf,
}

impl Infer {
    pub fn run(self) -> Result<(), Box<dyn Error>> {
        let (scene, data) = self.scene.load()?;
        let mut trainer = Trainer::for_inference(&scene, data, self.scene.workers()?)?;
        trainer.load_weights(&self.weights.weights, &self.weights.rename)?;
        let (outputs, experts, pairs) = (trainer.outputs()?, trainer.expert_weights()?, trainer.pairs());
        drop(trainer);
        let mut npz = NpzWriter::new_compressed(Cursor::new(Vec::new()));
        let mut rows = 0;
        for (HeadOutput { name, values, width }, (_, task)) in outputs.iter().zip(scene.tasks()) {
            let output = ArrayView2::from_shape((values.len() / width, *width), values)?;
            rows += output.nrows();
            let named = |array: &str| if outputs.len() == 1 { array.to_owned() } else { format!("{name}_{array}") };
            if task.links().is_some() {
                npz.add_array(named("pairs"), &Array2::from(pairs.clone()))?;
            }
            for (array, prediction) in task.predictions(output) {
                match prediction {
                    Prediction::Values(values) => npz.add_array(named(array), &values)?,
                    Prediction::Column(values) => npz.add_array(named(array), &values)?,
                    Prediction::Classes(classes) => npz.add_array(named(array), &classes)?,
                    Prediction::Indices(indices) => npz.add_array(named(array), &indices)?,
                }
            }
        }
        if let Some(HeadOutput { name, values, width }) = experts {
            npz.add_array(name, &Array2::from_shape_vec((values.len() / width, width), values)?)?;
        }
        write_file(&self.output, npz.finish()?.get_ref())?;
        print_line(format_args!("wrote {rows} rows to {}", self.output.display()))?;
        Ok(())
    }
}
