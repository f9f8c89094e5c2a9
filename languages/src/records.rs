//! Files of records, one in a line.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use flate2::bufread::MultiGzDecoder;
use thiserror::Error;

/// The longest line that is read: 64 MiB.
const MAX_LINE: u64 = 1 << 26;

/// What gzip begins with, and UTF-8 never.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// A line of a file of records is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{file}{}: {message}", match line { 0 => String::new(), line => format!(":{line}") })]
pub struct RecordError {
    /// The file.
    pub file: String,
    /// The line, counted from 1; 0 if the file cannot be opened.
    pub line: usize,
    /// What is wrong, and what to do about it.
    pub message: String,
}

/// A kind of records that stand in a line each.
pub trait Record: Sized {
    /// Reads a record.
    ///
    /// # Errors
    /// What is wrong with the line, and what to do about it.
    fn parse(line: &str) -> Result<Self, String>;
}

/// The records of a file, in order.
///
/// Blank lines are passed over. After an error of reading there are no more; after a line that is wrong the next is read.
#[derive(Debug)]
pub struct Records<R> {
    file: String,
    reader: R,
    line: usize,
    has_ended: bool,
}

impl Records<Box<dyn BufRead + Send>> {
    /// Opens a file, which may be compressed by gzip.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn open(path: &Path) -> Result<Self, RecordError> {
        let file = path.display().to_string();
        let error = |error: io::Error| RecordError {
            file: file.clone(),
            line: 0,
            message: format!("the file cannot be read: {error}; check the path"),
        };
        // A pipe would be waited for.
        if !fs::metadata(path).map_err(error)?.is_file() {
            return Err(error(io::Error::new(io::ErrorKind::InvalidInput, "it is not a plain file")));
        }
        let mut opened = File::open(path).map_err(error)?;
        let mut start = Vec::new();
        opened.by_ref().take(GZIP.len() as u64).read_to_end(&mut start).map_err(error)?;
        let is_packed = start == GZIP;
        let whole = BufReader::new(io::Cursor::new(start).chain(opened));
        let reader: Box<dyn BufRead + Send> =
            if is_packed { Box::new(BufReader::new(MultiGzDecoder::new(whole))) } else { Box::new(whole) };
        Ok(Self::new(file, reader))
    }
}

impl<R: BufRead> Records<R> {
    /// The records of a reader; errors call it by the name of a file.
    pub fn new(file: impl Into<String>, reader: R) -> Self {
        Self { file: file.into(), reader, line: 0, has_ended: false }
    }

    /// The next record, if there is one.
    pub fn next_record<T: Record>(&mut self) -> Option<Result<T, RecordError>> {
        self.next_with(T::parse)
    }

    /// The next record as `parse` reads it, if there is one; what `parse` says is wrong becomes the message of an error.
    pub fn next_with<T>(&mut self, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<Result<T, RecordError>> {
        while !self.has_ended {
            self.line += 1;
            let mut bytes = Vec::new();
            let read = self.reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut bytes);
            if let Err(error) = read {
                self.has_ended = true;
                return Some(Err(self.error(format!("the line cannot be read: {error}"))));
            }
            if bytes.is_empty() {
                self.has_ended = true;
            } else if bytes.len() as u64 == MAX_LINE && !bytes.ends_with(b"\n") {
                self.has_ended = true;
                return Some(Err(self.error(format!("the line is longer than {MAX_LINE} bytes; split it"))));
            }
            let line = match crate::source::decode(&bytes) {
                Ok(line) => line.strip_suffix('\n').unwrap_or(line),
                Err(error) => return Some(Err(self.error(error.to_string()))),
            };
            let line = line.strip_suffix('\r').unwrap_or(line);
            if !line.trim().is_empty() {
                return Some(parse(line).map_err(|message| self.error(message)));
            }
        }
        None
    }

    /// An iterator over the records.
    pub fn of<T: Record>(mut self) -> impl Iterator<Item = Result<T, RecordError>> {
        std::iter::from_fn(move || self.next_record())
    }

    fn error(&self, message: String) -> RecordError {
        RecordError { file: self.file.clone(), line: self.line, message }
    }
}
