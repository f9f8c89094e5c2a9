//! NumPy arrays.

use std::io::Cursor;

use connectome::components::{Loss, Split};
use connectome::data::{DenseRows, EdgeLabels, Features, GraphData, GraphSet};
use connectome::import::{ImportOptions, import};
use connectome::scene::SceneFile;
use connectome::task::{Regression, Task};
use ndarray::{arr0, array};
use ndarray_npy::NpzWriter;

use super::{check_error, check_round_trip, check_scene};

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
