//! Graphs with labels, as algorithms read them.

use std::io::Cursor;

use connectome::import::{ImportOptions, LabeledGraphs, import, import_labeled, unify_labels};
use connectome::systems::algorithms::{LabeledGraph, ParallelGraph, SimpleGraph};
use ndarray::{Array2, array};
use ndarray_npy::NpzWriter;
use rayon::iter::ParallelIterator;

use super::check_round_trip;

fn fixture(name: &str) -> std::path::PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/fixtures/graphs", name].iter().collect()
}

fn labeled(path: &std::path::Path) -> LabeledGraphs {
    import_labeled(path, &ImportOptions::default()).unwrap_or_else(|error| panic!("{error}"))
}

/// Writes two graphs, O - C - N and a lone atom, with these endpoints of edges and distances.
fn pair(edges: Array2<i8>, distances: Array2<i8>) -> (tempfile::TempDir, std::path::PathBuf) {
    let mut npz = NpzWriter::new_compressed(Cursor::new(Vec::new()));
    npz.add_array("node_ptr", &array![0_i32, 3, 4]).expect("it is written");
    npz.add_array("edge_ptr", &array![0_i32, 2, 2]).expect("it is written");
    npz.add_array("node_label", &array![8_i8, 6, 7, 6]).expect("it is written");
    npz.add_array("edges", &edges).expect("it is written");
    npz.add_array("gid", &array![1_i32, 2]).expect("it is written");
    npz.add_array("ged", &distances).expect("it is written");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("pair.npz");
    std::fs::write(&path, npz.finish().expect("it is written").into_inner()).expect("it is written");
    (folder, path)
}

#[test]
fn a_set_of_graphs_comes_with_its_distances() {
    let (_folder, path) = pair(array![[0, 1], [1, 2]], array![[0, 4], [4, 0]]);
    let read = labeled(&path);
    let none = LabeledGraph::NO_LABEL;
    let oxygen = LabeledGraph::new(vec![8, 6, 7], [([0, 1], none), ([1, 2], none)]);
    assert_eq!(read.graphs, [oxygen, LabeledGraph::new(vec![6], [])]);
    assert_eq!(read.distances.map(|rows| (rows.width, rows.values)), Some((2, vec![0.0, 4.0, 4.0, 0.0])));
    assert_eq!(read.notes, ["arrays that are not read: gid"]);
    check_round_trip(&import(&path, &ImportOptions::default()).expect("it is in order").data);
}

#[test]
fn mistakes_in_a_set_are_shown() {
    let bad = |edges: Array2<i8>, distances: Array2<i8>, expected: &str| {
        let (_folder, path) = pair(edges, distances);
        let error = import_labeled(&path, &ImportOptions::default()).expect_err("the file is wrong").to_string();
        assert!(error.contains(expected), "{error}");
    };
    let known = || array![[0, 4], [4, 0]];
    bad(array![[0, 3], [1, 2]], known(), "holds 3 at position 1, outside 0..3");
    bad(array![[0, -1], [1, 2]], known(), "holds -1");
    bad(array![[0, 1]], known(), "array \"edge_ptr\" goes from 0 to 2, but there are 1 edges");
    bad(array![[0, 1, 2], [1, 2, 0]], known(), "must have the shape [edges, 2]");
    bad(array![[0, 1], [1, 2]], array![[0, 4]], "array \"ged\" has the shape [1, 2]");
    bad(array![[0, 1], [1, 2]], array![[0], [4]], "array \"ged\" has the shape [2, 1]");
}

#[test]
fn graphs_of_the_dimacs_challenge_are_read() {
    let read = labeled(&fixture("MANN_a9.clq.gz"));
    let [graph] = &read.graphs[..] else { panic!("{read:?}") };
    assert_eq!((graph.node_count(), graph.graph().edge_count()), (45, 918));
    assert_eq!((read.node_names[44].as_str(), read.label_names.len()), ("45", 0));
    assert!(graph.labels().iter().all(|&label| label == LabeledGraph::NO_LABEL));
    // What was imported is a graph for algorithms itself.
    let path = fixture("MANN_a9.clq.gz");
    let data = import(&path, &ImportOptions::default()).unwrap_or_else(|error| panic!("{error}")).data;
    assert_eq!(&SimpleGraph::of(&data), graph.graph());
    assert_eq!(data.par_edges().collect::<Vec<_>>(), data.edges);
}

#[test]
fn kinds_of_bonds_come_of_a_code() {
    let files = [
        ("T_A.txt", "1,2\n2,1\n2,3\n"),
        ("T_graph_indicator.txt", "1\n1\n1\n2\n"),
        ("T_graph_labels.txt", "1\n2\n"),
        ("T_node_labels.txt", "6\n7\n6\n8\n"),
        ("T_edge_labels.txt", "3\n3\n1\n"),
    ];
    let folder = super::folder(&files);
    let read = labeled(folder.path());
    let first = LabeledGraph::new(vec![0, 1, 0], [([0, 1], 1), ([1, 2], 0)]);
    assert_eq!(read.graphs, [first, LabeledGraph::new(vec![2], [])]);
}

/// A folder with one graph of two adjacent nodes with these labels.
fn pair_of(labels: &str, attributes: Option<&str>) -> tempfile::TempDir {
    let mut files = vec![
        ("T_A.txt", "1, 2\n2, 1\n"),
        ("T_graph_indicator.txt", "1\n1\n"),
        ("T_graph_labels.txt", "1\n"),
        ("T_node_labels.txt", labels),
    ];
    files.extend(attributes.map(|text| ("T_node_attributes.txt", text)));
    super::folder(&files)
}

/// The graphs of sources in one numbering, and the names of their labels.
fn unified(paths: &[&std::path::Path]) -> (Vec<LabeledGraph>, Vec<String>, Vec<String>) {
    let mut read: Vec<LabeledGraphs> = paths.iter().map(|path| labeled(path)).collect();
    unify_labels(&mut read);
    let graphs = read.iter().flat_map(|read| read.graphs.clone()).collect();
    (graphs, read[0].label_names.clone(), read[0].edge_label_names.clone())
}

#[test]
fn labels_of_folders_are_compared_by_value() {
    let [one, other] = ["6\n7\n", "7\n8\n"].map(|labels| pair_of(labels, None));
    let (graphs, names, _) = unified(&[one.path(), other.path()]);
    let labels: Vec<&[u32]> = graphs.iter().map(LabeledGraph::labels).collect();
    assert_eq!((labels, names.join(" ")), (vec![&[0, 1][..], &[1, 2][..]], "6 7 8".to_owned()));
    // Several labels of a node are one together, and measurements are none.
    let folder = pair_of("0, 0\n0, 2\n", Some("0.5\n1.5\n"));
    let read = labeled(folder.path());
    assert_eq!((read.graphs[0].labels(), read.label_names.join("; ")), (&[0, 1][..], "0, 0; 0, 2".to_owned()));
    assert_eq!(read.not_compared, ["beside labels there is what is not compared: node_attributes"]);
}

#[test]
fn labels_of_edges_are_compared_by_value() {
    let graph = |name: &str, keys: &str, data: [&str; 2]| {
        let nodes = "<node id='a'/><node id='b'/><node id='c'/>";
        let edges =
            format!("<edge source='a' target='b'>{}</edge><edge source='b' target='c'>{}</edge>", data[0], data[1]);
        let text = format!("<graphml>{keys}<graph edgedefault='undirected'>{nodes}{edges}</graph></graphml>");
        let folder = super::folder(&[(name, &text)]);
        let path = folder.path().join(name);
        (folder, path)
    };
    let labels = |graph: &LabeledGraph| graph.labeled_edges().map(|(_, label)| label).collect::<Vec<_>>();
    let keys = "<key id='t' for='edge' attr.name='kind' attr.type='int'/>";
    let one = graph("one.graphml", keys, ["<data key='t'>-1</data>", "<data key='t'>2</data>"]);
    let other = graph("two.graphml", keys, ["<data key='t'>2</data>", ""]);
    let (graphs, _, names) = unified(&[&one.1, &other.1]);
    assert_eq!((labels(&graphs[0]), labels(&graphs[1])), (vec![0, 1], vec![1, LabeledGraph::NO_LABEL]));
    assert_eq!(names, ["-1", "2"]);
    // Whatever the order in which keys are declared.
    let [order, ring] =
        ["order", "ring"].map(|key| format!("<key id='{key}' for='edge' attr.name='{key}' attr.type='int'/>"));
    let data =
        ["<data key='order'>1</data><data key='ring'>0</data>", "<data key='order'>0</data><data key='ring'>1</data>"];
    let one = graph("one.graphml", &format!("{order}{ring}"), data);
    let other = graph("two.graphml", &format!("{ring}{order}"), data);
    let (graphs, _, _) = unified(&[&one.1, &other.1]);
    assert_eq!(graphs[0], graphs[1]);
    // A table tells the same as a file of GraphML.
    let table = super::folder(&[("e.csv", "source,target,ring,order\na,b,0,1.0\nb,c,1,0\n")]);
    let (graphs, _, _) = unified(&[&one.1, &table.path().join("e.csv")]);
    assert_eq!(labels(&graphs[0]), labels(&graphs[1]));
}
