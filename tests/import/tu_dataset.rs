//! Folders of TUDataset.

use connectome::data::{DenseRows, Features};
use connectome::import::ImportOptions;
use connectome::scene::NodeFeatures;
use connectome::task::Task;

use super::{check_error, check_round_trip, check_scene, read};

/// Two graphs: a path of three nodes and a pair. The edges of the pair stand first.
pub const FILES: [(&str, &str); 8] = [
    ("TINY_A.txt", "4, 5\n5, 4\n1, 2\n2, 1\n2, 3\n3, 2\n"),
    ("TINY_graph_indicator.txt", "1\n1\n1\n2\n2\n"),
    ("TINY_graph_labels.txt", "1\n-1\n"),
    ("TINY_graph_attributes.txt", "0.5, 2\n1.5, 3\n"),
    ("TINY_node_labels.txt", "6\n8\n6\n6\n6\n"),
    ("TINY_node_attributes.txt", "0.1\n0.2\n0.3\n0.4\n0.5\n"),
    ("TINY_edge_labels.txt", "2\n2\n1\n1\n1\n1\n"),
    ("TINY_edge_attributes.txt", "9\n8\n7\n6\n5\n4\n"),
];

/// The files with one replaced.
fn with<'a>(name: &str, text: &'a str) -> Vec<(&'static str, &'a str)> {
    FILES.iter().map(|&(other, old)| (other, if other == name { text } else { old })).collect()
}

#[test]
fn a_folder_is_read() {
    let imported = read("", &FILES, &ImportOptions::default()).unwrap_or_else(|error| panic!("{error}"));
    let data = &imported.data;
    let graphs = data.graphs.as_ref().expect("it is a set");
    assert_eq!((data.nodes, graphs.len(), graphs.classes), (5, 2, 2));
    assert_eq!(imported.data.class_names, ["-1", "1"]);
    assert_eq!(graphs.labels, [1, 0]);
    assert_eq!((graphs.node_offsets.as_slice(), graphs.edge_offsets.as_slice()), (&[0, 3, 5][..], &[0, 4, 6][..]));
    assert_eq!(graphs.targets, Some(DenseRows { width: 2, values: vec![0.5, 2.0, 1.5, 3.0] }));
    assert_eq!(data.edges, [[0, 1], [1, 0], [1, 2], [2, 1], [3, 4], [4, 3]]);
    assert_eq!((data.labels.as_slice(), data.classes), (&[0, 1, 0, 0, 0][..], 2));
    let features = Features::Sparse {
        width: 3,
        offsets: vec![0, 2, 4, 6, 8, 10],
        indices: vec![0, 1, 0, 2, 0, 1, 0, 1, 0, 1],
        values: vec![0.1, 1.0, 0.2, 1.0, 0.3, 1.0, 0.4, 1.0, 0.5, 1.0],
    };
    assert_eq!(data.features, features);
    let rows = [[7.0, 1.0, 0.0], [6.0, 1.0, 0.0], [5.0, 1.0, 0.0], [4.0, 1.0, 0.0], [9.0, 0.0, 1.0], [8.0, 0.0, 1.0]];
    assert_eq!(data.edge_features, Some(DenseRows { width: 3, values: rows.concat() }));
    check_round_trip(data);
    let (scene, data) = check_scene("tiny", &imported);
    assert_eq!((scene.task, scene.features), (Some(Task::GraphClassification), NodeFeatures::Given));
    assert_eq!(data.graphs.expect("it is a set").fold_count(), 2);
}

#[test]
fn only_edges_and_their_graphs_must_be_there() {
    let imported = read("", &FILES[..2], &ImportOptions::default()).unwrap_or_else(|error| panic!("{error}"));
    let data = &imported.data;
    let graphs = data.graphs.as_ref().expect("it is a set");
    assert_eq!((graphs.labels.as_slice(), graphs.classes, imported.data.class_names.len()), (&[0, 0][..], 1, 0));
    assert_eq!((data.features.width(), data.edge_features.as_ref()), (0, None));
    check_round_trip(data);
    check_round_trip(&read("", &FILES[..3], &ImportOptions::default()).expect("it is a set").data);
    let targets = [FILES[0], FILES[1], FILES[3]];
    check_round_trip(&read("", &targets, &ImportOptions::default()).expect("it is a set").data);
}

#[test]
fn graphs_may_be_empty_and_have_no_edges() {
    let files = [("T_A.txt", ""), ("T_graph_indicator.txt", "2\n"), ("T_graph_labels.txt", "5\n6\n7\n")];
    let data = read("", &files, &ImportOptions::default()).unwrap_or_else(|error| panic!("{error}")).data;
    let graphs = data.graphs.as_ref().expect("it is a set");
    assert_eq!(
        (graphs.node_offsets.as_slice(), graphs.edge_offsets.as_slice()),
        (&[0, 0, 1, 1][..], &[0, 0, 0, 0][..])
    );
    check_round_trip(&data);
}

#[test]
fn mistakes_are_shown() {
    let bad = |name: &str, text: &str, message: &str, help: &str| {
        check_error("", &with(name, text), &ImportOptions::default(), name, message, help);
    };
    bad("TINY_A.txt", "4, 5\n5, §x\n", "\"x\" is no whole number", "commas");
    bad("TINY_A.txt", "4, 5\n§5\n", "the line has 1 numbers, but the first line has 2", "as many");
    bad("TINY_A.txt", "§4, 5, 6\n", "a line has 3 numbers, not 2", "2");
    bad("TINY_A.txt", "4, 5\n§0, 1\n", "names node 0, but nodes go from 1 to 5", "counted from 1");
    bad("TINY_A.txt", "4, 5\n§1, 6\n", "names node 6, but nodes go from 1 to 5", "counted from 1");
    bad("TINY_A.txt", "4, 5\n§3, 4\n", "joins graph 1 to graph 2", "stay");
    bad("TINY_graph_indicator.txt", "1\n1\n1\n2\n§3\n", "node 5 is in graph 3, but graphs go from 1 to 2", "label");
    bad("TINY_graph_indicator.txt", "1\n1\n2\n2\n§1\n", "node 5 of graph 1 stands behind those of graph 2", "sort");
    bad("TINY_graph_labels.txt", "1\n§2.5\n", "\"2.5\" is no whole number", "");
    bad("TINY_node_labels.txt", "6\n8\n", "the file has 2 lines, but there are 5 nodes", "one line");
    bad("TINY_edge_labels.txt", "1\n", "the file has 1 lines, but there are 6 edges", "one line");
    bad("TINY_node_attributes.txt", "0.1\n0.2\n§inf\n0.4\n0.5\n", "not finite", "numbers");
    let absent = [FILES[0]];
    check_error("", &absent, &ImportOptions::default(), "TINY_graph_indicator.txt", "cannot be read", "path");
    let two = [("A_A.txt", ""), ("B_A.txt", "")];
    check_error("", &two, &ImportOptions::default(), "", "several TUDatasets: A, B", "its own");
    let far = [("T_A.txt", ""), ("T_graph_indicator.txt", "1\n§999999999999\n")];
    let message = "node 2 is in graph 999999999999, but graphs go from 1 to 2";
    check_error("", &far, &ImportOptions::default(), "T_graph_indicator.txt", message, "counted from 1");
}
