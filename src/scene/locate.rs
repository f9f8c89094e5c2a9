//! Finds the position of a value in RON text, for errors: scenes are plain data without positions.

use super::tokens::{Kind, Token, Tokens};

/// A position in a text, counted from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line.
    pub line: usize,
    /// Character in the line.
    pub column: usize,
}

impl Position {
    /// The start of a text.
    pub const START: Self = Self { line: 1, column: 1 };

    /// The position of byte `offset` of `text`; the end of the text if it is beyond, or not the start of a character.
    pub fn of(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        Self { line: before.matches('\n').count() + 1, column: before[start..].chars().count() + 1 }
    }
}

/// One step of a path to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// To a named field of a struct.
    Field(&'a str),
    /// To an element of a list or tuple, or to the content of a variant, counted from 0.
    Index(usize),
    /// To an entry of a map, by the place of its key among all keys in alphabetical order.
    Ranked(usize),
}

/// The start of the value at `path`; none if there is no such value.
///
/// Each byte is read once and nothing recurses, so any text and any nesting is safe; text that is not RON gives some
/// position or none.
///
/// ```
/// use connectome::scene::{Position, Step, locate};
///
/// let text = "(graph: Inline(\n  edges: [(source: \"a\")]))";
/// let path = [Step::Field("graph"), Step::Field("edges"), Step::Index(0), Step::Field("source")];
/// assert_eq!(locate(text, &path), Some(Position { line: 2, column: 20 }));
/// ```
pub fn locate(text: &str, path: &[Step]) -> Option<Position> {
    let mut walk = Walk::new(text);
    for step in path {
        walk.enter()?;
        match *step {
            Step::Field(name) => walk.go_to_field(name)?,
            Step::Index(index) => walk.go_to_element(index)?,
            Step::Ranked(rank) => walk.go_to_ranked(rank)?,
        }
    }
    walk.token.map(|token| Position::of(text, token.start))
}

/// Like [`locate`], but if the path ends early, the last value that was found: a missing field is reported at the value
/// it is missing from.
pub(super) fn locate_nearest(text: &str, path: &[Step]) -> Position {
    let found = (0..=path.len()).rev().find_map(|length| locate(text, &path[..length]));
    found.unwrap_or(Position::START)
}

/// A walk over tokens; `token` is the first of the present value.
#[derive(Clone)]
struct Walk<'a> {
    tokens: Tokens<'a>,
    token: Option<Token<'a>>,
}

impl<'a> Walk<'a> {
    /// Starts at the outermost value, after attributes such as `#![enable(implicit_some)]`.
    fn new(text: &'a str) -> Self {
        let mut tokens = Tokens::new(text);
        let token = tokens.next();
        let mut walk = Self { tokens, token };
        while walk.token.is_some_and(|token| token.written.starts_with('#')) {
            walk.skip_attribute();
        }
        walk
    }

    fn advance(&mut self) {
        self.token = self.tokens.next();
    }

    fn stands_at(&self, kind: Kind) -> bool {
        self.token.is_some_and(|token| token.kind == kind)
    }

    fn skip_attribute(&mut self) {
        while self.token.is_some() && !self.stands_at(Kind::Open) {
            self.advance();
        }
        self.skip_brackets();
    }

    /// Skips the present brackets and their contents.
    fn skip_brackets(&mut self) {
        let mut depth = 0_usize;
        while let Some(token) = self.token {
            match token.kind {
                Kind::Open => depth += 1,
                Kind::Close => depth = depth.saturating_sub(1),
                _ => {}
            }
            self.advance();
            if depth == 0 {
                return;
            }
        }
    }

    /// Skips the value, to the comma or bracket after it.
    fn skip_value(&mut self) {
        while let Some(token) = self.token {
            match token.kind {
                Kind::Comma | Kind::Close => return,
                Kind::Open => self.skip_brackets(),
                _ => self.advance(),
            }
        }
    }

    /// Skips the key of an entry and the name of a struct or variant, and enters its brackets.
    fn enter(&mut self) -> Option<()> {
        if self.stands_at(Kind::Text) {
            self.advance();
            if self.stands_at(Kind::Colon) {
                self.advance();
            }
        }
        if self.stands_at(Kind::Word) {
            self.advance();
        }
        self.stands_at(Kind::Open).then(|| self.advance())
    }

    /// Moves to the next value in the brackets.
    fn go_to_next(&mut self) -> Option<()> {
        self.skip_value();
        self.stands_at(Kind::Comma).then(|| self.advance())
    }

    fn go_to_element(&mut self, index: usize) -> Option<()> {
        for _ in 0..index {
            self.go_to_next()?;
        }
        (self.token.is_some() && !self.stands_at(Kind::Close)).then_some(())
    }

    fn go_to_ranked(&mut self, rank: usize) -> Option<()> {
        let (mut walk, mut keys) = (self.clone(), Vec::new());
        while let Some(key) = walk.token.filter(|token| token.kind == Kind::Text) {
            keys.push((key.written.trim_matches('"'), keys.len()));
            if walk.go_to_next().is_none() {
                break;
            }
        }
        keys.sort_unstable();
        self.go_to_element(keys.get(rank)?.1)
    }

    fn go_to_field(&mut self, name: &str) -> Option<()> {
        loop {
            let written = self.token?.written;
            let here = written.strip_prefix("r#").unwrap_or(written) == name;
            self.advance();
            if here && self.stands_at(Kind::Colon) {
                self.advance();
                return Some(());
            }
            self.go_to_next()?;
        }
    }
}
