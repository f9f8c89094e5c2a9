//! Tables of text: comma-separated values and their like.

use std::borrow::Cow;
use std::path::Path;

use csv::{Position, ReaderBuilder, StringRecord, Trim};

use super::columns::MAX_COLUMNS;
use super::error::ImportError;
use super::text::TextFile;
use crate::suggest::quote;

/// What lines begin with that say nothing.
const COMMENTS: [char; 2] = ['#', '%'];

/// What parts the columns of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Separator {
    Byte(u8),
    /// One or more blanks.
    Blanks,
}

/// A table that was read, and how its columns are parted.
#[derive(Clone, Debug)]
pub(super) struct Table {
    file: TextFile,
    separator: Separator,
    /// What its comments begin with.
    comment: char,
    /// Where its first row begins, behind comments.
    start: usize,
}

impl Separator {
    /// How many columns a line has, or 1 if it is so short that it has no more than are read.
    fn count_columns(self, line: &str) -> usize {
        if line.len() < MAX_COLUMNS {
            return 1;
        }
        let mut is_quoted = false;
        match self {
            Self::Byte(separator) => line.bytes().fold(1, |count, byte| {
                is_quoted ^= byte == b'"';
                count + usize::from(byte == separator && !is_quoted)
            }),
            // Entries of a dictionary are counted where they are read.
            Self::Blanks => line.split('{').next().unwrap_or_default().split_ascii_whitespace().count(),
        }
    }
}

/// One row, and where it stands.
pub(super) struct Row<'a> {
    table: &'a Table,
    record: &'a StringRecord,
}

impl Table {
    /// Reads a table. Its first row tells whether columns are parted by tabs, commas, semicolons or blanks.
    pub fn read(path: &Path) -> Result<Self, ImportError> {
        let file = TextFile::read(path)?;
        let (mut start, mut comment, mut first) = (0, None, "");
        for line in file.text.split_inclusive('\n') {
            let mark = line.trim_start().chars().next().filter(|letter| COMMENTS.contains(letter));
            if mark.is_none() && !line.trim().is_empty() {
                first = line;
                break;
            }
            comment = comment.or(mark);
            start += line.len();
        }
        let table = Self { separator: separator_of(first), comment: comment.unwrap_or(COMMENTS[0]), start, file };
        table.check_columns()?;
        Ok(table)
    }

    /// Checks that no line has more columns than are read.
    fn check_columns(&self) -> Result<(), ImportError> {
        let mut start = self.start;
        for line in self.rows().split_inclusive('\n') {
            let count = self.separator.count_columns(line);
            if count > MAX_COLUMNS {
                let message = format!("the line has {count} columns, but at most {MAX_COLUMNS} are read");
                return Err(self.file.error(start, message, "take columns out, or write the features to an npz file"));
            }
            start += line.len();
        }
        Ok(())
    }

    /// The rows as they are written.
    fn rows(&self) -> &str {
        self.file.text.get(self.start..).unwrap_or_default()
    }

    /// Shows each row to `visit`, until one is refused; the first is left out if it is a header.
    ///
    /// In a table with a header all lines after it are rows; in another, some are comments.
    pub fn each(
        &self,
        has_header: bool,
        mut visit: impl FnMut(Row) -> Result<(), ImportError>,
    ) -> Result<(), ImportError> {
        let mut is_header = has_header;
        let mut visit = |record: &StringRecord| match std::mem::take(&mut is_header) {
            true => Ok(()),
            false => visit(Row { table: self, record }),
        };
        let comment = (!has_header).then_some(self.comment as u8);
        let mut record = StringRecord::new();
        let Separator::Byte(delimiter) = self.separator else {
            let mut start = 0;
            for line in self.rows().split_inclusive('\n') {
                let is_comment = comment.is_some_and(|mark| line.trim_ascii_start().as_bytes().first() == Some(&mark));
                record.clear();
                fields(line).iter().for_each(|(_, field)| record.push_field(field));
                record.set_position(Some(Position::new().set_byte(start).clone()));
                start += line.len() as u64;
                if !record.is_empty() && !is_comment {
                    visit(&record)?;
                }
            }
            return Ok(());
        };
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .comment(comment)
            .trim(Trim::All)
            .from_reader(self.rows().as_bytes());
        while reader.read_record(&mut record).map_err(|error| self.unreadable(&error))? {
            visit(&record)?;
        }
        Ok(())
    }

    /// The first row; there must be one.
    pub fn first_row(&self) -> Result<Vec<String>, ImportError> {
        let mut first = None;
        // There is nothing that can be refused, so an error ends the visit and says nothing.
        let found = self.each(false, |row| {
            first = Some(row.record.iter().map(str::to_owned).collect());
            Err(self.error("", ""))
        });
        match (first, found) {
            (Some(first), _) => Ok(first),
            (None, Err(error)) => Err(error),
            (None, Ok(())) => Err(self.error("the table is empty", "write one line for each row")),
        }
    }

    /// How many comments of a table without a header would be rows if they were no comments.
    pub fn comments_like_rows(&self, width: usize) -> usize {
        let columns = |line: &str| match self.separator {
            Separator::Byte(byte) => line.split(char::from(byte)).count(),
            Separator::Blanks => fields(line).len(),
        };
        let lines = self.file.text.lines().map(str::trim).filter(|line| line.starts_with(self.comment));
        lines.filter(|line| self.separator.count_columns(line) <= MAX_COLUMNS && columns(line) == width).count()
    }

    fn unreadable(&self, error: &csv::Error) -> ImportError {
        let offset = error.position().map_or(0, |position| position.byte() as usize);
        self.file.error(self.start + offset, format!("the line cannot be read: {error}"), "mend the line")
    }

    /// An error of the whole table.
    pub fn error(&self, message: impl Into<String>, help: impl Into<String>) -> ImportError {
        self.file.error_of_file(message, help)
    }
}

/// What parts the columns of a row.
fn separator_of(row: &str) -> Separator {
    // What a dictionary of networkx holds, as in `a b {'weight': 1.0, 'color': 2}`, does not count.
    let row = row.split('{').next().unwrap_or_default().trim();
    let words = row.split_ascii_whitespace();
    match "\t,;".bytes().find(|part| row.as_bytes().contains(part)) {
        // Numbers parted by tabs and blanks, as in files of KONECT.
        Some(b'\t') if words.clone().all(|word| word.parse::<f64>().is_ok()) => Separator::Blanks,
        Some(byte) => Separator::Byte(byte),
        None if words.clone().count() > 1 => Separator::Blanks,
        None => Separator::Byte(b','),
    }
}

/// The columns of a row that are parted by blanks, and where each begins. A dictionary at the end is one column.
fn fields(line: &str) -> Vec<(usize, Cow<'_, str>)> {
    let mut fields = Vec::new();
    let mut start = 0;
    loop {
        let rest = line.get(start..).unwrap_or_default();
        start += rest.len() - rest.trim_ascii_start().len();
        let rest = rest.trim_ascii();
        if rest.is_empty() {
            return fields;
        }
        let (length, field) = match rest.strip_prefix('"').and_then(quoted) {
            Some((length, field)) => (length + 1, Cow::Owned(field)),
            None if rest.starts_with('{') => (rest.len(), Cow::Borrowed(rest)),
            None => {
                let length = rest.find(|letter: char| letter.is_ascii_whitespace()).unwrap_or(rest.len());
                (length, Cow::Borrowed(&rest[..length]))
            }
        };
        fields.push((start, field));
        start += length;
    }
}

/// The text up to the quote that closes it, and its length in the line; two quotes stand for one.
fn quoted(rest: &str) -> Option<(usize, String)> {
    let mut text = String::new();
    let mut letters = rest.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' if letters.next_if(|(_, next)| *next == '"').is_none() => {
                let is_end = letters.peek().is_none_or(|(_, next)| next.is_ascii_whitespace());
                return is_end.then_some((at + 1, text));
            }
            letter => text.push(letter),
        }
    }
    None
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

    /// Checks that it has as many columns as the table.
    pub fn check_width(&self, width: usize) -> Result<(), ImportError> {
        if self.len() == width {
            return Ok(());
        }
        let message = format!("the line has {} columns, but the first line has {width}", self.len());
        Err(self.error(width.min(self.len()), message, "give each line as many columns"))
    }

    /// An error about the value of a feature.
    pub fn value_error(&self, column: usize, name: &str, message: String) -> ImportError {
        let help = format!("write {} in numbers alone or in words alone, or take it out", quote(name));
        self.error(column, message, help)
    }

    /// An error about the text in a column.
    pub fn error(&self, column: usize, message: impl Into<String>, help: impl Into<String>) -> ImportError {
        self.table.file.error(self.offset(column), message, help)
    }

    /// The byte at which a column begins. Only errors need it, so each looks it up anew.
    fn offset(&self, column: usize) -> usize {
        let text = &self.table.file.text;
        let position = self.record.position().map_or(0, |position| position.byte() as usize);
        let mut start = (self.table.start + position).min(text.len());
        let Separator::Byte(delimiter) = self.table.separator else {
            let line = text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
            return start + fields(line).get(column).map_or(line.len(), |(offset, _)| *offset);
        };
        // Records are said to begin before the blank lines and comments that were skipped.
        let is_skipped = |line: &str| {
            let is_comment = line.starts_with(self.table.comment) && !self.get(0).starts_with(self.table.comment);
            line.trim().is_empty() || is_comment
        };
        while let Some(rest) = text.get(start..) {
            let line = rest.split_inclusive('\n').next().unwrap_or_default();
            if line.is_empty() || !is_skipped(line) {
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
            left -= usize::from(byte == delimiter && !quoted);
        }
        text.len()
    }
}

/// The column whose name is one of `names`, in capitals or not.
pub(super) fn find_column(header: &[String], names: &[&str]) -> Option<usize> {
    names.iter().find_map(|name| header.iter().position(|column| column.eq_ignore_ascii_case(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_part_columns() {
        let texts = |line| fields(line).into_iter().map(|(at, field)| (at, field.into_owned())).collect::<Vec<_>>();
        assert_eq!(texts(" 1  22 \r\n"), [(1, "1".into()), (4, "22".into())]);
        assert_eq!(texts("\"a \"\"b\"\"\" c\"d"), [(0, "a \"b\"".into()), (10, "c\"d".into())]);
        assert_eq!(texts("\"a b"), [(0, "\"a".into()), (3, "b".into())]);
        assert_eq!(texts("a b {'c': 1, 'd': 2} "), [(0, "a".into()), (2, "b".into()), (4, "{'c': 1, 'd': 2}".into())]);
        assert!(texts("\n").is_empty());
    }

    #[test]
    fn the_first_row_shows_what_parts_columns() {
        assert_eq!(separator_of("a\tb,c"), Separator::Byte(b'\t'));
        assert_eq!(separator_of("1 2\t3"), Separator::Blanks);
        assert_eq!(separator_of("a b {'c': 1, 'd': 2}"), Separator::Blanks);
        assert_eq!(separator_of("a;b"), Separator::Byte(b';'));
        assert_eq!(separator_of("a"), Separator::Byte(b','));
    }
}
