//! Writing with as few parentheses as possible.

use std::borrow::Cow;

use super::{Operation, Term, Terms};

/// A term is too long to be written without sharing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "written out, the term would have {nodes} operations, numbers and symbols, and at most {} are written; use its graph",
    Terms::MAX_WRITTEN
)]
pub struct TooLongError {
    /// How many operations, numbers and symbols it has; at most `u64::MAX`.
    pub nodes: u64,
}

/// How tightly an operation binds its operands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Precedence {
    /// Anything.
    Lowest,
    /// `+` and `-`.
    Sum,
    /// `*` and `/`.
    Product,
    /// `-` before a term.
    Sign,
    /// `**`.
    Power,
    /// What needs no parentheses.
    Atom,
}

/// A part of what is written.
pub(super) enum Piece<'a> {
    Text(Cow<'a, str>),
    /// A term, in parentheses unless it binds as tightly.
    Term(Term, Precedence),
}

impl<'a, T: Into<Cow<'a, str>>> From<T> for Piece<'a> {
    fn from(text: T) -> Self {
        Self::Text(text.into())
    }
}

/// A way of writing terms.
pub(super) trait Notation {
    /// The parentheses.
    const PARENTHESES: [&str; 2];

    /// What is written for an operation over operands, and how tightly it binds.
    fn pieces<'a>(&self, operation: &'a Operation, operands: &[Term]) -> (Precedence, Vec<Piece<'a>>);
}

impl Terms {
    /// The most operations, numbers and symbols of a term that is written.
    pub const MAX_WRITTEN: u64 = 1 << 24;

    /// Fails if the term is too long without sharing.
    #[track_caller]
    pub(super) fn check_length(&self, term: Term) -> Result<(), TooLongError> {
        let nodes = self.dag(term).tree_size();
        if nodes > Self::MAX_WRITTEN { Err(TooLongError { nodes }) } else { Ok(()) }
    }

    /// Writes a term.
    #[track_caller]
    pub(super) fn write<N: Notation>(&self, term: Term, notation: &N) -> Result<String, TooLongError> {
        self.check_length(term)?;
        let (mut text, mut operands) = (String::new(), Vec::new());
        let mut rest = vec![Piece::Term(term, Precedence::Lowest)];
        while let Some(piece) = rest.pop() {
            let (term, around) = match piece {
                Piece::Text(piece) => {
                    text.push_str(&piece);
                    continue;
                }
                Piece::Term(term, around) => (term, around),
            };
            operands.clear();
            operands.extend(self.operands(term));
            let (precedence, pieces) = notation.pieces(self.operation(term), &operands);
            let [open, close] = if precedence < around { N::PARENTHESES } else { ["", ""] };
            text.push_str(open);
            rest.push(close.into());
            rest.extend(pieces.into_iter().rev());
        }
        Ok(text)
    }
}

/// The operands of a function, with commas between them.
pub(super) fn list<'a>(operands: &[Term]) -> impl Iterator<Item = Piece<'a>> {
    let separated = |(index, operand): (usize, &Term)| {
        let comma = (index > 0).then(|| ", ".into());
        comma.into_iter().chain([Piece::Term(*operand, Precedence::Lowest)])
    };
    operands.iter().enumerate().flat_map(separated)
}
