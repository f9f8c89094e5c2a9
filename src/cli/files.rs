//! The files of a training run.

use connectome::{
    Trainer,
    output::{Curve, EpochReport, MetricsWriter, OutputError, best_epoch, training_curves, write_file, write_weights},
    scene::SceneFile,
};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Weights, metrics and curves of one run.
pub struct Files {
    folder: PathBuf,
    metrics: MetricsWriter,
}

impl Files {
    pub fn create(folder: &Path) -> Result<Self, OutputError> {
        fs::create_dir_all(folder).map_err(|source| OutputError::CannotCreate { path: folder.to_owned(), source })?;
        let metrics = MetricsWriter::create(folder.join("metrics.jsonl"))?;
        Ok(Self { folder: folder.to_owned(), metrics })
    }

    pub fn add(&mut self, report: &EpochReport) -> Result<(), OutputError> {
        self.metrics.write(report)
    }

    pub fn finish(self, scene: &SceneFile, trainer: &Trainer, reports: &[EpochReport]) -> Result<(), OutputError> {
        let about = BTreeMap::from([("scene".to_owned(), scene.name.clone())]);
        write_weights(&self.folder.join("weights.safetensors"), &trainer.weights(), about)?;
        let best = best_epoch(reports, scene.training.keep, scene.score_metric());
        let curves = training_curves(&scene.name, &Curve::from_reports(reports), best);
        write_file(&self.folder.join("curves.svg"), curves.as_bytes())?;
        self.metrics.finish()
    }
}
