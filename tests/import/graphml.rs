//! GraphML.

use connectome::data::{DenseRows, Features};
use connectome::import::ImportOptions;
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
    assert_eq!((imported.class_names.join(" "), data.labels.as_slice()), ("blue red".to_owned(), &[1, 0, 0][..]));
    assert_eq!(data.splits, [Split::Train, Split::Test, Split::Unused]);
    assert_eq!(
        imported.notes,
        [
            "keys of nodes that hold text and are left out: label, d6",
            "keys of edges that hold text and are left out: d6"
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
        (&["Ann".into(), "1".to_owned()][..], vec![[1, 0]])
    );
    assert_eq!(imported.class_names, ["x"]);
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
        "§<edge source=\"n2\" target=\"n0\" directed=\"1\"",
        "\"1\"",
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
    bad("<node id=\"n2\"/>", "§<node id=\"n2\"><data key=\"d2\">test</data></node>", "has no label", "label");
    bad("<node id=\"n2\"/>", "§<node id=\"n2\"><data key=\"d2\">often</data></node>", "\"often\" is no split", "train");
    bad(
        "<edge source=\"n2\" target=\"n0\" directed=\"true\"><data key=\"d4\">false</data></edge>",
        "§<edge source=\"n2\" target=\"n0\"/>",
        "no value for \"close\"",
        "default",
    );
    bad("Ann &amp; Co", "Ann §&copy; Co", "the entity \"copy\" is not known", "mend");
    bad("</graphml>\n", "§", "the file ends before its elements do", "mend");
    bad("</graphml>", "§</graph>", "malformed", "mend");
    let none = ImportOptions::default();
    check_error("g.xml", &[("g.xml", "§<svg/>")], &none, "g.xml", "no GraphML, but \"svg\"", "<graphml>");
    check_error("g.xml", &[("g.xml", "<graphml/>")], &none, "g.xml", "holds no graph", "<graph>");
    check_error("g.xml", &[("g.xml", "")], &none, "g.xml", "holds no graph", "<graph>");
}
