//! Errors of scenes, with their position in the file.

use super::locate::{Position, Step, locate_nearest};

/// The most characters of a source line that an error shows.
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
#[error("{file}:{}:{}: {message}\n  help: {help}{excerpt}{}", position.line, position.column, listed(others))]
pub struct SceneError {
    /// The path of the scene file.
    pub file: String,
    /// Where in the file.
    pub position: Position,
    /// What is wrong.
    pub message: String,
    /// How to fix it.
    pub help: String,
    /// What else is wrong with the scene, as far as it can be told without guessing; shown below.
    pub others: Box<[SceneError]>,
    excerpt: Box<str>,
}

/// The most mistakes of a scene that are told at once.
pub(super) const MAX_MISTAKES: usize = 10;

fn listed(others: &[SceneError]) -> String {
    others.iter().map(|other| format!("\n{other}")).collect()
}

impl SceneError {
    /// An error of a file that could not be read at all.
    pub(super) fn unreadable(file: &str, message: String, help: &str) -> Self {
        Source { file, text: "" }.error(Position::START, message, help.to_owned())
    }
}

/// The text of a scene, and the name of its file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'a> {
    pub file: &'a str,
    pub text: &'a str,
}

impl Source<'_> {
    /// An error at a known position.
    pub fn error(&self, position: Position, message: String, help: String) -> SceneError {
        let (file, excerpt) = (self.file.to_owned(), excerpt(self.text, position).into());
        SceneError { file, position, message, help, others: Box::default(), excerpt }
    }

    /// Finds the positions of faults, of which there is one at least; the first in the text comes first.
    pub fn locate_all(&self, faults: Faults) -> SceneError {
        let mut errors: Vec<SceneError> = faults.0.into_iter().map(|fault| self.locate(fault)).collect();
        errors.sort_by_key(|error| error.position);
        errors.truncate(MAX_MISTAKES);
        let mut errors = errors.into_iter();
        let none = || self.error(Position::START, "the scene is wrong".to_owned(), "report this as a bug".to_owned());
        let first = errors.next().unwrap_or_else(none);
        SceneError { others: errors.collect(), ..first }
    }

    /// Finds the position of a fault.
    pub fn locate(&self, fault: Fault) -> SceneError {
        self.error(locate_nearest(self.text, &fault.path), fault.message, fault.help)
    }
}

/// All that is wrong with a scene, as far as it is known.
#[derive(Clone, Debug)]
pub(super) struct Faults(pub Vec<Fault>);

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Self(vec![fault])
    }
}

/// An error of a value of the scene, without its position in the file.
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

    /// Whether it is of a whole field of the scene.
    pub fn is_at(&self, field: &str) -> bool {
        self.path == [Step::Field(field)]
    }
}

/// The line a position is in and a caret under the place, each on a new line; nothing if the line is blank.
fn excerpt(text: &str, position: Position) -> String {
    let line = text.split('\n').nth(position.line - 1).unwrap_or_default();
    let caret = position.column - 1;
    // Of a long line only the surroundings of the caret are shown.
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
