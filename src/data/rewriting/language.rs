//! What the labels of graphs that are rewritten stand for.

use connectome_languages::{
    LanguageGraph, OrderedDag, Vocabulary,
    mathematics::{Operation, Terms},
    rewriting::{InvalidRewrite, Rewrite},
    text::{Alphabet, Inflection, TextGraph, TextOptions},
};
use std::fmt::Display;
use thiserror::Error;

use super::RewritePair;
use crate::suggest::{nearest, quote};

/// What the labels of graphs stand for, those that occur in training first, and how slots become a graph.
#[derive(Clone, Debug)]
pub enum RewriteLanguage {
    /// Terms of mathematics.
    Terms {
        /// What the labels stand for.
        terms: Terms,
        /// The label of the symbol that has a meaning, such as the variable of a derivative; all others are interchangeable.
        variable: Option<u32>,
    },
    /// Words as sequences of characters, of which a form is asked for by tags.
    Words {
        /// The characters that can be written.
        alphabet: Alphabet,
        /// The tags that occur in training.
        tags: Vocabulary,
    },
}

/// What is rewritten cannot be read or written as text.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RewriteTextError {
    /// A source is wrong.
    #[error("{text}\n{message}")]
    Source {
        /// The source.
        text: String,
        /// What is wrong with it, and what to do about it.
        message: String,
    },
    /// A result cannot be written.
    #[error("the result cannot be written: {0}")]
    Result(String),
}

impl RewriteLanguage {
    /// The tags by which something is asked for.
    pub fn tags(&self) -> Option<&Vocabulary> {
        match self {
            Self::Terms { .. } => None,
            Self::Words { tags, .. } => Some(tags),
        }
    }

    /// Reads a source as people write it: a term in infix notation, or a lemma with its tags, such as `Haus N;DAT;PL`.
    ///
    /// # Errors
    /// If it cannot be read, or a tag does not occur in training.
    pub fn read(&mut self, text: &str) -> Result<RewritePair, RewriteTextError> {
        let wrong =
            |error: &dyn Display| RewriteTextError::Source { text: text.to_owned(), message: error.to_string() };
        match self {
            Self::Terms { terms, .. } => {
                let term = terms.read_infix(text).map_err(|error| wrong(&error))?;
                Ok(RewritePair { source: terms.dag(term), ..RewritePair::default() })
            }
            Self::Words { alphabet, tags } => {
                let word = Inflection::without_form(text).map_err(|error| wrong(&error))?;
                let (known, unknown) = known_tags(tags, &word);
                if let Some(tag) = unknown.first() {
                    let nearest = nearest(tag, tags.names());
                    let help = nearest
                        .map_or_else(|| "write one of the data".to_owned(), |tag| format!("did you mean {tag}?"));
                    return Err(wrong(&format!("the tag {} does not occur in training; {help}", quote(tag))));
                }
                Ok(RewritePair { source: alphabet.sequence(&word.lemma), tags: known, ..RewritePair::default() })
            }
        }
    }

    /// Writes a result as people do.
    ///
    /// # Errors
    /// If it cannot be written, as a term that is too long.
    pub fn write(&mut self, result: &OrderedDag) -> Result<String, RewriteTextError> {
        let wrong = |error: &dyn Display| RewriteTextError::Result(error.to_string());
        match self {
            Self::Terms { terms, .. } => {
                let term = terms.of_dag(result).map_err(|error| wrong(&error))?;
                terms.infix(term).map_err(|error| wrong(&error))
            }
            Self::Words { alphabet, .. } => Ok(alphabet.word(result)),
        }
    }

    /// The graph of a source or a result, to be drawn.
    ///
    /// # Errors
    /// If it is no graph of the language.
    pub fn graph(&mut self, dag: &OrderedDag) -> Result<LanguageGraph, RewriteTextError> {
        let wrong = |error: &dyn Display| RewriteTextError::Result(error.to_string());
        match self {
            Self::Terms { terms, .. } => {
                let term = terms.of_dag(dag).map_err(|error| wrong(&error))?;
                Ok(terms.graph(term))
            }
            Self::Words { alphabet, .. } => {
                let graph = TextGraph::new(&alphabet.word(dag), &TextOptions::default());
                graph.map(TextGraph::into_graph).map_err(|error| wrong(&error))
            }
        }
    }

    /// What slots make of a source.
    pub(super) fn decode(&self, source: &OrderedDag, rewrite: &Rewrite) -> Result<OrderedDag, InvalidRewrite> {
        match self {
            Self::Terms { .. } => rewrite.decode(source),
            Self::Words { .. } => Ok(rewrite.concatenate(source)),
        }
    }

    /// Whether a label is a name that any other one could stand for, as far as a model can know.
    pub(super) fn is_interchangeable(&self, label: u32) -> bool {
        match self {
            Self::Terms { terms, variable } => {
                let operation = terms.operations().get(label as usize);
                matches!(operation, Some(Operation::Symbol(_))) && *variable != Some(label)
            }
            Self::Words { alphabet, .. } => !alphabet.markers().contains(&label),
        }
    }

    /// One interchangeable label in this number is hidden in training.
    pub(super) fn hidden_one_in(&self) -> u64 {
        match self {
            Self::Terms { .. } => 4,
            // Most characters are known and matter.
            Self::Words { .. } => 100,
        }
    }
}

/// The numbers of the tags of a word, in order and each once, and those that have none.
pub(crate) fn known_tags<'a>(tags: &Vocabulary, word: &'a Inflection) -> (Vec<u32>, Vec<&'a str>) {
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for tag in &word.tags {
        match tags.index(tag) {
            Some(number) => known.push(number),
            None => unknown.push(tag.as_str()),
        }
    }
    known.sort_unstable();
    known.dedup();
    (known, unknown)
}
