//! The reports of a run as JSON lines, one epoch a line.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::{EpochReport, OutputError};

/// Appends [`EpochReport`]s to a file, each as one line of JSON.
///
/// Numbers that are not finite are written as `null`, since JSON has no word for them. Each line goes to
/// the file at once and whole, so that a run that is killed leaves all its epochs readable.
#[derive(Debug)]
pub struct MetricsWriter {
    path: PathBuf,
    file: BufWriter<File>,
}

impl MetricsWriter {
    /// Starts a file of metrics at `path`, replacing what was there.
    ///
    /// # Errors
    ///
    /// [`OutputError::CannotCreate`] when the folder does not exist or may not be written to.
    pub fn create(path: impl Into<PathBuf>) -> Result<Self, OutputError> {
        let path = path.into();
        match File::create(&path) {
            Ok(file) => Ok(Self { path, file: BufWriter::new(file) }),
            Err(source) => Err(OutputError::CannotCreate { path, source }),
        }
    }

    /// Appends one report.
    ///
    /// # Errors
    ///
    /// [`OutputError::CannotWrite`] when the disk did not take it.
    pub fn write(&mut self, report: &EpochReport) -> Result<(), OutputError> {
        serde_json::to_writer(&mut self.file, report)
            .map_err(std::io::Error::from)
            .and_then(|()| self.file.write_all(b"\n"))
            .and_then(|()| self.file.flush())
            .map_err(|source| self.cannot_write(source))
    }

    /// Writes out what is still buffered and closes the file.
    ///
    /// # Errors
    ///
    /// [`OutputError::CannotWrite`] when the disk did not take it.
    pub fn finish(mut self) -> Result<(), OutputError> {
        self.file.flush().map_err(|source| self.cannot_write(source))
    }

    fn cannot_write(&self, source: std::io::Error) -> OutputError {
        OutputError::CannotWrite { path: self.path.clone(), source }
    }
}

/// Reads back what a [`MetricsWriter`] wrote, bit for bit; `null` becomes NaN.
///
/// # Errors
///
/// [`OutputError::CannotRead`] when the file is absent, may not be read or is not UTF-8; [`OutputError::NotMetrics`]
/// with the number of the first line that is no report, be it that a crash cut it off.
pub fn read_metrics(path: &Path) -> Result<Vec<EpochReport>, OutputError> {
    let cannot_read = |source| OutputError::CannotRead { path: path.to_path_buf(), source };
    let file = File::open(path).map_err(cannot_read)?;
    let mut reports = Vec::new();
    for (index, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(cannot_read)?;
        let report = serde_json::from_str(&line).map_err(|source| OutputError::NotMetrics {
            path: path.to_path_buf(),
            line: index + 1,
            source,
        })?;
        reports.push(report);
    }
    Ok(reports)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::components::Split;

    fn report(epoch: u64) -> EpochReport {
        let metrics = [
            (Split::Train, "loss", 1.945_910_149_055_313 / epoch as f64),
            (Split::Train, "accuracy", 1.0 / 7.0),
            (Split::Validation, "loss", f64::MIN_POSITIVE),
            (Split::Test, "my own.metric", -1e300),
        ];
        EpochReport {
            epoch,
            metrics: metrics.into(),
            learning_rate: 0.01,
            train_milliseconds: 3.25,
            evaluation_milliseconds: 0.1 + 0.2,
        }
    }

    fn write_all(path: &Path, reports: &[EpochReport]) {
        let mut writer = MetricsWriter::create(path).unwrap();
        for report in reports {
            writer.write(report).unwrap();
        }
        writer.finish().unwrap();
    }

    #[test]
    fn reports_come_back_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let reports: Vec<_> = (1..=500).map(report).collect();
        write_all(&path, &reports);
        assert_eq!(read_metrics(&path).unwrap(), reports);
        write_all(&path, &[]);
        assert_eq!(read_metrics(&path).unwrap(), []);
    }

    #[test]
    fn a_run_that_is_killed_leaves_whole_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let mut writer = MetricsWriter::create(&path).unwrap();
        for epoch in 1..=100 {
            writer.write(&report(epoch)).unwrap();
            assert_eq!(read_metrics(&path).unwrap().len() as u64, epoch);
        }
    }

    #[test]
    fn non_finite_numbers_become_null_and_read_back_as_nan() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let mut diverged = EpochReport { evaluation_milliseconds: f64::NAN, ..report(1) };
        diverged.metrics.set(Split::Train, "loss", f64::NEG_INFINITY);
        write_all(&path, &[diverged]);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with(r#"{"epoch":1,"train_loss":null,"#));
        let back = &read_metrics(&path).unwrap()[0];
        assert!(back.get(Split::Train, "loss").unwrap().is_nan() && back.evaluation_milliseconds.is_nan());
    }

    #[test]
    fn a_line_that_was_cut_off_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        write_all(&path, &[report(1), report(2)]);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 9]).unwrap();
        let error = read_metrics(&path).unwrap_err();
        assert!(matches!(error, OutputError::NotMetrics { line: 2, .. }));
    }

    #[test]
    fn a_path_that_cannot_be_used_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("absent").join("metrics.jsonl");
        let error = MetricsWriter::create(&path).unwrap_err();
        assert!(matches!(error, OutputError::CannotCreate { .. }));
        let error = read_metrics(&path).unwrap_err();
        assert!(matches!(error, OutputError::CannotRead { .. }));
    }
}
