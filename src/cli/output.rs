//! Where the runs of a command are written.

use connectome::{
    CheckpointInterval,
    data::GraphData,
    output::{
        Disk, EpochReport, FolderLock, HeldOutFold, Opened, RunError, RunFolder, RunIdentity, RunRecord, read_metrics,
    },
    scene::SceneFile,
};
use std::path::{Path, PathBuf};

use super::train::Run;

/// What becomes of the runs of a command.
#[derive(clap::Args, Debug)]
pub struct OutputArguments {
    /// Folder for the weights, metrics, curves, scene and record of the run. They are in DIR/unfinished until it has ended well,
    /// and replace those of the run before then. Each seed, fold and split has a folder of its own.
    #[arg(long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Save the state of the run after every N epochs or, as with 30s, 5m or 1h, after so long a time.
    #[arg(long, value_name = "N", requires = "output")]
    pub checkpoint: Option<CheckpointInterval>,
    /// Go on with the run in DIR from its last checkpoint; it ends with the bits of a run that was never stopped. Runs that have
    /// ended are not repeated.
    #[arg(long, requires = "output")]
    pub resume: bool,
}

/// The folders of the runs of a command.
pub struct Output<'a> {
    folder: &'a Path,
    resume: bool,
    /// That of all runs, but for seed, fold and split.
    identity: RunIdentity,
    epochs: u64,
    /// Whether each seed has a folder.
    has_seeds: bool,
    /// Number of folds, and whether cross-validation is strict.
    folds: Option<(u8, bool)>,
    /// Keeps other commands from the folder, where each run locks one of its own.
    _lock: Option<FolderLock>,
}

impl<'a> Output<'a> {
    /// Prepares the folders for runs of a scene, and checks that all of them can be used.
    pub fn new(
        arguments: &'a OutputArguments,
        (scene, data): (&SceneFile, &GraphData),
        (has_seeds, folds): (bool, Option<(u8, bool)>),
        runs: &[Run],
    ) -> Result<Option<Self>, RunError> {
        let Some(folder) = &arguments.output else { return Ok(None) };
        let identity = RunIdentity::new(scene, data, 0)?;
        let (resume, epochs) = (arguments.resume, scene.training.epochs);
        let mut output = Self { folder, resume, identity, epochs, has_seeds, folds, _lock: None };
        for run in runs {
            RunFolder::check(&output.folder(*run), &output.record(*run), resume)?;
        }
        if has_seeds || folds.is_some() || runs.iter().any(|run| run.split.is_some()) {
            output._lock = Some(FolderLock::take(&Disk::default(), folder)?);
        }
        Ok(Some(output))
    }

    /// The folder of a run.
    pub fn folder(&self, run: Run) -> PathBuf {
        let mut folder = self.folder.to_owned();
        if self.has_seeds {
            folder.push(format!("seed-{}", run.seed));
        }
        if let Some(fold) = run.fold {
            folder.push(format!("fold-{fold}"));
        }
        if let Some(split) = run.split {
            folder.push(format!("split-{split}"));
        }
        folder
    }

    /// Opens the folder of a run.
    pub fn open(&self, run: Run) -> Result<Opened, RunError> {
        RunFolder::open(&Disk::default(), &self.folder(run), self.record(run), self.resume)
    }

    /// The reports of a run that has ended.
    pub fn reports(&self, run: Run) -> Result<Vec<EpochReport>, RunError> {
        Ok(read_metrics(&self.folder(run).join("metrics.jsonl"))?)
    }

    fn record(&self, run: Run) -> RunRecord {
        let fold = run.fold.zip(self.folds).map(|(fold, (count, strict))| HeldOutFold { fold, count, strict });
        let (seed, split) = (run.seed, run.split);
        RunRecord::new(RunIdentity { seed, fold, split, ..self.identity.clone() }, self.epochs)
    }
}
