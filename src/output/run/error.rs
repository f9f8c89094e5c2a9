//! Why a run cannot begin, go on or end in its folder.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::output::OutputError;
use crate::scene::SceneError;

/// A run cannot write into its folder, or go on with what is there.
#[derive(Debug, Error)]
pub enum RunError {
    /// A file cannot be written or read.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The scene cannot be written, which no scene is known to cause.
    #[error(transparent)]
    Scene(#[from] SceneError),
    /// Another process writes into the folder.
    #[error("{} is in use by {holder}; wait until it has ended, or choose another folder", folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
        /// Who has locked it.
        holder: String,
    },
    /// Something has the name of a file that is to be written, and is not to be replaced.
    #[error("{} is {kind}; move it away, or choose another folder", path.display())]
    InTheWay {
        /// The path.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// The folder holds a run that has not ended, and that was not asked for.
    #[error(
        "{} holds a run that has not ended; go on with it by --resume, or remove {}",
        folder.display(),
        folder.join("unfinished").display()
    )]
    Unfinished {
        /// The folder.
        folder: PathBuf,
    },
    /// The run that is to be resumed has failed, and would again.
    #[error("the run in {} has failed: {reason}; begin another one, without --resume", folder.display())]
    Failed {
        /// The folder.
        folder: PathBuf,
        /// Why.
        reason: String,
    },
    /// The run that is to be resumed has ended, and has left no state to go on from.
    #[error(
        "the run in {} has ended after its {epochs} epochs, and its state is gone; \
         choose another folder, or leave --resume out to replace it",
        folder.display()
    )]
    Ended {
        /// The folder.
        folder: PathBuf,
        /// The epochs that were asked for.
        epochs: u64,
    },
    /// The run that is to be resumed is one of another scene, graph or seed.
    #[error("the run in {} cannot be resumed: {difference}", folder.display())]
    OtherRun {
        /// The folder.
        folder: PathBuf,
        /// What differs; and, after a semicolon, a fix.
        difference: String,
    },
    /// No checkpoint of the run can be read.
    #[error(
        "no checkpoint in {} is whole: {reason}; restore one from a backup, or remove the folder to begin anew",
        folder.display()
    )]
    Damaged {
        /// The folder of the checkpoints.
        folder: PathBuf,
        /// What is wrong with the newest one.
        reason: String,
    },
    /// A file could not be written to its folder, and was written elsewhere.
    #[error("{error}; it was saved as {} instead", saved.display())]
    SavedElsewhere {
        /// Why it could not be written.
        error: Box<OutputError>,
        /// Where it was to be.
        path: PathBuf,
        /// Where it is.
        saved: PathBuf,
    },
    /// A file could not be written once the weights were.
    #[error("{error}; the weights are saved as {}", weights.display())]
    WeightsSaved {
        /// Why it could not be written.
        error: Box<OutputError>,
        /// The file of the weights.
        weights: PathBuf,
    },
}

impl RunError {
    pub(super) fn cannot_create(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| OutputError::CannotCreate { path, source }.into()
    }

    pub(super) fn cannot_write(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| OutputError::CannotWrite { path, source }.into()
    }
}
