//! Reads and writes scenes, and other descriptions of models, as RON, and rewrites the parser's errors.

use std::ops::Range;

use ron::error::{Error, SpannedError};
use ron::extensions::Extensions;
use ron::ser::PrettyConfig;
use serde::de::DeserializeOwned;

use super::check::settings;
use super::description::{SceneEdge, SceneFile, SceneNode};
use super::error::{Fault, MAX_MISTAKES, SceneError, Source};
use super::layer::LayerDescription;
use super::locate::Position;
use super::renamed::choice;
use super::tokens::{Kind, Token, Tokens};
use crate::data::memory;
use crate::suggest::quote;

/// The deepest structs that are written on several lines; nodes and edges get one line.
const ONE_LINE: usize = 3;

/// The RON options of scene files: layers need no second pair of brackets, and optional values no `Some`.
pub fn options() -> ron::Options {
    ron::Options::default().with_default_extension(Extensions::UNWRAP_VARIANT_NEWTYPES | Extensions::IMPLICIT_SOME)
}

/// What a text describes.
pub(super) trait Description: DeserializeOwned {
    /// What is wrong with it by itself.
    fn faults(&self) -> Vec<Fault>;
}

impl Description for SceneFile {
    fn faults(&self) -> Vec<Fault> {
        settings::check_scene(self)
    }
}

/// Reads a scene, or another description, without checking what it means.
pub(super) fn read<D: Description>(source: &Source) -> Result<D, SceneError> {
    let (needed, available) = (values_in(source.text), memory::available());
    if needed > available {
        let [needed, available] = [needed, available].map(|bytes| bytes.div_ceil(1_000_000));
        let message = format!("the file needs {needed} MB of memory, but {available} MB are available");
        return Err(SceneError::unreadable(source.file, message, "put the graph into an npz file"));
    }
    options().from_str(source.text).map_err(|error| {
        let mut first = explain(source, &error);
        first.others = others::<D>(source, error);
        first
    })
}

/// What else is wrong with a text: what its parser finds once the mistakes before are taken out, as far as it is known where they
/// end.
fn others<D: Description>(source: &Source, first: SpannedError) -> Box<[SceneError]> {
    let (mut text, mut error, mut others) = (source.text.to_owned(), first, Vec::new());
    while others.len() + 1 < MAX_MISTAKES {
        let Some(range) = mistake(&text, &error).filter(|range| !range.is_empty()) else { break };
        // Letter by letter, so that all that follows stays where it is.
        let blank = |letter: char| if letter == '\n' { letter } else { ' ' };
        text = text[..range.start]
            .chars()
            .chain(text[range.clone()].chars().map(blank))
            .chain(text[range.end..].chars())
            .collect();
        match options().from_str::<D>(&text) {
            Ok(description) => {
                // Where layers were taken out it does not count that none is left.
                let faults = description.faults().into_iter().filter(|fault| !fault.is_at("model"));
                let errors = faults.map(|fault| {
                    let SceneError { position, message, help, .. } = Source { text: &text, ..*source }.locate(fault);
                    source.error(position, message, help)
                });
                others.extend(errors);
                others.sort_by_key(|error: &SceneError| error.position);
                others.truncate(MAX_MISTAKES - 1);
                break;
            }
            // It may be what was taken out.
            Err(SpannedError { code: Error::MissingStructField { .. }, .. }) => break,
            Err(next) => {
                others.push(explain(source, &next));
                error = next;
            }
        }
    }
    others.into()
}

/// The bytes of a mistake if it is known what belongs to it: an unknown field with its value, an unknown element of a list, or a
/// field with a value that is none for it.
fn mistake(text: &str, error: &SpannedError) -> Option<Range<usize>> {
    let is_name = matches!(error.code, Error::NoSuchStructField { .. });
    let is_value = matches!(
        error.code,
        Error::NoSuchEnumVariant { .. }
            | Error::ExpectedInteger
            | Error::IntegerOutOfBounds
            | Error::ExpectedFloat
            | Error::ExpectedBoolean
            | Error::ExpectedString
    );
    if !is_name && !is_value {
        return None;
    }
    let start = text.len() - after(text, position(&Source { file: "", text }, error)).len();
    // Not all at once, for a text may be long: the token at the mistake, and the two before it.
    let (mut tokens, mut before) = (Tokens::new(text), [None; 2]);
    let found = loop {
        match tokens.next()? {
            token if token.start >= start => break token,
            token => before = [before[1], Some(token)],
        }
    };
    let first: Token = match before[1].map(|token: Token| token.kind)? {
        Kind::Colon => before[0]?,
        Kind::Open | Kind::Comma if is_name || matches!(error.code, Error::NoSuchEnumVariant { .. }) => found,
        _ => return None,
    };
    let mut depth = 0_usize;
    for token in std::iter::once(found).chain(tokens) {
        match token.kind {
            Kind::Open => depth += 1,
            Kind::Comma if depth == 0 => return Some(first.start..token.start + token.written.len()),
            Kind::Close if depth == 0 => return Some(first.start..token.start),
            Kind::Close => depth -= 1,
            _ => {}
        }
    }
    None
}

/// An upper bound of the bytes that the values in a text take, with the graph that is made of them.
fn values_in(text: &str) -> usize {
    /// A list grows by doubling, and then the graph has what it holds once more.
    const COPIES: usize = 4;
    const ENTRY: usize =
        if size_of::<SceneNode>() > size_of::<SceneEdge>() { size_of::<SceneNode>() } else { size_of::<SceneEdge>() };
    let mut bytes = 0_usize;
    let mut tokens = Tokens::new(text).peekable();
    while let Some(token) = tokens.next() {
        let is_variant = || token.written.starts_with(char::is_uppercase);
        let taken = match token.kind {
            Kind::Open => ENTRY,
            Kind::Text => size_of::<String>() + token.written.len(),
            Kind::Word if tokens.peek().is_some_and(|next| next.kind == Kind::Colon) => 0,
            Kind::Word if is_variant() => size_of::<LayerDescription>(),
            Kind::Word => size_of::<f32>(),
            _ => 0,
        };
        bytes = bytes.saturating_add(COPIES * taken);
    }
    bytes
}

/// Writes a scene for people to read.
pub(super) fn write(scene: &SceneFile) -> Result<String, SceneError> {
    let layout = PrettyConfig::new().depth_limit(ONE_LINE);
    options().to_string_pretty(scene, layout).map_err(|error| {
        let message = format!("the scene cannot be written: {error}");
        SceneError::unreadable(&format!("scene {}", quote(&scene.name)), message, "report this as a bug")
    })
}

fn explain(source: &Source, error: &SpannedError) -> SceneError {
    let position = position(source, error);
    let rest = after(source.text, position);
    let start = source.text.len() - rest.len();
    if let Some((position, message, help)) = bracket_or_comma(source.text, &error.code, start) {
        return source.error(position, message.to_owned(), help.to_owned());
    }
    let (message, help) = words(&error.code, rest);
    source.error(position, message, help)
}

/// An error whose cause lies before the place where the parser found it, at byte `start`: a bracket that is not closed, or a
/// comma that is missing at the end of a line; or brackets after a name that has no settings.
fn bracket_or_comma(text: &str, error: &Error, start: usize) -> Option<(Position, &'static str, &'static str)> {
    let rest = &text[start..];
    let before = || Tokens::new(text).take_while(|token| token.start < start);
    if rest.trim().is_empty() && !matches!(error, Error::ExpectedStringEnd | Error::UnclosedBlockComment) {
        let open = innermost_open(before())?;
        let help = "close it where its content ends: the text ends before that";
        return Some((Position::of(text, open.start), "this bracket is not closed", help));
    }
    let last = (*error == Error::ExpectedComma).then(|| before().last())??;
    let end = last.start + last.written.len();
    match rest.starts_with('(') && last.kind == Kind::Word {
        true => Some((Position::of(text, start), "this takes no settings", "leave the brackets out")),
        false if text.get(end..start).is_some_and(|between| between.contains('\n')) => {
            Some((Position::of(text, end), "expected comma", "put a comma between values"))
        }
        false => None,
    }
}

/// The last bracket that is not closed.
fn innermost_open<'a>(tokens: impl Iterator<Item = Token<'a>>) -> Option<Token<'a>> {
    let mut open = Vec::new();
    for token in tokens {
        match token.kind {
            Kind::Open => open.push(token),
            Kind::Close => drop(open.pop()),
            _ => {}
        }
    }
    open.pop()
}

/// The position of an error: the parser is after a token that it rejects, and before one that it cannot start.
fn position(source: &Source, error: &SpannedError) -> Position {
    let behind = matches!(
        error.code,
        Error::NoSuchStructField { .. }
            | Error::NoSuchEnumVariant { .. }
            | Error::DuplicateStructField { .. }
            | Error::ExpectedDifferentStructName { .. }
            | Error::ExpectedStringEnd
            | Error::IntegerOutOfBounds
            | Error::InvalidValueForType { .. }
    );
    let place = if behind { error.span.start } else { error.span.end };
    let position = Position { line: place.line, column: place.col };
    if error.code == Error::IntegerOutOfBounds { before_sign(source.text, position) } else { position }
}

/// The position of a number's sign, which the parser has read when it examines the digits.
fn before_sign(text: &str, position: Position) -> Position {
    let before = Position { column: position.column.saturating_sub(1), ..position };
    if after(text, before).starts_with(['-', '+']) { before } else { position }
}

/// The text from a position on.
fn after(text: &str, position: Position) -> &str {
    let mut rest = text;
    for _ in 1..position.line {
        rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
    }
    rest.char_indices().nth(position.column.wrapping_sub(1)).map_or("", |(start, _)| &rest[start..])
}

/// What is wrong and what to do; `rest` is the text at the error.
fn words(error: &Error, rest: &str) -> (String, String) {
    match error {
        Error::NoSuchStructField { expected, found, outer } => {
            (format!("{} has no field {}", owner(outer), quote(found)), choice(found, expected, "fields"))
        }
        Error::NoSuchEnumVariant { expected, found, outer } => {
            let (one, several) = kind(outer);
            (format!("there is no {one} {}", quote(found)), choice(found, expected, several))
        }
        Error::MissingStructField { field, outer } => {
            (format!("{} lacks the field \"{field}\"", owner(outer)), format!("write `{field}: …` before this bracket"))
        }
        Error::DuplicateStructField { field, outer } => {
            (format!("{} has the field \"{field}\" twice", owner(outer)), "keep one of them".to_owned())
        }
        Error::ExpectedDifferentStructName { expected, found } => (
            format!("expected {expected}, but found {}", quote(found)),
            format!("write {expected}, or leave the name before the bracket out"),
        ),
        _ => {
            let (message, help) = plain_words(error, rest);
            (message.map_or_else(|| shortened(&error.to_string()), str::to_owned), help.to_owned())
        }
    }
}

/// Words that name nothing of the scene; without a message, the parser's own is good.
fn plain_words(error: &Error, rest: &str) -> (Option<&'static str>, &'static str) {
    match error {
        Error::UnclosedBlockComment => (None, "end the comment with `*/`"),
        Error::ExpectedStructLike | Error::ExpectedNamedStructLike(_) => {
            (None, "write what belongs to it in round brackets, as in GcnConv(width: 16)")
        }
        _ if rest.trim().is_empty() => {
            (Some("the text ends too early"), "close the brackets and strings that are open")
        }
        Error::ExpectedComma if rest.starts_with('.') => {
            (Some("expected a whole number"), "write a number such as 200")
        }
        Error::ExpectedComma => (None, "put a comma between values"),
        Error::ExpectedString => (None, "write text in double quotes"),
        Error::ExpectedStringEnd => (None, "end the text with a double quote"),
        Error::InvalidEscape(_) => (None, "write a backslash as two"),
        Error::ExpectedInteger | Error::InvalidIntegerDigit { .. } => (None, "write a whole number such as 200"),
        Error::IntegerOutOfBounds => {
            (Some("the number is out of range"), "write a whole number from 0 that fits the field")
        }
        Error::ExpectedFloat if starts_with_field(rest) => (None, "write the number alone, as in Dropout(0.5)"),
        Error::ExpectedFloat | Error::FloatUnderscore => (None, "write a number such as 0.5 or 5e-4"),
        Error::ExpectedBoolean => (None, "write true or false"),
        Error::ExpectedArray | Error::ExpectedArrayEnd => (None, "lists are written in square brackets: [a, b]"),
        Error::ExpectedStructLikeEnd | Error::ExpectedOptionEnd => {
            (None, "close the bracket here: nothing more belongs to it")
        }
        Error::ExpectedMapColon => (None, "write a colon between the name of a field and its value"),
        _ if rest.starts_with('#') => (Some("this is no value"), "comments begin with `//`"),
        Error::ExpectedIdentifier | Error::SuggestRawIdentifier(_) | Error::InvalidIdentifier(_) => (
            Some("expected a name"),
            "write a field as in `width: 16` or a variant as in `Relu`, or close the open bracket",
        ),
        Error::ExpectedDifferentLength { .. } => (None, "write as many values as it takes"),
        Error::TrailingCharacters => (None, "a file holds one description: remove what follows it"),
        Error::ExceededRecursionLimit => (Some("brackets are nested too deep"), "nothing needs that: remove brackets"),
        _ => (None, "see assets/cora.ron for a scene that reads well"),
    }
}

/// Whether a text begins with the name of a field.
fn starts_with_field(text: &str) -> bool {
    let mut tokens = Tokens::new(text).map(|token| token.kind);
    (tokens.next(), tokens.next()) == (Some(Kind::Word), Some(Kind::Colon))
}

/// What has fields, in the words of a scene.
fn owner(outer: &Option<String>) -> &str {
    match outer.as_deref() {
        Some("Scene") => "the scene",
        Some("Brain") => "the brain",
        Some("SceneNode") => "a node",
        Some("SceneEdge") => "an edge",
        Some("HeadDescription") => "a head",
        Some("NodeKindDescription") => "a kind",
        Some("RelationDescription") => "a relation",
        Some("Training" | "BrainTraining") => "the training",
        Some(layer) => layer,
        None => "this",
    }
}

/// What has variants, in the words of a scene, for one of them and for several.
fn kind(outer: &Option<String>) -> (&'static str, &'static str) {
    match outer.as_deref() {
        Some("LayerDescription") => ("layer", "layers"),
        Some("Optimizer") => ("optimizer", "optimizers"),
        Some("Task") => ("task", "tasks"),
        Some("Split") => ("split", "splits"),
        Some("GraphSource") => ("source of graphs", "sources"),
        Some("Selection") => ("choice of an epoch", "choices"),
        Some("Monitor") => ("measure to monitor", "measures"),
        Some("EpochSchedule") => ("schedule", "schedules"),
        _ => ("such value as", "values"),
    }
}

/// The parser's message in the style of ours: it may quote the file at any length.
fn shortened(message: &str) -> String {
    let mut letters = message.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(200);
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}
