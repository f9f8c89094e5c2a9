//! What is to be done with the folder of a run, by what is in it: nothing is written here.

use std::fs::{self, FileType};
use std::io::ErrorKind;
use std::path::Path;

use super::lock::LOCK;
use super::{RunError, RunRecord, RunStatus};
use crate::output::OutputError;
use crate::output::disk::is_temporary;

pub(super) const WEIGHTS: &str = "weights.safetensors";
pub(super) const METRICS: &str = "metrics.jsonl";
pub(super) const CURVES: &str = "curves.svg";
pub(super) const SCENE: &str = "scene.ron";
pub(super) const RECORD: &str = "run.json";
/// The files of a run that has ended well; the record comes last, for it says that the others are there.
pub(super) const FILES: [&str; 5] = [WEIGHTS, METRICS, CURVES, SCENE, RECORD];
pub(super) const CHECKPOINTS: [&str; 2] = ["checkpoint-0.safetensors", "checkpoint-1.safetensors"];
/// A file as large as the weights, which take its room at the end: a full disk is reported before training.
pub(super) const RESERVE: &str = "reserve";

/// The folder of files that are not complete, and that of complete ones that take their places.
pub(super) const UNFINISHED: &str = "unfinished";
pub(super) const FINISHED: &str = "finished";

/// As [`Opened`], before anything is written.
pub(super) enum Plan {
    Begin,
    Resume(RunRecord),
    Ended(RunRecord),
}

/// What is to be done with a folder, by what is in it.
pub(super) fn plan(folder: &Path, record: &RunRecord, resume: bool) -> Result<Plan, RunError> {
    FILES.iter().chain([&LOCK]).try_for_each(|name| check_is_file(&folder.join(name)))?;
    let [staging, finished] = [UNFINISHED, FINISHED].map(|name| folder.join(name));
    check_content(&staging)?;
    check_content(&finished)?;
    let of_other = |known: &RunRecord| {
        let difference = record.identity.difference(&known.identity)?;
        Some(RunError::OtherRun { folder: folder.to_owned(), difference })
    };
    let has = |name: &&str| staging.join(name).is_file();
    let has_checkpoint = CHECKPOINTS.iter().any(has);
    let known = read_record(&staging);
    match known {
        Ok(Some(known)) if resume => {
            if let Some(error) = of_other(&known) {
                return Err(error);
            }
            return match known.error {
                Some(reason) => Err(RunError::Failed { folder: folder.to_owned(), reason }),
                None => Ok(Plan::Resume(known)),
            };
        }
        Ok(None) if resume && !has_checkpoint => {}
        Ok(None) if resume => return Err(RunError::Damaged { folder: staging, reason: format!("no {RECORD}") }),
        Err(reason) if resume => return Err(RunError::Damaged { folder: staging, reason }),
        // Weights of a run that has failed are left for whoever wants to look at them.
        known => {
            let has_failed = known.is_ok_and(|known| known.is_some_and(|known| known.status == RunStatus::Failed));
            if has_checkpoint || has(&WEIGHTS) && !has_failed {
                return Err(RunError::Unfinished { folder: folder.to_owned() });
            }
        }
    }
    let ended = if finished.is_dir() { &finished } else { folder };
    // What cannot be read is no run that could be resumed.
    match read_record(ended).ok().flatten().filter(|_| resume) {
        None => Ok(Plan::Begin),
        Some(known) => match of_other(&known) {
            Some(error) => Err(error),
            None if known.epochs == record.epochs => Ok(Plan::Ended(known)),
            None => Err(RunError::Ended { folder: folder.to_owned(), epochs: known.epochs }),
        },
    }
}

/// The record in a folder, if there is one; or why it cannot be read.
fn read_record(folder: &Path) -> Result<Option<RunRecord>, String> {
    match fs::read(folder.join(RECORD)) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| format!("{RECORD}: {error}")),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{RECORD}: {error}")),
    }
}

pub(super) fn is_leftover(name: &str) -> bool {
    FILES.iter().chain(&CHECKPOINTS).chain([&RESERVE]).any(|file| is_temporary(name, file))
}

/// The names in a folder; none if it is not there.
pub(super) fn names_in(folder: &Path) -> Result<Vec<String>, RunError> {
    let cannot_read = |source| OutputError::CannotRead { path: folder.to_owned(), source };
    match fs::read_dir(folder) {
        Ok(entries) => {
            let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
            Ok(names.collect::<Result<_, _>>().map_err(cannot_read)?)
        }
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(Vec::new()),
        Err(source) => Err(cannot_read(source).into()),
    }
}

/// Refuses a folder within that of a run that is something else, or holds something else.
pub(super) fn check_content(folder: &Path) -> Result<(), RunError> {
    match folder.symlink_metadata() {
        Ok(metadata) if !metadata.is_dir() => return Err(in_the_way(folder, metadata.file_type())),
        _ => {}
    }
    for name in names_in(folder)? {
        let path = folder.join(&name);
        check_is_file(&path)?;
        if !FILES.contains(&&*name) && !CHECKPOINTS.contains(&&*name) && name != RESERVE && !is_leftover(&name) {
            return Err(RunError::InTheWay { path, kind: "no file of a run" });
        }
    }
    Ok(())
}

pub(super) fn check_is_folder_or_absent(folder: &Path) -> Result<(), RunError> {
    match fs::metadata(folder) {
        Ok(metadata) if !metadata.is_dir() => Err(in_the_way(folder, metadata.file_type())),
        Ok(_) => Ok(()),
        // A link to nothing.
        Err(_) => check_is_file(folder),
    }
}

/// Refuses what has the name of a file, and is none.
pub(super) fn check_is_file(path: &Path) -> Result<(), RunError> {
    match path.symlink_metadata() {
        Ok(metadata) if !metadata.is_file() => Err(in_the_way(path, metadata.file_type())),
        _ => Ok(()),
    }
}

fn in_the_way(path: &Path, found: FileType) -> RunError {
    let kind = match found {
        found if found.is_symlink() => "a symbolic link",
        found if found.is_dir() => "a folder",
        found if found.is_file() => "a file",
        _ => "a pipe or a device",
    };
    RunError::InTheWay { path: path.to_owned(), kind }
}
