//! Misused variables: what a scene reads and leaves out, that each epoch plants others by its seed alone, what a model learns of
//! them, the commands.

use connectome::{
    RunState, Trainer,
    components::Split,
    data::GraphData,
    languages::code::{CodeGraph, Misuse, MisuseExample, Python},
    scene::{GraphSource, SceneFile},
    systems::Workers,
    task::{Task, VariableMisuse},
};
use std::{fs, ops::ControlFlow, path::Path};
use tempfile::TempDir;

const SCENE: &str = r#"(
    name: "sums",
    graph: Functions(
        train: ["train.jsonl", "more.jsonl"],
        per_epoch: 12,
        validation: ["validation.jsonl"],
        test: ["test.jsonl"],
    ),
    model: [Embedding(width: 16), LayerNorm(), GraphNetBlock(hidden: [32]), GraphNetBlock(hidden: [32]), Linear(width: 1)],
    task: VariableMisuse(),
    optimizer: Adam(learning_rate: 0.01),
    training: (epochs: 20, batch_size: 8),
)"#;

/// A function that no other one equals up to names.
fn function(number: usize) -> String {
    let (sign, first) = (["+", "*", "-", "//"][number % 4], number / 4);
    let [values, total, value] = ["values total value", "numbers result one", "row sum_of_row cell"][number % 3]
        .split(' ')
        .collect::<Vec<_>>()[..]
        .try_into()
        .unwrap();
    format!(
        "def f{number}({values}):\n    {total} = {first}\n    for {value} in {values}:\n        {total} {sign}= {value}\n    return {total}\n"
    )
}

fn example(code: &str) -> MisuseExample {
    let graph = CodeGraph::new(code, &Python).unwrap();
    let function = graph.functions(&Python).remove(0);
    let load = |node: &u32| {
        let span = graph.graph().spans()[*node as usize].unwrap();
        format!("[{},{},{:?}]", span.start, span.end, span.text(code).unwrap())
    };
    let loads: Vec<String> = function.loads.iter().map(load).collect();
    let (loads, candidates) = (loads.join(","), function.candidates);
    let line = format!(r#"{{"id":"one","code":{code:?},"loads":[{loads}],"candidates":{candidates:?}}}"#);
    connectome::languages::Record::parse(&line).unwrap()
}

fn line(example: &MisuseExample) -> String {
    let loads: Vec<String> =
        (example.loads.iter()).map(|load| format!("[{},{},{:?}]", load.span.start, load.span.end, load.name)).collect();
    let (bug, right) = match &example.misuse {
        Some(Misuse { load, right }) => (load.to_string(), format!("{right:?}")),
        None => ("null".to_owned(), "null".to_owned()),
    };
    let MisuseExample { id, code, candidates, .. } = example;
    let loads = loads.join(",");
    format!(
        "{{\"id\":{id:?},\"code\":{code:?},\"loads\":[{loads}],\"candidates\":{candidates:?},\"bug\":{bug},\"right\":{right}}}\n"
    )
}

/// A function without a misuse, and with each one that it can have.
fn with_misuses(number: usize) -> String {
    let function = example(&function(number));
    let mut lines = line(&function);
    for (load, read) in function.loads.iter().enumerate() {
        for wrong in function.candidates.iter().filter(|other| **other != read.name) {
            lines += &line(&function.plant(load, wrong).unwrap());
        }
    }
    lines
}

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, lines: String| fs::write(folder.path().join(name), lines).unwrap();
    let functions = |numbers: std::ops::Range<usize>| numbers.map(|number| line(&example(&function(number)))).collect();
    write("train.jsonl", functions(0..7));
    write("more.jsonl", functions(7..30));
    write("validation.jsonl", with_misuses(30) + &with_misuses(31));
    // The first is one of those to learn from, with other names.
    let known = function(1).replace("numbers", "values").replace("one", "other");
    write("test.jsonl", line(&example(&known)) + &with_misuses(32) + &with_misuses(35));
    folder
}

fn read(folder: &Path) -> (SceneFile, GraphData, Vec<String>) {
    fs::write(folder.join("sums.ron"), SCENE).unwrap();
    SceneFile::load_with_notes(folder.join("sums.ron")).unwrap()
}

#[test]
fn functions_that_are_those_of_training_are_left_out_and_reported() {
    let folder = folder();
    let (_, data, notes) = read(folder.path());
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].contains("1 of 15 examples of `test`") && notes[0].contains("up to names"), "{}", notes[0]);
    let set = data.graphs.as_ref().unwrap();
    assert_eq!([Split::Train, Split::Validation, Split::Test].map(|split| set.count(split)), [24, 14, 14]);
    // One node of each graph is right, and what is no hypothesis is no candidate.
    let targets = &data.targets.as_ref().unwrap().values;
    for graph in 0..set.len() {
        let targets = &targets[set.nodes(graph)];
        assert_eq!(targets.iter().filter(|target| **target > 0.0).count(), 1);
        assert_eq!(targets.iter().filter(|target| **target == 0.0).count(), 6, "of three loads and three variables");
    }
}

#[test]
fn each_epoch_plants_others_which_follow_from_seed_and_epoch() {
    let folder = folder();
    let (_, data, _) = read(folder.path());
    let source = &data.misuse.as_ref().unwrap().source;
    let drawn = source.graphs(0, 0);
    assert_eq!((&drawn.features, &drawn.edges, &drawn.targets), (&data.features, &data.edges, &data.targets));
    let [first, again, next, other] = [(3, 1), (3, 1), (3, 2), (4, 1)].map(|(seed, epoch)| source.graphs(seed, epoch));
    assert!(first == again && first != next && first != other);
    // What is measured is always the same, and as much is learned from.
    let measured = |data: &GraphData| {
        let set = data.graphs.as_ref().unwrap();
        let first = set.splits.iter().position(|split| *split != Split::Train).unwrap();
        let nodes = set.node_offsets[first]..;
        (first, data.targets.as_ref().unwrap().values[nodes].to_vec())
    };
    assert_eq!(measured(&first), measured(&other));
    // Half of the functions are those of each file; the first file has seven, so that two epochs take each of them.
    let misuses = |data: &GraphData| {
        let set = data.graphs.as_ref().unwrap();
        let none = |graph: &usize| data.targets.as_ref().unwrap().values[set.nodes(*graph).end - 1] > 0.0;
        (0..24).filter(none).count()
    };
    assert_eq!([misuses(&first), misuses(&next)], [12, 12]);
}

#[test]
fn misuses_are_found_after_a_few_epochs_by_any_number_of_workers_alike() {
    let folder = folder();
    let (scene, data, _) = read(folder.path());
    let run = |workers| {
        let mut trainer = Trainer::new(&scene, &data, 5, Workers::new(workers).unwrap()).unwrap();
        let summary = trainer.train(|_| {}).unwrap();
        (summary.metrics, trainer.weights())
    };
    let (metrics, weights) = run(1);
    let value = |name: &str| metrics.get(Split::Test, name).unwrap();
    // There are seven answers.
    assert!(value("accuracy") > 0.6 && value("joint_accuracy") > 0.5, "{metrics:?}");
    assert!(value("localization_accuracy") >= value("joint_accuracy"), "{metrics:?}");
    assert!(value("repair_accuracy") >= value("joint_accuracy"), "{metrics:?}");
    assert!((value("accuracy") * 14.0 - value("joint_accuracy") * 12.0 - value("clean_kept") * 2.0).abs() < 1e-6);
    for workers in [2, 3] {
        assert!(run(workers) == (metrics.clone(), weights.clone()), "{workers} workers give other bits");
    }
    // A run that goes on plants what the whole one did.
    let trainer = || Trainer::new(&scene, &data, 5, Workers::single()).unwrap();
    let mut state = RunState::default();
    let stopped = trainer().train_while(|trainer| {
        state = trainer.state();
        if trainer.report().epoch < 9 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    stopped.unwrap();
    let mut resumed = trainer();
    resumed.restore(&state).unwrap();
    assert_eq!(resumed.train(|_| {}).unwrap().metrics, metrics);
    assert!(resumed.weights() == weights);
    // Of the loss of training nothing else is known.
    assert_eq!(resumed.report().metrics.iter().filter(|(split, ..)| *split == Split::Train).count(), 1);
    // Where hardly a function counts as free of misuses, all that are there are found, and none otherwise.
    for (threshold, kept) in [(0.0, 1.0), (1.0, 0.0)] {
        let task = Some(Task::VariableMisuse(VariableMisuse { threshold }));
        let mut trainer = Trainer::new(&SceneFile { task, ..scene.clone() }, &data, 5, Workers::single()).unwrap();
        trainer.restore(&state).unwrap();
        let measured = trainer.evaluate().unwrap();
        let value = |name| measured.heads[0].values(Split::Test).find(|metric| metric.name == name).unwrap().value;
        assert_eq!(value("clean_kept"), kept);
        assert_eq!(value("joint_accuracy") > 0.5, kept == 0.0);
    }
}

#[test]
fn functions_that_cannot_be_read_or_learned_from_are_named() {
    let folder = folder();
    let error = |change: &[(&str, &str)]| {
        let text = change.iter().fold(SCENE.to_owned(), |text, (old, new)| text.replace(old, new));
        fs::write(folder.path().join("wrong.ron"), text).unwrap();
        SceneFile::load(folder.path().join("wrong.ron")).unwrap_err().to_string()
    };
    let none = error(&[("\"more.jsonl\"", "\"none.jsonl\"")]);
    assert!(none.contains("wrong.ron:4:32") && none.contains("none.jsonl: the file cannot be read"), "{none}");
    let none = error(&[("VariableMisuse()", "VariableMisuse(threshold: 1.5)")]);
    assert!(none.contains("wrong.ron:10:") && none.contains("is compared with 1.5"), "{none}");
    let none = error(&[("per_epoch: 12", "per_epoch: 0")]);
    assert!(none.contains("wrong.ron:5:") && none.contains("has no functions"), "{none}");
    fs::write(folder.path().join("train.jsonl"), line(&example("def f(a):\n    return a\n"))).unwrap();
    let none = error(&[(", \"more.jsonl\"", "")]);
    assert!(none.contains("no function to learn from"), "{none}");
    fs::write(folder.path().join("train.jsonl"), "\n{\"id\":1}\n").unwrap();
    assert!(error(&[]).contains("train.jsonl:2:"), "{}", error(&[]));
    let text = fs::read_to_string("assets/karate.ron").unwrap();
    let mut scene = SceneFile::parse(&text, "karate.ron").unwrap();
    scene.task = Some(Task::VariableMisuse(VariableMisuse::default()));
    let none = scene.read_graph("assets").unwrap_err().to_string();
    assert!(none.contains("may be misused") && none.contains("Functions("), "{none}");
}

#[test]
fn a_scene_of_functions_is_written_as_it_is_read() {
    let scene = SceneFile::parse(SCENE, "sums.ron").unwrap();
    assert!(matches!(&scene.graph, GraphSource::Functions { per_epoch: 12, .. }));
    assert_eq!(SceneFile::parse(&scene.to_ron().unwrap(), "again.ron").unwrap(), scene);
}

#[cfg(feature = "cli")]
#[test]
fn the_command_repairs_programs_and_measures_other_functions() {
    use std::process::Command;
    let folder = folder();
    read(folder.path());
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_connectome"));
        let output = command.args(arguments).current_dir(folder.path()).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, printed, told) = run(&["train", "sums.ron", "--output", "run"]);
    assert!(code == Some(0) && printed.contains("test accuracy"), "{printed}{told}");
    let weights = ["--weights", "run/weights.safetensors"];
    let (code, printed, told) = run(&[&["evaluate", "sums.ron", "--data", "validation.jsonl"], &weights[..]].concat());
    assert!(
        code == Some(0)
            && printed.contains("of 14,")
            && printed.contains("localized and repaired")
            && !printed.contains("validation"),
        "{printed}{told}"
    );

    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    // The files to learn from are not read.
    fs::remove_file(folder.path().join("train.jsonl")).unwrap();
    let right = function(36).replace("\n", "\n    ");
    let wrong = function(34).replace("return result", "return numbers");
    write("program.py", &format!("# ä\nclass A:\n    {right}\n\ndef none(): pass\n\n{wrong}"));
    let repair = |program: &str| run(&[&["repair", "sums.ron", program], &weights[..]].concat());
    let (code, printed, told) = repair("program.py");
    assert_eq!((code, told.as_str()), (Some(0), ""));
    assert!(printed.lines().any(|line| line.starts_with("program.py:16:12: numbers is read where ")), "{printed}");
    write("empty.py", "");
    write("broken.py", "def f(a, b:\n  return (a +");
    for program in ["empty.py", "broken.py"] {
        let (code, _, told) = repair(program);
        assert_eq!((code, told.as_str()), (Some(0), ""));
    }
    write("long.py", &format!("def f(a, b):\n    return {}b\n", "a + ".repeat(1 << 18)));
    let (code, printed, told) = repair("long.py");
    assert!(code == Some(0) && printed.is_empty() && told.contains("long.py:1: the graph of the function"), "{told}");
    let (code, _, told) = repair("none.py");
    assert!(code == Some(2) && told.contains("none.py"), "{told}");
    fs::write(folder.path().join("latin.py"), b"# \xe4").unwrap();
    assert!(repair("latin.py").2.contains("not UTF-8"));
    fs::copy("assets/karate.ron", folder.path().join("karate.ron")).unwrap();
    let (code, _, told) = run(&[&["repair", "karate.ron", "program.py"], &weights[..]].concat());
    assert!(code == Some(2) && told.contains("VariableMisuse"), "{told}");
}
