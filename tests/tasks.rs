//! Every task of scenes: that it learns what is in the data, in one graph and in batches, alone and beside other heads, and what
//! it writes. A failure shows the metrics.

use connectome::{
    HeadOutput, Trainer,
    components::{Metrics, Split},
    data::{DenseRows, EdgeLabels, Features, GraphData, GraphSet},
    scene::SceneFile,
    systems::{
        Workers,
        random::{Philox, RandomStream},
    },
};

const NODES: usize = 60;
const DEGREE: usize = 6;

pub fn scene(rest: &str) -> SceneFile {
    let text = format!(r#"(name: "tasks", graph: Npz("none.npz"), optimizer: Adam(learning_rate: 0.02), {rest})"#);
    SceneFile::parse(&text, "scene.ron").unwrap_or_else(|error| panic!("{error}"))
}

/// Every fourth row is for test, and another fourth for validation.
fn splits(count: usize) -> Vec<Split> {
    let splits = [Split::Train, Split::Validation, Split::Train, Split::Test];
    (0..count).map(|row| splits[row % 4]).collect()
}

fn rows(width: usize, values: impl Iterator<Item = f32>) -> Option<DenseRows> {
    Some(DenseRows { width, values: values.collect() })
}

/// A random graph, of whose nodes, edges and features all that is to be predicted follows:
///
/// | rows | class | values |
/// | --- | --- | --- |
/// | nodes | whether the first feature is positive | which features are |
/// | edges | whether the first feature of the source is above that of the target | `x_source - 2 x_target + e` |
/// | graphs | whether the sum of the first features is positive | the sums of the features of its nodes |
pub fn data(graphs: usize) -> GraphData {
    let nodes = NODES * graphs;
    let mut draws = RandomStream::new(Philox::new(3, 1, 0));
    let uniform = |stream, count| {
        let mut values = vec![0.0; count];
        Philox::new(3, stream, 0).fill_uniform(&mut values);
        values.iter().map(|value| 2.0 * value - 1.0).collect::<Vec<f32>>()
    };
    let (features, of_edges) = (uniform(2, 2 * nodes), uniform(3, nodes * DEGREE));
    let mut end = |edge: usize| (edge / (NODES * DEGREE) * NODES) as u32 + draws.below(NODES as u64) as u32;
    let edges: Vec<[u32; 2]> = (0..nodes * DEGREE).map(|edge| [end(edge), end(edge)]).collect();
    let first = |node: u32| features[2 * node as usize];
    let sum = |graph: usize, feature: usize| -> f32 {
        (0..NODES).map(|node| features[2 * (graph * NODES + node) + feature]).sum()
    };
    let edge_labels = EdgeLabels {
        labels: edges.iter().map(|[source, target]| u32::from(first(*source) > first(*target))).collect(),
        classes: 2,
        targets: rows(
            1,
            edges.iter().zip(&of_edges).map(|([source, target], of)| first(*source) - 2.0 * first(*target) + of),
        ),
        splits: splits(edges.len()),
    };
    let set = GraphSet {
        node_offsets: (0..=graphs).map(|graph| graph * NODES).collect(),
        edge_offsets: (0..=graphs).map(|graph| graph * NODES * DEGREE).collect(),
        labels: (0..graphs).map(|graph| u32::from(sum(graph, 0) > 0.0)).collect(),
        classes: 2,
        splits: splits(graphs),
        targets: rows(2, (0..graphs).flat_map(|graph| [sum(graph, 0), sum(graph, 1)])),
        ..GraphSet::default()
    };
    GraphData {
        nodes,
        labels: (0..nodes as u32).map(|node| u32::from(first(node) > 0.0)).collect(),
        classes: 2,
        splits: splits(nodes),
        targets: rows(2, features.iter().map(|value| f32::from(*value > 0.0))),
        edge_features: rows(1, of_edges.into_iter()),
        edge_labels: Some(edge_labels),
        features: Features::Dense { width: 2, values: features },
        edges,
        graphs: (graphs > 1).then_some(set),
        ..GraphData::default()
    }
}

struct Trained {
    metrics: Metrics,
    outputs: Vec<HeadOutput>,
    trainer: Trainer,
}

impl Trained {
    /// A metric of a head on the test rows.
    fn test(&self, head: usize, name: &str) -> f64 {
        let values = self.metrics.heads[head].values(Split::Test);
        let value = values.into_iter().find(|value| value.name == name).map(|value| value.value);
        value.unwrap_or_else(|| panic!("there is no {name}: {:?}", self.metrics))
    }
}

fn train(rest: &str, data: &GraphData, workers: usize) -> Trained {
    let mut trainer = Trainer::new(&scene(rest), data, 1, Workers::new(workers).unwrap()).unwrap();
    trainer.train(|_| {}).unwrap();
    Trained { metrics: trainer.evaluate().unwrap(), outputs: trainer.outputs().unwrap(), trainer }
}

const DECODER: &str = "EdgeDecoder(nn: (widths: [16, 2]))";
const EXACT: &str = "EdgeDecoder(nn: (widths: [1]), edge_features: true)";

#[test]
fn edges_are_told_apart_and_valued() {
    let data = data(1);
    let classes = train(&format!("model: [{DECODER}], task: EdgeClassification, training: (epochs: 300)"), &data, 1);
    assert!(classes.test(0, "accuracy") > 0.95, "{:?}", classes.metrics);
    assert_eq!(classes.outputs[0].values.len(), 2 * data.edges.len());

    let values = train(&format!("model: [{EXACT}], task: EdgeRegression(), training: (epochs: 600)"), &data, 1);
    assert!(values.test(0, "mean_absolute_error") < 1e-3, "{:?}", values.metrics);
    let weights = values.trainer.weights();
    let weight = weights.iter().find(|tensor| tensor.name == "layers.0.nn.0.weight").unwrap();
    let expected = [1.0, 0.0, -2.0, 0.0, 1.0];
    assert!(weight.values.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 5e-3), "{weight:?}");
    let targets = &data.edge_labels.unwrap().targets.unwrap().values;
    let far = values.outputs[0].values.iter().zip(targets).position(|(output, target)| (output - target).abs() > 0.01);
    assert_eq!(far, None, "in the order of the file");
}

#[test]
fn outputs_of_edges_come_in_the_order_of_the_file_whatever_that_of_the_rows() {
    let data = data(1);
    for order in ["Degree", "ReverseCuthillMcKee"] {
        let rest = format!("model: [{EXACT}], task: EdgeRegression(), order: {order}, training: (epochs: 600)");
        let values = train(&rest, &data, 1);
        let targets = &data.edge_labels.as_ref().unwrap().targets.as_ref().unwrap().values;
        let far = values.outputs[0].values.iter().zip(targets).position(|(out, target)| (out - target).abs() > 0.01);
        assert_eq!(far, None, "{order}");
    }
}

#[test]
fn graphs_are_valued() {
    let data = data(40);
    let rest = "model: [Readout(Sum), Linear(width: 2)], task: GraphRegression(loss: Huber(delta: 1.0)),
        training: (epochs: 400, batch_size: 8)";
    let values = train(rest, &data, 1);
    assert!(values.test(0, "mean_absolute_error") < 0.02, "{:?}", values.metrics);
    let targets = &data.graphs.unwrap().targets.unwrap().values;
    assert_eq!(values.outputs[0].values.len(), targets.len());
    let far = values.outputs[0].values.iter().zip(targets).position(|(output, target)| (output - target).abs() > 0.1);
    assert_eq!(far, None, "in the order of the file");
}

#[test]
fn rows_have_several_labels() {
    let data = data(1);
    let rest = "model: [Linear(width: 2)], task: NodeMultiLabel, training: (epochs: 300)";
    let labels = train(rest, &data, 1);
    assert!(labels.test(0, "accuracy") > 0.9 && labels.test(0, "f1_micro") > 0.85, "{:?}", labels.metrics);
}

/// As in the protein graphs of GraphSAGE: nodes of a set have labels, and belong to the split of their graph.
#[test]
fn nodes_and_edges_of_a_set_are_predicted() {
    let data = data(12);
    for (rest, metric) in [
        ("model: [Linear(width: 2)], task: NodeMultiLabel", "f1_micro"),
        ("model: [Linear(width: 2)], task: NodeClassification", "accuracy"),
        ("model: [EdgeDecoder(nn: (widths: [16, 2]))], task: EdgeClassification", "accuracy"),
    ] {
        let of = |batch: usize| format!("{rest}, training: (epochs: 60, batch_size: {batch})");
        let trained = train(&of(2), &data, 1);
        assert!(trained.test(0, metric) > 0.95, "{rest}: {:?}", trained.metrics);
        let rows = if rest.contains("Edge") { data.edges.len() } else { data.nodes };
        let of_test = trained.metrics.heads[0].of(Split::Test).count as usize;
        let columns = if metric == "f1_micro" { 2 } else { 1 };
        assert_eq!(of_test, columns * rows / 4, "a fourth of the graphs is for test");
        assert_eq!(trained.outputs[0].values.len(), 2 * rows);
        // Batches of another size compute the same rows.
        let mut other = Trainer::new(&scene(&of(5)), &data, 1, Workers::single()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights.safetensors");
        connectome::output::write_weights(&path, &trained.trainer.weights(), Default::default()).unwrap();
        other.load_weights(&path, &[]).unwrap();
        assert_eq!(other.outputs().unwrap(), trained.outputs, "{rest}");
    }
}

pub const HEADS: &str = r#"
    model: [Linear(width: 16), Tanh],
    heads: [
        (name: "sign", layers: [Linear(width: 2)], task: NodeClassification, class_weights: [1.0, 2.0]),
        (name: "signs", layers: [Linear(width: 2)], task: NodeMultiLabel, weight: 0.5),
        (name: "edge", layers: [EdgeDecoder(nn: (widths: [16, 1]), edge_features: true)], task: EdgeRegression()),
        (name: "link", task: LinkPrediction(validation: 0.1, test: 0.1)),
    ],
    training: (epochs: 200)"#;

#[test]
fn several_heads_learn_together_and_the_same_for_any_number_of_workers() {
    let data = data(1);
    let one = train(HEADS, &data, 1);
    assert!(one.test(0, "accuracy") > 0.9 && one.test(1, "f1_micro") > 0.9, "{:?}", one.metrics);
    assert!(one.test(2, "mean_absolute_error") < 0.2, "{:?}", one.metrics);
    assert!((0.0..=1.0).contains(&one.test(3, "area_under_curve")), "{:?}", one.metrics);
    let names: Vec<&str> = one.outputs.iter().map(|output| &*output.name).collect();
    assert_eq!(names, ["sign", "signs", "edge", "link"]);
    assert_eq!(one.trainer.pairs().len(), one.outputs[3].values.len());
    assert!(one.trainer.weights().iter().any(|tensor| tensor.name == "heads.sign.0.weight"));
    for workers in [2, 3, 8] {
        let others = train(HEADS, &data, workers);
        assert!(others.outputs == one.outputs, "{workers} workers give other outputs");
        assert!(others.metrics == one.metrics, "{workers} workers give other metrics");
    }
}

#[test]
fn heads_of_a_set_learn_together() {
    let rest = r#"
        model: [],
        heads: [
            (name: "graph", layers: [Readout(Sum), Linear(width: 2)], task: GraphClassification),
            (name: "node", layers: [Linear(width: 2)], task: NodeMultiLabel),
        ],
        training: (epochs: 60, batch_size: 4)"#;
    let trained = train(rest, &data(12), 1);
    assert!(trained.test(0, "accuracy") > 0.6 && trained.test(1, "f1_micro") > 0.95, "{:?}", trained.metrics);
    assert_eq!(trained.outputs.iter().map(|output| output.values.len()).collect::<Vec<_>>(), [24, 24 * NODES]);
}

/// A head without layers beside another: the model's own output and gradient are shared.
#[test]
fn a_task_is_the_one_head_of_its_model_to_the_bit() {
    let data = data(1);
    let task = train("model: [GcnConv(width: 2)], task: NodeClassification, training: (epochs: 20)", &data, 1);
    let heads =
        r#"model: [GcnConv(width: 2)], heads: [(name: "one", task: NodeClassification)], training: (epochs: 20)"#;
    let head = train(heads, &data, 1);
    assert_eq!(task.outputs[0].values, head.outputs[0].values);
    assert_eq!(task.metrics.of(Split::Test), head.metrics.of(Split::Test));
}

#[test]
fn files_keep_what_is_known_of_edges_and_graphs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.npz");
    let one = data(1);
    std::fs::write(&path, one.to_npz().unwrap()).unwrap();
    assert_eq!(GraphData::read_npz(&path).unwrap(), one);
    let mut set = data(4);
    // In a set the graphs are split.
    set.splits.fill(Split::Unused);
    std::fs::write(&path, set.to_npz().unwrap()).unwrap();
    assert_eq!(GraphData::read_npz(&path).unwrap(), set);
}

#[test]
fn what_cannot_be_predicted_is_refused() {
    let refused = |rest: &str, change: &dyn Fn(&mut GraphData)| {
        let folder = tempfile::tempdir().unwrap();
        let mut data = data(if rest.contains("Readout") { 4 } else { 1 });
        change(&mut data);
        std::fs::write(folder.path().join("none.npz"), data.to_npz().unwrap()).unwrap();
        let error = scene(rest).read_graph(folder.path()).expect_err("the scene is wrong");
        format!("{}; {}", error.message, error.help)
    };
    let as_is = |_: &mut GraphData| {};
    for (rest, change, message) in [
        ("model: [Linear(width: 2)], task: EdgeClassification", &as_is as &dyn Fn(&mut GraphData), "EdgeDecoder"),
        ("model: [EdgeDecoder(nn: (widths: [3]))], task: EdgeClassification", &as_is, "the edges have 2 classes"),
        (
            "model: [EdgeDecoder(nn: (widths: [2]))], task: EdgeClassification",
            &|data| data.edge_labels = None,
            "nothing is known of the edges",
        ),
        (
            "model: [EdgeDecoder(nn: (widths: [2]))], task: EdgeClassification",
            &|data| data.edge_labels.as_mut().unwrap().splits.fill(Split::Test),
            "no edge is in the split Train",
        ),
        ("model: [EdgeDecoder(nn: (widths: [2]))], task: NodeClassification", &as_is, "remove the EdgeDecoder"),
        (
            "model: [EdgeDecoder(nn: (widths: [1]))], task: EdgeRegression()",
            &|data| data.edge_labels.as_mut().unwrap().targets = None,
            "the edges have no targets to predict",
        ),
        (
            "model: [Readout(Sum)], task: GraphRegression()",
            &|data| data.graphs.as_mut().unwrap().targets = None,
            "the graphs have no targets to predict",
        ),
        ("model: [Linear(width: 2)], task: GraphRegression()", &as_is, "the scene has one graph"),
        (
            "model: [Linear(width: 2)], task: NodeMultiLabel",
            &|data| data.targets.as_mut().unwrap().values[5] = 0.5,
            "target 1 of node 2 is 0.5",
        ),
        (
            r#"model: [], heads: [(name: "a", layers: [Linear(width: 2)], task: NodeClassification, class_weights: [1.0])]"#,
            &as_is,
            "there are 1 class weights, but 2 classes",
        ),
        (
            r#"model: [], heads: [(name: "a", layers: [Linear(width: 7)], task: NodeClassification)]"#,
            &as_is,
            "write width: 2",
        ),
        (
            r#"model: [Linear(width: 4)], heads: [(name: "a", layers: [Linear(width: 0)], task: NodeClassification)]"#,
            &as_is,
            "Linear has width 0",
        ),
    ] {
        let error = refused(rest, change);
        assert!(error.contains(message), "{rest}: {error}");
    }
}

#[test]
fn heads_must_make_sense() {
    for (heads, message) in [
        (
            r#"task: NodeClassification, heads: [(name: "a", task: NodeClassification)]"#,
            "a task of its own beside them",
        ),
        (r#"heads: [(name: "a.b", task: NodeClassification)]"#, "no name for a head"),
        (
            r#"heads: [(name: "a", task: NodeClassification), (name: "a", task: NodeMultiLabel)]"#,
            "two heads have the name",
        ),
        (
            r#"heads: [(name: "a", task: LinkPrediction()), (name: "b", task: LinkPrediction())]"#,
            "two heads predict links",
        ),
        (r#"heads: [(name: "a", task: NodeClassification, weight: -1.0)]"#, "the weight of the head is -1"),
        (r#"heads: [(name: "a", task: NodeRegression(loss: CrossEntropy))]"#, "a loss of classes"),
        (r#"heads: [(name: "a", task: NodeClassification, layers: [Dropout(2.0)])]"#, "the dropout probability is 2"),
    ] {
        let text = format!(
            r#"(name: "x", graph: Npz("none.npz"), model: [Relu], optimizer: Sgd(learning_rate: 0.1), {heads})"#
        );
        let error = SceneFile::parse(&text, "x.ron").expect_err(heads);
        assert!(error.message.contains(message), "{heads}: {error}");
        let at = error.position.column - 1;
        assert!(error.position.line == 1 && at > 70, "{heads}: {error}");
    }
}

/// No epoch follows the last step that would say it.
#[test]
fn weights_that_the_last_step_spoils_are_an_error() {
    let rest = "model: [Linear(width: 2)], task: NodeClassification, training: (epochs: 1, keep: Last)";
    let mut scene = scene(rest);
    scene.optimizer = connectome::components::Optimizer::sgd(1e34);
    let data = GraphData { features: Features::Dense { width: 2, values: vec![1e3; 2 * NODES] }, ..data(1) };
    let error = Trainer::new(&scene, &data, 1, Workers::single()).unwrap().train(|_| {}).unwrap_err().to_string();
    assert!(error.contains("in epoch 1; lower the learning rate"), "{error}");
}

#[cfg(feature = "cli")]
#[test]
fn the_command_line_trains_evaluates_and_infers_every_head() {
    use ndarray::{Array1, Array2};
    use ndarray_npy::NpzReader;
    use std::{fs, process::Command};

    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(file("none.npz"), data(1).to_npz().unwrap()).unwrap();
    fs::write(file("heads.ron"), scene(HEADS).to_ron().unwrap()).unwrap();
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_connectome")).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    run(&["train", &file("heads.ron"), "--epochs", "20", "--output", &file("")]);
    let weights = ["--weights", &file("weights.safetensors")];
    let measured = run(&[&["evaluate", &file("heads.ron")], &weights[..]].concat());
    for part in
        ["sign  test", "signs test", "edge  test", "link  test", "mean absolute error", "area under the ROC curve"]
    {
        assert!(measured.contains(part), "{part}: {measured}");
    }
    run(&[&["infer", &file("heads.ron"), "--output", &file("out.npz")], &weights[..]].concat());
    let mut npz = NpzReader::new(fs::File::open(file("out.npz")).unwrap()).unwrap();
    let names = npz.names().unwrap();
    let expected = ["sign_logits", "sign_prediction", "signs_logits", "signs_probability", "signs_prediction"];
    let more = ["edge_prediction", "link_pairs", "link_logits", "link_probability"];
    assert_eq!(names, [&expected[..], &more[..]].concat());
    let classes: Array1<u32> = npz.by_name("sign_prediction").unwrap();
    let labels: Array2<u32> = npz.by_name("signs_prediction").unwrap();
    let pairs: Array2<u32> = npz.by_name("link_pairs").unwrap();
    let probability: Array1<f32> = npz.by_name("link_probability").unwrap();
    assert_eq!((classes.len(), labels.dim(), pairs.dim()), (NODES, (NODES, 2), (probability.len(), 2)));
    let shown = run(&["inspect", &file("heads.ron")]);
    for part in ["head sign: NodeClassification", "head link: LinkPrediction", "60 (2 classes, 2 labels)"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}
