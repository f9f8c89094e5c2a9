//! `connectome graph`, and the other commands on structure, on texts and programs.

use connectome::data::GraphData;
use serde_json::{Value, json};
use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

fn run(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_connectome")).args(arguments).current_dir(folder).output().unwrap()
}

fn print(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn error(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    assert!(!output.status.success(), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// A folder with these files.
fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    files.iter().for_each(|(name, content)| fs::write(folder.path().join(name), content).unwrap());
    folder
}

const PROGRAM: &str = "def f(x):\n    return x\nf(f)\n";

#[test]
fn graphs_of_all_languages_are_counted() {
    let folder = folder(&[
        ("hello.txt", b"hello"),
        ("program.py", PROGRAM.as_bytes()),
        ("edges.csv", b"a,b\nb,c\n"),
        ("term.math", b"x*y - x*y\n"),
        ("term.prefix", b"sub mul x y 1"),
    ]);
    let path = folder.path();
    assert_eq!(print(path, &["graph", "term.math"]), "nodes: 4\nedges: 4\n  operand: 4\nlabels: 4\n");
    assert_eq!(print(path, &["graph", "term.prefix"]), "nodes: 5\nedges: 4\n  operand: 4\nlabels: 5\n");
    assert_eq!(print(path, &["graph", "hello.txt"]), "nodes: 5\nedges: 4\n  next: 4\nlabels: 4\n");
    let tagged = print(path, &["graph", "hello.txt", "--window", "1", "--tag", "PL", "--json"]);
    let expected = json!({
        "file": "hello.txt", "nodes": 6, "edges": 22, "relations": { "next": 4, "window": 8, "tag": 10 }, "labels": 5
    });
    assert_eq!(serde_json::from_str::<Value>(&tagged).unwrap(), expected);
    let program: Value = serde_json::from_str(&print(path, &["graph", "program.py", "--json"])).unwrap();
    let relations = json!({ "child": 19, "token": 11, "next use": 3, "symbol": 5, "call": 1 });
    assert_eq!((&program["relations"], &program["nodes"]), (&relations, &json!(22)));
    assert_eq!(print(path, &["graph", "edges.csv"]), "nodes: 3\nedges: 2\n  edge: 2\nlabels: 0\n");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let graphs = GraphData::read_npz(root.join("assets/mutag.npz")).unwrap().graphs.unwrap();
    let mutag = print(root, &["graph", "assets/mutag.npz#0"]);
    let (nodes, edges) = (graphs.nodes(0).len(), graphs.edges(0).len() / 2);
    assert!(mutag.starts_with(&format!("nodes: {nodes}\nedges: {edges}\n")), "{mutag}");
}

#[test]
fn a_txt_is_a_text_unless_its_lines_are_edges() {
    let texts =
        ["hello world\n", "Hello, world", "One line,\nand another one.\n", "", "a b c\n", "# comment\n", "12\n"];
    let tables = [
        "1 2\n2 3\n",
        "a,b\nb,c\n",
        "1,01\n",
        "source target w\na b x\n",
        "# c\n1\t2\t0.5\n",
        "a b {'weight': 1}\nb c {}\n",
    ];
    for (text, is_text) in texts.into_iter().map(|text| (text, true)).chain(tables.map(|text| (text, false))) {
        let folder = folder(&[("file.txt", text.as_bytes())]);
        let shown = print(folder.path(), &["graph", "file.txt"]);
        let nodes = format!("nodes: {}\n", text.chars().count());
        assert_eq!(shown.starts_with(&nodes), is_text, "{text:?}: {shown}");
        let shown = print(folder.path(), &["graph", "file.txt", "--format", "text"]);
        assert!(shown.starts_with(&nodes), "{text:?}: {shown}");
    }
}

#[test]
fn commands_on_structure_take_texts_and_programs() {
    let other = PROGRAM.replace("return x", "return f");
    let files: [(&str, &[u8]); 4] =
        [("a.txt", b"kitten"), ("b.txt", b"sitten"), ("a.py", PROGRAM.as_bytes()), ("b.py", other.as_bytes())];
    let folder = folder(&files);
    let path = folder.path();
    assert_eq!(print(path, &["distance", "a.txt", "b.txt"]), "a.txt and b.txt: 1\n");
    let same: Value =
        serde_json::from_str(&print(path, &["distance", "a.py", "a.py", "--json", "--expansions", "10000"])).unwrap();
    assert_eq!(same["upper"], json!(0.0));
    let changed: Value =
        serde_json::from_str(&print(path, &["distance", "a.py", "b.py", "--json", "--expansions", "1000"])).unwrap();
    assert!(changed["upper"].as_f64() > Some(0.0));
    let kernel = print(path, &["kernel", "a.py", "b.py", "a.py", "--normalize", "--json"]);
    let kernel: Value = serde_json::from_str(kernel.lines().next().unwrap()).unwrap();
    let rows = kernel["kernels"].as_array().unwrap();
    assert!(rows[0][2].as_f64().is_some_and(|one| (one - 1.0).abs() < 1e-12));
    assert!(rows[0][1].as_f64() < Some(1.0));
    assert_eq!(print(path, &["cliques", "a.txt", "--maximal", "--count"]), "5\n");
}

#[test]
fn pictures_are_drawn() {
    let folder = folder(&[
        ("a.txt", "né \0<&>\u{ffff}".as_bytes()),
        ("b.py", PROGRAM.as_bytes()),
        ("c.csv", b"a,b\nb,c\nc,a\n"),
        ("d.math", b"-x^2 + sin(y)"),
    ]);
    let path = folder.path();
    for (file, boxes) in [("a.txt", 8), ("b.py", 22), ("c.csv", 3), ("d.math", 7)] {
        print(path, &["graph", file, "--picture", "picture.svg"]);
        let picture = fs::read_to_string(path.join("picture.svg")).unwrap();
        assert_eq!(picture.matches("<rect").count(), boxes + 1, "{file}");
        let is_allowed = |letter: char| letter == '\n' || (!letter.is_control() && letter != '\u{ffff}');
        assert!(picture.starts_with("<svg") && picture.chars().all(is_allowed), "{file}");
        print(path, &["graph", file, "--picture", "again.svg"]);
        assert_eq!(fs::read_to_string(path.join("again.svg")).unwrap(), picture);
    }
}

#[test]
fn bad_files_are_errors() {
    let long = "ab".repeat(30_000);
    let folder = folder(&[
        ("broken.txt", b"ab\n\xff"),
        ("broken.py", b"\xc3"),
        ("long.txt", long.as_bytes()),
        ("odd", b"?"),
        ("odd.math", b"1 +\n2x"),
    ]);
    let path = folder.path();
    fs::create_dir(path.join("folder.py")).unwrap();
    for (arguments, expected) in [
        (&["graph", "broken.txt", "--format", "text"][..], "broken.txt:2:1: byte 0xff at offset 3 is not UTF-8"),
        (&["graph", "broken.py"], "byte 0xc3 at offset 0 is not UTF-8"),
        (&["graph", "none.py"], "none.py: the file cannot be read"),
        (&["graph", "folder.py", "--format", "python"], "cannot be read"),
        (&["graph", "odd.math"], "odd.math:2:2: found \"x\", expected an operator or the end"),
        (&["graph", "odd"], "name the format"),
        (&["graph", "long.txt", "--picture", "long.svg"], "at most 4000 are drawn"),
        (&["graph", "long.txt", "--window", "99999999"], "edges, and at most"),
        (&["kernel", "broken.py", "broken.py"], "is not UTF-8"),
    ] {
        let error = error(path, arguments);
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
    assert!(!path.join("long.svg").exists());
}
