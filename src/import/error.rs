//! Errors that show the place in the file.

use std::path::Path;

use crate::data::GraphFileError;
use crate::scene::Position;

/// What is wrong with a file to import, where, and what to do.
///
/// ```text
/// nodes.csv:3:9: "red" is no number, but the column "color" holds features
///   help: write a number, or take the column out
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}{}: {message}\n  help: {help}", place(*position))]
pub struct ImportError {
    /// The file.
    pub file: String,
    /// Where in the file; none if it is about the whole file, or the file is no text.
    pub position: Option<Position>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: String,
}

impl ImportError {
    /// An error of a whole file.
    pub(super) fn new(path: &Path, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { file: path.display().to_string(), position: None, message: message.into(), help: help.into() }
    }
}

impl From<GraphFileError> for ImportError {
    fn from(error: GraphFileError) -> Self {
        Self { file: error.file, position: None, message: error.message, help: error.help }
    }
}

fn place(position: Option<Position>) -> String {
    position.map_or_else(String::new, |position| format!(":{}:{}", position.line, position.column))
}
