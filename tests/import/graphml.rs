//! GraphML.

use connectome::data::{DenseRows, Features};
use connectome::import::{ImportOptions, Imported};
use connectome_components::Split;

use super::{check_error, check_round_trip, check_training, read};

/// A graph with a value of each kind, as editors and libraries write them.
pub const TEXT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<!-- made by hand -->
<graphml xmlns="http://graphml.graphdrawing.org/xmlns" xmlns:y="http://www.yworks.com/xml/graphml">
  <key id="d0" for="node" attr.name="class" attr.type="string"/>
  <key id="d1" for="node" attr.name="age" attr.type="int"><default>30</default></key>
  <key id="d2" for="node" attr.name="split" attr.type="string"/>
  <key id="d3" for="edge" attr.name="weight" attr.type="double"/>
  <key id="d4" for="edge" attr.name="close" attr.type="boolean"/>
  <key id="d5" for="node" attr.name="label" attr.type="string"/>
  <key id="d6" for="all" yfiles.type="nodegraphics"/>
  <graph id="G" edgedefault="undirected">
    <node id="n0"><data key="d0">red</data><data key="d2">train</data><data key="d5">Ann &amp; Co</data></node>
    <node id="n&lt;1&gt;">
      <data key="d0"><![CDATA[blue]]></data><data key="d1"> 4&#48; </data><data key="d2">test</data>
      <data key="d6"><y:ShapeNode><y:Geometry height="30.0"/>text</y:ShapeNode></data>
      <port name="p"/>
    </node>
    <node id="n2"/>
    <edge source="n0" target="n&lt;1&gt;"><data key="d3">0.5</data><data key="d4">true</data></edge>
    <edge source="n2" target="n0" directed="true"><data key="d4">false</data></edge>
  </graph>
</graphml>
"#;

#[test]
fn a_graph_is_read() {
    let imported = read("g.graphml", &[("g.graphml", TEXT)], &ImportOptions::default());
    let imported = imported.unwrap_or_else(|error| panic!("{error}"));
    let data = &imported.data;
    assert_eq!(data.names, ["n0", "n<1>", "n2"]);
    assert_eq!(data.edges, [[0, 1], [2, 0], [1, 0]]);
    assert_eq!(data.weights, Some(vec![0.5, 1.0, 0.5]));
    assert_eq!(data.edge_features, Some(DenseRows { width: 1, values: vec![1.0, 0.0, 1.0] }));
    assert_eq!(data.features, Features::Dense { width: 1, values: vec![30.0, 40.0, 30.0] });
    assert_eq!((imported.data.class_names.join(" "), data.labels.as_slice()), ("blue red".to_owned(), &[1, 0, 0][..]));
    assert_eq!(data.splits, [Split::Train, Split::Test, Split::Unused]);
    assert_eq!(
        imported.notes,
        [
            "the weight is missing for 1 of 2 edges, and read as 1",
            "keys of nodes that are left out: label, d6",
            "keys of edges that are left out: d6",
            "1 of 3 nodes have no label, and are in no split"
        ]
    );
    check_round_trip(data);
    check_training(&imported);
}

#[test]
fn names_and_labels_may_be_keys() {
    let text = r#"<graphml><key id="a" for="node" attr.name="Name" attr.type="string"/>
        <key id="label" for="node"><default>x</default></key>
        <graph><edge source="1" target="0"/><node id="0"><data key="a">Ann</data></node><node id="1"/></graph></graphml>"#;
    let imported =
        read("g.xml", &[("g.xml", text)], &ImportOptions::default()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        (imported.data.names.as_slice(), imported.data.edges),
        (&["Ann".into(), "1".to_owned()][..], vec![[1, 0], [0, 1]])
    );
    assert_eq!(imported.notes, ["the graph has no edgedefault, and is read as undirected"]);
    assert_eq!(imported.data.class_names, ["x"]);
}

/// Reads a graph with these keys, attributes of the graph, nodes and edges.
fn graph(keys: &str, attributes: &str, content: &str) -> Imported {
    let text = format!("<graphml>{keys}<graph {attributes}>{content}</graph></graphml>");
    let imported = read("g.graphml", &[("g.graphml", &text)], &ImportOptions::default());
    let imported = imported.unwrap_or_else(|error| panic!("{error}\n{text}"));
    check_round_trip(&imported.data);
    imported
}

#[test]
fn truth_values_are_read_in_all_spellings() {
    let keys = "<key id='s' for='node' attr.name='seen' attr.type='boolean'><default>TRUE</default></key>";
    let values = ["True", "\n false\n", "1", "FALSE", "0", "true"];
    let node = |(id, value): (usize, &&str)| format!("<node id='{id}'><data key='s'>{value}</data></node>");
    let nodes = values.iter().enumerate().map(node).collect::<String>() + "<node id='6'/>";
    let imported = graph(keys, "edgedefault='directed'", &nodes);
    let expected = vec![1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0];
    assert_eq!(imported.data.features, Features::Dense { width: 1, values: expected });
    let edges = "<node id='a'/><node id='b'/><node id='c'/>\
        <edge source='a' target='b' directed='0'/><edge source='b' target='c' directed='1'/>";
    assert_eq!(graph("", "edgedefault='directed'", edges).data.edges, [[0, 1], [1, 2], [1, 0]]);
}

#[test]
fn missing_values_are_told() {
    let keys = "<key id='d' for='node' attr.name='age' attr.type='int'/>";
    let nodes = "<node id='a'><data key='d'>1</data></node><node id='b'><data key='d'></data></node><node id='c'/>";
    let imported = graph(keys, "edgedefault='undirected'", nodes);
    assert_eq!(imported.data.features, Features::Dense { width: 1, values: vec![1.0, 0.0, 0.0] });
    assert_eq!(imported.notes, ["\"age\" is missing for 2 of 3 nodes, and read as 0"]);
}

#[test]
fn keys_of_cytoscape_are_read_although_they_are_declared_for_nodes() {
    let keys = "<key attr.name='weight' attr.type='double' for='node' id='weight'/>";
    let content = "<node id='a'/><node id='b'/><edge source='a' target='b'><data key='weight'>-0.5</data></edge>";
    let imported = graph(keys, "edgedefault='directed'", content);
    assert_eq!((imported.data.weights, imported.data.features.width()), (Some(vec![-0.5]), 0));
    assert!(imported.notes.iter().any(|note| note.contains("declared for something else: weight")));
}

#[test]
fn undirected_edges_are_as_many_in_either_direction() {
    let keys = "<key id='w' for='edge' attr.name='weight' attr.type='double'><default>2</default></key>";
    let content = "<node id='a'/><node id='b'/><edge source='a' target='b'><data key='w'>3</data></edge>\
        <edge source='b' target='a'><data key='w'>1</data></edge><edge source='a' target='b'/>";
    let imported = graph(keys, "edgedefault='undirected'", content);
    assert_eq!(imported.data.edges, [[0, 1], [1, 0], [0, 1], [1, 0], [0, 1], [1, 0]]);
    assert_eq!(imported.data.weights, Some(vec![3.0, 1.0, 2.0, 3.0, 1.0, 2.0]));
}

#[test]
fn texts_become_codes_and_targets_are_no_features() {
    let keys = "<key id='c' for='node' attr.name='color' attr.type='string'/>\
        <key id='t' for='node' attr.name='target' attr.type='double'/>";
    let node =
        |id, color, target| format!("<node id='{id}'><data key='c'>{color}</data><data key='t'>{target}</data></node>");
    let imported = graph(keys, "edgedefault='undirected'", &(node("a", "7", "1.5") + &node("b", "red", "2.5")));
    assert_eq!(imported.data.features, Features::Dense { width: 2, values: vec![1.0, 0.0, 0.0, 1.0] });
    assert_eq!(imported.data.targets, Some(DenseRows { width: 1, values: vec![1.5, 2.5] }));
}

#[test]
fn mistakes_are_shown() {
    let bad = |part: &str, replacement: &str, message: &str, help: &str| {
        assert!(TEXT.contains(part), "{part:?} is no part of the file");
        let text = TEXT.replacen(part, replacement, 1);
        check_error("g.graphml", &[("g.graphml", &text)], &ImportOptions::default(), "g.graphml", message, help);
    };
    bad("<node id=\"n2\"/>", "§<node id=\"n0\"/>", "the id \"n0\" like node 0", "of its own");
    bad("<node id=\"n2\"/>", "§<node/>", "lacks the attribute \"id\"", "id=");
    bad("<node id=\"n2\"/>", "<node id=\"n2\"/>§<hyperedge/>", "a hyperedge", "edges");
    bad("<port name=\"p\"/>", "§<graph/>", "a graph lies in another", "apart");
    bad("</graph>", "</graph>§<graph/>", "a second graph", "its own file");
    bad(
        "<edge source=\"n2\"",
        "§<edge source=\"n3\"",
        "names the source \"n3\", which is no node",
        "did you mean \"n0\"?",
    );
    bad("<edge source=\"n2\"", "§<edge", "lacks the attribute \"source\"", "source=");
    bad(
        "<edge source=\"n2\" target=\"n0\" directed=\"true\"",
        "§<edge source=\"n2\" target=\"n0\" directed=\"no\"",
        "\"no\"",
        "true",
    );
    bad("<graph id=\"G\" edgedefault=\"undirected\"", "§<graph edgedefault=\"both\"", "\"both\"", "directed");
    bad(
        "<edge source=\"n0\" target=\"n&lt;1&gt;\"><data key=\"d3\">0.5",
        "§<edge source=\"n0\" target=\"n0\"><data key=\"d3\">heavy",
        "\"heavy\" is no number",
        "finite",
    );
    bad(
        "<node id=\"n2\"/>",
        "§<node id=\"n2\"><data key=\"d1\">old</data></node>",
        "\"age\": \"old\" is no number",
        "finite",
    );
    bad("<node id=\"n2\"/>", "§<node id=\"n2\"><data key=\"d9\"/></node>", "no such key", "<key");
    bad("<node id=\"n2\"/>", "§<node id=\"n2\"><data key=\"d2\">test</data></node>", "has no label", "write it");
    bad("<node id=\"n2\"/>", "§<node id=\"n2\"><data key=\"d2\">often</data></node>", "\"often\" is no split", "train");
    bad("Ann &amp; Co", "Ann §&copy; Co", "the entity \"copy\" is not known", "mend");
    bad("</graphml>\n", "§", "the file ends before its elements do", "mend");
    bad("</graphml>", "§</graph>", "malformed", "mend");
    let none = ImportOptions::default();
    check_error("g.xml", &[("g.xml", "§<svg/>")], &none, "g.xml", "no GraphML, but \"svg\"", "<graphml>");
    check_error("g.xml", &[("g.xml", "<graphml/>")], &none, "g.xml", "holds no graph", "<graph>");
    check_error("g.xml", &[("g.xml", "")], &none, "g.xml", "holds no graph", "<graph>");
}
