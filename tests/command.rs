//! What a person meets on the command line: results, files, errors with a place and exit code 2.

use connectome::{
    components::Split,
    data::{Features, GraphData},
    output::{Summary, best_epoch, read_metrics, read_weights},
    scene::Selection,
};
use ndarray::{Array1, Array2};
use ndarray_npy::NpzReader;
use std::{
    fs::{self, File},
    path::Path,
    process::{Command, Output, Stdio},
};

fn connectome(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_connectome")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn training_ends_with_a_line_of_json_and_leaves_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let arguments = [
        "train",
        "assets/karate.ron",
        "--epochs",
        "60",
        "--seed",
        "5",
        "--workers",
        "2",
        "--json",
        "--output",
        path(&run),
    ];
    let output = connectome(&arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let json = text(&output.stdout);
    let keys =
        ["train_loss", "train_accuracy", "validation_accuracy", "test_accuracy", "epochs", "milliseconds_per_epoch"];
    let places: Vec<_> = keys.iter().map(|key| json.find(&format!("\"{key}\":")).unwrap()).collect();
    assert!(places.is_sorted(), "{json}");
    let summary: Summary = serde_json::from_str(json.lines().next_back().unwrap()).unwrap();
    assert_eq!((summary.epochs, summary.workers, summary.seed), (60, 2, 5));
    assert!(summary.get(Split::Test, "accuracy") > Some(0.8), "{json}");
    assert!(text(&output.stderr).lines().count() <= 11, "piped progress is quiet");

    let reports = read_metrics(&run.join("metrics.jsonl")).unwrap();
    assert_eq!(reports.len(), 60);
    let best = best_epoch(&reports, Selection::BestValidation, Some("accuracy"));
    let best = reports.iter().find(|report| Some(report.epoch) == best).unwrap();
    for split in [Split::Validation, Split::Test] {
        for metric in ["loss", "accuracy", "f1_micro", "f1_macro"] {
            let kept = summary.get(split, metric);
            assert!(
                kept.is_some() && kept == best.get(split, metric),
                "{split:?} {metric}: the picture marks another epoch"
            );
        }
    }
    let names: Vec<String> =
        read_weights(&run.join("weights.safetensors")).unwrap().into_iter().map(|tensor| tensor.name).collect();
    assert_eq!(names, ["layers.0.bias", "layers.0.lin.weight", "layers.2.bias", "layers.2.lin.weight"]);
    assert!(fs::read_to_string(run.join("curves.svg")).unwrap().starts_with("<svg"));
}

#[test]
fn trained_weights_are_evaluated_and_infer_the_same_classes() {
    let folder = tempfile::tempdir().unwrap();
    let (weights, file) = (folder.path().join("weights.safetensors"), folder.path().join("out.npz"));
    let trained = connectome(&["train", "assets/karate.ron", "--json", "--output", path(folder.path())]);
    let summary: Summary = serde_json::from_str(text(&trained.stdout).trim()).unwrap();

    let evaluated = text(&connectome(&["evaluate", "assets/karate.ron", "--weights", path(&weights)]).stdout);
    let expected = format!("{:.1} % of 28,", 100.0 * summary.get(Split::Test, "accuracy").unwrap());
    assert!(evaluated.contains(&expected), "{evaluated} against {expected}");

    let inferred = connectome(&["infer", "assets/karate.ron", "--weights", path(&weights), "--output", path(&file)]);
    assert!(inferred.status.success(), "{}", text(&inferred.stderr));
    let mut npz = NpzReader::new(File::open(&file).unwrap()).unwrap();
    let logits: Array2<f32> = npz.by_name("logits").unwrap();
    let prediction: Array1<u32> = npz.by_name("prediction").unwrap();
    assert_eq!((logits.dim(), prediction.dim()), ((34, 2), 34));
    assert_eq!((prediction[0], prediction[33]), (0, 1), "the two leaders");
}

#[test]
fn inferred_links_are_probabilities_of_pairs() {
    let folder = tempfile::tempdir().unwrap();
    let (scene, file) = (folder.path().join("links.ron"), folder.path().join("out.npz"));
    let karate = fs::read_to_string("assets/karate.ron").unwrap();
    let links = karate.replace("task: NodeClassification", "task: LinkPrediction(validation: 0.1, test: 0.1)");
    assert_ne!(links, karate);
    fs::write(&scene, links).unwrap();
    let trained = connectome(&["train", path(&scene), "--epochs", "30", "--output", path(folder.path())]);
    assert!(trained.status.success(), "{}", text(&trained.stderr));
    let weights = folder.path().join("weights.safetensors");
    let inferred = connectome(&["infer", path(&scene), "--weights", path(&weights), "--output", path(&file)]);
    assert!(inferred.status.success(), "{}", text(&inferred.stderr));

    let mut npz = NpzReader::new(File::open(&file).unwrap()).unwrap();
    let pairs: Array2<u32> = npz.by_name("pairs").unwrap();
    let logits: Array2<f32> = npz.by_name("logits").unwrap();
    let probability: Array1<f32> = npz.by_name("probability").unwrap();
    // 64 edges to learn from, and 7 hidden for validation and test with as many pairs without an edge each.
    assert_eq!((pairs.dim(), logits.dim(), probability.dim()), ((92, 2), (92, 1), 92));
    for (probability, logit) in probability.iter().zip(&logits) {
        assert!((probability - 1.0 / (1.0 + (-logit).exp())).abs() < 1e-6);
    }
    let mean = |rows: std::ops::Range<usize>| probability.slice(ndarray::s![rows.clone()]).sum() / rows.len() as f32;
    assert!(mean(0..64) > 0.5, "edges that were learned from are predicted: {}", mean(0..64));
    assert!(npz.by_name::<ndarray::OwnedRepr<u32>, ndarray::Ix1>("prediction").is_err());
}

#[test]
fn repeating_prints_mean_and_deviation() {
    let output = connectome(&["train", "assets/karate.ron", "--epochs", "20", "--repeat", "3"]);
    let lines: Vec<String> = text(&output.stdout).lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(lines[3].contains("over 3 runs") && lines[3].contains("+-"), "{lines:?}");
}

/// The lines of a command that succeeds, each an object of JSON.
fn json_lines(arguments: &[&str]) -> Vec<serde_json::Value> {
    let output = connectome(arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Checks that a line has the mean and deviation of so many numbers.
fn check_spread(line: &serde_json::Value, numbers: &[f64]) {
    let count = numbers.len() as f64;
    let mean = numbers.iter().sum::<f64>() / count;
    let deviation = (numbers.iter().map(|number| (number - mean).powi(2)).sum::<f64>() / (count - 1.0)).sqrt();
    let near = |key: &str, expected: f64| (line[key].as_f64().unwrap() - expected).abs() < 1e-6;
    assert!(near("mean", mean) && near("deviation", deviation), "{line}: expected {mean} and {deviation}");
    assert_eq!(line["runs"].as_u64(), Some(numbers.len() as u64));
}

#[test]
fn repeating_ends_with_a_line_of_json_with_mean_and_deviation() {
    let lines = json_lines(&["train", "assets/karate.ron", "--epochs", "20", "--repeat", "2", "--json"]);
    assert_eq!(lines.len(), 3, "{lines:?}");
    let accuracies: Vec<f64> = lines[..2].iter().map(|line| line["test_accuracy"].as_f64().unwrap()).collect();
    check_spread(&lines[2], &accuracies);
    assert_eq!(lines[2].get("epoch"), None, "each run chooses its own");
}

#[test]
fn folds_are_held_out_one_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["train", "assets/mutag.ron", "--folds", "3", "--epochs", "2"];
    let lines = json_lines(&[&arguments[..], &["--json", "--output", path(folder.path())]].concat());
    assert_eq!(lines.len(), 4, "{lines:?}");
    for line in &lines[..3] {
        let summary: Summary = serde_json::from_value(line.clone()).unwrap();
        assert_eq!(summary.epochs, 2);
    }
    // What was measured is the epoch that is the best on average.
    let epoch = lines[3]["epoch"].as_u64().unwrap() as usize;
    let fold = |fold: usize| read_metrics(&folder.path().join(format!("fold-{fold}")).join("metrics.jsonl")).unwrap();
    let folds = [0, 1, 2].map(fold);
    let accuracies =
        |epoch: usize| folds.each_ref().map(|fold| fold[epoch - 1].get(Split::Validation, "accuracy").unwrap());
    check_spread(&lines[3], &accuracies(epoch));
    let sum = |epoch| accuracies(epoch).iter().sum::<f64>();
    assert!((1..=2).all(|other| sum(other) <= sum(epoch)), "epoch {epoch} is not the best");

    let sentences = text(&connectome(&arguments).stdout);
    let lines: Vec<&str> = sentences.lines().collect();
    assert!(lines.len() == 4 && lines[0].contains("fold 0") && lines[2].contains("fold 2"), "{sentences}");
    assert!(lines[3].contains("over 3 runs") && lines[3].contains("best on average"), "{sentences}");
}

/// The folds that choose an epoch are not those that it is measured on.
#[test]
fn strict_folds_are_only_measured() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["train", "assets/mutag.ron", "--folds", "3", "--strict", "--epochs", "3"];
    let lines = json_lines(&[&arguments[..], &["--json", "--output", path(folder.path())]].concat());
    assert_eq!(lines.len(), 4, "{lines:?}");
    let accuracies: Vec<f64> = lines[..3].iter().map(|line| line["test_accuracy"].as_f64().unwrap()).collect();
    check_spread(&lines[3], &accuracies);
    assert_eq!(lines[3].get("epoch"), None, "each fold has its own epoch");
    for (fold, accuracy) in accuracies.iter().enumerate() {
        let reports = read_metrics(&folder.path().join(format!("fold-{fold}/metrics.jsonl"))).unwrap();
        let best = best_epoch(&reports, Selection::BestValidation, Some("accuracy"));
        let best = reports.iter().find(|report| Some(report.epoch) == best).unwrap();
        assert_eq!(best.get(Split::Test, "accuracy"), Some(*accuracy));
        assert!(best.get(Split::Validation, "accuracy").is_some());
    }
    let output = text(&connectome(&arguments).stdout);
    let lines: Vec<&str> = output.lines().collect();
    assert!(lines[1].contains(", fold 1: test accuracy") && lines[3].contains("test accuracy"), "{output}");
    assert!(lines[3].ends_with("over 3 runs"), "{output}");
    let error = failure(&["train", "assets/mutag.ron", "--folds", "2", "--strict"]);
    assert!(error.contains("ask for 3 at least"), "{error}");
    assert!(failure(&["train", "assets/mutag.ron", "--strict"]).contains("--folds"));
}

/// A scene with a ring of nodes that comes with three splits.
fn scene_of_splits(folder: &Path) -> std::path::PathBuf {
    let count = 24;
    let of = |number: usize| [Split::Train, Split::Validation, Split::Test, Split::Train][number % 4];
    let all: Vec<Vec<Split>> = (0..3).map(|shift| (0..count).map(|node| of(node + shift)).collect()).collect();
    let data = GraphData {
        nodes: count,
        features: Features::identity(count as u32),
        labels: (0..count as u32).map(|node| node / 8 % 2).collect(),
        classes: 2,
        splits: all[0].clone(),
        alternative_splits: all,
        edges: (0..count as u32).flat_map(|node| [[node, (node + 1) % 24], [(node + 1) % 24, node]]).collect(),
        ..GraphData::default()
    };
    fs::write(folder.join("ring.npz"), data.to_npz().unwrap()).unwrap();
    let scene = r#"(name: "ring", graph: Npz("ring.npz"), model: [GcnConv(width: 4), Relu, GcnConv(width: 2)],
        optimizer: Adam(learning_rate: 0.02), training: (epochs: 9))"#;
    let path = folder.join("ring.ron");
    fs::write(&path, scene).unwrap();
    path
}

#[test]
fn one_split_or_all_are_trained_on() {
    let folder = tempfile::tempdir().unwrap();
    let scene = scene_of_splits(folder.path());
    let run = |more: &[&str]| json_lines(&[&["train", path(&scene), "--json"], more].concat());
    let all = run(&["--split", "all", "--output", path(folder.path())]);
    assert_eq!(all.len(), 4, "{all:?}");
    let accuracy = |line: &serde_json::Value| line["test_accuracy"].as_f64().unwrap();
    check_spread(&all[3], &all[..3].iter().map(accuracy).collect::<Vec<_>>());
    // Times differ from run to run.
    let losses = |line: &serde_json::Value| ["train_loss", "validation_loss", "test_loss"].map(|key| line[key].clone());
    let each = [0, 1, 2].map(|split: usize| losses(&run(&["--split", &split.to_string()])[0]));
    assert_eq!(each, [0, 1, 2].map(|split| losses(&all[split])));
    assert!(each[0] != each[1] && each[1] != each[2], "{each:?}");
    assert_eq!(losses(&run(&[])[0]), each[0], "without the option it is the first");
    assert_eq!(run(&["--split", "all", "--repeat", "2"]).len(), 7);

    let weights = folder.path().join("split-2/weights.safetensors");
    let evaluated = connectome(&["evaluate", path(&scene), "--weights", path(&weights), "--split", "2"]);
    let expected = format!("accuracy {:.1} % of 6", 100.0 * accuracy(&all[2]));
    assert!(
        text(&evaluated.stdout).lines().any(|line| line.contains("test") && line.contains(&expected)),
        "{evaluated:?}"
    );

    for (arguments, message) in [
        (&["--split", "3"][..], "there is no split 3; the data come with 3"),
        (&["--split", "some"], "write the number of a split, or all"),
        (&["--split", "1", "--folds", "3"], "cannot be used with"),
    ] {
        let error = failure(&[&["train", path(&scene)], arguments].concat());
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn folds_that_cannot_be_made_are_refused() {
    let error = failure(&["train", "assets/karate.ron", "--folds", "3"]);
    assert!(error.contains("the scene has one graph") && error.contains("leave it out"), "{error}");
    let error = failure(&["train", "assets/mutag.ron", "--folds", "200"]);
    assert!(error.contains("188") && error.contains("ask for fewer"), "{error}");
    let error = failure(&["train", "assets/mutag.ron", "--folds", "1"]);
    assert!(error.contains("invalid value '1'"), "{error}");
}

#[test]
fn inspecting_shows_counts_parameters_and_the_schedule() {
    let output = text(&connectome(&["inspect", "assets/karate.ron"]).stdout);
    let expected = [
        "34 (2 classes)",
        "156 directed",
        "layers.0.lin.weight",
        "columns: ",
        "training, forward",
        "training, backward",
        "inference: ",
        "+ bias + relu",
        "d layers.0.lin.weight",
        "softmax_cross_entropy",
        "  Optimize\n",
    ];
    for expected in expected {
        assert!(output.contains(expected), "{expected} is not in\n{output}");
    }
    let output = text(&connectome(&["inspect", "assets/karate.ron", "--infer"]).stdout);
    assert!(output.contains("inference: ") && !output.contains("training, "), "{output}");
}

#[test]
fn every_kind_of_scene_is_inspected_and_drawn() {
    let folder = tempfile::tempdir().unwrap();
    for scene in ["karate", "mutag", "rooms"] {
        let [svg, dot] = ["svg", "dot"].map(|extension| folder.path().join(scene).with_extension(extension));
        for file in [&svg, &dot] {
            let output = connectome(&["inspect", &format!("assets/{scene}.ron"), "--picture", path(file)]);
            assert!(output.status.success(), "{}", text(&output.stderr));
        }
        let [svg, dot] = [svg, dot].map(|file| fs::read_to_string(file).unwrap());
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n") && svg.contains(">loss</text>"), "{svg}");
        assert!(dot.starts_with("digraph") && dot.contains("->"), "{dot}");
    }
    let error = failure(&["inspect", "assets/karate.ron", "--picture", "program.png"]);
    assert!(error.contains(".svg or .dot"), "{error}");
}

/// The error of a command that must fail in order.
fn failure(arguments: &[&str]) -> String {
    let output = connectome(arguments);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    let error = text(&output.stderr);
    assert!(!error.contains("panicked"), "{error}");
    error
}

#[test]
fn mistakes_are_told_with_their_place_and_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let scene = folder.path().join("scene.ron");
    let karate = fs::read_to_string("assets/karate.ron").unwrap();
    let cases = [
        (karate.replacen("features: Identity", "feature: Identity", 1), "features"),
        (karate.replacen("GcnConv(width: 2", "GcnConv(width: 3", 1), "classes"),
        (karate.replacen("GcnConv(width: 16", "GcnConv(width: 1000000000000", 1), "memory"),
        ("this is no scene".to_owned(), "expected"),
    ];
    for (text, expected) in cases {
        fs::write(&scene, text).unwrap();
        let error = failure(&["train", path(&scene)]);
        assert!(error.to_lowercase().contains(expected) && error.contains("scene.ron:"), "{expected}: {error}");
    }
    failure(&["train", "no such file.ron"]);
    failure(&["train", "assets/karate.ron", "--workers", "many"]);
    failure(&["evaluate", "assets/karate.ron", "--weights", "assets/karate.ron"]);
    failure(&["train", "assets/karate.ron", "--output", path(&scene)]);
}

#[test]
fn a_loss_that_leaves_the_numbers_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let scene = folder.path().join("scene.ron");
    let karate = fs::read_to_string("assets/karate.ron").unwrap();
    fs::write(&scene, karate.replacen("learning_rate: 0.01", "learning_rate: 1e38", 1)).unwrap();
    let error = failure(&["train", path(&scene)]);
    assert!(error.contains("learning rate"), "{error}");
}

#[test]
fn output_that_nobody_reads_or_that_cannot_be_written_is_no_panic() {
    let arguments = ["inspect", "assets/cora.ron"];
    let run = |output: Stdio| {
        let command = Command::new(env!("CARGO_BIN_EXE_connectome"))
            .args(arguments)
            .stdout(output)
            .stderr(Stdio::piped())
            .spawn();
        command.unwrap()
    };
    let mut closed = run(Stdio::piped());
    drop(closed.stdout.take());
    let closed = closed.wait_with_output().unwrap();
    assert_eq!((closed.status.code(), text(&closed.stderr).as_str()), (Some(0), ""));
    #[cfg(target_os = "linux")]
    {
        let full = run(File::create("/dev/full").unwrap().into()).wait_with_output().unwrap();
        assert_eq!(full.status.code(), Some(2));
        assert!(text(&full.stderr).starts_with("error: cannot write to standard output"), "{}", text(&full.stderr));
    }
}

#[test]
fn numbers_out_of_range_are_refused_as_what_they_are() {
    for (option, number) in [("--seed", "-1"), ("--epochs", "-1"), ("--workers", "-1")] {
        let output = connectome(&["train", "assets/karate.ron", option, number]);
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains(&format!("invalid value '{number}'")), "{}", text(&output.stderr));
    }
    let error = failure(&["train", "assets/karate.ron", "--workers", "100000"]);
    assert!(error.contains("give at most 1024"), "{error}");
}
