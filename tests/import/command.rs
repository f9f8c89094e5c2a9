//! `connectome import`, as a person meets it.

use std::path::Path;
use std::process::{Command, Output};

use super::folder;

/// Runs the command in a folder.
fn connectome(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_connectome")).current_dir(folder).args(arguments).output().expect("it runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn an_imported_graph_trains_out_of_the_box() {
    let nodes = (0..20).fold("name,label\n".to_owned(), |table, node| table + &format!("n{node},{}\n", node / 10));
    let edges = (0..40).fold("source,target\n".to_owned(), |table, edge| {
        table + &format!("n{},n{}\n", edge % 20, edge % 20 / 10 * 10 + edge * 7 % 10)
    });
    let folder = folder(&[("friends.csv", &edges), ("people.csv", &nodes)]);
    std::fs::create_dir(folder.path().join("data")).expect("a folder");
    let arguments = [
        "import",
        "friends.csv",
        "--nodes",
        "people.csv",
        "--undirected",
        "--output",
        "data/friends.npz",
        "--scene",
        "friends.ron",
    ];
    let output = connectome(folder.path(), &arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("20 nodes") && text(&output.stdout).contains("2 classes"), "{output:?}");
    let scene = std::fs::read_to_string(folder.path().join("friends.ron")).expect("the scene is written");
    assert!(scene.contains("Npz(\"data/friends.npz\")") && scene.contains("0 = 0, 1 = 1"), "{scene}");
    let output = connectome(folder.path(), &["train", "friends.ron", "--epochs", "5"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn mistakes_are_told_with_exit_code_2() {
    let folder = folder(&[("a.csv", "source,target,weight\nAnn,Bob,heavy\n"), ("pair.csv", "a,b\n")]);
    let fails = |arguments: &[&str], expected: &str| {
        let output = connectome(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(text(&output.stderr).contains(expected), "{}", text(&output.stderr));
    };
    fails(&["import", "a.csv", "--output", "a.npz"], "a.csv:2:9: \"heavy\" is no number");
    fails(&["import", "a.csv", "--output", "a.npz", "--format", "graphml"], "a.csv: the file holds no graph");
    fails(&["import", "a.csv", "--output", "a.npz", "--format", "gml"], "invalid value 'gml'");
    fails(&["import", "pair.csv", "--output", "absent/a.npz"], "cannot create absent/a.npz");
    // One edge between two nodes leaves no pair without one to tell it from.
    fails(&["import", "pair.csv", "--output", "a.npz", "--scene", "a.ron"], "0 pairs of nodes have no edge");
}
