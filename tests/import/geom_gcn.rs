//! Folders of Geom-GCN, and splits in files of their own.

use std::fs;
use std::path::PathBuf;

use connectome::components::Split;
use connectome::data::Features;
use connectome::import::{ImportError, ImportOptions, Imported, import};
use ndarray::array;

use super::{check_error, check_round_trip, check_training, folder};
use crate::scenes::graph_files::Arrays;

const NODES: &str = "node_id\tfeature\tlabel\n2\t1,0,0\t1\n0\t0,1,0\t4\n1\t0,0.5,1\t1\n10\t1,1,1\t0\n";
const EDGES: &str = "node_id\tnode_id\n0\t2\n2\t1\n10\t0\n";
const FILES: [(&str, &str); 2] = [("out1_node_feature_label.txt", NODES), ("out1_graph_edges.txt", EDGES)];

/// Imports a folder with these files, and those with the masks of each split.
fn read(files: &[(&str, &str)], undirected: bool, splits: &[Arrays]) -> Result<Imported, ImportError> {
    let folder = folder(files);
    let write = |(number, arrays): (usize, &Arrays)| -> PathBuf {
        let path = folder.path().join(format!("split_{number}.npz"));
        fs::write(&path, arrays.bytes()).expect("the splits are written");
        path
    };
    let splits = splits.iter().enumerate().map(write).collect();
    import(folder.path(), &ImportOptions { undirected, splits, ..ImportOptions::default() })
}

/// Masks of a split of four nodes that PyTorch writes as bytes.
fn masks(train: [u8; 4], val: [u8; 4], test: [u8; 4]) -> Arrays {
    let arrays = Arrays::default().with("train_mask", &ndarray::arr1(&train)).with("val_mask", &ndarray::arr1(&val));
    arrays.with("test_mask", &ndarray::arr1(&test))
}

#[test]
fn nodes_are_in_the_order_of_their_ids() {
    let imported = read(&FILES, false, &[]).unwrap_or_else(|error| panic!("{error}"));
    let data = &imported.data;
    assert_eq!(data.names, ["0", "1", "2", "10"]);
    assert_eq!(data.edges, [[0, 2], [2, 1], [3, 0]]);
    let rows = [[0.0, 1.0, 0.0], [0.0, 0.5, 1.0], [1.0, 0.0, 0.0], [1.0, 1.0, 1.0]];
    assert_eq!(data.features, Features::Dense { width: 3, values: rows.concat() });
    assert_eq!((data.labels.as_slice(), data.class_names.join(" ")), (&[2, 1, 1, 0][..], "0 1 4".to_owned()));
    check_round_trip(data);
    let undirected = read(&FILES, true, &[]).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(undirected.data.edges, [[0, 2], [2, 1], [3, 0], [2, 0], [1, 2], [0, 3]]);
}

#[test]
fn features_may_be_indices() {
    let nodes = "node_id\tfeature\tlabel\n0\t3,1\t0\n1\t0\t1\n";
    let files = [(FILES[0].0, nodes), (FILES[1].0, "node_id\tnode_id\n0\t1\n")];
    let imported = read(&files, false, &[]).unwrap_or_else(|error| panic!("{error}"));
    let rows = [[0.0, 1.0, 0.0, 1.0], [1.0, 0.0, 0.0, 0.0]];
    assert_eq!(imported.data.features, Features::Dense { width: 4, values: rows.concat() });
    assert!(imported.notes.iter().any(|note| note.contains("indices of 4")), "{:?}", imported.notes);
}

#[test]
fn splits_lie_in_files_of_their_own() {
    let splits = [masks([1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]), masks([0, 0, 1, 1], [1, 0, 0, 0], [0, 1, 0, 0])];
    let imported = read(&FILES, true, &splits).unwrap_or_else(|error| panic!("{error}"));
    let mut data = imported.data.clone();
    let first = [Split::Train, Split::Train, Split::Validation, Split::Test];
    let second = [Split::Validation, Split::Test, Split::Train, Split::Train];
    assert_eq!((data.splits.as_slice(), data.split_count()), (&first[..], 2));
    check_round_trip(&data);
    check_training(&imported);
    data.choose_split(1).expect("there are two");
    assert_eq!(data.splits, second);
    check_round_trip(&data);
    assert_eq!(
        data.choose_split(2).expect_err("there are two").to_string(),
        "there is no split 2; the data come with 2, counted from 0"
    );
    let one = read(&FILES, true, &splits[1..]).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((one.data.splits.as_slice(), one.data.split_count()), (&second[..], 1));
}

#[test]
fn mistakes_are_shown() {
    let none = ImportOptions::default();
    let bad = |nodes: &str, edges: &str, file: usize, message: &str, help: &str| {
        let files = [(FILES[0].0, nodes), (FILES[1].0, edges)];
        check_error("", &files, &none, FILES[file].0, message, help);
    };
    bad("id\tfeature\tlabel\n", EDGES, 0, "does not name the columns", "node_id");
    bad("node_id\tfeature\tlabel\n0\t§1,x\t0\n", EDGES, 0, "\"x\" is no number", "commas");
    bad("node_id\tfeature\tlabel\n§x\t1\t0\n", EDGES, 0, "\"x\" is no whole number", "the number");
    bad("node_id\tfeature\tlabel\n0\t1\t0\n0\t1\t0\n", EDGES, 0, "two nodes 0", "one of them");
    bad("node_id\tfeature\tlabel\n0\t1,2\t0\n1\t0.5\t0\n", EDGES, 0, "0.5 is no index", "as many features");
    bad(NODES, "node_id\tnode_id\n0\t§7\n", 1, "has no \"7\"", "");
    let refused = |arrays: Arrays| read(&FILES, true, &[arrays]).expect_err("the splits are wrong").to_string();
    let all = || masks([1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]);
    assert!(refused(all().with("val_mask", &array![1_u8, 0, 0, 0])).contains("in the split Train already"));
    assert!(refused(all().with("val_mask", &array![2_u8, 0, 0, 0])).contains("holds 2 at position 0"));
    assert!(refused(all().with("val_mask", &array![true, false])).contains("has the shape [2]"));
    assert!(refused(all().without("val_mask")).contains("\"val_mask\" is missing"));
    assert!(refused(Arrays::default().with("split", &array![1_u8])).contains("\"train_mask\" is missing"));
    let unlabeled = NODES.replace("\t4\n", "\t\n");
    let error = read(&[(FILES[0].0, &unlabeled), FILES[1]], true, &[all()]).expect_err("node 0 has no label");
    assert!(error.to_string().contains("node 0 is in a split, but has no label"), "{error}");
}
