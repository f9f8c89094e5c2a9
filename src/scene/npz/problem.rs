//! What can be wrong with a graph file.

use std::fmt::Display;

/// What is wrong with an `.npz` file of a graph, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {message}\n  help: {help}")]
pub struct GraphFileError {
    /// The file, as its reader named it.
    pub file: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: String,
}

/// What is wrong with a file, and what to do. The caller knows the name of the file and its place in the scene.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub message: String,
    pub help: String,
}

impl Problem {
    /// A problem of the whole file.
    pub fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into() }
    }

    /// A problem of one array.
    pub fn of(array: &str, what: impl Display, help: impl Into<String>) -> Self {
        Self::new(format!("array \"{array}\" {what}"), help)
    }

    /// The error to show, outside of a scene.
    pub fn of_file(self, file: impl Display) -> GraphFileError {
        GraphFileError { file: file.to_string(), message: self.message, help: self.help }
    }
}
