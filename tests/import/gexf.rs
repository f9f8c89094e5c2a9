//! GEXF, the format of Gephi.

use connectome::data::{DenseRows, Features};
use connectome::import::{ImportOptions, Imported};

use super::{check_error, check_round_trip, check_scene, read};

/// As networkx writes it, with a value of each kind and a node in another.
const TEXT: &str = r#"<?xml version='1.0' encoding='utf-8'?>
<gexf xmlns="http://www.gexf.net/1.2draft" xmlns:viz="http://www.gexf.net/1.2draft/viz" version="1.2">
  <meta lastmodifieddate="2026-01-01"><creator>networkx</creator></meta>
  <graph defaultedgetype="undirected" mode="static" name="">
    <attributes mode="static" class="edge">
      <attribute id="0" title="length" type="double"/>
    </attributes>
    <attributes mode="static" class="node">
      <attribute id="0" title="class" type="string"/>
      <attribute id="1" title="age" type="integer"><default>30</default></attribute>
      <attribute id="2" title="color" type="string"/>
    </attributes>
    <nodes>
      <node id="a" label="Ann &amp; Co"><attvalues><attvalue for="0" value="red"/><attvalue for="2" value="blue"/></attvalues></node>
      <node id="b" label="Bob">
        <viz:color r="1" g="2" b="3"/>
        <nodes><node id="c"><attvalues><attvalue for="0" value="blue"/></attvalues></node></nodes>
        <attvalues><attvalue for="0" value="red"/><attvalue for="1" value="4"/><attvalue for="2" value="green"/></attvalues>
      </node>
    </nodes>
    <edges>
      <edge source="a" target="b" id="0" weight="0.5"><attvalues><attvalue for="0" value="2.5"/></attvalues></edge>
      <edge source="c" target="a" id="1" type="directed"/>
      <edge source="b" target="c" id="2" type="mutual" weight="2"/>
    </edges>
  </graph>
</gexf>
"#;

fn graph(text: &str) -> Imported {
    let imported = read("g.gexf", &[("g.gexf", text)], &ImportOptions::default());
    let imported = imported.unwrap_or_else(|error| panic!("{error}"));
    check_round_trip(&imported.data);
    imported
}

#[test]
fn a_graph_is_read() {
    let imported = graph(TEXT);
    let data = &imported.data;
    assert_eq!(data.names, ["Ann & Co", "Bob", "c"]);
    assert_eq!(data.edges, [[0, 1], [2, 0], [1, 2], [1, 0], [2, 1]]);
    assert_eq!(data.weights, Some(vec![0.5, 1.0, 2.0, 0.5, 2.0]));
    assert_eq!(data.edge_features, Some(DenseRows { width: 1, values: vec![2.5, 0.0, 0.0, 2.5, 0.0] }));
    let features = [[30.0, 1.0, 0.0], [4.0, 0.0, 1.0], [30.0, 0.0, 0.0]].concat();
    assert_eq!(data.features, Features::Dense { width: 3, values: features });
    assert_eq!((data.class_names.join(" "), data.labels.as_slice()), ("blue red".to_owned(), &[1, 1, 0][..]));
    let notes = [
        "the weight is missing for 1 of 3 edges, and read as 1",
        "\"length\" is missing for 2 of 3 edges, and read as 0",
        "\"color\" of nodes is one-hot encoded, with a feature for each of \"blue\", \"green\"; it is missing for 1 of 3",
    ];
    assert_eq!(imported.notes, notes);
    check_scene("gephi", &imported);
    // Its first bytes show the format as well.
    let other = read("g", &[("g", TEXT)], &ImportOptions::default()).expect("it is the same file");
    assert_eq!(&other, &imported);
}

#[test]
fn labels_and_targets_are_predicted() {
    let text = r#"<gexf version="1.1"><graph mode="dynamic" defaultedgetype="directed">
        <attributes class="node"><attribute id="t" title="target" type="float"/></attributes>
        <nodes><node id="0" label="x"><attvalues><attvalue id="t" value="1"/><attvalue id="t" value="2.5"/></attvalues></node>
        <node id="1" label="x"><attvalues><attvalue id="t" value="3.5"/></attvalues></node></nodes>
        <edges><edge source="0" target="1" label="likes"/><edge source="1" target="0" label="knows"/></edges></graph></gexf>"#;
    let imported = graph(text);
    let data = &imported.data;
    assert_eq!((data.features.width(), &data.edge_features), (0, &None));
    assert_eq!(data.targets, Some(DenseRows { width: 1, values: vec![2.5, 3.5] }));
    assert_eq!(data.edge_labels.as_ref().map(|labels| labels.labels.as_slice()), Some(&[1, 0][..]));
    for (number, words) in
        ["changes with time", "although some repeat", "0 = \"knows\", 1 = \"likes\""].iter().enumerate()
    {
        assert!(imported.notes[number].contains(words), "{:?}", imported.notes);
    }
}

#[test]
fn mistakes_are_shown() {
    let bad = |part: &str, replacement: &str, message: &str, help: &str| {
        assert!(TEXT.contains(part), "{part:?} is no part of the file");
        let text = TEXT.replacen(part, replacement, 1);
        check_error("g.gexf", &[("g.gexf", &text)], &ImportOptions::default(), "g.gexf", message, help);
    };
    bad("<node id=\"c\">", "§<node id=\"a\">", "the id \"a\" like node 0", "of its own");
    bad("<node id=\"c\">", "§<node>", "lacks the attribute \"id\"", "id=");
    bad("<edge source=\"c\"", "§<edge source=\"d\"", "names the source \"d\", which is no node", "did you mean");
    bad(
        "<edge source=\"c\" target=\"a\" id=\"1\" type=\"directed\"",
        "§<edge source=\"c\" type=\"both\"",
        "\"both\"",
        "mutual",
    );
    bad("<graph defaultedgetype=\"undirected\"", "§<graph defaultedgetype=\"both\"", "\"both\"", "mutual");
    bad("  </graph>", "  </graph>§<graph/>", "a second graph", "its own file");
    bad(
        "<edge source=\"a\" target=\"b\" id=\"0\" weight=\"0.5\"><attvalues><attvalue for=\"0\"",
        "§<edge source=\"a\" target=\"b\"><attvalues><attvalue for=\"9\"",
        "a value for \"9\", but no such",
        "before the graph",
    );
    let none = ImportOptions::default();
    check_error("g.gexf", &[("g.gexf", "§<svg/>")], &none, "g.gexf", "no GEXF, but \"svg\"", "<gexf>");
    check_error("g.gexf", &[("g.gexf", "<gexf/>")], &none, "g.gexf", "holds no graph", "<graph>");
}
