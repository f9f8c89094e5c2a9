//! Graphs in `.npz` files: what is read from them, and what is refused.

use std::io::{Cursor, Write};

use connectome::data::{DenseRows, Features, GraphData};
use connectome::scene::{Position, SceneError, SceneFile};
use connectome_components::Split;
use ndarray::{Array1, Array2, ShapeBuilder, array};
use ndarray_npy::WriteNpyExt;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::assert_error;

/// Where [`SCENE`] names its graph.
const GRAPH: Position = Position { line: 3, column: 12 };

const SCENE: &str = r#"(
    name: "file",
    graph: Npz("graph.npz"),
    model: [GcnConv(width: 2)],
    optimizer: Sgd(learning_rate: 0.1),
)"#;

/// The arrays of a graph file, each as the bytes of an `.npy`.
#[derive(Clone, Default)]
pub struct Arrays(Vec<(String, Vec<u8>)>);

impl Arrays {
    /// Three nodes, two edges, two classes.
    pub fn small() -> Self {
        Self(Vec::new())
            .with("x_data", &array![1.0_f32, 3.0, 2.0])
            .with("x_indices", &array![0_i32, 3, 1])
            .with("x_indptr", &array![0_i32, 2, 3, 3])
            .with("x_shape", &array![3_i64, 4])
            .with("y", &array![0_i32, 1, 0])
            .with("edge_index", &array![[0_i32, 2], [1, 0]])
            .with("train", &array![0_i32])
            .with("val", &array![1_i32])
            .with("test", &array![2_i32])
    }

    /// Puts an array in, or in the place of another.
    pub fn with(self, name: &str, array: &impl WriteNpyExt) -> Self {
        let mut bytes = Vec::new();
        array.write_npy(&mut bytes).expect("the array is written");
        self.with_bytes(name, bytes)
    }

    fn with_bytes(self, name: &str, bytes: Vec<u8>) -> Self {
        let mut arrays = self.without(name);
        arrays.0.push((name.to_owned(), bytes));
        arrays
    }

    pub fn without(mut self, name: &str) -> Self {
        self.0.retain(|(other, _)| other != name);
        self
    }

    /// Puts in an array that claims a shape it need not have.
    fn with_header(self, name: &str, dictionary: &str) -> Self {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        let length = u16::try_from(dictionary.len() + 1).expect("the header is short");
        bytes.extend(length.to_le_bytes());
        bytes.extend(dictionary.bytes());
        bytes.extend(b"\n0000");
        self.with_bytes(name, bytes)
    }

    /// Puts in an array of any type, in the notation of NumPy.
    fn with_type(self, name: &str, descriptor: &str, shape: &str, values: &[u8]) -> Self {
        let header = format!("{{'descr': '{descriptor}', 'fortran_order': False, 'shape': {shape}, }}\n");
        let length = u16::try_from(header.len()).expect("the header is short").to_le_bytes();
        self.with_bytes(name, [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), values].concat())
    }

    /// Names and bytes of the arrays.
    pub fn contents(&mut self) -> &mut [(String, Vec<u8>)] {
        &mut self.0
    }

    /// The file.
    pub fn bytes(&self) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in &self.0 {
            zip.start_file(format!("{name}.npy"), SimpleFileOptions::default()).expect("the zip is written");
            zip.write_all(bytes).expect("the zip is written");
        }
        zip.finish().expect("the zip is written").into_inner()
    }
}

/// Loads a scene with this graph file beside it.
pub fn load(bytes: &[u8]) -> Result<(SceneFile, GraphData), SceneError> {
    load_with(SCENE, bytes)
}

/// Loads a scene that names `graph.npz`, with these bytes in that file.
pub fn load_with(scene: &str, bytes: &[u8]) -> Result<(SceneFile, GraphData), SceneError> {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("graph.npz"), bytes).expect("the graph is written");
    std::fs::write(folder.path().join("x.ron"), scene).expect("the scene is written");
    SceneFile::load(folder.path().join("x.ron"))
}

#[track_caller]
fn good(arrays: &Arrays) -> GraphData {
    load(&arrays.bytes()).unwrap_or_else(|error| panic!("{error}")).1
}

/// Asserts that the file is refused, and the error points at the graph and names file and array.
#[track_caller]
fn bad(arrays: &Arrays, message: &str, help: &str) {
    let error = load(&arrays.bytes()).expect_err("the file is wrong");
    assert_error(&error, GRAPH, message, help);
    assert!(error.message.contains("graph.npz"), "{error}");
}

#[test]
fn sparse_features_stay_sparse() {
    let data = good(&Arrays::small());
    let features =
        Features::Sparse { width: 4, offsets: vec![0, 2, 3, 3], indices: vec![0, 3, 1], values: vec![1.0, 3.0, 2.0] };
    let expected = GraphData {
        nodes: 3,
        features,
        labels: vec![0, 1, 0],
        splits: vec![Split::Train, Split::Validation, Split::Test],
        classes: 2,
        edges: vec![[0, 1], [2, 0]],
        ..GraphData::default()
    };
    assert_eq!(data, expected);
}

#[test]
fn every_type_reads_alike() {
    let expected = good(&Arrays::small().with("edge_weight", &array![2.0_f32, 1.0]));
    let long = Arrays::small()
        .with("x_data", &array![1.0_f64, 3.0, 2.0])
        .with("x_indices", &array![0_i64, 3, 1])
        .with("x_indptr", &array![0_u32, 2, 3, 3])
        .with("x_shape", &array![3_i32, 4])
        .with("y", &array![0_u32, 1, 0])
        .with("edge_index", &array![[0_i64, 2], [1, 0]])
        .with("edge_weight", &array![2_i64, 1])
        .with("train", &array![0_u32]);
    assert_eq!(good(&long), expected);
}

#[test]
fn dense_features_are_read_by_rows_whatever_their_layout() {
    let bare = ["x_data", "x_indices", "x_indptr", "x_shape"]
        .iter()
        .fold(Arrays::small(), |arrays, name| arrays.without(name));
    let rows = array![[1.0_f32, 2.0], [3.0, 4.0], [5.0, 6.0]];
    let values = vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    assert_eq!(good(&bare.clone().with("x", &rows)).features, Features::Dense { width: 2, values: values.clone() });
    let columns = Array2::from_shape_vec((3, 2).f(), vec![1.0_f32, 3.0, 5.0, 2.0, 4.0, 6.0]).expect("it fits");
    assert_eq!(good(&bare.clone().with("x", &columns)).features, Features::Dense { width: 2, values });
    bad(&bare.clone().with("x", &array![[1.0_f32]]), "array \"x\" has the shape [1, 1]", "[3, any]");
    bad(&bare.clone().with("x", &array![1.0_f32, 2.0, 3.0]), "array \"x\" has the shape [3]", "[3, any]");
    bad(&bare, "\"x_data\" and \"x\" are missing", "edge_index, test, train, val, y");
}

#[test]
fn features_of_edges_targets_and_names_are_read() {
    let data = good(
        &Arrays::small()
            .with("edge_attr", &array![[1.0_f32, 2.0], [3.0, 4.0]])
            .with("node_target", &array![0.5_f64, 1.5, 2.5])
            .with("node_name", &ndarray::arr1("Änn".as_bytes()))
            .with("node_name_ptr", &array![0_i32, 3, 3, 4]),
    );
    assert_eq!(data.edge_features, Some(DenseRows { width: 2, values: vec![1.0, 2.0, 3.0, 4.0] }));
    assert_eq!(data.targets, Some(DenseRows { width: 1, values: vec![0.5, 1.5, 2.5] }));
    assert_eq!(data.names, ["Än", "", "n"]);
    let small = Arrays::small;
    bad(&small().without("y"), "array \"y\" is missing", "the file holds");
    bad(&small().with("edge_attr", &array![1.0_f32]), "array \"edge_attr\" has the shape [1]", "[2, any]");
    bad(&small().with("node_target", &array![1.0_f32, f32::NAN, 0.0]), "array \"node_target\" holds NaN", "finite");
    let named = small().with("node_name", &ndarray::arr1("Änn".as_bytes()));
    bad(&named, "array \"node_name_ptr\" is missing", "node_name");
    bad(&named.clone().with("node_name_ptr", &array![0_i32, 1, 2, 4]), "UTF-8 for node 0", "UTF-8");
    bad(&named.with("node_name_ptr", &array![0_i32, 1, 2, 3]), "from 0 to 3, but there are 4 bytes", "rise");
}

#[test]
fn a_file_may_tell_of_no_split() {
    let bare = ["train", "val", "test"].iter().fold(Arrays::small(), |arrays, name| arrays.without(name));
    bad_scene(&bare, "no node is in the split Train");
    let error = load_with(&SCENE.replace("optimizer", "task: LinkPrediction(), optimizer"), &bare.bytes());
    assert_eq!(error.map(|(_, data)| data.splits), Ok(vec![Split::Unused; 3]));
}

#[test]
fn files_must_be_there_and_be_zips() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.ron");
    let error = SceneFile::load(&path).expect_err("there is no scene");
    assert_error(&error, Position::START, "cannot be read", "path");
    std::fs::write(&path, SCENE).expect("the scene is written");
    assert_error(&SceneFile::load(&path).expect_err("no graph"), GRAPH, "graph.npz: the file cannot be opened", "path");
    assert_error(&load(b"no zip").expect_err("no zip"), GRAPH, "graph.npz: the file is no npz archive", "savez");
    assert_error(&load(b"").expect_err("no zip"), GRAPH, "is no npz archive", "savez");
    std::fs::create_dir(folder.path().join("graph.npz")).expect("a folder");
    assert_error(&SceneFile::load(&path).expect_err("a folder"), GRAPH, "not a plain file", "path");
    std::fs::write(&path, b"(\n  name: \"\xff\"").expect("the scene is written");
    let place = Position { line: 2, column: 10 };
    assert_error(&SceneFile::load(&path).expect_err("no text"), place, "byte 0xff is not UTF-8", "UTF-8");
}

#[test]
fn missing_arrays_are_named_with_those_present() {
    for name in ["x_indices", "x_indptr", "x_shape", "y", "edge_index", "train", "val", "test"] {
        bad(&Arrays::small().without(name), &format!("array \"{name}\" is missing"), "the file holds");
    }
    let other = Arrays::small().without("y").with("label", &array![0_i32, 1, 0]);
    bad(&other, "array \"y\" is missing", "if it is \"label\", write that as \"y\"");
    bad(&Arrays::small().without("val"), "missing", "edge_index, test, train, x_data, x_indices, x_indptr, x_shape, y");
}

/// The layout of heterophilous-graphs in a scene, with what is to be said about it.
#[test]
fn published_layouts_are_read_by_scenes() {
    let arrays = Arrays::default()
        .with("node_features", &array![[1.0_f32], [2.0], [3.0]])
        .with("node_labels", &array![0_i32, 1, 0])
        .with("edges", &array![[0_i32, 1], [1, 2]])
        .with("train_masks", &array![[true, false, false]])
        .with("val_masks", &array![[false, true, false]])
        .with("test_masks", &array![[false, false, true]])
        .with("extra", &array![1.0_f32]);
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("graph.npz"), arrays.bytes()).expect("the graph is written");
    let path = folder.path().join("x.ron");
    let load = |scene: &str| {
        std::fs::write(&path, scene).expect("the scene is written");
        SceneFile::load_with_notes(&path).unwrap_or_else(|error| panic!("{error}"))
    };
    let (_, data, notes) = load(SCENE);
    assert_eq!(data.edges, [[0, 1], [1, 2], [1, 0], [2, 1]]);
    assert_eq!((data.splits.as_slice(), data.split_count()), (&[Split::Train, Split::Validation, Split::Test][..], 1));
    let undirected = "edges is read as undirected: 2 edges, each in either direction";
    assert_eq!(notes, [undirected, "arrays that are not read: extra"]);
    // Features that the scene does not want are nothing unknown.
    let (_, data, notes) = load(&SCENE.replace("model:", "features: Identity, model:"));
    assert_eq!((data.features, notes.len()), (Features::identity(3), 2));
}

#[test]
fn shapes_and_types_must_fit() {
    let small = Arrays::small;
    bad(&small().with("y", &array![[0_i32, 1, 0]]), "array \"y\" has the shape [1, 3]", "[any]");
    bad(
        &small().with("y", &array![0.0_f32, 1.0, 0.0]),
        "array \"y\" has the type '<f4', which is not one of i1, u1",
        "astype",
    );
    bad(
        &small().with("edge_index", &array![[true], [false]]),
        "array \"edge_index\" has the type '|b1'",
        "flatnonzero",
    );
    bad(&small().with("edge_index", &array![0_i32, 1]), "array \"edge_index\" has the shape [2]", "[2, edges]");
    bad(&small().with("edge_index", &array![[0_i32], [1], [2]]), "has the shape [3, 1]", "[2, edges]");
    bad(&small().with("edge_weight", &array![1.0_f32]), "array \"edge_weight\" has the shape [1]", "[2]");
    bad(&small().with("x_shape", &array![4_i64, 4]), "array \"x_shape\" is [4, 4]", "number of nodes");
    bad(&small().with("x_shape", &array![3_i64, -4]), "array \"x_shape\" is [3, -4]", "number of nodes");
    bad(&small().with("x_shape", &array![3_i64, 1 << 33]), "are numbered with 32 bits", "features");
    bad(&small().with("x_indices", &array![0_i32]), "array \"x_indices\" has the shape [1]", "[3]");
    bad(&small().with("x_indptr", &array![0_i32, 3]), "array \"x_indptr\" has the shape [2]", "[4]");
}

/// 1, 0 and 2, which every type holds exactly, are the same numbers in each.
#[test]
fn features_of_any_type_are_the_same_numbers() {
    let [one, two] = [1.0_f64, 2.0];
    for (descriptor, bytes) in [
        ("<f2", [0x3c00_u16, 0, 0x4000].map(u16::to_le_bytes).concat()),
        (">f2", [0x3c00_u16, 0, 0x4000].map(u16::to_be_bytes).concat()),
        ("<V2", [0x3f80_u16, 0, 0x4000].map(u16::to_le_bytes).concat()),
        ("<f4", [1.0_f32, 0.0, 2.0].map(f32::to_le_bytes).concat()),
        ("<f8", [one, 0.0, two].map(f64::to_le_bytes).concat()),
        (">f8", [one, 0.0, two].map(f64::to_be_bytes).concat()),
        ("|i1", vec![1, 0, 2]),
        ("|u1", vec![1, 0, 2]),
        ("<i2", [1_i16, 0, 2].map(i16::to_le_bytes).concat()),
        (">u2", [1_u16, 0, 2].map(u16::to_be_bytes).concat()),
        ("<i4", [1_i32, 0, 2].map(i32::to_le_bytes).concat()),
        ("<u4", [1_u32, 0, 2].map(u32::to_le_bytes).concat()),
        (">i8", [1_i64, 0, 2].map(i64::to_be_bytes).concat()),
        ("<u8", [1_u64, 0, 2].map(u64::to_le_bytes).concat()),
    ] {
        let data = good(&Arrays::small().without("x_data").with_type("x", descriptor, "(3, 1)", &bytes));
        assert_eq!(data.features, Features::Dense { width: 1, values: vec![1.0, 0.0, 2.0] }, "{descriptor}");
    }
    let data = good(&Arrays::small().without("x_data").with("x", &array![[true], [false], [true]]));
    assert_eq!(data.features, Features::Dense { width: 1, values: vec![1.0, 0.0, 1.0] });
}

#[test]
fn numbers_of_nodes_have_any_type_of_integers() {
    for (descriptor, bytes) in [
        ("<i2", [0_i16, 1, 0].map(i16::to_le_bytes).concat()),
        (">u2", [0_u16, 1, 0].map(u16::to_be_bytes).concat()),
        ("<u8", [0_u64, 1, 0].map(u64::to_le_bytes).concat()),
        ("|b1", vec![0, 1, 0]),
    ] {
        let data = good(&Arrays::small().with_type("y", descriptor, "(3,)", &bytes));
        assert_eq!(data.labels, [0, 1, 0], "{descriptor}");
    }
    let large = [0, u64::MAX, 0].map(u64::to_le_bytes).concat();
    bad(&Arrays::small().with_type("y", "<u8", "(3,)", &large), "array \"y\" holds 9223372036854775807", "from 0");
    let names = [0_u8; 12];
    bad(&Arrays::small().with_type("y", "<U1", "(3,)", &names), "array \"y\" has the type '<U1'", "numpy.unique");
}

#[test]
fn splits_may_be_masks() {
    let masks = |one: [bool; 3], two: [bool; 3], three: [bool; 3]| {
        let small = Arrays::small().with("train", &Array1::from_iter(one)).with("val", &Array1::from_iter(two));
        small.with("test", &Array1::from_iter(three))
    };
    let data = good(&masks([false, false, true], [true, false, false], [false; 3]));
    assert_eq!(data.splits, [Split::Validation, Split::Unused, Split::Train]);
    bad(
        &masks([true, false, false], [true, false, false], [false; 3]),
        "\"val\" lists node 0, which is in the split Train",
        "one",
    );
    bad(&Arrays::small().with("train", &array![true]), "array \"train\" has the shape [1]", "[3]");
    // Masks of zeros and ones: as lists they would overlap.
    let small = Arrays::small().with("train", &array![0_i32, 0, 1]).with("val", &array![1_i32, 0, 0]);
    let data = good(&small.with("test", &array![0_i32, 1, 0]));
    assert_eq!(data.splits, [Split::Validation, Split::Test, Split::Train]);
}

#[test]
fn rows_must_follow_each_other() {
    let small = Arrays::small;
    bad(&small().with("x_indptr", &array![0_i32, 3, 2, 3]), "array \"x_indptr\" falls from 3 to 2 at row 1", "rise");
    bad(&small().with("x_indptr", &array![0_i32, 1, 2, 2]), "goes from 0 to 2, but there are 3 values", "rise");
    bad(&small().with("x_indptr", &array![-1_i32, 1, 2, 3]), "goes from -1 to 3", "rise");
}

#[test]
fn indices_must_be_in_range() {
    let small = Arrays::small;
    bad(
        &small().with("edge_index", &array![[0_i32, 3], [1, 0]]),
        "array \"edge_index\" holds 3 at position 1, outside 0..3",
        "node",
    );
    bad(&small().with("edge_index", &array![[0_i32, 1], [-1, 0]]), "holds -1 at position 2", "node");
    bad(
        &small().with("x_indices", &array![0_i32, 4, 1]),
        "array \"x_indices\" holds 4 at position 1, outside 0..4",
        "column",
    );
    bad(&small().with("train", &array![3_i32]), "array \"train\" holds 3 at position 0", "node");
    bad(&small().with("y", &array![0_i32, -1, 0]), "array \"y\" holds -1 at position 1", "classes are counted from 0");
    bad(&small().with("unlabeled", &array![7_i32]), "array \"unlabeled\" holds 7", "node");
}

#[test]
fn numbers_must_be_finite() {
    let small = Arrays::small;
    bad(&small().with("x_data", &array![1.0_f32, f32::NAN, 2.0]), "array \"x_data\" holds NaN at position 1", "finite");
    bad(&small().with("x_data", &array![1.0_f64, 1e300, 2.0]), "array \"x_data\" holds inf at position 1", "finite");
    bad(&small().with("edge_weight", &array![1.0_f32, f32::INFINITY]), "array \"edge_weight\" holds inf", "finite");
}

#[test]
fn splits_must_not_overlap() {
    let small = Arrays::small;
    bad(
        &small().with("test", &array![2_i32, 0]),
        "array \"test\" lists node 0, which is in the split Train",
        "one split",
    );
    bad(&small().with("test", &array![2_i32, 2]), "array \"test\" lists node 2, which is in the split Test", "once");
    bad(
        &small().with("unlabeled", &array![1_i32]),
        "array \"unlabeled\" lists node 1, which is in the split Validation",
        "out of",
    );
    // In British spelling, as in earlier files.
    bad(
        &small().with("unlabelled", &array![1_i32]),
        "array \"unlabelled\" lists node 1, which is in the split Validation",
        "out of",
    );
    bad_scene(&small().with("train", &Array1::<i32>::zeros(0)), "no node is in the split Train");
}

/// Asserts that the file is read, but not the graph the scene needs.
#[track_caller]
fn bad_scene(arrays: &Arrays, message: &str) {
    assert_error(&load(&arrays.bytes()).expect_err("the graph is wrong"), GRAPH, message, "");
}

#[test]
fn absurd_headers_are_refused_before_memory_is_taken() {
    let header = |shape: &str| format!("{{'descr': '<i4', 'fortran_order': False, 'shape': {shape}, }}");
    let small = Arrays::small;
    for shape in ["(4611686018427387904,)", "(9999999999, 9999999999, 9999999999)"] {
        bad(&small().with_header("y", &header(shape)), "array \"y\" says its shape is", "smaller graph");
    }
    for shape in ["(1000000000000,)", "(2,)", "(0,)"] {
        bad(&small().with_header("y", &header(shape)), "but the file holds", "savez");
    }
    bad(&small().with_header("y", &header("(0, 9999999999, 9999999999)")), "array \"y\"", "");
    bad(&small().with_header("y", &header("(99999999999999999999,)")), "array \"y\" cannot be read", "savez");
    bad(&small().with_header("y", &"(".repeat(9000)), "does not hold plain numbers", "savez");
    bad(&small().with_header("y", &" ".repeat(20_000)), "its header is 20001 bytes long", "savez");
    bad(&small().with_bytes("y", b"\x93NUMPY\x02\x00\xff\xff\xff\xff".to_vec()), "header is 4294967295 bytes", "savez");
    bad(&small().with_bytes("y", b"short".to_vec()), "array \"y\" cannot be read", "savez");
}
