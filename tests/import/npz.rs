//! NumPy arrays.

use std::io::Cursor;

use connectome::components::{Loss, Split};
use connectome::data::{DenseRows, EdgeLabels, Features, GraphData, GraphSet};
use connectome::import::{ImportError, ImportOptions, Imported, import};
use connectome::scene::SceneFile;
use connectome::task::{Regression, Task};
use ndarray::{arr0, array};
use ndarray_npy::NpzWriter;

use super::{check_error, check_round_trip, check_scene};
use crate::scenes::graph_files::Arrays;

fn asset(name: &str) -> GraphData {
    let path = format!("{}/assets/{name}", env!("CARGO_MANIFEST_DIR"));
    import(path.as_ref(), &ImportOptions::default()).unwrap_or_else(|error| panic!("{error}")).data
}

#[test]
fn what_comes_with_the_crate_comes_back() {
    for name in ["cora.npz", "citeseer.npz", "mutag.npz", "imdb-binary.npz"] {
        check_round_trip(&asset(name));
    }
}

#[test]
fn a_bare_list_of_edges_is_read() {
    let mut npz = NpzWriter::new_compressed(Cursor::new(Vec::new()));
    npz.add_array("n", &arr0(4_i64)).expect("it is written");
    npz.add_array("edges_undirected", &array![[0_i32, 1], [1, 2]]).expect("it is written");
    npz.add_array("extra", &array![1.0_f32]).expect("it is written");
    let bytes = npz.finish().expect("it is written").into_inner();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("g.npz");
    std::fs::write(&path, bytes).expect("it is written");
    let imported = import(&path, &ImportOptions::default()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((imported.data.nodes, imported.data.names.len()), (4, 0));
    assert_eq!(imported.data.edges, [[0, 1], [1, 2], [1, 0], [2, 1]]);
    assert_eq!(imported.notes, ["arrays that are not read: extra"]);
    check_round_trip(&imported.data);
    check_scene("bare", &imported);
}

/// Reads arrays from a file.
fn read(arrays: &Arrays) -> Result<Imported, ImportError> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("g.npz");
    std::fs::write(&path, arrays.bytes()).expect("it is written");
    import(&path, &ImportOptions::default())
}

/// As in heterophilous-graphs: edges once, and a row of masks for each split.
fn heterophilous() -> Arrays {
    Arrays::default()
        .with("node_features", &array![[1.0_f32, 0.0], [0.0, 1.0], [0.5, 0.5]])
        .with("node_labels", &array![0_i64, 1, 1])
        .with("edges", &array![[0_i64, 1], [2, 1], [2, 2], [1, 0]])
        .with("train_masks", &array![[true, false, false], [false, true, false]])
        .with("val_masks", &array![[false, true, false], [false, false, true]])
        .with("test_masks", &array![[false, false, true], [true, false, false]])
}

#[test]
fn heterophilous_graphs_are_read_as_they_are_published() {
    let imported = read(&heterophilous()).unwrap_or_else(|error| panic!("{error}"));
    let data = &imported.data;
    assert_eq!(data.edges, [[0, 1], [2, 1], [2, 2], [1, 0], [1, 2]]);
    let features = vec![1.0, 0.0, 0.0, 1.0, 0.5, 0.5];
    assert_eq!(data.features, Features::Dense { width: 2, values: features });
    assert_eq!((data.labels.as_slice(), data.classes), (&[0, 1, 1][..], 2));
    let splits = [[Split::Train, Split::Validation, Split::Test], [Split::Test, Split::Train, Split::Validation]];
    assert_eq!(
        (data.splits.as_slice(), data.alternative_splits.as_slice()),
        (&splits[0][..], &splits.map(Vec::from)[..])
    );
    assert_eq!(imported.notes, ["edges is read as undirected: 3 edges, each in either direction; 1 list one again"]);
    check_round_trip(data);
    check_scene("roman", &imported);
    let wrong = heterophilous().with("edges", &array![[0_i64, 1, 2], [1, 2, 0]]);
    let error = read(&wrong).expect_err("edges are rows");
    assert!(error.help.contains("call it edge_index"), "{error}");
}

/// As in gnn-benchmark: an adjacency matrix that is not symmetric, and features as sparse or dense.
#[test]
fn gnn_benchmarks_are_read_as_they_are_published() {
    for [adjacency, attributes] in [["adj_", "attr_"], ["adj_matrix.", "attr_matrix."]] {
        let name = |prefix: &str, part: &str| format!("{prefix}{part}");
        let arrays = Arrays::default()
            .with(&name(adjacency, "data"), &array![1.0_f32, 1.0, 2.0])
            .with(&name(adjacency, "indices"), &array![1_i32, 0, 2])
            .with(&name(adjacency, "indptr"), &array![0_i32, 1, 3, 3])
            .with(&name(adjacency, "shape"), &array![3_i64, 3])
            .with("labels", &array![2_i64, 0, 1]);
        let sparse = arrays
            .clone()
            .with(&name(attributes, "data"), &array![1.0_f32, 1.0])
            .with(&name(attributes, "indices"), &array![0_i32, 3])
            .with(&name(attributes, "indptr"), &array![0_i32, 1, 1, 2])
            .with(&name(attributes, "shape"), &array![3_i64, 4]);
        let imported = read(&sparse).unwrap_or_else(|error| panic!("{error}"));
        let data = &imported.data;
        assert_eq!(data.edges, [[0, 1], [1, 0], [1, 2], [2, 1]]);
        assert_eq!(data.weights, Some(vec![1.0, 1.0, 2.0, 2.0]));
        let features =
            Features::Sparse { width: 4, offsets: vec![0, 1, 1, 2], indices: vec![0, 3], values: vec![1.0, 1.0] };
        assert_eq!((&data.features, data.labels.as_slice()), (&features, &[2, 0, 1][..]));
        let note = format!(
            "{adjacency}data is read as undirected: 1 of 3 edges had none in the other direction, which is added"
        );
        let splits = "the nodes have no splits: three fifths are to train, one to validate and one to test on";
        assert_eq!(imported.notes, [&note, splits]);
        assert!(data.count(Split::Train) > 0 && data.count(Split::Unused) == 0);
        check_round_trip(data);
        let dense = read(&arrays.with("attr_matrix", &array![[1.0_f32], [2.0], [3.0]]));
        let dense = dense.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(dense.data.features, Features::Dense { width: 1, values: vec![1.0, 2.0, 3.0] });
        let wide = read(&sparse.with(&name(adjacency, "shape"), &array![3_i64, 4])).expect_err("it is no square");
        assert!(wide.message.contains("as many columns as rows"), "{wide}");
    }
}

/// As in PyTorch Geometric: a column of masks for each split, and one test split for all.
#[test]
fn several_splits_may_be_columns_of_masks() {
    let arrays = Arrays::small().without("train").without("val").without("test");
    let arrays = arrays
        .with("train_mask", &array![[1_i32, 0], [0, 1], [0, 0]])
        .with("val_mask", &array![[false, true], [true, false], [false, false]])
        .with("test_mask", &array![false, false, true]);
    let data = read(&arrays).unwrap_or_else(|error| panic!("{error}")).data;
    let [one, other] = [Split::Train, Split::Validation];
    assert_eq!(data.alternative_splits, [[one, other, Split::Test], [other, one, Split::Test]]);
    check_round_trip(&data);
    let error = read(&arrays.with("test_mask", &array![[true, true, true], [true, true, true], [true, true, true]]));
    assert!(error.expect_err("these are three").message.contains("holds 3 splits, but the arrays before it 2"));
}

#[test]
fn arrays_that_are_not_read_are_told_with_what_they_could_be_called() {
    let arrays = Arrays::small().with("edge_wieght", &array![1.0_f32]).with("train_idx", &array![0_i32]);
    let imported = read(&arrays.with("metadata", &array![0_i32])).unwrap_or_else(|error| panic!("{error}"));
    let note = "arrays that are not read: edge_wieght (should it be read, call it edge_weight), metadata, \
        train_idx (should it be read, call it train)";
    assert_eq!(imported.notes, [note]);
}

#[test]
fn names_of_classes_come_back() {
    let arrays = Arrays::small().with("class_name", &ndarray::arr1("redblue".as_bytes()));
    let data =
        read(&arrays.clone().with("class_name_ptr", &array![0_i32, 3, 7])).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(data.data.class_names, ["red", "blue"]);
    check_round_trip(&data.data);
    let error = read(&arrays.with("class_name_ptr", &array![0_i32, 7])).expect_err("there are two classes");
    assert!(error.message.contains("the names of 1 classes, but there are 2"), "{error}");
}

#[test]
fn numbers_to_predict_come_back_and_are_learned() {
    let scene = format!("{}/assets/rooms.ron", env!("CARGO_MANIFEST_DIR"));
    let (_, data) = SceneFile::load(scene).unwrap_or_else(|error| panic!("{error}"));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rooms.npz");
    std::fs::write(&path, data.to_npz().expect("it is written")).expect("it is written");
    let imported = import(&path, &ImportOptions::default()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(imported.data, data);
    check_round_trip(&imported.data);
    assert_eq!(
        check_scene("rooms", &imported).0.task,
        Some(Task::NodeRegression(Regression { loss: Loss::MeanSquaredError }))
    );
}

#[test]
fn mistakes_are_shown() {
    let none = ImportOptions::default();
    check_error("g.npz", &[("g.npz", "no zip")], &none, "g.npz", "no npz archive", "savez");
    let data = GraphData { nodes: 2, labels: vec![0], ..GraphData::default() };
    let error = data.to_npz().expect_err("a label is missing");
    assert!(error.to_string().contains("array \"y\" has 1 values") && error.help.contains('2'), "{error}");
}

/// Values of graphs, and classes and values of edges, are what the scene to begin with is about.
#[test]
fn what_is_known_of_edges_and_graphs_is_to_be_learned() {
    let edges = |classes: usize, targets: bool| GraphData {
        nodes: 2,
        labels: vec![0; 2],
        splits: vec![Split::Unused; 2],
        classes: 1,
        features: Features::Dense { width: 1, values: vec![0.0, 1.0] },
        edges: vec![[0, 1], [1, 0]],
        edge_labels: Some(EdgeLabels {
            labels: vec![0, classes as u32 - 1],
            classes,
            targets: targets.then(|| DenseRows { width: 3, values: vec![0.5; 6] }),
            splits: vec![Split::Train; 2],
        }),
        ..GraphData::default()
    };
    let set = GraphData {
        edge_labels: None,
        graphs: Some(GraphSet {
            node_offsets: vec![0, 2],
            edge_offsets: vec![0, 2],
            labels: vec![0],
            classes: 1,
            splits: vec![Split::Train],
            targets: Some(DenseRows { width: 2, values: vec![1.0, 2.0] }),
            ..GraphSet::default()
        }),
        ..edges(1, false)
    };
    for (data, task) in [
        (edges(2, false), Task::EdgeClassification),
        (edges(1, true), Task::EdgeRegression(Regression::default())),
        (set, Task::GraphRegression(Regression::default())),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("graph.npz");
        std::fs::write(&path, data.to_npz().unwrap()).unwrap();
        let imported = import(&path, &ImportOptions::default()).unwrap();
        assert_eq!(check_scene("known", &imported).0.task, Some(task));
    }
}
