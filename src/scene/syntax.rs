//! Reads and writes scene files as RON, and rewrites the parser's errors.

use ron::error::{Error, SpannedError};
use ron::extensions::Extensions;
use ron::ser::PrettyConfig;

use super::description::SceneFile;
use super::error::{SceneError, Source};
use super::locate::Position;
use super::suggest::{nearest, quote};

/// The deepest structs that are written on several lines; nodes and edges get one line.
const ONE_LINE: usize = 3;

/// The RON options of scene files: layers need no second pair of brackets, and optional values no `Some`.
pub fn options() -> ron::Options {
    ron::Options::default().with_default_extension(Extensions::UNWRAP_VARIANT_NEWTYPES | Extensions::IMPLICIT_SOME)
}

/// Reads a scene without checking what it means.
pub(super) fn read(source: &Source) -> Result<SceneFile, SceneError> {
    options().from_str(source.text).map_err(|error| explain(source, &error))
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
    let (message, help) = words(&error.code, rest);
    source.error(position, message, help)
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
            (format!("{} has no field {}", thing(outer), quote(found)), choice(found, expected, "fields"))
        }
        Error::NoSuchEnumVariant { expected, found, outer } => {
            (format!("{} has no variant {}", thing(outer), quote(found)), choice(found, expected, "variants"))
        }
        Error::MissingStructField { field, outer } => {
            (format!("{} lacks the field \"{field}\"", thing(outer)), format!("write `{field}: …` before this bracket"))
        }
        Error::DuplicateStructField { field, outer } => {
            (format!("{} has the field \"{field}\" twice", thing(outer)), "keep one of them".to_owned())
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
        Error::ExpectedComma if rest.starts_with('(') => (None, "put a comma here, or leave the brackets out"),
        Error::ExpectedComma => (None, "put a comma between values"),
        Error::ExpectedString => (None, "write text in double quotes"),
        Error::ExpectedStringEnd => (None, "end the text with a double quote"),
        Error::InvalidEscape(_) => (None, "write a backslash as two"),
        Error::ExpectedInteger | Error::InvalidIntegerDigit { .. } => (None, "write a whole number such as 200"),
        Error::IntegerOutOfBounds => {
            (Some("the number is out of range"), "write a whole number from 0 that fits the field")
        }
        Error::ExpectedFloat | Error::FloatUnderscore => (None, "write a number such as 0.5 or 5e-4"),
        Error::ExpectedBoolean => (None, "write true or false"),
        Error::ExpectedArray | Error::ExpectedArrayEnd => (None, "lists are written in square brackets: [a, b]"),
        Error::ExpectedStructLikeEnd | Error::ExpectedOptionEnd => {
            (None, "close the bracket here: nothing more belongs to it")
        }
        Error::ExpectedMapColon => (None, "write a colon between the name of a field and its value"),
        Error::ExpectedIdentifier | Error::SuggestRawIdentifier(_) | Error::InvalidIdentifier(_) => (
            Some("expected a name"),
            "write a field as in `width: 16` or a variant as in `Relu`, or close the open bracket",
        ),
        Error::ExpectedDifferentLength { .. } => (None, "write as many values as it takes"),
        Error::TrailingCharacters => (None, "a file holds one scene: remove what follows it"),
        Error::ExceededRecursionLimit => (Some("brackets are nested too deep"), "no scene needs that: remove brackets"),
        _ => (None, "see assets/cora.ron for a scene that reads well"),
    }
}

fn thing(outer: &Option<String>) -> &str {
    outer.as_deref().unwrap_or("this")
}

/// Layers, settings and variants that had another name in earlier scenes, with the present one and how to write it.
const RENAMED: [(&str, &str, &str); 20] = [
    ("MessagePassing", "MeanConv", ""),
    ("InteractionBlock", "GraphNetBlock", ""),
    ("ResGatedConv", "ResGatedGraphConv", ""),
    ("AttentionPooling", "AttentionalAggregation", ""),
    ("mean", "concat", ", its opposite: write `concat: false` for `mean: true`"),
    ("edges", "edge_features", ""),
    ("map_edges", "edge_features", ""),
    ("self_loops", "add_self_loops", ""),
    ("eps", "epsilon", ""),
    ("train_eps", "train_epsilon", ""),
    ("L1", "MeanAbsoluteError", ""),
    ("AsGiven", "Given", ""),
    ("batch", "batch_size", ""),
    ("neighbours", "fan_outs", ""),
    ("steps", "steps_per_epoch", ""),
    ("steps", "epochs", ", for schedules count epochs: divide by the batches in an epoch"),
    ("accumulate", "accumulation_steps", ""),
    ("selection", "keep", ""),
    ("smoothing", "decay", ""),
    ("minimum", "final_factor", ""),
];

fn choice(found: &str, expected: &[&'static str], what: &str) -> String {
    let renamed = RENAMED.iter().find(|(old, new, _)| *old == found && expected.contains(new));
    if let Some((old, new, help)) = renamed {
        return format!("{old} is now called {new}{help}");
    }
    let all = match expected {
        [] => format!("there are no {what}"),
        names => format!("the {what} are {}", names.join(", ")),
    };
    match nearest(found, expected.iter().copied()) {
        Some(name) => format!("did you mean \"{name}\"? {all}"),
        None => all,
    }
}

/// The parser's message in the style of ours: it may quote the file at any length.
fn shortened(message: &str) -> String {
    let mut letters = message.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(200);
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}
