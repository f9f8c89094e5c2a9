//! Errors that show the place in the text.

/// A text is no term: where, what stands there, what is expected, and what to do.
///
/// ```text
/// 1:2: found "x", expected an operator or the end
///   help: write 2*x
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: found {found}, expected {expected}\n  help: {help}")]
pub struct SyntaxError {
    /// The byte of the text.
    pub offset: usize,
    /// Its line, counted from 1.
    pub line: usize,
    /// Its column in characters, counted from 1.
    pub column: usize,
    /// What stands there.
    pub found: String,
    /// What is expected there.
    pub expected: String,
    /// What to do about it.
    pub help: String,
}

impl SyntaxError {
    /// An error at a byte of a text; an empty word is the end of the text.
    pub(crate) fn new(
        text: &str,
        offset: usize,
        word: &str,
        expected: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        let (line, column) = position(text, offset);
        let found = if word.is_empty() { "the end".to_owned() } else { quote(word) };
        let help = help.into();
        // Names in it may be of any length.
        let end = help.char_indices().nth(200).map_or(help.len(), |(end, _)| end);
        Self { offset, line, column, found, expected: expected.into(), help: help[..end].to_owned() }
    }
}

/// Line and column of a byte, in characters and counted from 1.
pub(crate) fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..offset];
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
    (line, 1 + text[start..offset].chars().count())
}

/// `text` in quotes, control characters escaped and cut if it is long.
pub(crate) fn quote(text: &str) -> String {
    match text.char_indices().nth(40) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}…", &text[..end]),
    }
}
