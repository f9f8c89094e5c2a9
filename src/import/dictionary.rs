//! Dictionaries of Python, as networkx writes them behind edges.

/// The keys and values of `{'key': value, ...}`, values without their quotes; none if the text is something else.
///
/// Of more than `most` entries one more than that is read.
pub(super) fn parse(text: &str, most: usize) -> Option<Vec<(String, String)>> {
    let mut rest = text.trim().strip_prefix('{')?.strip_suffix('}')?.trim();
    let mut entries = Vec::new();
    while !rest.is_empty() && entries.len() <= most {
        let (name, after) = word(rest)?;
        let (value, after) = word(after.trim_start().strip_prefix(':')?.trim_start())?;
        entries.push((name, value));
        rest = match after.trim_start() {
            "" => "",
            more => more.strip_prefix(',')?.trim_start(),
        };
    }
    Some(entries)
}

/// A text in quotes, or anything else up to a comma or colon, and what follows.
fn word(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next().filter(|letter| matches!(letter, '\'' | '"'));
    let Some(quote) = quote else {
        let end = text.find([',', ':']).unwrap_or(text.len());
        let word = text[..end].trim();
        let is_plain = !word.is_empty() && !word.contains(['{', '}', '[', ']', '(', ')', '\'', '"']);
        return is_plain.then(|| (word.to_owned(), &text[end..]));
    };
    let mut word = String::new();
    let mut letters = text[1..].char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => word.push(letters.next()?.1),
            letter if letter == quote => return Some((word, &text[1 + at + 1..])),
            letter => word.push(letter),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dictionaries_of_python_are_read() {
        let entries = |text| {
            let entries = parse(text, 3)?;
            Some(entries.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(";"))
        };
        assert_eq!(entries("{}").as_deref(), Some(""));
        assert_eq!(entries("{'weight': 1.5}").as_deref(), Some("weight=1.5"));
        let text = "{'a, b': -2, \"c's\": 'd: \\'e\\'', 3: None , }";
        assert_eq!(entries(text).as_deref(), Some("a, b=-2;c's=d: 'e';3=None"));
        for text in ["", "{", "a", "{a}", "{a: }", "{'a: 1}", "{'a' 1}", "{a: [1, 2]}", "{a: 1, , b: 2}", "{'a\\"] {
            assert_eq!(parse(text, 3), None, "{text:?}");
        }
        assert_eq!(parse("{a: 1, b: 2, c: 3}", 1).unwrap().len(), 2);
    }
}
