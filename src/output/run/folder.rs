//! The files of a run, from its first to its last.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::lock::check_unlocked;
use super::plan::{
    CHECKPOINTS, CURVES, FILES, FINISHED, METRICS, Plan, RECORD, RESERVE, SCENE, UNFINISHED, WEIGHTS, check_content,
    check_is_file, check_is_folder_or_absent, is_leftover, names_in, plan,
};
use super::{FolderLock, RunError, RunIdentity, RunRecord, RunStatus};
use crate::output::metrics::encode_metrics;
use crate::output::weights::encode_weights;
use crate::output::{Disk, EpochReport, MetricsWriter, Summary, Tensor};

/// The folder of a run that goes on.
#[derive(Debug)]
pub struct RunFolder {
    disk: Disk,
    folder: PathBuf,
    record: RunRecord,
    metrics: Option<MetricsWriter>,
    /// The checkpoint to be written next.
    next: usize,
    _lock: FolderLock,
}

/// What is to be done with a folder that was opened.
#[derive(Debug)]
pub enum Opened {
    /// A run begins.
    Begun(RunFolder),
    /// A run goes on.
    Resumed(RunFolder),
    /// The run that was to be resumed has ended well.
    Ended(RunRecord),
}

impl RunFolder {
    /// Checks whether a run could be opened, and changes nothing.
    ///
    /// # Errors
    /// Those of [`RunFolder::open`], but for what only writing shows.
    pub fn check(folder: &Path, record: &RunRecord, resume: bool) -> Result<(), RunError> {
        check_is_folder_or_absent(folder)?;
        check_unlocked(folder)?;
        plan(folder, record, resume).map(drop)
    }

    /// Opens the folder for a run: a new one, or with `resume` the one that was begun there, if there is one.
    ///
    /// What a run that was killed has left behind is put in order first. The files of an earlier run stay until this one has
    /// [ended](RunFolder::finish).
    ///
    /// # Errors
    /// If another process uses the folder; if something else has the name of a file, such as a link, a pipe or a folder; if
    /// there is a run that has not ended, and without `resume`; if with `resume` it is another run, or has failed; or if
    /// the folder cannot be written to.
    pub fn open(disk: &Disk, folder: &Path, record: RunRecord, resume: bool) -> Result<Opened, RunError> {
        check_is_folder_or_absent(folder)?;
        let lock = FolderLock::take(disk, folder)?;
        let staging = folder.join(UNFINISHED);
        check_content(&staging)?;
        publish(disk, folder)?;
        [folder, &staging].into_iter().try_for_each(|folder| sweep(disk, folder))?;
        let planned = plan(folder, &record, resume)?;
        let of = |record: RunRecord| Self {
            disk: disk.clone(),
            folder: folder.to_owned(),
            record,
            metrics: None,
            next: 0,
            _lock: lock,
        };
        match planned {
            Plan::Ended(record) => Ok(Opened::Ended(record)),
            Plan::Resume(known) => {
                let run = of(RunRecord { started: known.started, ..record });
                run.write_record()?;
                Ok(Opened::Resumed(run))
            }
            Plan::Begin => {
                clear(disk, &staging)?;
                disk.create_folder(&staging).map_err(RunError::cannot_create(staging))?;
                let run = of(record);
                run.write_record()?;
                Ok(Opened::Begun(run))
            }
        }
    }

    /// What is known of the run.
    pub fn record(&self) -> &RunRecord {
        &self.record
    }

    /// Where the files of the run are until it has ended.
    pub fn staging(&self) -> PathBuf {
        self.folder.join(UNFINISHED)
    }

    /// Writes what is known before training goes on after some epochs: the scene, the metrics so far, and as many bytes as the
    /// weights will need, so that there is room for them at the end.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn begin(&mut self, scene: &str, weights: &[Tensor], reports: &[EpochReport]) -> Result<(), RunError> {
        let scene = format!("// The scene of run {}.\n{scene}\n", self.record.run);
        self.write(SCENE, scene.as_bytes())?;
        let room = self.staging().join(RESERVE);
        self.disk.write_file(&room, &encode_weights(&room, weights, self.metadata())?)?;
        let path = self.staging().join(METRICS);
        let mut metrics = MetricsWriter::of_run(&self.disk, path, Some(self.record.run.clone()))?;
        reports.iter().try_for_each(|report| metrics.write(report))?;
        self.metrics = Some(metrics);
        Ok(())
    }

    /// Adds the report of an epoch. After an error no more are added; the end of the run writes all.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn add(&mut self, report: &EpochReport) -> Result<(), RunError> {
        let Some(metrics) = &mut self.metrics else { return Ok(()) };
        let written = metrics.write(report);
        if written.is_err() {
            self.metrics = None;
        }
        Ok(written?)
    }

    /// The checkpoints that are there.
    pub fn checkpoints(&self) -> Vec<PathBuf> {
        let paths = CHECKPOINTS.map(|name| self.staging().join(name));
        paths.into_iter().filter(|path| path.is_file()).collect()
    }

    /// The next checkpoint is not to replace this one.
    pub fn keep(&mut self, checkpoint: &Path) {
        self.next = usize::from(checkpoint.ends_with(CHECKPOINTS[0]));
    }

    /// Writes a checkpoint, in turn to one of two files.
    ///
    /// # Errors
    /// If it cannot be written; both files are as they were then.
    pub fn save(&mut self, bytes: &[u8]) -> Result<(), RunError> {
        self.write(CHECKPOINTS[self.next], bytes)?;
        self.next = 1 - self.next;
        Ok(())
    }

    /// As [`RunFolder::save`], but into the system's folder for temporary files if need be: for the last chance.
    ///
    /// # Errors
    /// If it cannot be written to its folder; the error says where it is, if it could be written elsewhere.
    pub fn save_anywhere(&mut self, bytes: &[u8]) -> Result<(), RunError> {
        let _ = self.remove(RESERVE);
        self.write_anywhere(CHECKPOINTS[self.next], bytes)?;
        self.next = 1 - self.next;
        Ok(())
    }

    /// Ends the run: writes its files, and lets them replace those of the run before.
    ///
    /// # Errors
    /// If they cannot be written: those of the run before are as they were then, or all of the new ones are there. The error
    /// says where the weights are, if they could be written anywhere.
    pub fn finish(
        mut self,
        weights: &[Tensor],
        reports: &[EpochReport],
        curves: &str,
        summary: &Summary,
    ) -> Result<(), RunError> {
        self.write_weights(weights)?;
        self.record.summary = Some(summary.clone());
        let ended = self.end(RunStatus::Finished, reports, curves);
        ended.and_then(|()| self.publish()).map_err(|error| self.with_weights(error))
    }

    /// Ends a run that has failed. Its files stay in `unfinished`, with weights that are the best so far; those of
    /// the run before are as they were. Returns where the weights are.
    ///
    /// # Errors
    /// If the files cannot be written; the error says where the weights are, if they could be written anywhere.
    pub fn fail(
        mut self,
        weights: &[Tensor],
        reports: &[EpochReport],
        curves: &str,
        reason: &str,
    ) -> Result<PathBuf, RunError> {
        // Weights that are not finite cannot be written, but the run has failed all the same.
        let written = self.write_weights(weights);
        self.record.error = Some(reason.to_owned());
        let ended = self.end(RunStatus::Failed, reports, curves);
        // It would fail again.
        let ended = ended.and_then(|()| CHECKPOINTS.iter().try_for_each(|name| self.remove(name)));
        let path = written?;
        ended.map_err(|error| self.with_weights(error))?;
        Ok(path)
    }

    /// Writes metrics, curves and the record.
    fn end(&mut self, status: RunStatus, reports: &[EpochReport], curves: &str) -> Result<(), RunError> {
        self.metrics = None;
        let path = self.staging().join(METRICS);
        let lines = encode_metrics(reports, Some(&self.record.run)).map_err(RunError::cannot_write(path))?;
        self.write(METRICS, &lines)?;
        self.write(CURVES, format!("{curves}<!-- run {} -->\n", self.record.run).as_bytes())?;
        self.record.end(status);
        self.write_record()
    }

    /// From here on the run has ended well, even if its files cannot take their places.
    fn publish(&self) -> Result<(), RunError> {
        let finished = self.folder.join(FINISHED);
        self.disk.rename(&self.staging(), &finished).map_err(RunError::cannot_write(finished))?;
        self.disk.sync_folder(&self.folder).map_err(RunError::cannot_write(&self.folder))?;
        publish(&self.disk, &self.folder)
    }

    /// An error after the weights were written.
    fn with_weights(&self, error: RunError) -> RunError {
        let folders = [self.staging(), self.folder.join(FINISHED), self.folder.clone()];
        let mut weights = folders.into_iter().map(|folder| folder.join(WEIGHTS)).filter(|path| path.is_file());
        match (error, weights.next()) {
            (RunError::Output(error), Some(weights)) => RunError::WeightsSaved { error: Box::new(error), weights },
            (error, _) => error,
        }
    }

    fn write_weights(&self, weights: &[Tensor]) -> Result<PathBuf, RunError> {
        let path = self.staging().join(WEIGHTS);
        let bytes = encode_weights(&path, weights, self.metadata())?;
        // The weights are worth more than the room that could not be made for them.
        let _ = self.remove(RESERVE);
        self.write_anywhere(WEIGHTS, &bytes)?;
        Ok(path)
    }

    /// What the header of a weight file says of the run.
    fn metadata(&self) -> BTreeMap<String, String> {
        let RunRecord { run, version, identity, .. } = &self.record;
        let RunIdentity { scene, scene_hash, data_hash, seed, fold: _, split: _ } = identity;
        let entries = [
            ("run", run),
            ("scene", scene),
            ("scene_hash", scene_hash),
            ("data_hash", data_hash),
            ("seed", &seed.to_string()),
            ("version", version),
        ];
        entries.map(|(key, value)| (key.to_owned(), value.clone())).into()
    }

    fn write_record(&self) -> Result<(), RunError> {
        let path = self.staging().join(RECORD);
        let mut text = serde_json::to_vec_pretty(&self.record)
            .map_err(std::io::Error::from)
            .map_err(RunError::cannot_write(path))?;
        text.push(b'\n');
        self.write(RECORD, &text)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), RunError> {
        Ok(self.disk.write_file(&self.staging().join(name), bytes)?)
    }

    /// Writes a file to the folder, or else to the system's folder for temporary files.
    fn write_anywhere(&self, name: &str, bytes: &[u8]) -> Result<(), RunError> {
        let path = self.staging().join(name);
        let Err(error) = self.disk.write_file(&path, bytes) else { return Ok(()) };
        let saved = self.disk.spare_folder().join(format!("connectome-{}-{name}", self.record.run));
        match self.disk.write_file(&saved, bytes) {
            Ok(()) => Err(RunError::SavedElsewhere { error: Box::new(error), path, saved }),
            // The first error is the one worth telling.
            Err(_) => Err(error.into()),
        }
    }

    fn remove(&self, name: &str) -> Result<(), RunError> {
        remove(&self.disk, &self.staging().join(name))
    }
}

/// Moves the files of a run that has ended well to their places, where they replace those of the run before.
fn publish(disk: &Disk, folder: &Path) -> Result<(), RunError> {
    let finished = folder.join(FINISHED);
    check_content(&finished)?;
    if !finished.is_dir() {
        return Ok(());
    }
    for name in FILES {
        let (from, to) = (finished.join(name), folder.join(name));
        if from.is_file() {
            check_is_file(&to)?;
            disk.rename(&from, &to).map_err(RunError::cannot_write(to))?;
        }
    }
    disk.sync_folder(folder).map_err(RunError::cannot_write(folder))?;
    clear(disk, &finished)
}

/// Removes a folder of a run with all that is in it.
fn clear(disk: &Disk, staging: &Path) -> Result<(), RunError> {
    if !staging.is_dir() {
        return Ok(());
    }
    sweep(disk, staging)?;
    for name in FILES.iter().chain(&CHECKPOINTS).chain([&RESERVE]) {
        remove(disk, &staging.join(name))?;
    }
    disk.remove_folder(staging).map_err(RunError::cannot_write(staging))
}

/// Removes temporary files that a killed process has left in a folder.
fn sweep(disk: &Disk, folder: &Path) -> Result<(), RunError> {
    for name in names_in(folder)? {
        if is_leftover(&name) {
            remove(disk, &folder.join(name))?;
        }
    }
    Ok(())
}

fn remove(disk: &Disk, path: &Path) -> Result<(), RunError> {
    match path.symlink_metadata() {
        Ok(_) => disk.remove_file(path).map_err(RunError::cannot_write(path)),
        Err(_) => Ok(()),
    }
}
