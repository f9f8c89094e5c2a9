//! Tables of edges and nodes.

use connectome::data::{DenseRows, EdgeLabels, Features};
use connectome::import::{ImportOptions, Imported, import};
use connectome::scene::NodeFeatures;
use connectome::task::{LinkPrediction, Task};
use connectome_components::Split;

use super::{check_error, check_round_trip, check_scene, check_training, read};

const EDGES: &str = "source,target,weight,since\nAnn,Bob,0.5,1\nBob,\"Cid, Jr.\",1,2\nAnn,Ann,2,3\n";
const NODES: &str = "name,age,label,split\nAnn,1,red,train\n\"Cid, Jr.\",2,blue,val\nDan,3,,\nBob,4,red,test\n";

fn options(nodes: Option<&str>, undirected: bool) -> ImportOptions {
    ImportOptions { nodes: nodes.map(Into::into), undirected, ..ImportOptions::default() }
}

#[test]
fn edges_and_nodes_are_read() {
    let files = [("e.csv", EDGES), ("n.csv", NODES)];
    let imported = read("e.csv", &files, &options(Some("n.csv"), true)).unwrap_or_else(|error| panic!("{error}"));
    let data = &imported.data;
    assert_eq!(data.names, ["Ann", "Cid, Jr.", "Dan", "Bob"]);
    assert_eq!(data.edges, [[0, 3], [3, 1], [0, 0], [3, 0], [1, 3]]);
    assert_eq!(data.weights, Some(vec![0.5, 1.0, 2.0, 0.5, 1.0]));
    assert_eq!(data.edge_features, Some(DenseRows { width: 1, values: vec![1.0, 2.0, 3.0, 1.0, 2.0] }));
    assert_eq!(data.features, Features::Dense { width: 1, values: vec![1.0, 2.0, 3.0, 4.0] });
    assert_eq!((data.classes, data.labels.as_slice()), (2, &[1, 0, 0, 1][..]));
    assert_eq!(data.splits, [Split::Train, Split::Validation, Split::Unused, Split::Test]);
    assert_eq!(imported.data.class_names, ["blue", "red"]);
    check_round_trip(data);
    check_training(&imported);
}

#[test]
fn an_edge_list_alone_is_enough() {
    let plain = read("e.csv", &[("e.csv", "b,a\nb,c\n")], &options(None, false)).expect("the edges are fine");
    assert_eq!((plain.data.names.as_slice(), plain.data.classes), (&["b".into(), "a".into(), "c".into()][..], 1));
    assert_eq!(plain.data.edges, [[0, 1], [0, 2]]);
    assert_eq!(plain.data.weights, None);
    check_round_trip(&plain.data);
    let (scene, data) = check_scene("a \"b\" \\ \u{301}\n", &plain);
    assert_eq!(
        (scene.task, scene.features),
        (Some(Task::LinkPrediction(LinkPrediction { validation: 0.05, test: 0.1 })), NodeFeatures::Identity)
    );
    assert_eq!(data.features, Features::identity(3));
}

#[test]
fn the_first_line_may_name_columns_in_many_ways() {
    let edges = |text: &str| {
        let imported =
            read("e.txt", &[("e.txt", text)], &options(None, false)).unwrap_or_else(|error| panic!("{error}"));
        (imported.data.edges, imported.data.weights, imported.data.names)
    };
    let expected = (vec![[0, 1], [2, 0]], None, Vec::new());
    for text in [
        "0,1\n2,0",
        "0 1\r\n2 0\r\n",
        "# made by hand\n0\t1\n\n2\t0\n",
        "Target;Source\n1;0\n0;2\n",
        "from,to,weight\n0,1,1\n2,0,1.0\n",
        "person,friend\n0,1\n2,0\n",
        "\u{feff}src,dst\n0,1\n2,0\n",
    ] {
        assert_eq!(edges(text), expected, "{text:?}");
    }
    // Numbers order the nodes and stay as names if there are gaps; texts that look like them do not count.
    assert_eq!(
        edges("30,4,2\n4,100,3\n"),
        (vec![[1, 0], [0, 2]], Some(vec![2.0, 3.0]), vec!["4".into(), "30".into(), "100".into()])
    );
    assert_eq!(edges("1,01\n").2, ["1", "01"]);
}

#[test]
fn classes_without_splits_are_split() {
    let mut nodes = "id,class\n".to_owned();
    (0..50).for_each(|node| nodes += &format!("{node},{}\n", node % 2));
    let files = [("e.csv", "0,1\n"), ("n.csv", nodes.as_str())];
    let imported = read("e.csv", &files, &options(Some("n.csv"), false)).expect("the tables are fine");
    let counts = [Split::Train, Split::Validation, Split::Test].map(|split| imported.data.count(split));
    assert_eq!((counts, imported.data.names.len()), ([30, 10, 10], 0));
    check_round_trip(&imported.data);
    check_training(&imported);
}

/// Imports a table of edges.
fn edges(name: &str, text: &str, undirected: bool) -> Imported {
    let imported = read(name, &[(name, text)], &options(None, undirected)).unwrap_or_else(|error| panic!("{error}"));
    check_round_trip(&imported.data);
    imported
}

/// The edges by the names of their nodes.
fn named(imported: &Imported) -> Vec<String> {
    let name = |node: u32| imported.data.names.get(node as usize).cloned().unwrap_or_else(|| node.to_string());
    imported.data.edges.iter().map(|&[source, target]| format!("{} {}", name(source), name(target))).collect()
}

#[test]
fn undirected_edges_are_as_many_in_either_direction() {
    let imported = edges("e.csv", "source,target,weight\na,b,3\na,b,1\nb,a,2\nb,b,5\n", true);
    assert_eq!(named(&imported), ["a b", "a b", "b a", "b b", "b a", "b a", "a b"]);
    assert_eq!(imported.data.weights, Some(vec![3.0, 1.0, 2.0, 5.0, 3.0, 1.0, 2.0]));
    let note = "2 of 3 undirected edges join nodes that others join already; each is an edge of its own";
    assert_eq!(imported.notes, [note]);
}

#[test]
fn a_first_line_is_a_header_only_if_it_cannot_be_an_edge() {
    for text in ["u v\nv w\nw u\n", "node1,node2\nnode2,node3\nnode3,node1\n", "from;to\nto;x\nx;from\n"] {
        let imported = edges("e.txt", text, false);
        assert_eq!((imported.data.nodes, imported.data.edges.len()), (3, 3), "{text:?}");
        assert!(imported.notes[0].contains("read as an edge"), "{:?}", imported.notes);
    }
    // It names columns of numbers, too.
    let imported = edges("e.csv", "source,target,weight\nsource,target,2\n", false);
    assert_eq!(named(&imported), ["source target"]);
    assert!(imported.notes[0].contains("taken for names of columns"), "{:?}", imported.notes);
    for text in ["u,v\na,b\n", "person,friend\n10,20\n"] {
        let imported = edges("e.csv", text, false);
        assert_eq!(imported.data.edges.len(), 1);
        assert!(imported.notes[0].contains("not for an edge from"), "{:?}", imported.notes);
    }
    let imported = edges("e.csv", "person,friend\nAnn,Bob\n", false);
    assert_eq!(named(&imported), ["person friend", "Ann Bob"]);
    assert!(imported.notes[0].contains("in no other line"), "{:?}", imported.notes);
    assert_eq!(edges("e.csv", "source,target\na,b\n", false).notes, [""; 0]);
}

#[test]
fn what_follows_a_header_is_no_comment() {
    let imported = edges("e.csv", "# tags\nsource,target\n#rust,#ecs\n#rust,bevy\n%c,c#\n", false);
    assert_eq!(named(&imported), ["#rust #ecs", "#rust bevy", "%c c#"]);
    assert_eq!(imported.notes, [""; 0]);
    let imported = edges("e.csv", "#rust,#ecs\n#rust,bevy\nbevy,c#\nc#,bevy\n", false);
    assert_eq!(named(&imported), ["bevy c#", "c# bevy"]);
    assert_eq!(imported.notes, ["lines that are taken for comments, although they could be edges: 2"]);
}

#[test]
fn tables_of_other_programs_are_read() {
    for text in [
        "a b {}\nb c {}\n",
        " a  b \r\n b   c\r\n",
        "% sym unweighted\na b\n\n% more\nb c\n",
        "\u{feff}a\tb\nb\tc\n",
        "\"a\" b\nb \"c\"\n",
    ] {
        let imported = edges("e.edges", text, false);
        assert_eq!(named(&imported), ["a b", "b c"], "{text:?}");
        assert_eq!(imported.data.weights, None);
    }
    let imported = edges("e.edgelist", "a b {'weight': 3, 'kind': 'x'}\nb c {'kind': 'y'}\nc d {}\n", false);
    assert_eq!(imported.data.weights, Some(vec![3.0, 1.0, 1.0]));
    let kinds = DenseRows { width: 2, values: vec![1.0, 0.0, 0.0, 1.0, 0.0, 0.0] };
    assert_eq!(imported.data.edge_features, Some(kinds));
    // Tabs and blanks between numbers, as in files of KONECT.
    assert_eq!(edges("e.edges", "% asym\n1 2\t5\n2 3\t1\n", false).data.weights, Some(vec![5.0, 1.0]));
}

#[test]
fn texts_of_utf_16_are_read() {
    let text = "source,target\nÄnn,Bob\n";
    for little in [true, false] {
        let units = std::iter::once(0xfeff).chain(text.encode_utf16());
        let bytes: Vec<u8> =
            units.flat_map(|unit| if little { unit.to_le_bytes() } else { unit.to_be_bytes() }).collect();
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("e.csv");
        std::fs::write(&path, bytes).expect("it is written");
        let imported = import(&path, &ImportOptions::default()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(named(&imported), ["Änn Bob"]);
    }
}

#[test]
fn words_become_codes_and_missing_values_are_told() {
    let nodes = "name,color,age,on\na,red,1,TRUE\nb,,NA,false\nc,blue,,1\n";
    let files = [("e.csv", "source,target,kind\na,b,x\nb,c,NA\n"), ("n.csv", nodes)];
    let imported = read("e.csv", &files, &options(Some("n.csv"), false)).unwrap_or_else(|error| panic!("{error}"));
    let rows = [[0.0, 1.0, 1.0, 1.0], [0.0; 4], [1.0, 0.0, 0.0, 1.0]];
    assert_eq!(imported.data.features, Features::Dense { width: 4, values: rows.concat() });
    assert_eq!(imported.data.edge_features, Some(DenseRows { width: 1, values: vec![1.0, 0.0] }));
    let expected = [
        "\"color\" of nodes is one-hot encoded, with a feature for each of \"blue\", \"red\"; it is missing for 1 of 3",
        "\"age\" is missing for 2 of 3 nodes, and read as 0",
        "\"kind\" of edges is one-hot encoded, with a feature for each of \"x\"; it is missing for 1 of 2",
    ];
    assert_eq!(imported.notes, expected);
}

#[test]
fn targets_are_predicted_and_no_features() {
    let nodes = "id,age,target\n".to_owned();
    let nodes = (0..10).fold(nodes, |table, node| table + &format!("{node},{node},{}.5\n", 2 * node)) + "10,10,\n";
    let files = [("e.csv", "0,1\n1,2\n9,10\n"), ("n.csv", nodes.as_str())];
    let imported = read("e.csv", &files, &options(Some("n.csv"), true)).unwrap_or_else(|error| panic!("{error}"));
    let data = &imported.data;
    assert_eq!((data.features.width(), data.targets.as_ref().map(|targets| targets.width)), (1, Some(1)));
    assert_eq!(data.targets.as_ref().map(|targets| targets.values[9]), Some(18.5));
    assert_eq!((data.count(Split::Train), data.splits[10]), (6, Split::Unused));
    assert!(imported.notes[0].contains("1 of 11 nodes have none"), "{:?}", imported.notes);
    check_round_trip(data);
    check_training(&imported);
    let files = [files[0], ("n.csv", "id,target\n0,red\n1,blue\n2,red\n9,\n10,blue\n")];
    let imported = read("e.csv", &files, &options(Some("n.csv"), true)).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((imported.data.class_names.join(" "), imported.data.targets), ("blue red".to_owned(), None));
}

#[test]
fn labels_targets_and_splits_of_edges_are_no_features() {
    let mut text = "from,to,hops,label,target,split\n".to_owned();
    let kinds = ["double,0.5,train", "single,1.5,val", ",2.5,", "double,3.5,test"];
    for (edge, kind) in kinds.into_iter().enumerate() {
        text += &format!("n{edge},n{},{edge},{kind}\n", edge + 1);
    }
    let imported = edges("e.csv", &text, true);
    let data = &imported.data;
    assert_eq!(named(&imported)[..5], ["n0 n1", "n1 n2", "n2 n3", "n3 n4", "n1 n0"]);
    let hops = [0.0, 1.0, 2.0, 3.0];
    assert_eq!(data.edge_features, Some(DenseRows { width: 1, values: [hops, hops].concat() }));
    let splits = [Split::Train, Split::Validation, Split::Unused, Split::Test];
    let values = [0.5, 1.5, 2.5, 3.5];
    let expected = EdgeLabels {
        labels: vec![0, 1, 0, 0, 0, 1, 0, 0],
        classes: 2,
        targets: Some(DenseRows { width: 1, values: [values, values].concat() }),
        splits: [splits, splits].concat(),
    };
    assert_eq!(data.edge_labels, Some(expected));
    let notes = [
        "the edges have labels to predict: 0 = \"double\", 1 = \"single\"",
        "1 of 4 edges have none, and are in no split",
    ];
    assert_eq!(imported.notes, notes);
}

/// Without a split both directions of an undirected edge are in the same one, so that none tells of the other.
#[test]
fn labeled_edges_are_split_with_their_reverse() {
    let text = (0..50).fold("source,target,Label\n".to_owned(), |text, edge| {
        text + &format!("{edge},{},{}\n", (edge + 7) % 50, ["a", "b"][edge % 2])
    });
    let imported = edges("e.csv", &text, true);
    let labels = imported.data.edge_labels.as_ref().expect("the edges have labels");
    let count = |split: Split| labels.splits.iter().filter(|other| **other == split).count();
    assert_eq!([Split::Train, Split::Validation, Split::Test].map(count), [60, 20, 20]);
    assert_eq!(labels.splits[..50], labels.splits[50..]);
    assert_eq!(imported.data.edge_features, None);
    assert_eq!(check_scene("edges", &imported).0.task, Some(Task::EdgeClassification));
    check_training(&imported);
}

#[test]
fn targets_of_edges_may_be_words() {
    let imported = edges("e.csv", "src,dst,target\na,b,far\nb,c,near\nc,d,far\n", false);
    let labels = imported.data.edge_labels.as_ref().expect("the edges have labels");
    assert_eq!((labels.labels.as_slice(), labels.targets.as_ref()), (&[0, 1, 0][..], None));
    assert_eq!(named(&imported), ["a b", "b c", "c d"]);
    let both = "src,dst,label,target\na,b,x,far\nb,c,y,near\n";
    let none = options(None, false);
    check_error("e.csv", &[("e.csv", both)], &none, "e.csv", "their targets are words, too", "take columns out");
    let split = "src,dst,label,split\na,b,x,often\n";
    check_error("e.csv", &[("e.csv", split)], &none, "e.csv", "\"often\" of edge 0 is no split", "take columns out");
    let split = "src,dst,label,split\na,b,x,1\n";
    check_error("e.csv", &[("e.csv", split)], &none, "e.csv", "no words such as train", "take columns out");
    let split = "src,dst,label,split\na,b,,train\nb,c,x,train\n";
    check_error("e.csv", &[("e.csv", split)], &none, "e.csv", "edge 0 is in a split", "take columns out");
}

#[test]
fn mistakes_in_edges_are_shown() {
    let bad = |text: &str, message: &str, help: &str| {
        check_error("e.csv", &[("e.csv", text)], &options(None, false), "e.csv", message, help);
    };
    bad("", "the table is empty", "line");
    bad("Ann\nBob\n", "one column", "commas");
    bad("a,b,1,2\n", "4 columns, but its first line does not name them", "source,target");
    bad("source,target\nAnn,Bob\nBob§\n", "the line has 1 columns", "as many");
    bad("source,target\nAnn,Bob,§Cid\n", "the line has 3 columns", "as many");
    bad("source,target\nAnn,§\n", "the edge lacks a node", "two nodes");
    bad("# c\nsource,target,weight\n\n\"A,\"\"\n\",b,§inf\n", "not finite", "the weight");
    bad("source,target,hops\na,b,1\nb,c,§far\n", "\"far\" is no number", "\"hops\" in numbers alone");
    bad("source,target,hops\na,b,far\nb,c,§1\n", "1 is a number among words", "\"hops\" in numbers alone");
    bad(" a  b  §much \n", "\"much\" is no number", "the weight");
    bad("a b {'weight': 1}\nb c §1\n", "\"1\" is no dictionary", "{'weight': 1.0}");
    bad("a b §{'weight': 'much'}\n", "\"much\" is no number", "the weight");
    bad("a b {'hops': 1}\nb c §{'hops': 2, 'hops': 2}\n", "\"hops\" is there twice", "take one");
    bad("a,b,§1e99\n", "not finite", "the weight");
}

#[test]
fn mistakes_in_nodes_are_shown() {
    let bad = |nodes: &str, message: &str, help: &str| {
        let files = [("e.csv", "Ann,Bob\n"), ("n.csv", nodes)];
        check_error("e.csv", &files, &options(Some("n.csv"), false), "n.csv", message, help);
    };
    bad("", "the table is empty", "line");
    bad("age,label\n1,2\n", "no column holds the names", "\"name\"");
    bad("name\nAnn\n§Ann\n", "named \"Ann\" like node 0", "of its own");
    bad("age,name\n1,§\n", "the node has no name", "name");
    bad("name,age\nBob,1\nAnn,§old\n", "\"old\" is no number", "\"age\" in numbers alone");
    bad("name,target\nBob,1\nAnn,§old\n", "\"old\" is no number", "\"target\" in numbers alone");
    bad("name,label,target\nAnn,red,old\nBob,blue,young\n", "have labels, but their targets are words", "columns");
    bad("name,target,split\nAnn,,§train\n", "has no target", "write it");
    bad("name,split\nAnn,§often\n", "\"often\" is no split", "validation");
    bad("name,label,split\nAnn,,§train\n", "has no label", "write it");
    let files = [("e.csv", "source,target\nAnn,§Bop\n"), ("n.csv", "name\nAnn\nBob\n")];
    check_error("e.csv", &files, &options(Some("n.csv"), false), "e.csv", "has no \"Bop\"", "did you mean \"Bob\"?");
    check_error("e.csv", &files[..1], &options(Some("m.csv"), false), "m.csv", "cannot be read", "path");
}
