//! Graph files with kinds of nodes and relations.

use connectome::data::{DenseRows, Features, GraphData};
use connectome::scene::{Position, SceneFile};
use connectome_components::Split;
use ndarray::{Array2, ShapeBuilder, array};

use super::graph_files::{Arrays, load_with};
use super::{assert_error, unmark};

/// The library as a file.
const FILE: &str = r#"(
    name: "library",
    graph: Npz("graph.npz"),
    kind: "paper",
    nodes: {
        "paper": (),
        "venue": (features: Ones),
        "author": (features: Given),
    },
    relations: [
        (name: "writes", source: "author", target: "paper", reverse: "written_by"),
        (name: "in", source: "paper", target: "venue"),
    ],
    model: [HeteroConv(convolution: SageConv(width: 2))],
    optimizer: Adam(learning_rate: 0.01),
)"#;

/// Where [`FILE`] names its graph.
const GRAPH: Position = Position { line: 3, column: 12 };

fn arrays() -> Arrays {
    Arrays::default()
        .with("x.paper", &array![[1.0_f32], [2.0], [3.0]])
        .with("y.paper", &array![0_i64, 1, 0])
        .with("train.paper", &array![0_i32])
        .with("val.paper", &array![1_i32])
        .with("test.paper", &array![2_i32])
        .with("x.author", &array![[1.0_f64, 2.0], [3.0, 4.0]])
        .with("num_nodes.venue", &array![2_i32])
        .with("edge_index.writes", &array![[0_i32, 1, 1], [0, 1, 2]])
        .with("edge_weight.writes", &array![1_i32, 2, 3])
        .with("edge_attr.writes", &array![1.0_f32, 2.0, 3.0])
        .with("edge_index.in", &array![[0_i64], [1]])
}

#[track_caller]
fn good(arrays: &Arrays) -> GraphData {
    load_with(FILE, &arrays.bytes()).unwrap_or_else(|error| panic!("{error}")).1
}

#[track_caller]
fn bad(arrays: &Arrays, message: &str, help: &str) {
    let error = load_with(FILE, &arrays.bytes()).expect_err("the file is wrong");
    assert_error(&error, GRAPH, message, help);
}

/// Like [`bad`], with another scene, in which the place is marked.
#[track_caller]
fn bad_at(marked: &str, arrays: &Arrays, message: &str, help: &str) {
    let (text, position) = unmark(marked);
    let error = load_with(&text, &arrays.bytes()).expect_err("the file is wrong");
    assert_error(&error, position, message, help);
}

#[test]
fn files_have_arrays_for_each_kind_and_relation() {
    let data = good(&arrays());
    assert_eq!((data.nodes, data.classes, &data.labels[..]), (3, 2, &[0, 1, 0][..]));
    assert_eq!(data.splits, [Split::Train, Split::Validation, Split::Test]);
    let [author, venue] = ["author", "venue"].map(|name| data.of_kind(Some(name)).clone());
    assert_eq!((author.nodes, venue.nodes), (2, 2));
    assert_eq!(author.features, Features::Dense { width: 2, values: vec![1.0, 2.0, 3.0, 4.0] });
    assert_eq!(venue.features, Features::Dense { width: 1, values: vec![1.0; 2] });
    let relations = &data.kinds.as_ref().unwrap().relations;
    assert_eq!(relations[0].edges, [[0, 0], [1, 1], [1, 2]]);
    assert_eq!((relations[0].ends, relations[1].ends), ([1, 0], [0, 2]));
    assert_eq!(relations[0].weights, Some(vec![1.0, 2.0, 3.0]));
    assert_eq!(relations[0].features, Some(DenseRows { width: 1, values: vec![1.0, 2.0, 3.0] }));
    // The same in other forms.
    let columns = Array2::from_shape_vec((2, 3).f(), vec![0_i64, 0, 1, 1, 1, 2]).unwrap();
    let masks = ["train", "val", "test"].iter().enumerate().fold(arrays(), |arrays, (place, name)| {
        let mask = array![place == 0, place == 1, place == 2];
        arrays.without(&format!("{name}.paper")).with(&format!("{name}_mask.paper"), &mask)
    });
    let sparse = masks
        .without("x.author")
        .without("y.paper")
        .with("label.paper", &array![0_u8, 1, 0])
        .with("edge_index.writes", &columns)
        .with("x_data.author", &array![1.0_f32, 2.0, 3.0, 4.0])
        .with("x_indices.author", &array![0_i32, 1, 0, 1])
        .with("x_indptr.author", &array![0_i32, 2, 4])
        .with("x_shape.author", &array![2_i32, 2]);
    let other = good(&sparse);
    assert_eq!((other.labels, other.splits), (data.labels.clone(), data.splits.clone()));
    assert_eq!(other.kinds.as_ref().unwrap().relations, *relations);
    let author = other.kinds.unwrap().others.remove(0);
    assert!(matches!(author.nodes.features, Features::Sparse { width: 2, .. }));
    // What is written is read back equal.
    assert_eq!(load_with(FILE, &data.to_npz().unwrap()).unwrap().1, data);
}

#[test]
fn arrays_of_kinds_are_checked_like_others() {
    bad(&arrays().with("x.author", &array![[f32::NAN], [0.0]]), "array \"x.author\" holds NaN", "finite");
    bad(&arrays().with("y.paper", &array![0_i32]), "array \"y.paper\" has the shape [1]", "[3]");
    bad(&arrays().with("train.paper", &array![3_i32]), "array \"train.paper\" holds 3", "number of a node");
    bad(&arrays().without("val.paper"), "array \"val.paper\" is missing", "");
    bad(&arrays().with("num_nodes.venue", &array![-1_i32]), "array \"num_nodes.venue\" tells no number", "how many");
    bad(
        &arrays().with("num_nodes.venue", &array![u32::MAX]),
        "array \"num_nodes.venue\" says that there are",
        "smaller graph",
    );
    bad(&arrays().with("edge_index.in", &array![0_i64, 1]), "array \"edge_index.in\" has the shape [2]", "[2, edges]");
    let outside = arrays().with("edge_index.writes", &array![[0_i32, 2], [0, 1]]);
    let help = "each source must be the number of a node of the kind \"author\"";
    bad(&outside, "array \"edge_index.writes\" holds 2 at position 1, outside 0..2", help);
    let outside = arrays().with("edge_index.writes", &array![[0_i32, 1], [0, 3]]);
    let help = "each target must be the number of a node of the kind \"paper\"";
    bad(&outside, "array \"edge_index.writes\" holds 3 at position 3, outside 0..3", help);
    bad(&arrays().with("edge_weight.writes", &array![1.0_f32]), "array \"edge_weight.writes\"", "[3]");
    bad(&arrays().with("edge_attr.writes", &array![1.0_f32]), "array \"edge_attr.writes\"", "[3, any]");
    bad(&Arrays::small(), "the file has no kinds of nodes", "edge_index.depends");
    let plain =
        "(name: \"x\", graph: §Npz(\"graph.npz\"), model: [GcnConv(width: 2)], optimizer: Sgd(learning_rate: 0.1))";
    bad_at(plain, &arrays(), "array \"y\" is missing", "name these in a scene by `nodes`");
}

#[test]
fn what_a_file_lacks_is_shown_where_the_scene_names_it() {
    let scene = FILE.replace("\"venue\": (features: Ones)", "\"venu\": (features: Ones)");
    let scene = scene.replace("target: \"venue\"", "target: \"venu\"").replace("\"venu\": (", "§\"venu\": (");
    bad_at(
        &scene,
        &arrays(),
        "no nodes of the kind \"venu\"",
        "did you mean \"venue\"? the file has the kinds author, paper",
    );
    let scene = FILE.replace("name: \"in\"", "name: §\"into\"");
    bad_at(&scene, &arrays(), "no edges of the relation \"into\"", "the file has the relations in, writes");
    let scene = FILE.replace("name: \"writes\"", "name: §\"write\"");
    bad_at(&scene, &arrays(), "no edges of the relation \"write\"", "did you mean \"writes\"?");
    let bare = arrays().without("edge_index.in").without("edge_index.writes");
    bad_at(
        &FILE.replace("name: \"writes\"", "name: §\"writes\""),
        &bare,
        "no edges of the relation",
        "edge_index.writes",
    );
    let scene = FILE.replace("features: Ones", "features: §Given");
    bad_at(
        &scene,
        &arrays(),
        "the nodes of the kind \"venue\" have no features",
        "x.venue, or write `features: Identity`",
    );
    let unlabeled = arrays().without("y.paper");
    let scene = FILE.replace("optimizer", "task: §NodeClassification, optimizer");
    bad_at(&scene, &unlabeled, "nothing is known of nodes of the kind \"paper\"", "y.paper");
    let heads = r#"heads: [(name: "a", nodes: ["author"], task: NodeClassification)], optimizer"#;
    let scene = FILE.replace("optimizer", heads).replace("Npz(", "§Npz(");
    bad_at(&scene, &arrays(), "no node is in the split Train", "put at least one");
}

#[test]
fn what_no_scene_asks_for_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let more = arrays().with("x.athor", &array![[1.0_f32]]).with("edge_index.cites", &array![[0], [0]]);
    let more =
        more.with("meta", &array![1_u8]).with("lable.paper", &array![1_u8]).with("x.venue", &array![[1.0], [1.0]]);
    std::fs::write(folder.path().join("graph.npz"), more.bytes()).unwrap();
    std::fs::write(folder.path().join("x.ron"), FILE).unwrap();
    let (_, _, notes) = SceneFile::load_with_notes(folder.path().join("x.ron")).unwrap();
    let expected = "arrays that are not read: edge_index.cites, lable.paper, meta, \
                    x.athor (should it be read, call it x.author)";
    assert_eq!(notes, [expected]);
}
