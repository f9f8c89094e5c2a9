//! Errors that show the place in the scene file.

use super::locate::{Position, Step, locate_nearest};

/// Most characters of a source line that an error shows.
const EXCERPT: usize = 120;

/// What is wrong with a scene, where, and what to do.
///
/// ```text
/// assets/x.ron:12:17: edge 3 names the source "Bob", but no node has that name
///   help: did you mean "Rob"?
///    |
/// 12 |        (source: "Bob", target: "Ann"),
///    |                 ^
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{}:{}: {message}\n  help: {help}{excerpt}", position.line, position.column)]
pub struct SceneError {
    /// The scene file, as its reader named it.
    pub file: String,
    /// Where in the file.
    pub position: Position,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: String,
    excerpt: String,
}

impl SceneError {
    /// An error of a file that could not be read at all.
    pub(super) fn unreadable(file: &str, message: String, help: &str) -> Self {
        Source { file, text: "" }.error(Position::START, message, help.to_owned())
    }
}

/// The text of a scene, and what its file is called.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'a> {
    pub file: &'a str,
    pub text: &'a str,
}

impl Source<'_> {
    /// An error at a known position.
    pub fn error(&self, position: Position, message: String, help: String) -> SceneError {
        SceneError { file: self.file.to_owned(), position, message, help, excerpt: excerpt(self.text, position) }
    }

    /// Looks up where the fault lies.
    pub fn locate(&self, fault: Fault) -> SceneError {
        self.error(locate_nearest(self.text, &fault.path), fault.message, fault.help)
    }
}

/// An error that knows which value of the scene it is about, but not yet where that is written.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    path: Vec<Step<'static>>,
    message: String,
    help: String,
}

impl Fault {
    /// What is wrong with the value at the end of `path`, and what to do.
    pub fn new(path: impl Into<Vec<Step<'static>>>, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into(), help: help.into() }
    }
}

/// The line a position is in and a caret under the place, each on a new line; nothing if the line is blank.
fn excerpt(text: &str, position: Position) -> String {
    let line = text.split('\n').nth(position.line - 1).unwrap_or_default();
    let caret = position.column - 1;
    // Of a line without end, only the surroundings of the caret are shown.
    let fits = line.chars().nth(EXCERPT).is_none();
    let skipped = if fits { 0 } else { caret.saturating_sub(EXCERPT / 2) };
    let shown: String = line.chars().skip(skipped).take(EXCERPT).map(printable).collect();
    if shown.trim().is_empty() {
        return String::new();
    }
    let number = position.line.to_string();
    let (margin, before) = (" ".repeat(number.len()), " ".repeat(caret - skipped));
    format!("\n{margin} |\n{number} | {}\n{margin} | {before}^", shown.trim_end())
}

/// Tabs and control characters would move the caret, or worse, the terminal.
fn printable(letter: char) -> char {
    if letter.is_control() { ' ' } else { letter }
}
