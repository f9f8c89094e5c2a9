//! What arrays are called in published data sets, and what they could be called.

use crate::suggest::nearest;

/// The class of each node: here, in gnn-benchmark, and in heterophilous-graphs.
pub const CLASSES: [&str; 3] = ["y", "labels", "node_labels"];

/// The same three for dense features.
pub const DENSE_FEATURES: [&str; 3] = ["x", "attr_matrix", "node_features"];

/// What the names of sparse features begin with: here, and in the two forms of gnn-benchmark.
pub const SPARSE_FEATURES: [&str; 3] = ["x_", "attr_", "attr_matrix."];

/// What the names of an adjacency matrix begin with, in the two forms of gnn-benchmark.
pub const ADJACENCY: [&str; 2] = ["adj_", "adj_matrix."];

/// Names that stand for an array elsewhere, but not always.
const OTHERS: [(&str, &[&str]); 13] = [
    ("y", &["label", "targets", "target", "classes", "Y"]),
    ("x", &["features", "feature", "feat", "attr", "attrs", "X"]),
    ("node_label", &["node_type", "node_types", "atom_type"]),
    ("node_target", &["node_targets", "node_values"]),
    ("edge_index", &["edge_list", "edgelist", "edge_indices"]),
    ("edge_weight", &["edge_weights", "weights", "weight"]),
    ("edge_attr", &["edge_attrs", "edge_features", "edge_feat", "edge_features_matrix"]),
    ("edge_label", &["edge_labels", "edge_type", "edge_types"]),
    ("train", &["train_idx", "train_index", "train_indices", "train_ids", "idx_train", "training"]),
    ("val", &["valid", "valid_mask", "val_idx", "val_index", "val_indices", "valid_idx", "idx_val", "validation"]),
    ("test", &["test_idx", "test_index", "test_indices", "test_ids", "idx_test"]),
    ("node_name", &["node_names", "names"]),
    ("class_name", &["class_names", "label_names"]),
];

/// Names of all arrays, for suggestions.
const ALL: [&str; 32] = [
    "num_nodes",
    "x",
    "x_data",
    "x_indices",
    "x_indptr",
    "x_shape",
    "node_label",
    "y",
    "node_target",
    "edge_index",
    "edge_weight",
    "edge_attr",
    "edge_label",
    "edge_target",
    "edge_train",
    "edge_val",
    "edge_test",
    "train",
    "val",
    "test",
    "train_masks",
    "val_masks",
    "test_masks",
    "unlabeled",
    "node_name",
    "node_name_ptr",
    "class_name",
    "class_name_ptr",
    "node_ptr",
    "edge_ptr",
    "fold",
    "graph_target",
];

/// What else the array of this name is called.
pub fn others(array: &str) -> impl Iterator<Item = &'static str> {
    OTHERS.iter().filter(move |(name, _)| *name == array).flat_map(|(_, others)| others.iter().copied())
}

/// What is written before the names of relations, in the array that each has.
pub const ENDPOINTS: &str = "edge_index";

/// Arrays of which each kind of nodes has one at least.
const OF_KINDS: [&str; 9] =
    ["num_nodes", "x", "x_data", "node_features", "y", "label", "labels", "node_labels", "node_target"];

/// The relations of a file with these arrays.
pub fn relations_in<'a>(arrays: &[&'a str]) -> Vec<&'a str> {
    parts(arrays, |array| array == ENDPOINTS)
}

/// The kinds of nodes of a file with these arrays.
pub fn kinds_in<'a>(arrays: &[&'a str]) -> Vec<&'a str> {
    parts(arrays, |array| OF_KINDS.contains(&array))
}

/// What follows the dot in the names of some arrays, each once.
fn parts<'a>(arrays: &[&'a str], is_one: impl Fn(&str) -> bool) -> Vec<&'a str> {
    let names = arrays.iter().filter_map(|array| array.rsplit_once('.'));
    let mut parts: Vec<&str> = names.filter(|(array, _)| is_one(array)).map(|(_, part)| part).collect();
    parts.sort_unstable();
    parts.dedup();
    parts
}

/// A note on arrays that are not read, with what each could be called; none if there are none. `read` are the kinds of nodes and
/// the relations of which arrays are read.
pub fn note_unread(unread: &[&str], read: &[&str]) -> Option<String> {
    let here = |array: &str| {
        let other = OTHERS.iter().find(|(_, others)| others.contains(&array)).map(|(name, _)| *name);
        other.or_else(|| nearest(array, ALL))
    };
    let called = |array: &str| match array.rsplit_once('.').filter(|_| !read.is_empty()) {
        Some((array, part)) => {
            let near = nearest(part, read.iter().copied())?;
            Some(format!("{}.{near}", here(array).unwrap_or(array)))
        }
        None => here(array).map(str::to_owned),
    };
    let described = |array: &&str| match called(array).filter(|name| name != array) {
        Some(name) => format!("{array} (should it be read, call it {name})"),
        None => (*array).to_owned(),
    };
    let described: Vec<String> = unread.iter().map(described).collect();
    (!described.is_empty()).then(|| format!("arrays that are not read: {}", described.join(", ")))
}
