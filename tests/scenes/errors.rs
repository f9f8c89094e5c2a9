//! Every kind of error, with its line and column.

use connectome::scene::{Position, SceneFile, Step, locate};
use connectome::task::{LinkPrediction, Task};

use super::{COUPLE, assert_error, unmark};

/// Parses a text with a mark and asserts that the error points at the mark.
#[track_caller]
pub(super) fn check_text(marked: &str, message: &str, help: &str) {
    let (text, position) = unmark(marked);
    let error = SceneFile::parse(&text, "x.ron").expect_err("the scene is wrong");
    assert_error(&error, position, message, help);
    assert_eq!(error.file, "x.ron");
}

/// Like [`check_text`], on the couple with a part replaced.
#[track_caller]
pub(super) fn check(part: &str, replacement: &str, message: &str, help: &str) {
    assert!(COUPLE.contains(part), "{part:?} is no part of the scene");
    check_text(&COUPLE.replacen(part, replacement, 1), message, help);
}

#[test]
fn the_unchanged_scene_is_fine() {
    SceneFile::parse(COUPLE, "x.ron").expect("the scene is fine");
}

#[test]
fn an_error_shows_file_place_help_and_source() {
    let text = COUPLE.replace("source: \"Ann\"", "source: \"Anne\"");
    let error = SceneFile::parse(&text, "assets/x.ron").expect_err("there is no Anne");
    let expected = r#"
assets/x.ron:9:22: edge 0 names the source "Anne", but no node has that name
  help: did you mean "Ann"?
  |
9 |             (source: "Anne", target: "Bob", weight: 1.0),
  |                      ^"#;
    assert_eq!(error.to_string(), expected.trim_start());
}

#[test]
fn syntax_is_explained() {
    check("name: \"couple\",", "name: \"couple\" §graph", "comma", "comma");
    check("name: \"couple\"", "name §\"couple\"", "colon", "colon");
    check("name: \"couple\"", "name: §couple", "string", "double quotes");
    check("epochs: 10", "epochs: §\"ten\"", "integer", "whole number");
    check("epochs: 10", "epochs: §-10", "out of range", "from 0");
    check("epochs: 10", "epochs: 10§.5", "whole number", "200");
    check("Dropout(0.5)", "Dropout(§\"half\")", "float", "0.5");
    check("nodes: [", "nodes: §(", "[", "square brackets");
    check_text("(name: \"a\", /* /* */ §", "comment", "*/");
    check("Dropout(0.5)", "Dropout(0.5, §0.5)", "closing", "nothing more");
    check("Relu", "Relu§(0.5)", "takes no settings", "leave the brackets out");
    check("NodeClassification", "NodeClassification§(mean: true)", "takes no settings", "leave the brackets out");
    check("Dropout(0.5)", "Dropout(§rate: 0.5)", "float", "write the number alone, as in Dropout(0.5)");
    check("name: \"couple\"", "§# a comment\n    name: \"couple\"", "no value", "`//`");
    check("name: \"couple\",", "name: \"couple\"§", "expected comma", "between values");
    check("Relu", "§7", "expected a name", "Relu");
    check("\"couple\"", "\"cou\\q§ple\"", "escape", "two");
    check("(0.9, 0.999)", "§0.9", "expected opening `(`", "round brackets");
    check("task:", "§]task:", "expected a name", "close");
    check_text("§(name: \"a\"", "this bracket is not closed", "close it");
    check_text("§(name: \"a\", ", "this bracket is not closed", "close it");
    check_text("(name: \"a\", model: §[Relu,\n// the end\n", "this bracket is not closed", "close it");
    check_text("(name: §\"a", "expected end of string", "double quote");
    check_text("§", "expected opening `(`", "round brackets");
    check_text(&format!("§Scenery{COUPLE}"), "expected Scene, but found \"Scenery\"", "leave the name");
    check_text(&format!("{COUPLE} §x"), "trailing", "one description");
}

#[test]
fn unknown_names_are_corrected() {
    check("model:", "§modle:", "the scene has no field \"modle\"", "did you mean \"model\"?");
    check("patience:", "§pateince:", "the training has no field", "did you mean \"patience\"?");
    check("(width: 4)", "(§widht: 4)", "no field \"widht\"", "did you mean \"width\"?");
    check("betas:", "§beta:", "no field \"beta\"", "did you mean \"betas\"?");
    check("GcnConv(width: 4)", "§GcConv(width: 4)", "there is no layer \"GcConv\"", "did you mean \"GcnConv\"?");
    check("split: Train", "split: §Training", "there is no split", "Validation");
    check("Adam", "§Adm", "there is no optimizer", "did you mean \"Adam\"?");
    check("Given", "§Scaled", "there is no such value as", "RowNormalized");
}

#[test]
fn names_of_pytorch_geometric_are_known() {
    for (name, help) in [
        ("GCNConv", "did you mean \"GcnConv\"?"),
        ("SAGEConv", "did you mean \"SageConv\"?"),
        ("GATv2Conv", "did you mean \"Gatv2Conv\"?"),
        ("GCN2Conv", "called Gcnii here"),
        ("global_mean_pool", "called Readout(Mean) here"),
        ("BatchNorm1d", "called BatchNorm here"),
    ] {
        check("Relu", &format!("§{name}"), "there is no layer", help);
    }
}

#[test]
fn a_byte_order_mark_is_skipped() {
    let scene = SceneFile::parse(&format!("\u{feff}{COUPLE}"), "x.ron");
    assert_eq!(scene, SceneFile::parse(COUPLE, "x.ron"));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.ron");
    std::fs::write(&path, format!("\u{feff}{COUPLE}").replace('\n', "\r\n")).expect("the scene is written");
    assert_eq!(SceneFile::load(&path).map(|(scene, _)| scene), scene);
    // Positions are those of the text after it.
    std::fs::write(&path, format!("\u{feff}{}", COUPLE.replace("source: \"Ann\"", "source: \"Anne\"")))
        .expect("the scene is written");
    assert_eq!(SceneFile::load(&path).expect_err("there is no Anne").position, Position { line: 9, column: 22 });
}

#[test]
fn a_graph_is_no_scene() {
    let graph = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/cora.npz");
    assert_error(&SceneFile::load(graph).expect_err("a graph"), Position::START, "no scene", "import --scene");
}

#[test]
fn layers_within_layers_are_checked_like_others() {
    check("Relu", "Residual(layers: [LeakyRelu(§NaN)])", "the slope is NaN", "finite");
    let blocks = "JumpingKnowledge(blocks: [[Relu], [Relu, Residual(layers: [Dropout(§1.5)])]])";
    check("Relu", blocks, "the dropout probability is 1.5", "below 1");
}

#[test]
fn nothing_is_divided_by_0() {
    for norm in ["LayerNorm", "GraphNorm", "BatchNorm"] {
        check("Relu", &format!("{norm}(epsilon: §0.0)"), "epsilon is 0", "above 0");
        check("Relu", &format!("Residual(layers: [{norm}(epsilon: §0)])"), "epsilon is 0", "above 0");
    }
    check("weight_decay: 5e-4)", "epsilon: §0.0)", "epsilon is 0", "above 0");
    let adam = "Adam(learning_rate: 0.01, betas: (0.9, 0.999), weight_decay: 5e-4)";
    check(adam, "AdamW(learning_rate: 0.01, epsilon: §0)", "epsilon is 0", "above 0");
    check(adam, "RmsProp(learning_rate: 0.01, epsilon: §0)", "epsilon is 0", "above 0");
    let heads = "heads: [(name: \"a\", task: NodeClassification, class_weights: §[0, 0])]";
    check("task: NodeClassification", heads, "all class weights are 0", "above 0");
}

#[test]
fn missing_and_double_fields_are_named() {
    check_text(
        "(name: \"a\", model: [Relu], optimizer: Sgd(learning_rate: 0.1)§)",
        "lacks the field \"graph\"",
        "graph: …",
    );
    check("label: 0", "label: 0, §label: 0", "\"label\" twice", "keep one");
}

#[test]
fn nodes_must_make_sense() {
    check("\"Ann\", features", "§\"\", features", "node 0 has an empty name", "name");
    check("name: \"Bob\"", "name: §\"Ann\"", "node 1 is named \"Ann\" like node 0", "of its own");
    check("[0.5, 0.5]", "§[0.5]", "node 1 has 1 features, but node 0 has 2", "as many");
    check("[0.5, 0.5]", "[0.5, §NaN]", "feature 1 of node 1 is NaN", "finite");
    check("[0.5, 0.5]", "[§1e39, 0.5]", "feature 0 of node 1 is inf", "finite");
    check("[0.5, 0.5]", "[0.5, 0.5], targets: §[1]", "node 1 has 1 targets, but node 0 has 0", "as many");
}

#[test]
fn edges_must_make_sense() {
    check("source: \"Ann\"", "source: §\"Zoe\"", "edge 0 names the source \"Zoe\"", "name another source");
    check("target: \"Bob\"", "target: §\"bob\"", "edge 0 names the target \"bob\"", "did you mean \"Bob\"?");
    check("weight: 1.0", "weight: §-inf", "the weight of edge 0 is -inf", "finite");
    check("weight: 1.0", "features: [1, §NaN]", "feature 1 of edge 0 is NaN", "finite");
    let two = "features: [1]), (source: \"Bob\", target: \"Ann\", features: §[]";
    check("weight: 1.0", two, "edge 1 has 0 features, but edge 0 has 1", "as many");
}

#[test]
fn features_must_exist_unless_they_are_replaced() {
    let bare = COUPLE.replace("features: [1.0, 0.0], ", "").replace("features: [0.5, 0.5], ", "");
    check_text(&bare.replace("Given", "§Given"), "no features", "Identity");
    check_text(&bare.replace("Given", "§RowNormalized"), "no features", "Identity");
    SceneFile::parse(&bare.replace("Given", "Identity"), "x.ron").expect("every node has its number");
}

#[test]
fn rows_that_cannot_be_normalized_are_refused() {
    let normalized = COUPLE.replace("Given", "§RowNormalized");
    let canceling = normalized.replace("[0.5, 0.5]", "[3e38, -3e38, 1e-45]").replace("[1.0, 0.0]", "[0, 0, 0]");
    check_text(&canceling, "sum to almost 0", "Given");
    let (text, _) = unmark(&normalized.replace("[0.5, 0.5]", "[0.5, -0.5]"));
    SceneFile::parse(&text, "x.ron").expect("a sum of exactly 0 leaves the row");
}

#[test]
fn former_names_are_refused_with_the_present_ones() {
    for (part, former, help) in [
        ("GcnConv(width: 4)", "§MessagePassing(width: 4)", "MessagePassing is now called MeanConv"),
        ("GcnConv(width: 4)", "§InteractionBlock(hidden: [4, 4])", "InteractionBlock is now called GraphNetBlock"),
        ("Relu", "§ResGatedConv(width: 4)", "ResGatedConv is now called ResGatedGraphConv"),
        ("Relu", "§AttentionPooling(width: 4)", "AttentionPooling is now called AttentionalAggregation"),
        ("Relu", "GatConv(width: 4, §mean: true)", "write `concat: false` for `mean: true`"),
        ("Relu", "GatConv(width: 4, §edges: true)", "edges is now called edge_features"),
        ("Relu", "GatConv(width: 4, §self_loops: false)", "self_loops is now called add_self_loops"),
        ("Relu", "GineConv(nn: (widths: [4]), §map_edges: false)", "map_edges is now called edge_features"),
        ("Relu", "GinConv(nn: (widths: [4]), §eps: 0.5)", "eps is now called epsilon"),
        ("Given", "§AsGiven", "AsGiven is now called Given"),
        ("NodeClassification", "NodeRegression(loss: §L1)", "L1 is now called MeanAbsoluteError"),
        ("Constant", "Cosine(§steps: 100)", "steps is now called epochs"),
        ("Constant", "Cosine(epochs: 1, §minimum: 0.1)", "minimum is now called final_factor"),
        ("patience: 3", "§batch: 2", "batch is now called batch_size"),
        ("patience: 3", "§neighbours: [2]", "neighbours is now called fan_outs"),
        ("patience: 3", "§steps: 2", "steps is now called steps_per_epoch"),
        ("patience: 3", "§accumulate: 2", "accumulate is now called accumulation_steps"),
        ("patience: 3", "§selection: Last", "selection is now called keep"),
    ] {
        check(part, former, " no ", help);
    }
}

#[test]
fn layers_must_make_sense() {
    check("Dropout(0.5)", "Dropout(§1.0)", "the dropout probability is 1", "below 1");
    check("Dropout(0.5)", "Dropout(§-0.1)", "the dropout probability is -0.1", "below 1");
    check("Dropout(0.5)", "Dropout(§NaN)", "the dropout probability is NaN", "below 1");
    check("Relu", "LeakyRelu(§inf)", "the slope is inf", "finite");
    check("Relu", "Elu(§NaN)", "alpha is NaN", "finite");
    check("width: 4", "width: §0", "GcnConv has width 0", "at least 1");
    check("width: 4", "width: 4, weight_decay: §-1.0", "GcnConv has the weight decay -1", "not negative");
    check("width: 2", "width: §3", "output is 3 wide, but the nodes have 2 classes", "write width: 2");
    check("width: 2", "width: §1", "output is 1 wide, but the nodes have 2 classes", "write width: 2");
    let marked = COUPLE.replace("label: 1", "label: 4294967295").replace("width: 2", "width: §2");
    check_text(&marked, "the nodes have 4294967296 classes", "write width: 4294967296");
    let bare = "[Dropout(0.5), GcnConv(width: 4), Relu, GcnConv(width: 2, weight_decay: 0.0)]";
    check(bare, "§[]", "the model has no layers", "GcnConv");
    let three = COUPLE.replace("0.0]", "0.0, 1.0]").replace("0.5]", "0.5, 1.0]");
    check_text(&three.replace(bare, "§[Relu]"), "output is 3 wide", "a layer that has width: 2");
}

/// What only the constructor of a layer checks is shown at that layer, however deep it lies in others.
#[test]
fn layers_in_layers_are_found() {
    let check = |layer: &str, message: &str, help: &str| check("Relu", layer, message, help);
    check("JumpingKnowledge(blocks: [[Relu], [Tanh, §GatConv(width: 2, heads: 0)]])", "GatConv has", "");
    check("Residual(layers: [Linear(width: 4), §GatConv(width: 4, heads: 0)])", "GatConv has", "");
    check(
        "Residual(layers: [Residual(layers: [§BatchNorm(momentum: 2.0)])])",
        "BatchNorm has momentum 2",
        "from 0 to 1",
    );
    check("Residual(layers: [Linear(width: §0)])", "Linear has width 0", "at least 1");
    check("Residual(layers: [§GinConv(nn: (widths: [4, 0]))])", "GinConv has width 0", "at least 1");
    check("§Residual(layers: [Linear(width: 3)])", "Residual adds its input of width 4", "shortcut");
    let head = COUPLE.replace(
        "task: NodeClassification",
        "heads: [(name: \"a\", layers: [Residual(layers: [Linear(width: §0)])], task: NodeClassification)]",
    );
    check_text(&head, "Linear has width 0", "at least 1");
}

#[test]
fn weights_of_0_for_all_classes_to_learn_are_refused() {
    let heads = |weights: &str| {
        COUPLE.replace(
            "task: NodeClassification",
            &format!("heads: [(name: \"a\", task: NodeClassification, class_weights: {weights})]"),
        )
    };
    check_text(
        &heads("§[0, 1]"),
        "the classes of all nodes to train on have the weight 0",
        "in Train a weight above 0",
    );
    check_text(&heads("§[0, 0]"), "all class weights are 0", "above 0");
    SceneFile::parse(&heads("[1, 0]"), "x.ron").expect("the class in Train has a weight");
}

#[test]
fn settings_must_make_sense() {
    check("rate: 0.01", "rate: §-0.01", "the learning rate is -0.01", "not negative");
    check("rate: 0.01", "rate: §inf", "the learning rate is inf", "finite");
    check("decay: 5e-4", "decay: §-5e-4", "the weight decay is -0.0005", "not negative");
    check("(0.9, 0.999)", "(§1.0, 0.999)", "the first beta is 1", "below 1");
    check("(0.9, 0.999)", "(0.9, §-0.5)", "the second beta is -0.5", "below 1");
    check("weight_decay: 5e-4)", "epsilon: §-1.0)", "epsilon is -1", "above 0");
    let sgd = "Sgd(learning_rate: 0.1, momentum: §-0.5)";
    check("Adam(learning_rate: 0.01, betas: (0.9, 0.999), weight_decay: 5e-4)", sgd, "the momentum is -0.5", "");
    let root = "RmsProp(learning_rate: 0.1, decay: §1.5)";
    check("Adam(learning_rate: 0.01, betas: (0.9, 0.999), weight_decay: 5e-4)", root, "the decay is 1.5", "");
    check("Constant", "Step(every: 1, factor: §NaN)", "the factor is NaN", "finite");
    check("Constant", "Cosine(epochs: 1, final_factor: §-1)", "the final factor is -1", "not negative");
}

#[test]
fn splits_must_suffice() {
    let idle = COUPLE.replace("split: Train", "split: Test").replace("Inline(", "§Inline(");
    check_text(&idle, "no node is in the split Train", "at least one");
    let blind = COUPLE.replace("split: Validation", "split: Test").replace("patience: 3", "patience: §3");
    check_text(&blind, "no node is in the split Validation", "remove patience");
}

#[test]
fn steps_must_make_sense() {
    check("patience: 3", "steps_per_epoch: §0", "an epoch of 0 batches", "remove steps_per_epoch");
    check("patience: 3", "steps_per_epoch: §5", "is one step in each epoch", "remove steps_per_epoch");
}

#[test]
fn batches_and_clipping_must_make_sense() {
    check("patience: 3", "patience: §0", "a patience of 0", "remove patience");
    check("patience: 3", "batch_size: §0", "a batch of 0 graphs", "at least 1");
    check("patience: 3", "batch_size: §8", "how many neighbors of its nodes", "remove batch_size");
    check("patience: 3", "accumulation_steps: §0", "after 0 batches", "remove accumulation_steps");
    check("patience: 3", "accumulation_steps: §2", "where all is one batch", "`batch_size`");
    check("patience: 3", "clip_norm: §0", "the norm to clip to is 0", "above 0");
    check("patience: 3", "clip_norm: §-1", "the norm to clip to is -1", "remove clip_norm");
    check("patience: 3", "clip_norm: §inf", "the norm to clip to is inf", "finite");
    check("patience: 3", "averaging: §1", "keep 1 of themselves", "below 1");
    check("patience: 3", "averaging: §-0.1", "keep -0.1 of themselves", "such as 0.999");
    check("patience: 3", "averaging: §NaN", "keep NaN of themselves", "remove averaging");
}

#[test]
fn tasks_must_suit_the_graph() {
    check("NodeClassification", "§GraphClassification", "the scene has one graph", "node_ptr");
    check("NodeClassification", "LinkPrediction(validation: §1.0)", "the share for validation is 1", "below 1");
    check("NodeClassification", "LinkPrediction(test: §-0.1)", "the share for test is -0.1", "below 1");
    check("NodeClassification", "LinkPrediction(validation: 0.5, test: §0.5)", "so that none is left", "below 1");
    check("NodeClassification", "§LinkPrediction()", "0 pairs of nodes have no edge, but 1 are needed", "sparser");
    check("NodeClassification", "§NodeRegression()", "the nodes have no targets to predict", "node_target");
    let wrong = "NodeRegression(loss: §CrossEntropy)";
    check(
        "NodeClassification",
        wrong,
        "CrossEntropy is a loss of classes",
        "write MeanSquaredError, MeanAbsoluteError",
    );
    let flat = "NodeRegression(loss: Huber(delta: §0.0))";
    check("NodeClassification", flat, "delta is 0", "above 0");
    let bare = COUPLE.replace("(source: \"Ann\", target: \"Bob\", weight: 1.0),", "");
    let links = bare.replace("NodeClassification", "LinkPrediction()");
    check_text(&links.replace("Inline(", "§Inline("), "no edge between two nodes is left", "add edges");
    let third = "(name: \"Bob\", features: [0, 0]), (name: \"Cid\", features: [0, 0]),";
    let three = COUPLE.replace("(name: \"Bob\", features: [0.5, 0.5], label: 1, split: Validation),", third);
    let three = three.replace("NodeClassification", "LinkPrediction(test: 0.0)");
    check_text(&three.replace("patience: 3", "patience: §3"), "no edge is hidden for validation", "raise the share");
    let scene = SceneFile::parse(&three.replace("patience: 3", ""), "x.ron").expect("the output may have any width");
    assert_eq!(scene.task, Some(Task::LinkPrediction(LinkPrediction { validation: 0.05, test: 0.0 })));
    assert_eq!(SceneFile::parse(&scene.to_ron().expect("the scene is written"), "x.ron"), Ok(scene));
}

#[test]
fn epochs_may_be_0() {
    SceneFile::parse(&COUPLE.replace("epochs: 10", "epochs: 0"), "x.ron").expect("a model may stay untrained");
}

#[test]
fn models_beyond_the_machine_are_refused() {
    check("width: 4", "width: §1000000000000", "layer 1 (GcnConv)", "narrower");
    check("width: 4", "width: §18446744073709551615", "than can be counted", "narrower");
    check("GcnConv(width: 4)", "Linear(width: §1000000000000)", "(Linear)", "narrower");
    check("GcnConv(width: 4)", "MeanConv(width: §1000000000000)", "(MeanConv)", "narrower");
    let file = COUPLE.split_once("Inline(").zip(COUPLE.split_once("    features: Given"));
    let ((before, _), (_, after)) = file.expect("the scene has both");
    let npz = format!("{before}Npz(\"nowhere.npz\"),\n    features: Given{after}");
    // The graph file is not even looked for.
    check_text(&npz.replace("width: 4", "width: §1000000000000"), "(GcnConv)", "narrower");
}

/// The lines and messages of all mistakes of a scene, in the order in which they are shown.
fn mistakes(changes: &[(&str, &str)]) -> Vec<(usize, String)> {
    let text = changes.iter().fold(COUPLE.to_owned(), |text, (part, replacement)| {
        assert!(text.contains(part), "{part:?} is no part of the scene");
        text.replacen(part, replacement, 1)
    });
    let error = SceneFile::parse(&text, "x.ron").expect_err("the scene is wrong");
    let shown = error.to_string();
    let all = std::iter::once(&error).chain(&error.others);
    all.map(|error| {
        assert!(shown.contains(&format!("x.ron:{}:{}: {}", error.position.line, error.position.column, error.message)));
        (error.position.line, error.message.clone())
    })
    .collect()
}

#[test]
fn several_mistakes_are_told_at_once() {
    let check = |changes: &[(&str, &str)], expected: &[(usize, &str)]| {
        let found = mistakes(changes);
        let matches = found.len() == expected.len()
            && found
                .iter()
                .zip(expected)
                .all(|(found, expected)| found.0 == expected.0 && found.1.contains(expected.1));
        assert!(matches, "{found:#?}");
    };
    // Settings, and the graph in the scene.
    check(
        &[
            ("Dropout(0.5)", "Dropout(1.5)"),
            ("Relu", "Elu(inf)"),
            ("rate: 0.01", "rate: -1"),
            ("source: \"Ann\"", "source: \"Zoe\""),
        ],
        &[(9, "\"Zoe\""), (13, "dropout probability"), (13, "alpha is inf"), (15, "the learning rate is -1")],
    );
    // Names that are not known and values of another type; settings beside them.
    check(
        &[
            ("Dropout(0.5)", "GCNConv(width: 4)"),
            ("epochs: 10", "epochs: \"ten\""),
            ("seed: 1", "sead: [1, (a: 2)]"),
            ("rate: 0.01", "rate: -1"),
        ],
        &[(13, "no layer \"GCNConv\""), (15, "the learning rate is -1"), (16, "integer"), (16, "no field \"sead\"")],
    );
    // What is taken out is not said to be missing.
    check(
        &[("Adam(", "Adamm("), ("label: 0", "lable: 0")],
        &[(5, "no field \"lable\""), (15, "no optimizer \"Adamm\"")],
    );
    check(&[("features: Given", "fetures: Given")], &[(12, "no field \"fetures\"")]);
}

#[test]
fn long_lines_are_shown_in_part() {
    let text = COUPLE.replace('\n', " ").replace("\"Ann\", target", "\"Zoe\", target");
    let error = SceneFile::parse(&text, "x.ron").expect_err("there is no Zoe").to_string();
    let lines: Vec<&str> = error.lines().collect();
    assert!(lines.iter().all(|line| line.chars().count() < 130), "{error}");
    let caret = lines[4].find('^').expect("there is a caret");
    assert!(lines[3][caret..].starts_with("\"Zoe\""), "{error}");
}

#[test]
fn scenes_built_in_code_are_checked_alike() {
    let mut scene = SceneFile::parse(COUPLE, "x.ron").expect("the scene is fine");
    scene.optimizer = connectome::scene::options().from_str("Sgd(learning_rate: -1)").expect("an optimizer");
    let error = scene.validate().expect_err("the rate is negative");
    let text = scene.to_ron().expect("the scene is written");
    let place = locate(&text, &[Step::Field("optimizer"), Step::Field("learning_rate")]);
    assert_error(&error, place.expect("it is there"), "the learning rate is -1", "not negative");
    assert_eq!(error.file, "scene \"couple\"");
}

#[test]
fn values_are_found_past_anything_that_looks_like_them() {
    let (text, position) = unmark(
        r##"#![enable(implicit_some)] /* (b: /* , */ */ Scene( // b: 1,
            a: ("b: 1, \"", r#"b: 1 "), "#, 'b', '\'', '\u{28}', b'(', b"(", br"(", [(b: 1), {"b": 1}]),
            r#b : Thing ( 0x1F, -1.5e-3, /* , */ §Last(7) ) )"##,
    );
    assert_eq!(locate(&text, &[Step::Field("b"), Step::Index(2)]), Some(position));
    for path in
        [[Step::Field("b"), Step::Index(3)], [Step::Field("c"), Step::Index(0)], [Step::Index(9), Step::Index(0)]]
    {
        assert_eq!(locate(&text, &path), None);
    }
}
