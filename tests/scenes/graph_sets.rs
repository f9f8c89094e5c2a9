//! Data of many graphs: what is read, what is refused, and the sets that come with the crate.

use connectome::data::{Features, GraphData, GraphSet};
use connectome::scene::{Position, SceneError, SceneFile};
use connectome_components::Split;
use ndarray::{Array1, array};

use super::assert_error;
use super::graph_files::{Arrays, load_with};

const GRAPH: Position = Position { line: 3, column: 12 };

const SCENE: &str = r#"(
    name: "set",
    graph: Npz("graph.npz"),
    features: Given,
    model: [GcnConv(width: 2), Readout(Sum)],
    task: GraphClassification,
    optimizer: Sgd(learning_rate: 0.1),
    training: (batch_size: 2, accumulation_steps: 3, clip_norm: 1.0),
)"#;

/// Three graphs with two, none and three nodes.
pub fn small() -> Arrays {
    Arrays::default()
        .with("y", &array![0_i32, 1, 1])
        .with("node_label", &array![0_i32, 2, 1, 1, 1])
        .with("node_ptr", &array![0_i32, 2, 2, 5])
        .with("edge_ptr", &array![0_i32, 2, 2, 4])
        .with("edge_index", &array![[0_i32, 1, 2, 3], [1, 0, 3, 2]])
        .with("fold", &array![0_i8, 1, 2])
}

/// Loads a scene with this set beside it.
pub fn load(arrays: &Arrays) -> Result<(SceneFile, GraphData), SceneError> {
    load_with(SCENE, &arrays.bytes())
}

#[track_caller]
fn good(arrays: &Arrays) -> (GraphData, GraphSet) {
    let (_, data) = load(arrays).unwrap_or_else(|error| panic!("{error}"));
    let graphs = data.graphs.clone().expect("the data are a set");
    (data, graphs)
}

#[track_caller]
fn bad(arrays: &Arrays, message: &str, help: &str) {
    assert_error(&load(arrays).expect_err("the file is wrong"), GRAPH, message, help);
}

#[test]
fn a_set_of_graphs_is_read() {
    let (data, graphs) = good(&small());
    assert_eq!((data.nodes, data.classes, data.labels), (5, 3, vec![0, 2, 1, 1, 1]));
    assert_eq!(data.splits, [Split::Unused; 5]);
    assert_eq!(data.edges, [[0, 1], [1, 0], [2, 3], [3, 2]]);
    assert_eq!(data.features, Features::one_hot(vec![0, 2, 1, 1, 1], 3));
    let expected = GraphSet {
        node_offsets: vec![0, 2, 2, 5],
        edge_offsets: vec![0, 2, 2, 4],
        labels: vec![0, 1, 1],
        classes: 2,
        splits: vec![Split::Test, Split::Validation, Split::Train],
        folds: Some(vec![0, 1, 2]),
        targets: None,
    };
    assert_eq!(graphs, expected);
    assert_eq!((graphs.nodes(2), graphs.edges(2), graphs.edges(1)), (2..5, 2..4, 2..2));
    assert_eq!(graphs.hold_out(2), [Split::Train, Split::Train, Split::Validation]);
    // Where edges begin follows from the edges.
    assert_eq!(good(&small().without("edge_ptr")).1, expected);
}

#[test]
fn splits_of_the_file_count_and_missing_folds_are_made() {
    let split = |arrays: Arrays| {
        arrays.with("train", &array![0_i32]).with("val", &array![2_i32]).with("test", &Array1::<i32>::zeros(0))
    };
    let expected = [Split::Train, Split::Unused, Split::Validation];
    assert_eq!(good(&split(small())).1.splits, expected);
    let (_, made) = good(&split(small().without("fold")));
    assert_eq!((made.splits.as_slice(), made.fold_count()), (&expected[..], 3));
    let (_, made) = good(&small().without("fold"));
    assert!([Split::Train, Split::Validation, Split::Test].iter().all(|&split| made.count(split) == 1), "{made:?}");
    let two = good(&small().with("fold", &array![0_i8, 1, 1])).1;
    assert_eq!(two.splits, [Split::Test, Split::Train, Split::Train]);
    assert_eq!(good(&small().with("fold", &array![0_i8, 0, 0])).1.splits, [Split::Train; 3]);
}

#[test]
fn features_may_be_those_of_the_file_or_made() {
    let features = |name: &str, arrays: &Arrays| {
        load_with(&SCENE.replace("Given", name), &arrays.bytes()).map(|(_, data)| data.features)
    };
    let given = small().with("x", &array![[1.0_f32], [2.0], [3.0], [4.0], [5.0]]);
    let values = vec![1.0, 2.0, 3.0, 4.0, 5.0];
    assert_eq!(features("Given", &given), Ok(Features::Dense { width: 1, values }));
    assert_eq!(features("Ones", &given), Ok(Features::Dense { width: 1, values: vec![1.0; 5] }));
    // Degrees 1, 1, 1, 1 and 0.
    assert_eq!(features("Degree", &given), Ok(Features::one_hot(vec![1, 1, 1, 1, 0], 2)));
    let alike = small().with("node_label", &Array1::<i8>::zeros(5));
    let error = features("Given", &alike).expect_err("nothing tells nodes apart");
    assert_error(&error, Position { line: 4, column: 15 }, "the nodes have no features", "features: Degree");
    assert_eq!(features("Degree", &alike), Ok(Features::one_hot(vec![1, 1, 1, 1, 0], 2)));
}

#[test]
fn sets_must_make_sense() {
    bad(&small().without("node_label"), "array \"node_label\" is missing", "node_ptr");
    bad(&small().with("node_ptr", &array![0_i32, 5]), "array \"node_ptr\" has the shape [2]", "[4]");
    bad(&small().with("node_ptr", &array![0_i32, 3, 2, 5]), "falls from 3 to 2", "rise");
    bad(&small().with("node_ptr", &array![0_i32, 2, 2, 4]), "from 0 to 4, but there are 5 nodes in node_label", "rise");
    bad(&small().with("node_ptr", &array![0_i32, 1, 2, 5]), "joins graph 0 to graph 1 with edge 0", "stay");
    let swapped = array![[2_i32, 3, 0, 1], [3, 2, 1, 0]];
    bad(&small().with("edge_index", &swapped), "edge 2 of graph 0 behind edges of graph 2", "sort");
    bad(
        &small().with("edge_ptr", &array![0_i32, 2, 3, 4]),
        "holds 3 at position 2, but by edge_index it is 2",
        "leave",
    );
    bad(&small().with("fold", &array![0_i8, -1, 2]), "array \"fold\" holds -1", "counted from 0");
    bad(&small().with("fold", &array![0_i8, 1]), "array \"fold\" has the shape [2]", "[3]");
    bad(&small().with("graph_target", &array![1.0_f32]), "array \"graph_target\" has the shape [1]", "[3, any]");
    let split = small().with("train", &array![3_i32]).with("val", &array![0_i32]).with("test", &array![1_i32]);
    bad(&split, "array \"train\" holds 3 at position 0", "number of a graph");
    let untaught = split.clone().with("train", &Array1::<i32>::zeros(0));
    bad(&untaught, "no graph is in the split Train", "at least one");
    bad(&split.with("train", &array![0_i32]), "array \"val\" lists graph 0, which is in the split Train", "one split");
    let empty = Array1::<i32>::zeros(0);
    let none = Arrays::default()
        .with("y", &empty)
        .with("node_label", &empty)
        .with("node_ptr", &array![0_i32])
        .with("edge_index", &ndarray::Array2::<i32>::zeros((2, 0)));
    bad(&none, "no graph is in the split Train", "at least one");
}

#[test]
fn tasks_and_widths_must_suit_the_set() {
    let error = |scene: String| load_with(&scene, &small().bytes()).expect_err("the scene is wrong");
    let place = Position { line: 6, column: 11 };
    let flat = error(SCENE.replace(", Readout(Sum)", ""));
    assert_error(&flat, Position { line: 5, column: 12 }, "a row for each node", "add a readout");
    let nodes = error(SCENE.replace("GraphClassification", "NodeClassification"));
    assert_error(&nodes, place, "they are the features of the nodes already", "GraphClassification");
    let links = error(SCENE.replace("GraphClassification", "LinkPrediction()"));
    assert_error(&links, place, "a set of 3", "GraphClassification");
    let width = error(SCENE.replace("width: 2", "width: 3"));
    assert_error(&width, Position { line: 5, column: 28 }, "3 wide, but the graphs have 2 classes", "width: 2");
}

/// A set that comes with the crate.
fn asset(name: &str, features: &str) -> (GraphData, GraphSet) {
    let scene = SCENE.replace("Given", features);
    let bytes = std::fs::read(format!("{}/assets/{name}", env!("CARGO_MANIFEST_DIR"))).expect("the asset is there");
    let (_, data) = load_with(&scene, &bytes).unwrap_or_else(|error| panic!("{error}"));
    let graphs = data.graphs.clone().expect("the data are a set");
    (data, graphs)
}

/// Asserts that each fold has its share of each class, and how many graphs each class has.
fn check_classes(graphs: &GraphSet, expected: [usize; 2]) {
    let folds = graphs.folds.as_ref().expect("the set has folds");
    assert_eq!(graphs.fold_count(), 10);
    for (class, total) in (0..).zip(expected) {
        let of =
            |fold| folds.iter().zip(&graphs.labels).filter(|&(&other, &label)| other == fold && label == class).count();
        let sizes: Vec<usize> = (0..10).map(of).collect();
        assert_eq!(sizes.iter().sum::<usize>(), total);
        assert!(sizes.iter().all(|size| size.abs_diff(total / 10) <= 1), "{sizes:?}");
    }
}

#[test]
fn mutag_is_mutag() {
    let (data, graphs) = asset("mutag.npz", "Given");
    assert_eq!((graphs.len(), data.nodes, data.edges.len(), data.features.width()), (188, 3371, 7442, 7));
    check_classes(&graphs, [125, 63]);
    assert!(data.edges.iter().all(|&[source, target]| source != target));
    assert_eq!(data.degrees().iter().max(), Some(&4));
}

#[test]
fn imdb_binary_is_imdb_binary() {
    let (data, graphs) = asset("imdb-binary.npz", "Degree");
    assert_eq!((graphs.len(), data.nodes, data.edges.len()), (1000, 19_773, 193_062));
    check_classes(&graphs, [500, 500]);
    // As many as the code of the GIN paper finds.
    assert_eq!(data.features.width(), 65);
    assert_eq!(graphs.count(Split::Test) + graphs.count(Split::Validation), 200);
}
