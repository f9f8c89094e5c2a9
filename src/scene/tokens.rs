//! Cuts RON text into tokens, only as fine as finding a place in it needs.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `(`, `[` or `{`.
    Open,
    /// `)`, `]` or `}`.
    Close,
    /// `,`.
    Comma,
    /// `:`.
    Colon,
    /// A name or a number.
    Word,
    /// A string or a character.
    Text,
    /// Anything else.
    Other,
}

/// A token and where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'a> {
    /// What it is.
    pub kind: Kind,
    /// Its first byte in the text.
    pub start: usize,
    /// How it is written.
    pub written: &'a str,
}

/// The tokens of a text that need not be valid RON; blanks and comments are left out.
#[derive(Clone, Debug)]
pub(super) struct Tokens<'a> {
    text: &'a str,
    position: usize,
}

impl<'a> Tokens<'a> {
    /// All tokens of `text`.
    pub fn new(text: &'a str) -> Self {
        Self { text, position: 0 }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.position..).unwrap_or_default()
    }

    fn skip_blanks(&mut self) {
        loop {
            let rest = self.rest();
            let length = if rest.starts_with("//") {
                rest.find('\n').unwrap_or(rest.len())
            } else if rest.starts_with("/*") {
                block_comment(rest)
            } else {
                rest.find(|letter| !is_blank(letter)).unwrap_or(rest.len())
            };
            if length == 0 {
                return;
            }
            self.position += length;
        }
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        self.skip_blanks();
        let rest = self.rest();
        let first = rest.chars().next()?;
        let (kind, length) = match first {
            '(' | '[' | '{' => (Kind::Open, 1),
            ')' | ']' | '}' => (Kind::Close, 1),
            ',' => (Kind::Comma, 1),
            ':' => (Kind::Colon, 1),
            '"' => (Kind::Text, quoted(rest, 1, '"')),
            '\'' => (Kind::Text, character(rest, 1)),
            _ => prefixed(rest).map_or_else(|| word(rest, first), |length| (Kind::Text, length)),
        };
        let start = self.position;
        self.position += length;
        Some(Token { kind, start, written: &rest[..length] })
    }
}

/// The blanks of RON, which are those of Rust.
fn is_blank(letter: char) -> bool {
    matches!(
        letter,
        ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}'
    )
}

/// Length of the block comment at the start of `rest`; comments nest.
fn block_comment(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let (mut depth, mut at) = (0_usize, 0);
    while at < bytes.len() {
        match bytes[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    bytes.len()
}

/// Length up to and with the `quote` that closes the text which opened before byte `from`.
fn quoted(rest: &str, from: usize, quote: char) -> usize {
    let mut letters = rest[from..].char_indices();
    while let Some((at, letter)) = letters.next() {
        if letter == quote {
            return from + at + 1;
        }
        if letter == '\\' {
            letters.next();
        }
    }
    rest.len()
}

/// Length of a character literal whose quote opened before byte `from`. Its letter may itself be a quote.
fn character(rest: &str, from: usize) -> usize {
    match rest[from..].chars().next() {
        Some(letter) if letter != '\\' => quoted(rest, from + letter.len_utf8(), '\''),
        _ => quoted(rest, from, '\''),
    }
}

/// Length of a raw or byte literal, such as `r#"…"#` or `b'…'`, if `rest` starts with one.
fn prefixed(rest: &str) -> Option<usize> {
    if let Some(literal) = rest.strip_prefix('b') {
        if literal.starts_with('\'') {
            return Some(character(rest, 2));
        }
        if literal.starts_with('"') {
            return Some(quoted(rest, 2, '"'));
        }
    }
    let prefix = if rest.starts_with("br") { 2 } else { usize::from(rest.starts_with('r')) };
    let hashes = rest[prefix..].bytes().take_while(|&byte| byte == b'#').count();
    let body = prefix + hashes + 1;
    if prefix == 0 || rest.as_bytes().get(body - 1) != Some(&b'"') {
        return None;
    }
    let end = format!("\"{}", &rest[prefix..prefix + hashes]);
    Some(rest[body..].find(&end).map_or(rest.len(), |at| body + at + end.len()))
}

/// A name or a number, as long as it goes; or one letter of something else.
fn word(rest: &str, first: char) -> (Kind, usize) {
    let is_part = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '+' | '-' | '.' | '#');
    match rest.find(|letter| !is_part(letter)).unwrap_or(rest.len()) {
        0 => (Kind::Other, first.len_utf8()),
        length => (Kind::Word, length),
    }
}
