//! Scene files as RON: reading, writing, and errors in the words of this crate.

use ron::error::{Error, SpannedError};
use ron::extensions::Extensions;
use ron::ser::PrettyConfig;

use super::description::Scene;
use super::error::{SceneError, Source};
use super::locate::Position;
use super::suggest::{nearest, quote};

/// How scene files are read and written: layers need no second pair of brackets and optional values no `Some`.
pub fn options() -> ron::Options {
    ron::Options::default().with_default_extension(Extensions::UNWRAP_VARIANT_NEWTYPES | Extensions::IMPLICIT_SOME)
}

/// Reads a scene without checking what it means.
pub(super) fn read(source: &Source) -> Result<Scene, SceneError> {
    options().from_str(source.text).map_err(|error| explain(source, &error))
}

/// Writes a scene for people to read.
pub(super) fn write(scene: &Scene) -> Result<String, SceneError> {
    let layout = PrettyConfig::new().compact_arrays(false).struct_names(false);
    options().to_string_pretty(scene, layout).map_err(|error| {
        let message = format!("the scene cannot be written: {error}");
        SceneError::unreadable(&format!("scene {}", quote(&scene.name)), message, "report this as a bug")
    })
}

fn explain(source: &Source, error: &SpannedError) -> SceneError {
    let (message, help) = words(&error.code);
    source.error(position(error), message, help)
}

/// The parser stands behind a token it has read in vain, and before one it could not begin.
fn position(error: &SpannedError) -> Position {
    let behind = matches!(
        error.code,
        Error::NoSuchStructField { .. }
            | Error::NoSuchEnumVariant { .. }
            | Error::DuplicateStructField { .. }
            | Error::IntegerOutOfBounds
            | Error::InvalidValueForType { .. }
    );
    let place = if behind { error.span.start } else { error.span.end };
    Position { line: place.line, column: place.col }
}

/// What is wrong and what to do.
fn words(error: &Error) -> (String, String) {
    match error {
        Error::NoSuchStructField { expected, found, outer } => (
            format!("{} has no field {}", thing(outer, "this"), quote(found)),
            choice(found, expected, "fields"),
        ),
        Error::NoSuchEnumVariant { expected, found, outer } => (
            format!("{} has no variant {}", thing(outer, "this"), quote(found)),
            choice(found, expected, "variants"),
        ),
        Error::MissingStructField { field, outer } => (
            format!("{} lacks the field \"{field}\"", thing(outer, "this")),
            format!("write `{field}: …` before this bracket"),
        ),
        Error::DuplicateStructField { field, outer } => (
            format!("{} has the field \"{field}\" twice", thing(outer, "this")),
            "keep one of them".to_owned(),
        ),
        _ => (uncapitalized(&error.to_string()), remedy(error).to_owned()),
    }
}

fn thing<'a>(outer: &'a Option<String>, otherwise: &'a str) -> &'a str {
    outer.as_deref().unwrap_or(otherwise)
}

fn choice(found: &str, expected: &[&'static str], what: &str) -> String {
    let all = match expected {
        [] => format!("there are no {what}"),
        names => format!("the {what} are {}", names.join(", ")),
    };
    match nearest(found, expected.iter().copied()) {
        Some(name) => format!("did you mean \"{name}\"? {all}"),
        None => all,
    }
}

fn uncapitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// What to do about an error that the parser explains well enough.
fn remedy(error: &Error) -> &'static str {
    match error {
        Error::Eof | Error::ExpectedStringEnd => "the file ends too early: close the bracket, string or comment that is open",
        Error::UnclosedBlockComment => "end the comment with `*/`",
        Error::ExpectedString => "write text in double quotes",
        Error::ExpectedInteger | Error::InvalidIntegerDigit { .. } => "write a whole number such as 200",
        Error::IntegerOutOfBounds => "write a number that is not negative and fits the field",
        Error::ExpectedFloat | Error::FloatUnderscore => "write a number such as 0.5 or 5e-4",
        Error::ExpectedBoolean => "write true or false",
        Error::ExpectedArray | Error::ExpectedArrayEnd => "lists are written in square brackets: [a, b]",
        Error::ExpectedStructLike | Error::ExpectedNamedStructLike(_) | Error::ExpectedStructLikeEnd => {
            "fields are written in round brackets: (name: value)"
        }
        Error::ExpectedComma => "put a comma between values",
        Error::ExpectedMapColon => "write a colon between the name of a field and its value",
        Error::TrailingCharacters => "a file holds one scene: remove what follows it",
        Error::ExceededRecursionLimit => "brackets are nested far deeper than any scene needs",
        Error::Utf8Error(_) => "save the file as UTF-8",
        _ => "see assets/cora.ron for a scene that reads well",
    }
}
