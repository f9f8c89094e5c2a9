//! The characters that words are made of.

use std::collections::{HashMap, hash_map::Entry};

use crate::OrderedDag;

/// Number of values of a `char`.
const CODE_POINTS: u32 = char::MAX as u32 + 1;

/// Some characters by their numbers, and numbers for all others.
///
/// Numbers below [`size`](Self::size) are those of the characters of the alphabet, in their order; all other characters have
/// further numbers, the same in any alphabet of this size. So words have labels whatever they consist of.
///
/// ```
/// use connectome_languages::text::Alphabet;
///
/// let alphabet = Alphabet::new("banana".chars(), 2);
/// assert_eq!("ban".chars().map(|letter| alphabet.label(letter)).collect::<Vec<_>>(), [0, 1, 2 + 'n' as u32]);
/// assert_eq!(alphabet.word(&alphabet.sequence("b\u{e4}n")), "b\u{e4}n");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alphabet {
    characters: Vec<char>,
    labels: HashMap<char, u32>,
    size: u32,
}

impl Alphabet {
    /// The first `size` different ones of some characters. There may be fewer; their numbers are not given to others.
    pub fn new(characters: impl IntoIterator<Item = char>, size: u32) -> Self {
        let mut alphabet = Self { size, ..Self::default() };
        for character in characters {
            if alphabet.characters.len() as u32 == size {
                break;
            }
            if let Entry::Vacant(entry) = alphabet.labels.entry(character) {
                entry.insert(alphabet.characters.len() as u32);
                alphabet.characters.push(character);
            }
        }
        alphabet
    }

    /// Number of labels of the alphabet; there may be fewer characters.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// The characters, in the order of their labels.
    pub fn characters(&self) -> String {
        self.characters.iter().collect()
    }

    /// The label of a character.
    pub fn label(&self, character: char) -> u32 {
        let known = self.labels.get(&character).copied();
        known.unwrap_or_else(|| self.size.saturating_add(character as u32))
    }

    /// The labels of the markers before the first character of a word, and after the last.
    pub fn markers(&self) -> [u32; 2] {
        [0, 1].map(|marker| self.size.saturating_add(CODE_POINTS + marker))
    }

    /// The character with a label; none for markers, and for labels that the alphabet does not use.
    pub fn character(&self, label: u32) -> Option<char> {
        match label.checked_sub(self.size) {
            None => self.characters.get(label as usize).copied(),
            Some(code) => char::from_u32(code),
        }
    }

    /// A word as the labels of its characters between two markers, each after the one before.
    pub fn sequence(&self, word: &str) -> OrderedDag {
        let [first, last] = self.markers();
        let own = word.chars().map(|character| self.label(character));
        OrderedDag::chain([first].into_iter().chain(own).chain([last]))
    }

    /// The word that a sequence stands for.
    pub fn word(&self, sequence: &OrderedDag) -> String {
        sequence.labels().iter().filter_map(|label| self.character(*label)).collect()
    }
}
