//! Texts and programs: all that is UTF-8 becomes a graph, out of which the same bytes come again.

use connectome::import::{Format, ImportOptions, import};
use connectome::languages::{
    code::{CodeGraph, Python},
    decode,
    rewriting::{EditCosts, align_sequences},
    text::{Alphabet, TextGraph, TextOptions, TextUnit},
};

use super::{files::Folder, readers::check_file};

/// A text, by its scalar values and by its grapheme clusters, with a window and a tag. Slots make its end of its beginning.
pub fn text(bytes: &[u8]) {
    check_file(bytes, Format::Text);
    let Some(text) = check_encoding(bytes, Format::Text) else { return };
    for unit in [TextUnit::ScalarValue, TextUnit::GraphemeCluster] {
        let options = TextOptions { unit, window: 2, tags: vec!["tag".to_owned()] };
        let graph = TextGraph::new(text, &options).expect("it is short");
        assert_eq!(graph.text(), text, "{unit:?}");
    }
    let characters: Vec<char> = text.chars().take(512).collect();
    let alphabet = Alphabet::new(characters.iter().copied(), 20);
    let (lemma, form) = characters.split_at(characters.len() / 3);
    let [source, target] = [lemma, form].map(|word| alphabet.sequence(&word.iter().collect::<String>()));
    if let Ok(slots) = align_sequences(&source, &target, 2, &EditCosts::default()) {
        assert_eq!(slots.rewrite(|_| 0).concatenate(&source), target);
    }
}

/// A Python program, broken or not.
pub fn python(bytes: &[u8]) {
    check_file(bytes, Format::Python);
    let Some(text) = check_encoding(bytes, Format::Python) else { return };
    let code = CodeGraph::new(text, &Python).expect("it is short");
    assert_eq!(code.source(), text);
    let again = CodeGraph::new(&code.source(), &Python).expect("it is short");
    assert_eq!(again.hash_up_to_names(), code.hash_up_to_names());
}

/// The text of the bytes; if they are none, checks that reading them as a file says so.
fn check_encoding(bytes: &[u8], format: Format) -> Option<&str> {
    if let Ok(text) = decode(bytes) {
        return Some(text);
    }
    let path = Folder::new().write("source", bytes);
    let options = ImportOptions { format: Some(format), ..ImportOptions::default() };
    // What gzip has packed may be a text.
    assert!(import(&path, &options).is_err() || bytes.starts_with(&[0x1f, 0x8b]), "no UTF-8, and no error");
    None
}
