//! The reports of a run as JSON lines, one epoch a line.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{Disk, EpochReport, OutputError};

/// Appends [`EpochReport`]s to a file, each as one line of JSON.
///
/// Numbers that are not finite are written as `null`, since JSON has no word for them. Each line goes to
/// the file at once and whole, so that a run that is killed leaves all its epochs readable.
#[derive(Debug)]
pub struct MetricsWriter {
    disk: Disk,
    path: PathBuf,
    file: File,
    /// The identifier of the run, if each line is to have it.
    run: Option<String>,
    line: Vec<u8>,
}

/// A line of the file.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    report: &'a EpochReport,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<&'a str>,
}

impl MetricsWriter {
    /// Starts a file of metrics at `path`, replacing what was there.
    ///
    /// # Errors
    ///
    /// [`OutputError::CannotCreate`] when the folder does not exist or may not be written to.
    pub fn create(path: impl Into<PathBuf>) -> Result<Self, OutputError> {
        Self::of_run(&Disk::default(), path.into(), None)
    }

    /// As [`MetricsWriter::create`], with the identifier of a run in each line.
    pub(super) fn of_run(disk: &Disk, path: PathBuf, run: Option<String>) -> Result<Self, OutputError> {
        match disk.create_file(&path) {
            Ok(file) => Ok(Self { disk: disk.clone(), path, file, run, line: Vec::new() }),
            Err(source) => Err(OutputError::CannotCreate { path, source }),
        }
    }

    /// Appends one report.
    ///
    /// # Errors
    ///
    /// [`OutputError::CannotWrite`] when the disk did not take it.
    pub fn write(&mut self, report: &EpochReport) -> Result<(), OutputError> {
        self.line.clear();
        add_line(&mut self.line, report, self.run.as_deref())
            .and_then(|()| self.disk.write(&mut self.file, &self.path, &self.line))
            .map_err(|source| OutputError::CannotWrite { path: self.path.clone(), source })
    }
}

/// Adds the line of a report, with the identifier of its run if there is one.
fn add_line(text: &mut Vec<u8>, report: &EpochReport, run: Option<&str>) -> std::io::Result<()> {
    serde_json::to_writer(&mut *text, &Line { report, run })?;
    text.push(b'\n');
    Ok(())
}

/// The lines of reports, as in a file of metrics.
pub(crate) fn encode_metrics(reports: &[EpochReport], run: Option<&str>) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    reports.iter().try_for_each(|report| add_line(&mut text, report, run))?;
    Ok(text)
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
        reports.push(decode(path, index, &line.map_err(cannot_read)?)?);
    }
    Ok(reports)
}

/// Reads what [`encode_metrics`] has written into the file at `path`.
pub(crate) fn decode_metrics(path: &Path, text: &[u8]) -> Result<Vec<EpochReport>, OutputError> {
    let lines = text.split_inclusive(|byte| *byte == b'\n').enumerate();
    lines.map(|(index, line)| decode(path, index, &String::from_utf8_lossy(line))).collect()
}

fn decode(path: &Path, index: usize, line: &str) -> Result<EpochReport, OutputError> {
    let not_metrics = |source| OutputError::NotMetrics { path: path.to_path_buf(), line: index + 1, source };
    serde_json::from_str(line).map_err(not_metrics)
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
