//! Tables of distinct names.

use std::{collections::HashMap, sync::Arc};

/// Distinct names, numbered from 0 in the order in which they were first given.
///
/// ```
/// use connectome_languages::Vocabulary;
///
/// let mut vocabulary = Vocabulary::default();
/// assert_eq!(["a", "b", "a"].map(|name| vocabulary.add(name)), [0, 1, 0]);
/// assert_eq!((vocabulary.index("b"), vocabulary.index("c")), (Some(1), None));
/// assert_eq!(vocabulary.names().collect::<Vec<_>>(), ["a", "b"]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vocabulary {
    names: Vec<Arc<str>>,
    indices: HashMap<Arc<str>, u32>,
}

impl Vocabulary {
    /// Returns the index of a name, which is added if it is new.
    pub fn add(&mut self, name: &str) -> u32 {
        if let Some(index) = self.index(name) {
            return index;
        }
        let (index, name) = (self.names.len() as u32, Arc::<str>::from(name));
        self.names.push(name.clone());
        self.indices.insert(name, index);
        index
    }

    /// The index of a name, if it is known.
    pub fn index(&self, name: &str) -> Option<u32> {
        self.indices.get(name).copied()
    }

    /// The name with an index, if there is one.
    pub fn name(&self, index: u32) -> Option<&str> {
        self.names.get(index as usize).map(|name| &**name)
    }

    /// All names, in the order of their indices.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }

    /// Number of names.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there are no names.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}
