//! What can be wrong with a graph file.

use std::fmt::Display;

/// What is wrong with a file, and what to do. The caller knows the name of the file and its place in the scene.
#[derive(Clone, Debug)]
pub(in crate::scene) struct Problem {
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
}
