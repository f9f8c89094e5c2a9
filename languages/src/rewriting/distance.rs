//! How far terms are from each other.

use crate::OrderedDag;

/// The most subproblems of a comparison that are solved, about ten milliseconds of work.
const MAX_WORK: u64 = 1 << 22;

/// The most nodes of a tree that is written down to be compared.
const MAX_TREE: u64 = 1 << 16;

/// How many nodes are to be inserted, deleted and relabeled to make one ordered tree of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeEditDistance {
    /// The number of edits.
    pub edits: u64,
    /// Whether fewer edits may do: the trees are too large to find the least number.
    pub is_bound: bool,
}

/// A tree in postorder.
struct Tree {
    labels: Vec<u32>,
    /// The first leaf below each node.
    first_leaves: Vec<usize>,
    /// The nodes that are no first children, and the root.
    key_roots: Vec<usize>,
}

impl Tree {
    /// The tree that a graph of at most [`MAX_TREE`] nodes, written down, stands for.
    fn of(dag: &OrderedDag) -> Self {
        let (mut labels, mut first_leaves): (Vec<u32>, Vec<usize>) = Default::default();
        let mut path: Vec<(u32, usize, usize)> = dag.root().map(|root| (root, 0, 0)).into_iter().collect();
        while let Some((node, next, first)) = path.last_mut() {
            if let Some(child) = dag.children(*node).get(*next) {
                *next += 1;
                path.push((*child, 0, labels.len()));
                continue;
            }
            labels.push(dag.label(*node));
            first_leaves.push(*first);
            path.pop();
        }
        // Of all nodes with the same first leaf the last one.
        let mut is_key_root = vec![false; labels.len()];
        let mut is_taken = vec![false; labels.len()];
        for node in (0..labels.len()).rev() {
            is_key_root[node] = !std::mem::replace(&mut is_taken[first_leaves[node]], true);
        }
        let key_roots = (0..labels.len()).filter(|node| is_key_root[*node]).collect();
        Self { labels, first_leaves, key_roots }
    }

    /// Number of nodes below all key roots, these included.
    fn work(&self) -> u64 {
        self.key_roots.iter().map(|root| (root + 1 - self.first_leaves[*root]) as u64).sum()
    }
}

/// The edit distance of two terms as ordered trees, with a cost of 1 for each node that is inserted, deleted or relabeled
/// (Zhang & Shasha, "Simple fast algorithms for the editing distance between trees and related problems", 1989).
///
/// What a graph shares counts as often as it stands in the tree. O(N M min(D, L)^2) for trees of N and M nodes, of depth D
/// and with L leaves; where that is more than about 4 million steps, the distance is a bound: that of replacing all nodes
/// but the root. The distance to a graph without nodes is the number of nodes.
///
/// ```
/// use connectome_languages::{mathematics::Terms, rewriting::{TreeEditDistance, tree_edit_distance}};
///
/// let mut terms = Terms::default();
/// let mut dag = |text| terms.read_infix(text).map(|term| terms.dag(term));
/// // The sum and 0 are deleted, and y is relabeled.
/// let distance = tree_edit_distance(&dag("(y + 0)*2")?, &dag("x*2")?);
/// assert_eq!(distance, TreeEditDistance { edits: 3, is_bound: false });
/// # Ok::<(), connectome_languages::mathematics::SyntaxError>(())
/// ```
pub fn tree_edit_distance(one: &OrderedDag, other: &OrderedDag) -> TreeEditDistance {
    let sizes = [one, other].map(OrderedDag::tree_size);
    let (Some(root), Some(other_root)) = (one.root(), other.root()) else {
        return TreeEditDistance { edits: sizes[0].max(sizes[1]), is_bound: false };
    };
    let relabeled = u64::from(one.label(root) != other.label(other_root));
    let bound = TreeEditDistance {
        edits: (sizes[0] - 1).saturating_add(sizes[1] - 1).saturating_add(relabeled),
        is_bound: true,
    };
    if sizes.iter().any(|size| *size > MAX_TREE) {
        return bound;
    }
    let trees = [one, other].map(Tree::of);
    if trees[0].work() * trees[1].work() > MAX_WORK {
        return bound;
    }
    TreeEditDistance { edits: distance(&trees).into(), is_bound: false }
}

fn distance([one, other]: &[Tree; 2]) -> u32 {
    let width = other.labels.len();
    // The distance of each subtree of one to each of the other; each is found before it is read.
    let mut trees = vec![0; one.labels.len() * width];
    // Those of the forests to the left of and with a node, below two key roots.
    let mut forests = vec![0; (one.labels.len() + 1) * (width + 1)];
    for root in &one.key_roots {
        for other_root in &other.key_roots {
            let starts = [one.first_leaves[*root], other.first_leaves[*other_root]];
            let [height, columns] = [root + 1 - starts[0], other_root + 1 - starts[1]];
            let place = |row: usize, column: usize| row * (columns + 1) + column;
            (0..=height).for_each(|row| forests[place(row, 0)] = row as u32);
            (0..=columns).for_each(|column| forests[column] = column as u32);
            for row in 1..=height {
                let node = starts[0] + row - 1;
                let before = one.first_leaves[node] - starts[0];
                for column in 1..=columns {
                    let other_node = starts[1] + column - 1;
                    let other_before = other.first_leaves[other_node] - starts[1];
                    let are_trees = before == 0 && other_before == 0;
                    let both = if are_trees {
                        let relabeled = u32::from(one.labels[node] != other.labels[other_node]);
                        forests[place(row - 1, column - 1)] + relabeled
                    } else {
                        forests[place(before, other_before)] + trees[node * width + other_node]
                    };
                    let deleted = forests[place(row - 1, column)] + 1;
                    let inserted = forests[place(row, column - 1)] + 1;
                    let least = both.min(deleted).min(inserted);
                    forests[place(row, column)] = least;
                    if are_trees {
                        trees[node * width + other_node] = least;
                    }
                }
            }
        }
    }
    trees.last().copied().unwrap_or(0)
}
