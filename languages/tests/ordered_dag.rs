//! Graphs with ordered children.

use connectome_languages::{DagError, DagInterner, OrderedDag};
use proptest::prelude::*;

/// Random graphs with few labels, so that subterms are equal.
pub fn dags() -> impl Strategy<Value = OrderedDag> {
    prop::collection::vec((0_u32..4, prop::collection::vec(any::<prop::sample::Index>(), 0..4)), 0..40).prop_map(
        |nodes| {
            let mut dag = OrderedDag::default();
            for (label, children) in nodes {
                let size = dag.len();
                let children: Vec<u32> =
                    if size == 0 { vec![] } else { children.iter().map(|child| child.index(size) as u32).collect() };
                dag.push(label, &children).unwrap();
            }
            dag
        },
    )
}

/// The tree below a node, as text.
fn tree(dag: &OrderedDag, node: u32) -> String {
    let children: Vec<String> = dag.children(node).iter().map(|child| tree(dag, *child)).collect();
    format!("{}({})", dag.label(node), children.join(" "))
}

/// A graph of which no tree is large.
fn small() -> impl Strategy<Value = OrderedDag> {
    dags().prop_filter("the tree is large", |dag| dag.tree_size() < 2_000)
}

#[test]
fn children_come_before_their_parents() {
    let mut dag = OrderedDag::default();
    assert_eq!((dag.root(), dag.depth(), dag.tree_size(), dag.shared().len()), (None, 0, 0, 0));
    assert_eq!(dag.push(1, &[0]), Err(DagError::Child { node: 0, child: 0 }));
    assert_eq!(dag.push(1, &[]), Ok(0));
    let error = dag.push(1, &[0, 1]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "node 1 has the child 1, which comes not before it; add children before their parents"
    );
    assert_eq!((dag.len(), dag.push(2, &[0, 0])), (1, Ok(1)));
    assert_eq!((dag.children(1), dag.depth(), dag.tree_size()), (&[0, 0][..], 1, 3));
}

proptest! {
    #[test]
    fn shared_graphs_are_equal_if_their_trees_are(one in small(), other in small()) {
        let trees = [&one, &other].map(|dag| dag.root().map(|root| tree(dag, root)));
        prop_assert_eq!(trees[0] == trees[1], one.shared() == other.shared());
    }

    #[test]
    fn sharing_keeps_the_tree(dag in small()) {
        let shared = dag.shared();
        prop_assert_eq!(shared.root().map(|root| tree(&shared, root)), dag.root().map(|root| tree(&dag, root)));
        prop_assert_eq!(&shared.shared(), &shared);
        let mut trees: Vec<String> = shared.nodes().map(|node| tree(&shared, node)).collect();
        trees.sort();
        trees.dedup();
        prop_assert_eq!(trees.len(), shared.len());
        prop_assert_eq!((shared.depth(), shared.tree_size()), (dag.depth(), dag.tree_size()));
    }

    #[test]
    fn interned_nodes_are_the_same_if_their_trees_are(dag in small()) {
        let mut interner = DagInterner::default();
        let mut indices: Vec<u32> = Vec::new();
        for node in dag.nodes() {
            let children: Vec<u32> = dag.children(node).iter().map(|child| indices[*child as usize]).collect();
            indices.push(interner.node(dag.label(node), &children));
        }
        for (one, index) in dag.nodes().zip(&indices) {
            for (other, other_index) in dag.nodes().zip(&indices) {
                prop_assert_eq!(index == other_index, tree(&dag, one) == tree(&dag, other));
            }
        }
    }
}
