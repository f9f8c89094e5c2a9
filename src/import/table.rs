//! Tables of text: comma-separated values and their like.

use std::path::Path;

use csv::{Reader, ReaderBuilder, StringRecord, Trim};

use super::error::ImportError;
use super::text::{TextFile, parse_number};

/// A line that begins with it says nothing.
const COMMENT: u8 = b'#';

/// A table that was read, and how its columns are parted.
#[derive(Clone, Debug)]
pub(super) struct Table {
    file: TextFile,
    delimiter: u8,
}

/// One row, and where it stands.
pub(super) struct Row<'a> {
    table: &'a Table,
    record: &'a StringRecord,
}

impl Table {
    /// Reads a table. Its first line tells whether columns are parted by tabs, commas, semicolons or blanks.
    pub fn read(path: &Path) -> Result<Self, ImportError> {
        let file = TextFile::read(path)?;
        let first = file.text.lines().find(|line| !line.trim().is_empty() && !line.starts_with(char::from(COMMENT)));
        let delimiter = b"\t,; ".iter().find(|&&part| first.is_some_and(|line| line.contains(char::from(part))));
        Ok(Self { delimiter: delimiter.copied().unwrap_or(b','), file })
    }

    fn reader(&self) -> Reader<&[u8]> {
        ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(self.delimiter)
            .comment(Some(COMMENT))
            .trim(Trim::All)
            .from_reader(self.file.text.as_bytes())
    }

    /// Shows each row to `visit`, until one is refused; the first is left out if it is a header.
    pub fn each(
        &self,
        has_header: bool,
        mut visit: impl FnMut(Row) -> Result<(), ImportError>,
    ) -> Result<(), ImportError> {
        let mut reader = self.reader();
        let mut record = StringRecord::new();
        let mut is_header = has_header;
        while reader.read_record(&mut record).map_err(|error| self.unreadable(&error))? {
            if !std::mem::take(&mut is_header) {
                visit(Row { table: self, record: &record })?;
            }
        }
        Ok(())
    }

    /// The first rows, one at least and at most `count`.
    pub fn first_rows(&self, count: usize) -> Result<Vec<Vec<String>>, ImportError> {
        let mut rows = Vec::new();
        for record in self.reader().into_records().take(count) {
            let record = record.map_err(|error| self.unreadable(&error))?;
            rows.push(record.iter().map(str::to_owned).collect());
        }
        if rows.is_empty() {
            return Err(self.error("the table is empty", "write one line for each row"));
        }
        Ok(rows)
    }

    fn unreadable(&self, error: &csv::Error) -> ImportError {
        let offset = error.position().map_or(0, |position| position.byte() as usize);
        self.file.error(offset, format!("the line cannot be read: {error}"), "mend the line")
    }

    /// An error of the whole table.
    pub fn error(&self, message: impl Into<String>, help: impl Into<String>) -> ImportError {
        self.file.error_of_file(message, help)
    }
}

impl<'a> Row<'a> {
    /// How many columns it has.
    pub fn len(&self) -> usize {
        self.record.len()
    }

    /// The text in a column; empty if the row is shorter.
    pub fn get(&self, column: usize) -> &'a str {
        self.record.get(column).unwrap_or_default()
    }

    /// The finite number in a column; `what` says what it is needed for.
    pub fn number(&self, column: usize, what: &str) -> Result<f32, ImportError> {
        parse_number(self.get(column)).map_err(|message| {
            let help = format!("write {what} as a finite number, or take the column out");
            self.error(column, message, help)
        })
    }

    /// Checks that it has as many columns as the table.
    pub fn check_width(&self, width: usize) -> Result<(), ImportError> {
        if self.len() == width {
            return Ok(());
        }
        let message = format!("the line has {} columns, but the first line has {width}", self.len());
        Err(self.error(width.min(self.len()), message, "give each line as many columns"))
    }

    /// An error about the text in a column.
    pub fn error(&self, column: usize, message: impl Into<String>, help: impl Into<String>) -> ImportError {
        self.table.file.error(self.offset(column), message, help)
    }

    /// The byte at which a column begins. Only errors need it, so each looks it up anew.
    fn offset(&self, column: usize) -> usize {
        let text = &self.table.file.text;
        let mut start = self.record.position().map_or(0, |position| position.byte() as usize).min(text.len());
        // Records are said to begin before the blank lines and comments that were skipped.
        while let Some(rest) = text.get(start..) {
            let line = rest.split_inclusive('\n').next().unwrap_or_default();
            if line.is_empty() || !(line.trim().is_empty() || line.starts_with(char::from(COMMENT))) {
                break;
            }
            start += line.len();
        }
        let mut left = column;
        let mut quoted = false;
        for (at, &byte) in text.as_bytes().iter().enumerate().skip(start) {
            if left == 0 || (byte == b'\n' && !quoted) {
                return at;
            }
            quoted ^= byte == b'"';
            left -= usize::from(byte == self.table.delimiter && !quoted);
        }
        text.len()
    }
}

/// The column whose name is one of `names`, in capitals or not.
pub(super) fn find_column(header: &[String], names: &[&str]) -> Option<usize> {
    names.iter().find_map(|name| header.iter().position(|column| column.eq_ignore_ascii_case(name)))
}
