//! `connectome kernel`, as a person meets it.

#![cfg(feature = "cli")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn connectome(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_connectome")).current_dir(folder).args(arguments).output().unwrap()
}

/// What a command that succeeds prints.
fn printed(folder: &Path, arguments: &[&str]) -> String {
    let output = connectome(folder, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// A path, a star and a ring of four nodes.
fn graphs() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("path.csv"), "a,b\nb,c\nc,d\n").unwrap();
    fs::write(folder.path().join("star.clq"), "p edge 4 3\ne 1 2\ne 1 3\ne 1 4\n").unwrap();
    fs::write(folder.path().join("ring.clq"), "p edge 4 4\ne 1 2\ne 2 3\ne 3 4\ne 1 4\n").unwrap();
    folder
}

#[test]
fn kernels_are_printed_for_people_and_programs() {
    let folder = graphs();
    let files = ["kernel", "path.csv", "star.clq", "--iterations", "1"];
    // Labels give 4 * 4; by degree the path has 2 and 2 nodes, the star 3 of degree 1.
    assert_eq!(printed(folder.path(), &files), "path.csv\t24\t22\nstar.clq\t22\t26\n");
    let line = json(&printed(folder.path(), &[&files[..], &["--json"]].concat()));
    assert_eq!(line["graphs"], json("[\"path.csv\", \"star.clq\"]"));
    assert_eq!(line["kernels"], json("[[24.0, 22.0], [22.0, 26.0]]"));
    assert_eq!((line["iterations"].as_u64(), line["normalized"].as_bool()), (Some(1), Some(false)));
    let normalized = printed(folder.path(), &[&files[..], &["--normalize"]].concat());
    assert_eq!(normalized, "path.csv\t1.000000\t0.880705\nstar.clq\t0.880705\t1.000000\n");
}

#[test]
fn what_is_not_isomorphic_is_told() {
    let folder = graphs();
    let files = ["kernel", "--refute", "path.csv", "star.clq", "ring.clq"];
    let lines = printed(folder.path(), &files);
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(lines[0].starts_with("path.csv and star.clq are not isomorphic: after round 1"), "{lines:?}");
    assert_eq!(lines[1], "path.csv and ring.clq are not isomorphic: they have 3 and 4 edges");
    let pair = ["kernel", "--refute", "star.clq", "star.clq", "--json"];
    assert_eq!(
        printed(folder.path(), &pair),
        "{\"graphs\":[\"star.clq\",\"star.clq\"],\"refuted\":false,\"reason\":null}\n"
    );
}

#[test]
fn a_set_of_graphs_has_the_same_kernels_for_any_number_of_workers() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let run = |workers: &str| {
        let kernels = printed(root, &["kernel", "assets/mutag.npz", "--json", "--workers", workers]);
        kernels + &printed(root, &["kernel", "assets/mutag.npz#0", "assets/mutag.npz", "--workers", workers])
    };
    let one = run("1");
    assert_eq!(json(one.lines().next().unwrap())["kernels"].as_array().unwrap().len(), 188);
    assert_eq!(one.lines().count(), 190);
    for workers in ["2", "8"] {
        assert!(run(workers) == one, "{workers} workers");
    }
}

#[test]
fn mistakes_are_told_with_exit_code_2() {
    let folder = graphs();
    let fails = |arguments: &[&str], expected: &str| {
        let output = connectome(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(expected), "{output:?}");
    };
    fails(&["kernel"], "<FILE>");
    fails(&["kernel", "absent.clq"], "absent.clq: the file cannot be read");
    fails(&["kernel", "star.clq#1"], "star.clq has no graph 1; it holds 1");
    fails(&["kernel", "star.clq", "--refute", "--normalize"], "cannot be used with");
    fs::write(folder.path().join("bad.clq"), "p edge 2 1\ne 1 3\n").unwrap();
    fails(&["kernel", "bad.clq"], "bad.clq:2:5: there is no node 3");
}

/// A folder with a graph of two adjacent nodes, labeled so.
fn pair(folder: &Path, name: &str, labels: &str) {
    let files =
        [("A", "1, 2\n2, 1\n"), ("graph_indicator", "1\n1\n"), ("graph_labels", "1\n"), ("node_labels", labels)];
    fs::create_dir(folder.join(name)).unwrap();
    for (what, text) in files {
        fs::write(folder.join(name).join(format!("{name}_{what}.txt")), text).unwrap();
    }
}

#[test]
fn labels_of_folders_are_compared_by_value() {
    let folder = graphs();
    pair(folder.path(), "one", "6\n7\n");
    pair(folder.path(), "two", "7\n8\n");
    let line = json(&printed(folder.path(), &["kernel", "one", "two", "--json"]));
    assert_eq!(line["kernels"], json("[[8.0, 1.0], [1.0, 8.0]]"));
    let verdict = json(&printed(folder.path(), &["kernel", "one", "two", "--refute", "--json"]));
    assert_eq!(verdict["reason"], "they have 1 and 0 nodes with the label 6");
    let distance = json(&printed(folder.path(), &["distance", "one", "two", "--json"]));
    assert_eq!(distance["upper"], 1.0);
    // What has no label is of a kind of its own.
    fs::write(folder.path().join("edge.csv"), "a,b\n").unwrap();
    let distance = json(&printed(folder.path(), &["distance", "one", "edge.csv", "--json"]));
    assert_eq!(distance["upper"], 2.0);
}

#[test]
fn an_empty_graph_has_a_kernel_of_0() {
    let folder = graphs();
    fs::write(folder.path().join("none.col"), "p edge 0 0\n").unwrap();
    fs::write(folder.path().join("one.col"), "p edge 1 0\n").unwrap();
    let arguments = ["kernel", "none.col", "one.col", "--normalised", "--json"];
    assert_eq!(json(&printed(folder.path(), &arguments))["kernels"], json("[[0.0, 0.0], [0.0, 1.0]]"));
}
