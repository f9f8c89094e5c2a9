//! Edit distances of terms: those of the definition, and bounds where a search would be too long.

use connectome_languages::{
    OrderedDag,
    rewriting::{TreeEditDistance, tree_edit_distance},
};
use proptest::prelude::*;

use super::rewriting::{Tree, tree};

/// The definition: the last tree of one of two forests is deleted or inserted, or both last roots are made the same.
fn definition(one: &[Tree], other: &[Tree]) -> u64 {
    let size = |forest: &[Tree]| forest.iter().map(Tree::size).sum::<u64>();
    let (Some((last, rest)), Some((other_last, other_rest))) = (one.split_last(), other.split_last()) else {
        return size(one) + size(other);
    };
    let without = |rest: &[Tree], root: &Tree| [rest, &root.1].concat();
    let deleted = 1 + definition(&without(rest, last), other);
    let inserted = 1 + definition(one, &without(other_rest, other_last));
    let relabeled = u64::from(last.0 != other_last.0);
    let both = relabeled + definition(&last.1, &other_last.1) + definition(rest, other_rest);
    deleted.min(inserted).min(both)
}

/// Trees of at most seven nodes, as graphs.
fn trees() -> impl Strategy<Value = OrderedDag> {
    prop::collection::vec((0_u32..3, 0_usize..3), 1..8).prop_map(|nodes| {
        let (mut dag, mut open) = (OrderedDag::default(), Vec::new());
        let count = nodes.len();
        for (number, (label, children)) in nodes.into_iter().enumerate() {
            let children = if number + 1 == count { open.len() } else { children.min(open.len()) };
            let children = open.split_off(open.len() - children);
            open.push(dag.push(label, &children).unwrap());
        }
        dag
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_distance_is_that_of_the_definition(one in trees(), other in trees()) {
        let expected = definition(&[tree(&one).unwrap()], &[tree(&other).unwrap()]);
        let found = tree_edit_distance(&one, &other);
        prop_assert_eq!(found, TreeEditDistance { edits: expected, is_bound: false });
        // What is shared counts as often as it stands in the tree.
        prop_assert_eq!(tree_edit_distance(&one.shared(), &other.shared()), found);
        prop_assert_eq!(tree_edit_distance(&other, &one), found);
    }
}

#[test]
fn large_terms_have_bounds_and_empty_ones_their_sizes() {
    let empty = OrderedDag::default();
    let chain = |length: u32, children: usize| {
        let mut dag = OrderedDag::default();
        dag.push(0, &[]).unwrap();
        for node in 1..length {
            dag.push(node % 3, &vec![node - 1; children]).unwrap();
        }
        dag
    };
    assert_eq!(tree_edit_distance(&empty, &empty), TreeEditDistance { edits: 0, is_bound: false });
    assert_eq!(tree_edit_distance(&empty, &chain(5, 1)), TreeEditDistance { edits: 5, is_bound: false });
    // Chains are quick, bushes of 2^11 nodes are not, and one of 2^70 nodes cannot be written down.
    assert_eq!(
        tree_edit_distance(&chain(1_900, 1), &chain(2_000, 1)),
        TreeEditDistance { edits: 100, is_bound: false }
    );
    let bush = tree_edit_distance(&chain(11, 2), &chain(11, 2));
    assert_eq!(bush, TreeEditDistance { edits: 2 * 2_046, is_bound: true });
    assert_eq!(tree_edit_distance(&chain(70, 2), &chain(69, 2)), TreeEditDistance { edits: u64::MAX, is_bound: true });
}
