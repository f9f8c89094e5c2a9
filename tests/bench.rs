//! What `connectome bench` prints and writes. A failure shows the output.

use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    process::{Command, Output},
};

fn connectome(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_connectome")).args(arguments).output().unwrap()
}

fn bench(scene: &str, arguments: &[&str]) -> Output {
    connectome(&[&["bench", scene, "--seconds", "0.01"], arguments].concat())
}

fn json(scene: &str, arguments: &[&str]) -> Value {
    let output = bench(scene, &[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The names of the systems of one schedule, with their layers.
fn systems<'a>(report: &'a Value, schedule: &str) -> Vec<(&'a str, Option<u64>)> {
    let systems = report["systems"].as_array().unwrap().iter().filter(|system| system["schedule"] == schedule);
    systems.map(|system| (system["name"].as_str().unwrap(), system["layer"].as_u64())).collect()
}

#[test]
fn a_graph_is_measured_whole_and_system_by_system() {
    let report = json("assets/karate.ron", &["--workers", "2"]);
    let numbers = ["workers", "nodes", "edges", "parameters"].map(|key| report[key].as_u64().unwrap());
    assert_eq!(numbers, [2, 34, 156, 594], "{report}");
    assert_eq!(report["scene"], "karate");
    for timing in ["forward", "step_new_input", "step"].map(|key| &report[key]) {
        let [median, least] = ["median_ms", "min_ms"].map(|key| timing[key].as_f64().unwrap());
        assert!(0.0 < least && least <= median && timing["count"].as_u64().unwrap() >= 5, "{timing}");
    }
    #[cfg(target_os = "linux")]
    assert!(report["peak_memory_mb"].as_f64().unwrap() > 1.0, "{report}");
    let (forward, step) = (systems(&report, "forward"), systems(&report, "step"));
    assert!(forward.contains(&("aggregate", Some(0))) && forward.contains(&("aggregate", Some(2))), "{forward:?}");
    assert!(step.len() > forward.len() && step.contains(&("softmax_cross_entropy", None)), "{step:?}");
    for schedule in ["forward", "step"] {
        let of_schedule = report["systems"].as_array().unwrap().iter().filter(|system| system["schedule"] == schedule);
        let shares: f64 = of_schedule.map(|system| system["share"].as_f64().unwrap()).sum();
        assert!((shares - 1.0).abs() < 1e-9, "{shares}");
    }
}

#[test]
fn nodes_of_all_kinds_and_edges_of_all_relations_count() {
    let report = json("assets/debian.ron", &[]);
    let numbers = ["nodes", "edges"].map(|key| report[key].as_u64().unwrap());
    assert_eq!(numbers, [5526 + 1246 + 131, 20_897 + 613 + 1012 + 1109 + 5161 + 953], "{report}");
}

#[test]
fn of_a_set_of_graphs_it_is_a_batch() {
    let report = json("assets/mutag.ron", &[]);
    let nodes = report["nodes"].as_u64().unwrap();
    // 32 molecules of 10 to 28 atoms.
    assert!((320..=896).contains(&nodes), "{report}");
}

#[test]
fn training_is_measured_by_workers() {
    for (scene, unit) in [("assets/mutag.ron", "graphs"), ("assets/karate.ron", "steps")] {
        let report = json(scene, &["--scaling", "--workers", "3"]);
        let scaling = report["scaling"].as_array().unwrap();
        assert_eq!(scaling.iter().map(|row| row["workers"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3]);
        for row in scaling {
            let [rate, speedup, efficiency] =
                ["per_second", "speedup", "efficiency"].map(|key| row[key].as_f64().unwrap());
            assert!(rate > 0.0 && (efficiency * row["workers"].as_f64().unwrap() - speedup).abs() < 1e-9, "{row}");
            assert_eq!(row["examples"], unit);
        }
        assert!(scaling[0]["speedup"] == 1.0 && scaling[0]["serial_fraction"].is_null(), "{report}");
        assert!(scaling[1]["serial_fraction"].is_f64(), "{report}");
    }
    assert!(json("assets/karate.ron", &[]).get("scaling").is_none());
}

#[test]
fn people_get_a_table() {
    let output = bench("assets/karate.ron", &["--workers", "1", "--scaling"]);
    let table = String::from_utf8(output.stdout).unwrap();
    let lines =
        ["34 nodes", "forward", "step, new input", "ms median", "systems of the step", "2 backward", "optimize"];
    for expected in lines.into_iter().chain(["100.0 %\n"]) {
        assert!(table.contains(expected), "{expected} is not in\n{table}");
    }
}

#[test]
fn a_trace_has_the_systems_within_their_runs_and_what_each_worker_did() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("trace.json");
    let report = json("assets/cora.ron", &["--workers", "2", "--trace", file.to_str().unwrap()]);
    let trace: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let events: Vec<&Value> =
        trace["traceEvents"].as_array().unwrap().iter().filter(|event| event["ph"] == "X").collect();
    let span = |event: &Value| {
        let [start, duration] = ["ts", "dur"].map(|key| event[key].as_f64().unwrap());
        (start, start + duration)
    };
    let (runs, others): (Vec<&Value>, Vec<&Value>) = events.into_iter().partition(|event| event["cat"] == "schedule");
    let (blocks, systems): (Vec<&Value>, Vec<&Value>) = others.into_iter().partition(|event| event["cat"] == "block");
    assert_eq!(runs.len(), 6);
    assert_eq!(systems.len(), 3 * report["systems"].as_array().unwrap().len());
    for system in &systems {
        let (start, end) = span(system);
        // Microseconds in double precision.
        let is_around = |run: &&&Value| span(run).0 <= start + 1e-3 && end <= span(run).1 + 1e-3;
        assert_eq!(runs.iter().filter(is_around).count(), 1, "{system}");
        assert!(system["args"]["writes"].is_array() && system["args"]["reads"].is_array(), "{system}");
    }
    let read = |name: &str| {
        systems.iter().find(|system| system["name"].as_str().unwrap().starts_with(name)).unwrap()["args"]["reads"]
            .to_string()
    };
    assert!(read("linear").contains("layers.1.lin.weight"));
    let tracks: BTreeSet<u64> = blocks.iter().map(|block| block["tid"].as_u64().unwrap()).collect();
    assert!(!blocks.is_empty() && tracks.is_subset(&BTreeSet::from([1, 2])), "{tracks:?}");
    assert!(blocks.iter().any(|block| block["name"] == "aggregate"), "blocks have the names of their systems");
}

#[test]
fn what_cannot_be_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("absent").join("trace.json");
    let cases = [
        (bench("no such scene.ron", &[]), "no such scene.ron:1:1: the scene cannot be read"),
        (bench("assets/karate.ron", &["--trace", absent.to_str().unwrap()]), "cannot create"),
        (connectome(&["bench", "assets/karate.ron", "--seconds", "-1"]), "write a number of seconds"),
        (bench("assets/karate.ron", &["--workers", "100000"]), "give at most 1024"),
    ];
    for (output, expected) in cases {
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(expected) && !error.contains("panicked"), "{error}");
    }
}
