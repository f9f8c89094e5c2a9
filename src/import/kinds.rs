//! What nodes and edges are labeled with, by value.

use std::collections::HashMap;

use connectome_systems::algorithms::LabeledGraph;

/// The maximum number of kinds: more different values are measurements, which are no kinds.
pub(super) const MAX_KINDS: usize = 1_000;

/// The kind of each node or edge of a source.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Kinds {
    /// The index of the kind of each, or [`NONE`](Self::NONE).
    pub indices: Vec<u32>,
    /// What the source calls each kind.
    pub names: Vec<String>,
}

impl Kinds {
    /// The kind of what has no label: it is equal to itself alone.
    pub const NONE: u32 = LabeledGraph::NO_LABEL;

    /// The kinds of things with these labels; none if there are more than `most` kinds.
    pub fn of(labels: impl Iterator<Item = Option<String>>, most: usize) -> Option<Self> {
        let (mut known, mut names, mut indices) = (HashMap::new(), Vec::new(), Vec::new());
        for label in labels {
            let Some(label) = label else {
                indices.push(Self::NONE);
                continue;
            };
            let index = match known.get(&label) {
                Some(&index) => index,
                None if names.len() == most => return None,
                None => {
                    known.insert(label.clone(), names.len() as u32);
                    names.push(label);
                    names.len() as u32 - 1
                }
            };
            indices.push(index);
        }
        let order = sort_by_value(&mut names);
        let places = indices.iter_mut().filter(|index| **index != Self::NONE);
        places.for_each(|index| *index = order[*index as usize] as u32);
        Some(Self { indices, names })
    }
}

/// Sorts different labels: by value if all are whole numbers, else as text. Returns the new place of each.
pub(super) fn sort_by_value(names: &mut Vec<String>) -> Vec<usize> {
    let numbers: Option<Vec<i64>> = names.iter().map(|name| name.parse().ok()).collect();
    let mut order: Vec<usize> = (0..names.len()).collect();
    match numbers {
        // Different texts, such as 1 and 01, may be one number; then the texts decide.
        Some(numbers) => order.sort_by_key(|&name| (numbers[name], &names[name])),
        None => order.sort_by_key(|&name| &names[name]),
    }
    let mut places = vec![0; order.len()];
    order.iter().enumerate().for_each(|(place, &name)| places[name] = place);
    *names = order.iter().map(|&name| std::mem::take(&mut names[name])).collect();
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_sorted_by_value_or_as_text() {
        let names = |labels: &[&str]| {
            Kinds::of(labels.iter().map(|&label| Some(label.to_owned())), usize::MAX).unwrap_or_default().names
        };
        assert_eq!(names(&["10", "9", "-1", "9"]), ["-1", "9", "10"]);
        assert_eq!(names(&["b", "10", "9"]), ["10", "9", "b"]);
        assert_eq!(names(&["1", "01"]), ["01", "1"]);
        let labels = || [Some("b".to_owned()), None, Some("a".to_owned())].into_iter();
        assert_eq!(Kinds::of(labels(), 2).map(|kinds| kinds.indices), Some(vec![1, Kinds::NONE, 0]));
        assert_eq!(Kinds::of(labels(), 1), None);
    }
}
