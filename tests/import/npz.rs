//! NumPy arrays.

use std::io::Cursor;

use connectome::components::Loss;
use connectome::data::GraphData;
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
