//! Terms before and after, a line each.

use std::{borrow::Cow, path::Path};

use serde::{Deserialize, Serialize};

use super::{SyntaxError, Term, Terms, TooLongError};
use crate::{RecordError, Records};

/// A term and what it becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TermPair {
    /// The term before.
    pub source: Term,
    /// The term after.
    pub target: Term,
}

/// A line of JSON is no pair of terms.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// It is no JSON with both.
    #[error("{0}\n  help: write {{\"source\": \"add x 0\", \"target\": \"x\"}}")]
    Json(#[from] serde_json::Error),
    /// One of them is no prefix notation; places are those in the text of the field.
    #[error("{field}:{source}")]
    Syntax {
        /// `source` or `target`.
        field: &'static str,
        /// What is wrong.
        source: SyntaxError,
    },
}

#[derive(Deserialize, Serialize)]
struct Line<'a> {
    #[serde(borrow)]
    source: Cow<'a, str>,
    #[serde(borrow)]
    target: Cow<'a, str>,
    #[serde(default)]
    depth: u32,
}

impl TermPair {
    /// Reads a line: `{"source": "add x 0", "target": "x"}`, both in prefix notation. Other fields are passed over.
    ///
    /// ```
    /// use connectome_languages::mathematics::{TermPair, Terms};
    ///
    /// let mut terms = Terms::default();
    /// let pair = TermPair::read(&mut terms, r#"{"source": "add x 0", "target": "x", "depth": 1}"#)?;
    /// assert_eq!(terms.infix(pair.source)?, "x + 0");
    /// assert_eq!(pair.write(&terms)?, r#"{"source":"add x 0","target":"x","depth":1}"#);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the line is no JSON with both, or one of them is no term.
    pub fn read(terms: &mut Terms, line: &str) -> Result<Self, PairError> {
        let line: Line = serde_json::from_str(line)?;
        let mut read =
            |field, text: &str| terms.read_prefix(text).map_err(|source| PairError::Syntax { field, source });
        Ok(Self { source: read("source", &line.source)?, target: read("target", &line.target)? })
    }

    /// Reads the pairs of a file, a line each, which may be compressed by gzip.
    ///
    /// # Errors
    /// If the file cannot be read, or a line is no pair.
    pub fn read_file(terms: &mut Terms, path: &Path) -> Result<Vec<Self>, RecordError> {
        let mut records = Records::open(path)?;
        let next = || records.next_with(|line| Self::read(terms, line).map_err(|error| error.to_string()));
        std::iter::from_fn(next).collect()
    }

    /// Writes a line, with the depth of the source, as [`read`](Self::read) reads it.
    ///
    /// # Errors
    /// If a term is too long without sharing.
    ///
    /// # Panics
    /// If the pair is not of these terms.
    #[track_caller]
    pub fn write(&self, terms: &Terms) -> Result<String, TooLongError> {
        let [source, target] = [terms.prefix(self.source)?.into(), terms.prefix(self.target)?.into()];
        let line = Line { source, target, depth: terms.dag(self.source).depth() };
        Ok(serde_json::to_string(&line).unwrap_or_else(|error| unreachable!("{error}")))
    }
}
