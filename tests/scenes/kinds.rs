//! Scenes with kinds of nodes and relations: what is read, and each error with its place.

use connectome::data::{DenseRows, Features, GraphKinds, RelationEdges};
use connectome::scene::{SceneFile, Step, locate};
use connectome_components::Split;

use super::{assert_error, unmark};

/// Papers, which are classified, their authors, and who has written and cited what.
const LIBRARY: &str = r#"(
    name: "library",
    graph: Inline(
        nodes: [
            (name: "Ann", kind: "author", features: [1.0, 2.0]),
            (name: "Graphs", kind: "paper", features: [1.0], label: 1, split: Train),
            (name: "Bob", kind: "author", features: [3.0, 4.0]),
            (name: "Trees", kind: "paper", features: [2.0], split: Validation),
        ],
        edges: [
            (source: "Ann", target: "Graphs", relation: "writes", weight: 0.5),
            (source: "Bob", target: "Trees", relation: "writes"),
            (source: "Trees", target: "Graphs", relation: "cites", features: [5.0]),
        ],
    ),
    kind: "paper",
    nodes: {
        "paper": (),
        "author": (features: Given),
    },
    relations: [
        (name: "writes", source: "author", target: "paper", reverse: "written_by"),
        (name: "cites", source: "paper", target: "paper"),
    ],
    model: [HeteroConv(convolution: SageConv(width: 4)), Relu, HeteroConv(convolution: SageConv(width: 2))],
    task: NodeClassification,
    optimizer: Adam(learning_rate: 0.01),
    training: (epochs: 3, seed: 1),
)"#;

/// Parses a text with a mark and asserts that the error points at the mark.
#[track_caller]
fn check_text(marked: &str, message: &str, help: &str) {
    let (text, position) = unmark(marked);
    let error = SceneFile::parse(&text, "x.ron").expect_err("the scene is wrong");
    assert_error(&error, position, message, help);
}

/// The library with a part replaced.
#[track_caller]
fn with(part: &str, replacement: &str) -> String {
    assert!(LIBRARY.contains(part), "{part:?} is no part of the scene");
    LIBRARY.replacen(part, replacement, 1)
}

#[track_caller]
fn check(part: &str, replacement: &str, message: &str, help: &str) {
    check_text(&with(part, replacement), message, help);
}

#[test]
fn a_graph_in_a_scene_parts_into_kinds_and_relations() {
    let scene = SceneFile::parse(LIBRARY, "x.ron").unwrap_or_else(|error| panic!("{error}"));
    let data = scene.read_graph("").unwrap();
    assert_eq!((data.nodes, &data.labels[..], data.classes), (2, &[1, 0][..], 2));
    assert_eq!(data.names, ["Graphs", "Trees"]);
    assert_eq!(data.splits, [Split::Train, Split::Validation]);
    assert_eq!(data.features, Features::Dense { width: 1, values: vec![1.0, 2.0] });
    assert!(data.edges.is_empty());
    let GraphKinds { own, others, relations } = *data.kinds.clone().unwrap();
    assert_eq!(own, "paper");
    let [author] = &others[..] else { panic!("one other kind: {others:?}") };
    assert_eq!((&*author.name, author.nodes.nodes), ("author", 2));
    assert_eq!(author.nodes.features, Features::Dense { width: 2, values: vec![1.0, 2.0, 3.0, 4.0] });
    let expected = [
        RelationEdges {
            name: "writes".to_owned(),
            ends: [1, 0],
            reverse: Some("written_by".to_owned()),
            edges: vec![[0, 0], [1, 1]],
            weights: Some(vec![0.5, 1.0]),
            features: None,
        },
        RelationEdges {
            name: "cites".to_owned(),
            ends: [0, 0],
            edges: vec![[1, 0]],
            features: Some(DenseRows { width: 1, values: vec![5.0] }),
            ..RelationEdges::default()
        },
    ];
    assert_eq!(relations, expected);
    assert!(scene.memory(&data).is_ok());
    let text = scene.to_ron().unwrap();
    assert_eq!(SceneFile::parse(&text, "y.ron"), Ok(scene), "{text}");
}

#[test]
fn features_are_made_for_each_kind() {
    let made = |features: &str| {
        let text = with("\"author\": (features: Given)", &format!("\"author\": (features: {features})"));
        let scene = SceneFile::parse(&text, "x.ron").unwrap_or_else(|error| panic!("{error}"));
        scene.read_graph("").unwrap().of_kind(Some("author")).features.clone()
    };
    assert_eq!(made("Identity"), Features::identity(2));
    assert_eq!(made("Ones"), Features::Dense { width: 1, values: vec![1.0; 2] });
    let thirds = [1.0 / 3.0, 2.0 / 3.0].map(|value: f64| value as f32);
    let sevenths = [3.0 / 7.0, 4.0 / 7.0].map(|value: f64| value as f32);
    assert_eq!(made("RowNormalized"), Features::Dense { width: 2, values: [thirds, sevenths].concat() });
    let sums = with("(features: Given)", "(features: §RowNormalized)").replace("[1.0, 2.0]", "[3e38, -3e38, 1e-30]");
    check_text(&sums.replace("[3.0, 4.0]", "[1.0, 2.0, 3.0]"), "sum to almost 0", "Given");
}

#[test]
fn kinds_are_named_completely() {
    let own = "kind: \"paper\",\n    nodes: {";
    check(own, "nodes: §{", "does not say which kind", "author, paper");
    let message = "papers\", which is not among `nodes`";
    check(own, "kind: §\"papers\",\n    nodes: {", message, "did you mean \"paper\"?");
    let (before, after) = LIBRARY.split_once(own).unwrap();
    let after = after.split_once("    },\n").unwrap().1;
    check_text(&format!("{before}kind: §\"paper\",\n{after}"), "does not name its kinds", "\"source\"");
    let neither = format!("{before}{}", after.replace("relations: [", "relations: §["));
    check_text(&neither, "does not name its kinds", "nodes: {");
    check("\"author\": (features: Given),", "§\"\": (), \"author\": (),", "is no name for a kind", "without dots");
    check("\"author\": (features: Given),", "§\"a.b\": (), \"author\": (),", "is no name for a kind", "without dots");
    check("\"author\": (features: Given),", "\"author\": (), §\"venue\": (),", "no relation begins or ends", "remove");
    check(
        "\"author\": (features: Given),",
        "\"author\": (features: §Degree),",
        "a degree in each relation",
        "Identity",
    );
    let twice = SceneFile::parse(&with("\"author\": (features: Given),", "\"author\": (), \"author\": (),"), "x.ron");
    assert!(twice.unwrap_err().message.contains("two entries have the name \"author\""));
    check("(features: Given)", "(§feature: Given)", "a kind has no field \"feature\"", "did you mean \"features\"?");
}

#[test]
fn relations_are_named_once_and_end_in_kinds() {
    let (all, place) =
        ("source: \"author\", target: \"paper\", reverse", "source: §\"autor\", target: \"paper\", reverse");
    check(all, place, "sources of the relation \"writes\" are of the kind \"autor\"", "did you mean \"author\"?");
    check(all, "source: \"author\", target: §\"x\", reverse", "targets of the relation", "author, paper");
    check("name: \"cites\", source", "name: \"cites\", §sorce", "a relation has no field", "did you mean \"source\"?");
    check("\"written_by\"", "§\"writes\"", "two relations have the name \"writes\"", "and each reverse");
    check("\"written_by\"", "§\"written/by\"", "is no name for a relation", "without dots and slashes");
    let relations = LIBRARY.split_once("relations: [").unwrap().1.split_once("    ],\n").unwrap().0;
    let none = LIBRARY.replacen(relations, "", 1).replacen("nodes: {", "nodes: §{", 1);
    check_text(&none, "no relations along which messages", "relations: [(name:");
}

#[test]
fn nodes_and_edges_say_what_they_are() {
    check(
        "\"Ann\", kind: \"author\"",
        "\"Ann\", kind: §\"auther\"",
        "node 0 is of the kind",
        "did you mean \"author\"?",
    );
    check("(name: \"Ann\", kind: \"author\"", "§(name: \"Ann\"", "node 0 has no kind", "author");
    check("relation: \"cites\"", "relation: §\"cite\"", "edge 2 is of the relation", "did you mean \"cites\"?");
    check(
        "relation: \"cites\"",
        "relation: §\"written_by\"",
        "edge 2",
        "in the other direction, with `relation: \"writes\"`",
    );
    let edge = "(source: \"Trees\", target: \"Graphs\", relation: \"cites\",";
    check(edge, "§(source: \"Trees\", target: \"Graphs\",", "edge 2 has no relation", "writes, cites");
}

#[test]
fn edges_join_the_kinds_of_their_relation() {
    let message = "edge 1 names the source \"Trees\", which is of the kind \"paper\", but the sources of the relation \"writes\" are of the \
                   kind \"author\"";
    check("source: \"Bob\"", "source: §\"Trees\"", message, "another relation");
    check(
        "target: \"Trees\"",
        "target: §\"Ann\"",
        "names the target \"Ann\", which is of the kind \"author\"",
        "paper",
    );
    check("target: \"Trees\"", "target: §\"Tree\"", "no node has that name", "did you mean \"Trees\"?");
    check("weight: 0.5", "weight: §inf", "the weight of edge 0 is inf", "finite");
    check("[3.0, 4.0]", "§[3.0]", "node 2 has 1 features, but node 0 has 2", "as many");
    check("[3.0, 4.0]", "[3.0, §NaN]", "feature 1 of node 2 is NaN", "finite");
    check("        ],\n    ),", "        ],\n        undirected: §true,\n    ),", "told by each relation", "reverse");
    check("features: [2.0]", "features: §[]", "node 3 has 0 features, but node 1 has 1", "as many");
    let bare = LIBRARY.replace("features: [1.0, 2.0]", "label: 0").replace("features: [3.0, 4.0]", "label: 0");
    check_text(
        &bare.replace("(features: Given)", "(features: §Given)"),
        "kind \"author\" have no features",
        "Identity",
    );
}

#[test]
fn scenes_without_kinds_have_none_in_their_graph() {
    let plain = LIBRARY.split_once("    kind: \"paper\",\n").unwrap();
    let rest = plain.1.split_once("    model: ").unwrap().1;
    let plain = format!("{}    model: {rest}", plain.0);
    let plain = plain.replace("HeteroConv(convolution: SageConv(width: 4))", "SageConv(width: 4)");
    let plain = plain.replace("HeteroConv(convolution: SageConv(width: 2))", "SageConv(width: 2)");
    check_text(&plain.replacen("kind: ", "kind: §", 1), "node 0 is of a kind, but the scene names no kinds", "`nodes`");
    let nodes = plain.replace(", kind: \"author\"", "").replace(", kind: \"paper\"", "");
    check_text(&nodes.replacen("relation: ", "relation: §", 1), "edge 0 is of a relation", "`relations`");
    let graph = nodes.replace(", relation: \"writes\"", "").replace(", relation: \"cites\", features: [5.0]", "");
    let graph = graph.replace("[1.0, 2.0]", "[1.0]").replace("[3.0, 4.0]", "[3.0]");
    for layer in ["HeteroConv(convolution: SageConv(width: 4))", "RgcnConv(width: 4)", "HgtConv(width: 4)"] {
        let text = graph.replace("[SageConv(width: 4)", &format!("[§{layer}"));
        check_text(&text, "passes messages along relations, but the scene names none", "such as SageConv");
    }
    let heads = r#"heads: [(name: "one", nodes: §["paper"], task: NodeClassification)],"#;
    let text = graph.replace("task: NodeClassification,", heads);
    check_text(&text, "the head \"one\" reads a kind of nodes", "remove it");
}

#[test]
fn what_is_not_possible_with_kinds_is_refused() {
    check(
        "task: NodeClassification",
        "features: §Identity, task: NodeClassification",
        "said for each kind",
        "(features: Identity)",
    );
    check("task: NodeClassification", "order: §Degree, task: NodeClassification", "order of the file", "Given");
    check("task: NodeClassification", "task: §GraphClassification", "graphs with several kinds", "NodeClassification");
    check("task: NodeClassification", "task: §EdgeClassification", "edges of relations are not", "NodeClassification");
    check(
        "task: NodeClassification",
        "task: §LinkPrediction()",
        "links between nodes of several kinds",
        "NodeClassification",
    );
    let mixture = "mixture: §(experts: [(layers: [Linear(width: 2)], count: 2)]), task: NodeClassification";
    check("task: NodeClassification", mixture, "experts do not read several kinds", "remove the mixture");
    for setting in ["batch_size: §1", "fan_outs: §[2, 2]", "steps_per_epoch: §2", "accumulation_steps: §2"] {
        check("epochs: 3", setting, "trained as a whole", "remove");
    }
    let (before, after) = LIBRARY.split_once("graph: Inline(").unwrap();
    let after = after.split_once("    kind: \"paper\"").unwrap().1;
    let words = format!("{before}graph: §Words(slots: 1, train: \"x\"),\n    kind: \"paper\"{after}");
    check_text(&words, "these graphs have no kinds", "remove");
}

#[test]
fn heads_are_about_a_kind() {
    let heads = |nodes: &str| {
        with(
            "task: NodeClassification,",
            &format!(r#"heads: [(name: "one", nodes: {nodes}, task: NodeClassification)],"#),
        )
    };
    assert!(SceneFile::parse(&heads("[\"paper\"]"), "x.ron").is_ok());
    check_text(&heads("[§\"papr\"]"), "reads nodes of the kind \"papr\"", "did you mean \"paper\"?");
    check_text(&heads("[\"paper\", §\"author\"]"), "which are of one kind", "a head for each");
}

#[test]
fn what_layers_refuse_is_shown_where_they_stand() {
    let layers = |model: &str| {
        let (before, after) = LIBRARY.split_once("model: [").unwrap();
        format!("{before}model: [{model}],\n    task:{}", after.split_once("task:").unwrap().1)
    };
    let first = "HeteroConv(convolution: SageConv(width: 4)), ";
    let (last, message) = ("HeteroConv(convolution: SageConv(width: 2))", "passes messages along edges");
    check_text(&layers(&format!("§GcnConv(width: 4), {last}")), message, "`HeteroConv`");
    let residual = format!("{first}§Residual(layers: [GcnConv(width: 4)]), {last}");
    check_text(&layers(&residual), message, "`HeteroConv`");
    let unknown = "HeteroConv(convolution: SageConv(width: 2), relations: §{\"wirtes\": SageConv(width: 2)})";
    check_text(&layers(unknown), "relation `wirtes`, of which the model has none", "`writes`");
    let between = "§HeteroConv(convolution: GcnConv(width: 2))";
    check_text(&layers(between), "no messages from one kind to another", "SageConv");
    let named = "HeteroConv(relations: {\"writes\": SageConv(width: 2), §\"cites\": GatConv(width: 2, heads: 0)})";
    check_text(&layers(named), "GatConv has no heads", "at least 1");
    let slope = "HeteroConv(relations: {\"writes\": SageConv(width: 2), \"cites\": Dropout(§NaN)})";
    check_text(&layers(slope), "the dropout probability is NaN", "from 0 to below 1");
    let slope = "HeteroConv(convolution: Dropout(§2.0))";
    check_text(&layers(slope), "the dropout probability is 2", "from 0 to below 1");
    let wide = "HeteroConv(convolution: SageConv(width: §3)), Relu";
    check_text(&layers(wide), "output is 3 wide, but the nodes have 2 classes", "write width: 2");
    let rgcn = "§RgcnConv(width: 2)";
    check_text(&layers(rgcn), "width", "`Linear`");
    check_text(
        &layers("Linear(width: 3), HgtConv(width: §3, heads: 2), Linear(width: 2)"),
        "among 2 heads",
        "multiple",
    );
}

#[test]
fn entries_of_maps_are_found_by_rank() {
    let text = "(a: {\"z\": (b: 1), \"x y\": (b: 2), \"y\": Some(c: [3])})";
    let at = |path: &[Step]| locate(text, path).map(|position| position.column);
    let [a, b, c] = ["a", "b", "c"].map(Step::Field);
    let column = |part: &str| text.find(part).map(|offset| offset + 1);
    assert_eq!(at(&[a, Step::Ranked(0)]), column("\"x y\""));
    assert_eq!(at(&[a, Step::Ranked(0), b]), column("2)"));
    assert_eq!(at(&[a, Step::Ranked(2), b]), column("1)"));
    assert_eq!(at(&[a, Step::Ranked(1), c, Step::Index(0)]), column("3]"));
    assert_eq!(at(&[a, Step::Ranked(3)]), None);
    assert_eq!(locate("(a: [1])", &[a, Step::Ranked(0)]), None);
}
