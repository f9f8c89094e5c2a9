//! Tables of edges and nodes.

use connectome::data::{DenseRows, Features};
use connectome::import::ImportOptions;
use connectome::scene::NodeFeatures;
use connectome::task::{LinkPrediction, Task};
use connectome_components::Split;

use super::{check_error, check_round_trip, check_scene, check_training, read};

const EDGES: &str = "source,target,weight,since\nAnn,Bob,0.5,1\nBob,\"Cid, Jr.\",1,2\nAnn,Ann,2,3\n";
const NODES: &str = "name,age,label,split\nAnn,1,red,train\n\"Cid, Jr.\",2,blue,val\nDan,3,,\nBob,4,red,test\n";

fn options(nodes: Option<&str>, undirected: bool) -> ImportOptions {
    ImportOptions { nodes: nodes.map(Into::into), undirected, format: None }
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
    assert_eq!(imported.class_names, ["blue", "red"]);
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
    bad("source,target,weight\n\n# c\n\"A,\"\"\n\",b,§NaN\n", "not finite", "the weight");
    bad("source,target,hops\na,b,§\n", "\"\" is no number", "the feature \"hops\"");
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
    bad("name,age\nAnn,§old\n", "\"old\" is no number", "the feature \"age\"");
    bad("name,split\nAnn,§often\n", "\"often\" is no split", "validation");
    bad("name,label,split\nAnn,,§train\n", "has no label", "label");
    let files = [("e.csv", "source,target\nAnn,§Bop\n"), ("n.csv", "name\nAnn\nBob\n")];
    check_error("e.csv", &files, &options(Some("n.csv"), false), "e.csv", "has no \"Bop\"", "did you mean \"Bob\"?");
    check_error("e.csv", &files[..1], &options(Some("m.csv"), false), "m.csv", "cannot be read", "path");
}
