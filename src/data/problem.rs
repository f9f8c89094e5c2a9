//! Errors of graph files.

use std::fmt::Display;

/// An error of a graph file, with a suggested fix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {message}\n  help: {help}")]
pub struct GraphFileError {
    /// The path of the file.
    pub file: String,
    /// What is wrong.
    pub message: String,
    /// How to fix it.
    pub help: String,
}

/// An error of a file, with a suggested fix; the caller adds the name of the file and its position in the scene.
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

    /// The same of an array that is called so for a kind of nodes or for a relation.
    pub fn in_part(self, part: &str) -> Self {
        let array = self.message.strip_prefix("array \"").and_then(|rest| rest.split_once('"'));
        match array {
            Some((array, what)) => Self { message: format!("array \"{array}.{part}\"{what}"), help: self.help },
            None => self,
        }
    }

    /// The error to show, outside of a scene.
    pub fn of_file(self, file: impl Display) -> GraphFileError {
        GraphFileError { file: file.to_string(), message: self.message, help: self.help }
    }
}
