//! Writes down a run while it trains.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, Instant};

use super::{Checkpoint, TrainError, Trainer};
use crate::output::{Curve, EpochReport, OutputError, RunError, RunFolder, Summary, best_epoch, training_curves};

/// A run cannot be written down from its first or next epoch on.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The folder of the run cannot be written to, or its checkpoints cannot be read.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The state of a checkpoint does not fit the model.
    #[error(transparent)]
    Train(#[from] TrainError),
}

/// How often the state of a run is saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointInterval {
    /// After so many epochs.
    Epochs(NonZeroU64),
    /// After the first epoch that ends so long after the last time.
    Time(Duration),
}

/// No interval of checkpoints.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no number of epochs, such as 10, and no time, such as 30s, 5m or 1h")]
pub struct IntervalError(String);

impl FromStr for CheckpointInterval {
    type Err = IntervalError;

    fn from_str(text: &str) -> Result<Self, IntervalError> {
        let unknown = || IntervalError(text.to_owned());
        let units = [('s', 1), ('m', 60), ('h', 3600)];
        let unit = units.into_iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)));
        let (number, seconds) = unit.map_or((text, None), |(number, seconds)| (number, Some(seconds)));
        let count: NonZeroU64 = number.parse().map_err(|_| unknown())?;
        Ok(match seconds {
            Some(seconds) => Self::Time(Duration::from_secs(count.get().saturating_mul(seconds))),
            None => Self::Epochs(count),
        })
    }
}

/// Writes what a run leaves behind: its metrics after each epoch, its state now and then, and all files at its end.
#[derive(Debug)]
pub struct RunRecorder {
    folder: RunFolder,
    interval: Option<CheckpointInterval>,
    reports: Vec<EpochReport>,
    /// The epoch whose state was saved last, and when.
    saved: (Option<u64>, Instant),
    damaged: Option<OutputError>,
}

impl RunRecorder {
    /// Begins to write down a run; if its folder has checkpoints, the trainer goes on from the last one. With an interval the
    /// first state is saved as well.
    ///
    /// # Errors
    /// If the folder cannot be written to, no checkpoint can be read, or the state does not fit the model.
    pub fn start(
        folder: RunFolder,
        trainer: &mut Trainer,
        interval: Option<CheckpointInterval>,
    ) -> Result<Self, RecordError> {
        let saved = (None, Instant::now());
        let mut recorder = Self { folder, interval, reports: Vec::new(), saved, damaged: None };
        recorder.resume(trainer)?;
        let scene = trainer.scene().to_ron().map_err(RunError::from)?;
        recorder.folder.begin(&scene, &trainer.weights(), &recorder.reports)?;
        if interval.is_some() && recorder.saved.0.is_none() {
            recorder.save(trainer)?;
        }
        Ok(recorder)
    }

    /// Takes the state and the reports of the newest checkpoint that is whole.
    fn resume(&mut self, trainer: &mut Trainer) -> Result<(), RecordError> {
        let mut newest: Option<(PathBuf, Checkpoint)> = None;
        for path in self.folder.checkpoints() {
            match self.read(&path) {
                Ok(checkpoint) => {
                    if newest.as_ref().is_none_or(|(_, newest)| newest.state.epochs() < checkpoint.state.epochs()) {
                        newest = Some((path, checkpoint));
                    }
                }
                Err(error) => self.damaged = Some(error),
            }
        }
        match (newest, &self.damaged) {
            (Some((path, checkpoint)), _) => {
                trainer.restore(&checkpoint.state)?;
                self.folder.keep(&path);
                self.saved.0 = Some(checkpoint.state.epochs());
                self.reports = checkpoint.reports;
                Ok(())
            }
            (None, Some(error)) => {
                let (folder, reason) = (self.folder.staging(), error.to_string());
                Err(RunError::Damaged { folder, reason }.into())
            }
            (None, None) => Ok(()),
        }
    }

    /// Reads a checkpoint of this run.
    fn read(&self, path: &std::path::Path) -> Result<Checkpoint, OutputError> {
        let checkpoint = Checkpoint::read(path)?;
        let record = self.folder.record();
        if let Some(difference) = record.identity.difference(&checkpoint.identity) {
            let reason = format!("it is not of this run: {difference}");
            return Err(OutputError::NotCheckpoint { path: path.to_owned(), reason });
        }
        Ok(checkpoint)
    }

    /// The epoch after which the run goes on; none if it began.
    pub fn resumed_after(&self) -> Option<u64> {
        let epochs = self.reports.last().map(|report| report.epoch);
        epochs.or(self.saved.0.filter(|epoch| *epoch > 0))
    }

    /// What was wrong with a checkpoint that was passed over for the other one.
    pub fn damaged(&self) -> Option<&OutputError> {
        self.damaged.as_ref()
    }

    /// The reports of all epochs so far.
    pub fn reports(&self) -> &[EpochReport] {
        &self.reports
    }

    /// Writes down an epoch, and the state after it if the time has come.
    ///
    /// # Errors
    /// If something cannot be written. Training may go on: what was written before is as it was, and the next epochs and the
    /// end of the run try again.
    pub fn add(&mut self, trainer: &Trainer) -> Result<(), RunError> {
        let report = trainer.report();
        self.reports.push(report.clone());
        let added = self.folder.add(report);
        let is_due = match self.interval {
            None => false,
            Some(CheckpointInterval::Epochs(count)) => report.epoch.is_multiple_of(count.get()),
            Some(CheckpointInterval::Time(time)) => self.saved.1.elapsed() >= time,
        };
        let saved = if is_due { self.save(trainer) } else { Ok(()) };
        added.and(saved)
    }

    /// Saves the state now.
    ///
    /// # Errors
    /// If it cannot be written; the state that was saved before is as it was.
    pub fn save(&mut self, trainer: &Trainer) -> Result<(), RunError> {
        // Not before the next interval, should it fail.
        self.saved.1 = Instant::now();
        let (epoch, bytes) = self.encode(trainer)?;
        self.folder.save(&bytes)?;
        self.saved.0 = Some(epoch);
        Ok(())
    }

    fn encode(&self, trainer: &Trainer) -> Result<(u64, Vec<u8>), OutputError> {
        let (state, record) = (trainer.state(), self.folder.record());
        let epoch = state.epochs();
        let (run, identity, reports) = (record.run.clone(), record.identity.clone(), self.reports.clone());
        let bytes = Checkpoint { run, identity, state, reports }.encode(&self.folder.staging())?;
        Ok((epoch, bytes))
    }

    /// Leaves the run as it is, to be resumed later.
    ///
    /// # Errors
    /// If its state cannot be written to its folder; the error says where it is, if it could be written elsewhere.
    pub fn stop(mut self, trainer: &Trainer) -> Result<(), RunError> {
        let (epoch, bytes) = self.encode(trainer)?;
        if self.saved.0 == Some(epoch) {
            return Ok(());
        }
        self.folder.save_anywhere(&bytes)
    }

    /// Ends the run; see [`RunFolder::finish`]. Returns the reports of its epochs.
    ///
    /// # Errors
    /// Those of [`RunFolder::finish`].
    pub fn finish(self, trainer: &Trainer, summary: &Summary) -> Result<Vec<EpochReport>, RunError> {
        let curves = self.curves(trainer);
        self.folder.finish(&trainer.weights(), &self.reports, &curves, summary)?;
        Ok(self.reports)
    }

    /// Ends a run that has failed; see [`RunFolder::fail`]. Returns where the best weights so far are.
    ///
    /// # Errors
    /// Those of [`RunFolder::fail`].
    pub fn fail(self, trainer: &Trainer, error: &TrainError) -> Result<PathBuf, RunError> {
        let curves = self.curves(trainer);
        self.folder.fail(&trainer.weights(), &self.reports, &curves, &error.to_string())
    }

    fn curves(&self, trainer: &Trainer) -> String {
        let scene = trainer.scene();
        let best = best_epoch(&self.reports, scene.training.keep, scene.score_metric());
        training_curves(&scene.name, &Curve::from_reports(&self.reports), best)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_epochs_or_times() {
        let epochs = |count| CheckpointInterval::Epochs(NonZeroU64::new(count).unwrap());
        let seconds = |count| CheckpointInterval::Time(Duration::from_secs(count));
        let cases =
            [("1", epochs(1)), ("25", epochs(25)), ("30s", seconds(30)), ("5m", seconds(300)), ("2h", seconds(7200))];
        for (text, interval) in cases {
            assert_eq!(text.parse(), Ok(interval));
        }
        for text in ["0", "0s", "", "s", "-1", "1.5", "5d", "5 s"] {
            let error = text.parse::<CheckpointInterval>().unwrap_err().to_string();
            assert!(error.contains("such as 30s"), "{error}");
        }
    }
}
