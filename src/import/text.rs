//! Text files to import.

use std::io::{self, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::Format;
use super::error::ImportError;
use crate::data::{memory, npz::open_file};
use crate::scene::Position;
use crate::suggest::quote;

/// A text takes at most this part of the memory: a node with a name of six letters takes up to two hundred bytes.
const PART_FOR_TEXT: usize = 32;

/// A text of which each character becomes a node takes at most this part.
const PART_FOR_LANGUAGE: usize = 512;

/// A matrix takes at most this part: it is kept, written and compressed.
const PART_FOR_MATRIX: usize = 8;

/// What gzip begins with, and UTF-8 never.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// A file that was read, and what it is called.
#[derive(Clone, Debug)]
pub(super) struct TextFile {
    file: String,
    pub text: String,
}

impl TextFile {
    /// Reads a plain file of UTF-8 or UTF-16, compressed by gzip or not. A byte order mark, which spreadsheets write, is
    /// left out.
    pub fn read(path: &Path) -> Result<Self, ImportError> {
        Self::read_with_comments(path, |_| false)
    }

    /// The same for a file in which lines are comments that may be in any encoding.
    pub fn read_with_comments(path: &Path, is_comment: fn(&[u8]) -> bool) -> Result<Self, ImportError> {
        let mut bytes = read_part(path, PART_FOR_TEXT)?;
        let file = path.display().to_string();
        if let Some(text) = decode_utf16(&bytes) {
            return Ok(Self { file, text });
        }
        for line in bytes.split_mut(|&byte| byte == b'\n').filter(|line| is_comment(line)) {
            if str::from_utf8(line).is_err() {
                line.iter_mut().filter(|byte| !byte.is_ascii()).for_each(|byte| *byte = b'?');
            }
        }
        let mut read = Self::of_utf8(file, bytes)?;
        if let Some(text) = read.text.strip_prefix('\u{feff}') {
            read.text = text.to_owned();
        }
        Ok(read)
    }

    /// Reads a file of UTF-8, compressed by gzip or not, of which a graph is made that takes far more memory. Nothing of it is
    /// left out.
    pub fn read_verbatim(path: &Path) -> Result<Self, ImportError> {
        Self::of_utf8(path.display().to_string(), read_part(path, PART_FOR_LANGUAGE)?)
    }

    fn of_utf8(file: String, bytes: Vec<u8>) -> Result<Self, ImportError> {
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Self { file, text }),
            Err(error) => {
                let (valid, bytes) = (error.utf8_error().valid_up_to(), error.into_bytes());
                // What comes before the first wrong byte is valid, so this loses nothing.
                let text = String::from_utf8_lossy(&bytes[..valid]).into_owned();
                let message = format!("byte {:#04x} at offset {valid} is not UTF-8", bytes[valid]);
                Err(Self { file, text }.error(valid, message, "save the file as UTF-8"))
            }
        }
    }

    /// An error about the text that begins at byte `offset`.
    pub fn error(&self, offset: usize, message: impl Into<String>, help: impl Into<String>) -> ImportError {
        ImportError {
            file: self.file.clone(),
            position: Some(Position::of(&self.text, offset)),
            message: message.into(),
            help: help.into(),
        }
    }

    /// An error about the whole file.
    pub fn error_of_file(&self, message: impl Into<String>, help: impl Into<String>) -> ImportError {
        ImportError::new(Path::new(&self.file), message, help)
    }
}

/// The bytes of a file, unpacked, if they take at most a part of the memory.
fn read_part(path: &Path, part: usize) -> Result<Vec<u8>, ImportError> {
    let limit = memory::available() / part;
    let bytes = read_bytes(path, limit as u64 + 1)
        .map_err(|error| ImportError::new(path, format!("the file cannot be read: {error}"), "check the path"))?;
    if bytes.len() > limit {
        let message = format!("the text is longer than {limit} bytes, too large for this machine");
        return Err(ImportError::new(path, message, "import a part of it, or use a larger machine"));
    }
    Ok(bytes)
}

/// At most so many bytes of a file, unpacked: a few packed ones may stand for any number of them.
fn read_bytes(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut file = open_file(path)?;
    let mut start = Vec::new();
    file.by_ref().take(GZIP.len() as u64).read_to_end(&mut start)?;
    let is_packed = start == GZIP;
    let whole = io::Cursor::new(start).chain(file);
    let reader: Box<dyn Read> = if is_packed { Box::new(MultiGzDecoder::new(whole)) } else { Box::new(whole) };
    let mut bytes = Vec::new();
    reader.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The text of bytes that begin with a byte order mark of UTF-16; none if they do not, or are malformed.
fn decode_utf16(bytes: &[u8]) -> Option<String> {
    let unit = match bytes {
        [0xff, 0xfe, ..] => u16::from_le_bytes,
        [0xfe, 0xff, ..] => u16::from_be_bytes,
        _ => return None,
    };
    let (units, rest) = bytes[2..].as_chunks::<2>();
    let text = char::decode_utf16(units.iter().map(|&bytes| unit(bytes))).collect::<Result<String, _>>();
    text.ok().filter(|_| rest.is_empty())
}

/// So many bytes show what a file is.
const ENOUGH: u64 = 4_096;

/// Whether the first two lines of a file cannot be edges of a table, nor its names of columns.
pub(super) fn is_prose(path: &Path) -> bool {
    let Ok(bytes) = read_bytes(path, ENOUGH) else { return false };
    // UTF-16 is what spreadsheets write.
    if decode_utf16(&bytes).is_some() {
        return false;
    }
    let text = String::from_utf8_lossy(&bytes);
    let rows = text.lines().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with(['#', '%']));
    let rows: Vec<&str> = rows.take(2).collect();
    match rows[..] {
        [] => true,
        // Of one line only numbers show that they are nodes.
        [row] => !is_edge(&fields_of(row)) || row.chars().any(char::is_alphabetic),
        [first, second, ..] => {
            let [first, second] = [first, second].map(fields_of);
            let has_header = first.len() == second.len() && super::edge_list::names_endpoints(&first);
            let are_edges = is_edge(&first) && is_edge(&second);
            !(has_header || are_edges)
        }
    }
}

/// The fields of a row as tables have them.
fn fields_of(row: &str) -> Vec<&str> {
    let row = row.trim_start_matches('\u{feff}');
    // What a dictionary of networkx holds does not count.
    let ends = row.split('{').next().unwrap_or_default();
    match ['\t', ',', ';'].into_iter().find(|mark| ends.contains(*mark)) {
        Some(mark) => row.split(mark).map(str::trim).collect(),
        None => row.split_whitespace().collect(),
    }
}

/// Whether fields may be an edge, perhaps with a weight or a dictionary.
fn is_edge(fields: &[&str]) -> bool {
    match fields {
        [] | [_] => false,
        [_, _] => true,
        [_, _, third, ..] => third.starts_with('{') || third.parse::<f64>().is_ok(),
    }
}

/// The format that the first bytes of a file show, if they do.
pub(super) fn guess_format(path: &Path) -> Option<Format> {
    let bytes = read_bytes(path, ENOUGH).ok()?;
    if bytes.starts_with(b"PK\x03\x04") {
        return Some(Format::Npz);
    }
    let text = String::from_utf8_lossy(&bytes);
    if text.contains("<graphml") {
        return Some(Format::GraphMl);
    }
    if text.contains("<gexf") {
        return Some(Format::Gexf);
    }
    let is_problem = |line: &str| {
        let mut words = line.split_whitespace();
        words.next() == Some("p") && words.next().is_some_and(|kind| super::dimacs::KINDS.contains(&kind))
    };
    text.lines().any(is_problem).then_some(Format::Dimacs)
}

/// A finite number, or what is wrong with its text.
pub(super) fn parse_number(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(number) if number.is_finite() => Ok(number),
        Ok(number) => Err(format!("{} is {number} as an f32, which is not finite", quote(text))),
        Err(_) => Err(format!("{} is no number", quote(text))),
    }
}

/// Checks that a matrix of so many numbers, which may be far more than a file has bytes, fits into memory.
pub(super) fn fits(rows: usize, width: usize) -> Result<(), String> {
    let limit = memory::available() / PART_FOR_MATRIX;
    match rows.checked_mul(width).and_then(|count| count.checked_mul(size_of::<f32>())) {
        Some(bytes) if bytes <= limit => Ok(()),
        _ => Err(format!("{rows} rows of {width} numbers are too large for this machine")),
    }
}
