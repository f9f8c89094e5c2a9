//! What the nodes of a [`MisuseGraph`](super::MisuseGraph) say of expressions that stand in a function more than once.

use std::collections::HashMap;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::misuse_tree::Tree;

/// How many of the expressions around a variable are looked for elsewhere.
const MAX_LEVELS: usize = 3;

/// The expressions of a function, by hashes.
pub(super) struct Repeats {
    /// The hash of each node: of its label, and of its parts with their positions.
    hashes: Vec<u64>,
    /// How often each of them stands in the function.
    counts: HashMap<u64, u32>,
}

impl Repeats {
    /// Costs `O(nodes)`.
    pub fn new(tree: &Tree) -> Self {
        let first = tree.function.node;
        let label = |node: u32| xxh3_64(tree.label(node).as_bytes());
        let mut hashes: Vec<u64> = (first..tree.function.end).map(label).collect();
        for node in (first + 1..tree.function.end).rev() {
            let Some(edge) = tree.edge(node) else { continue };
            let part = part(hashes[(node - first) as usize], edge.position);
            let around = &mut hashes[(edge.target - first) as usize];
            *around = around.wrapping_add(part);
        }
        let mut counts = HashMap::new();
        hashes.iter().for_each(|hash| *counts.entry(*hash).or_default() += 1);
        Self { hashes, counts }
    }

    /// How many of the expressions around a leaf stand elsewhere as well, from the innermost one on, if another label stands in its
    /// place.
    pub fn levels(&self, tree: &Tree, leaf: u32, label: &str) -> usize {
        let hash = |node: u32| self.hashes[(node - tree.function.node) as usize];
        let (mut node, mut new) = (leaf, xxh3_64(label.as_bytes()));
        let is_same = hash(leaf) == new;
        for level in 0..MAX_LEVELS {
            let Some(edge) = tree.edge(node) else { return level };
            // Hashes are sums over the parts, of which one is replaced.
            let parts = [new, hash(node)].map(|hash| part(hash, edge.position));
            new = hash(edge.target).wrapping_add(parts[0]).wrapping_sub(parts[1]);
            if self.counts.get(&new).copied().unwrap_or_default() <= u32::from(is_same) {
                return level;
            }
            node = edge.target;
        }
        MAX_LEVELS
    }
}

/// What a part adds to the hash of a node.
fn part(hash: u64, position: u32) -> u64 {
    xxh3_64_with_seed(&hash.to_le_bytes(), u64::from(position) + 1)
}

#[cfg(test)]
mod tests {
    use super::super::{CodeGraph, Python};
    use super::*;

    #[test]
    fn expressions_that_stand_elsewhere_are_found_with_another_variable_in_them() {
        let source = "def f(a, b, i):\n    if len(a[i]) > b:\n        return len(a[i])\n    return len(a[b])";
        let code = CodeGraph::new(source, &Python).unwrap();
        let function = &code.functions(&Python)[0];
        let tree = Tree::new(&code, function, &Python);
        let repeats = Repeats::new(&tree);
        let levels =
            |load: usize, name: &str| repeats.levels(&tree, function.loads[load], &format!("identifier {name}"));
        let labels: Vec<&str> = function.loads.iter().map(|load| tree.label(*load)).collect();
        assert_eq!(labels.join(" ").replace("identifier ", ""), "a i b a i a b");
        // `a[i]`, the arguments and the call stand twice, `a[b]` and the comparison once.
        assert_eq!([levels(0, "a"), levels(1, "i"), levels(2, "b"), levels(6, "b")], [3, 3, 0, 0]);
        assert_eq!([levels(6, "i"), levels(6, "a"), levels(1, "b"), levels(2, "i")], [3, 0, 3, 0]);
    }
}
