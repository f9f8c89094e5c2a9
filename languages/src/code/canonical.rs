//! When programs are the same up to names.

use std::collections::HashMap;

use xxhash_rust::xxh3::Xxh3Default;

use super::{CodeGraph, syntax::Meaning};

impl CodeGraph {
    /// A hash that two programs share if they differ only in the names of variables, in comments, blanks and parentheses.
    ///
    /// Variables are numbered in the order in which they come first, free ones as well: `len(a)` and `sum(b)` are the same.
    /// So a test set that shares no hash with the training data holds no function of it under other names.
    ///
    /// ```
    /// use connectome_languages::code::{CodeGraph, Python};
    ///
    /// let hash = |source| CodeGraph::new(source, &Python).map(|code| code.hash_up_to_names());
    /// assert_eq!(hash("def f(a, b): return a - b"), hash("def g(x, y):\n  return (x - y)"));
    /// assert_ne!(hash("def f(a, b): return a - b"), hash("def f(a, b): return b - a"));
    /// ```
    pub fn hash_up_to_names(&self) -> u128 {
        let graph = self.graph();
        let mut numbers = HashMap::new();
        let of_nodes: HashMap<u32, u32> = (self.occurrences().iter())
            .map(|one| {
                let next = numbers.len() as u32;
                (one.node, *numbers.entry(one.symbol).or_insert(next))
            })
            .collect();
        let parents = self.parents();
        // Nodes with their depths, parents before children, determine a tree.
        let mut depths = vec![0_u32; parents.len()];
        let mut hash = Xxh3Default::new();
        for (node, parent) in parents.iter().enumerate() {
            let is_inside = parent.is_some_and(|parent| self.meanings[parent as usize] == Meaning::Parentheses);
            depths[node] = parent.map_or(0, |parent| depths[parent as usize] + u32::from(!is_inside));
            let label = graph.label(node as u32).unwrap_or_default();
            let is_parenthesis = is_inside && matches!(label, "(" | ")");
            if self.meanings[node] != Meaning::Plain || is_parenthesis {
                continue;
            }
            hash.update(&depths[node].to_le_bytes());
            match of_nodes.get(&(node as u32)) {
                Some(number) => hash.update(&number.to_le_bytes()),
                None => {
                    hash.update(&u32::MAX.to_le_bytes());
                    hash.update(&(label.len() as u64).to_le_bytes());
                    hash.update(label.as_bytes());
                }
            }
        }
        hash.digest128()
    }
}
