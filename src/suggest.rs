//! Helpers for error messages: short quotes, and the nearest known name.

/// The longest text that is quoted whole or compared, so that messages stay readable and comparison fast.
const LONGEST: usize = 60;

/// The most names that are compared.
const MAX_NAMES: usize = 10_000;

/// `text` in quotes, control characters escaped and cut if it is long.
pub(crate) fn quote(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}…", &text[..end]),
    }
}

/// The name nearest to `meant`, if one is near enough. Two swapped letters count as one error.
pub(crate) fn nearest<'a>(meant: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let furthest = (meant.chars().count() / 3).max(1);
    let lowercase = meant.to_lowercase();
    names
        .into_iter()
        .take(MAX_NAMES)
        .filter(|name| name.len() <= LONGEST && meant.len() <= LONGEST)
        .map(|name| (strsim::osa_distance(&lowercase, &name.to_lowercase()), name))
        .filter(|&(distance, _)| distance <= furthest)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_found_and_strangers_are_not() {
        let names = ["graph", "model", "training"];
        assert_eq!(nearest("modle", names), Some("model"));
        assert_eq!(nearest("Graph", names), Some("graph"));
        assert_eq!(nearest("trainin", names), Some("training"));
        assert_eq!(nearest("color", names), None);
        assert_eq!(nearest("", names), None);
    }

    #[test]
    fn quotes_are_short_and_harmless() {
        assert_eq!(quote("a\u{1b}b"), "\"a\\u{1b}b\"");
        assert_eq!(quote(&"é".repeat(100)), format!("\"{}\"…", "é".repeat(60)));
    }
}
