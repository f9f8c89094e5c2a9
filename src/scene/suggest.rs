//! Words for error messages: quotes that stay short and the name somebody may have meant.

/// Longest text that is quoted whole or compared with others: messages stay readable and comparison quick.
const LONGEST: usize = 60;

/// Most names that are compared.
const MAX_NAMES: usize = 10_000;

/// `text` in quotes, control characters escaped and cut if it is long.
pub(crate) fn quote(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}…", &text[..end]),
    }
}

/// The name nearest to `meant`, if one is near enough to have been meant.
pub(crate) fn nearest<'a>(meant: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let furthest = (meant.chars().count() / 3).max(1);
    names
        .into_iter()
        .take(MAX_NAMES)
        .filter(|name| name.len() <= LONGEST && meant.len() <= LONGEST)
        .map(|name| (distance(&meant.to_lowercase(), &name.to_lowercase()), name))
        .filter(|&(distance, _)| distance <= furthest)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, name)| name)
}

/// How many letters must be put in, taken out, changed or swapped with the next to turn one word into the other
/// (restricted Damerau-Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut before_last = vec![0; to.len() + 1];
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for row in 1..=from.len() {
        let mut current = vec![row];
        for column in 1..=to.len() {
            let change = usize::from(from[row - 1] != to[column - 1]);
            let mut cost = (last[column] + 1).min(current[column - 1] + 1).min(last[column - 1] + change);
            let swapped = row > 1 && column > 1 && from[row - 1] == to[column - 2] && from[row - 2] == to[column - 1];
            if swapped {
                cost = cost.min(before_last[column - 2] + 1);
            }
            current.push(cost);
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last[to.len()]
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
