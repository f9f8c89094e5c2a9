//! `connectome cliques` on graphs whose cliques are known: the numbers are those that igraph 1.0 counts, and the published
//! clique numbers.

use serde_json::{Value, json};
use std::{
    fs,
    process::{Command, Output},
};

fn cliques(file: &str, arguments: &[&str]) -> Output {
    let path = if file.contains('/') { file.to_owned() } else { format!("tests/fixtures/graphs/{file}.clq.gz") };
    Command::new(env!("CARGO_BIN_EXE_connectome")).args(["cliques", &path]).args(arguments).output().unwrap()
}

fn json_of(file: &str, arguments: &[&str]) -> Value {
    let output = cliques(file, &[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn clique_numbers_are_the_published_ones() {
    for (file, number) in
        [("C125.9", 34), ("MANN_a9", 16), ("brock200_2", 12), ("p_hat300-1", 8), ("email-eu-core", 18)]
    {
        let found = json_of(file, &["--maximum", "--workers", "1"]);
        assert_eq!(
            (&found["question"], &found["complete"], &found["stop_reason"]),
            (&json!("maximum"), &json!(true), &Value::Null)
        );
        assert_eq!(
            (found["count"].as_u64(), found["cliques"][0].as_array().map(Vec::len)),
            (Some(1), Some(number)),
            "{file}"
        );
    }
}

#[test]
fn counts_are_those_of_igraph() {
    let known = [
        ("email-eu-core", vec![("maximal", 42_728), ("3", 105_461), ("4", 423_750), ("5", 1_222_005)]),
        ("brock200_2", vec![("maximal", 431_586), ("3", 159_896), ("4", 950_371), ("5", 2_199_509)]),
        ("p_hat300-1", vec![("maximal", 58_176), ("3", 82_394), ("4", 162_145), ("5", 93_717)]),
        ("MANN_a9", vec![("maximal", 590_887), ("3", 11_244), ("4", 92_313), ("5", 537_048)]),
    ];
    for (file, counts) in known {
        for (kind, count) in counts {
            let question = if kind == "maximal" { vec!["--maximal"] } else { vec!["--size", kind] };
            let found = json_of(file, &[&question[..], &["--count", "--workers", "2"]].concat());
            assert_eq!((found["count"].as_u64(), &found["complete"]), (Some(count), &json!(true)), "{file}, {kind}");
        }
    }
}

#[test]
fn the_same_bytes_come_out_for_any_number_of_workers() {
    let questions: [&[&str]; 4] =
        [&["--maximal"], &["--size", "3", "--json"], &["--maximum"], &["--maximal", "--limit", "1000", "--json"]];
    for question in questions {
        let [one, others @ ..] =
            ["1", "2", "8"].map(|workers| cliques("email-eu-core", &[question, &["--workers", workers]].concat()));
        assert!(one.status.success() && !one.stdout.is_empty());
        assert!(others.iter().all(|other| other.stdout == one.stdout), "{question:?}");
    }
}

#[test]
fn people_read_names_and_what_was_cut() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("friends.csv");
    fs::write(&path, "source,target\nAnn,Bob\nBob,Cid\nCid,Ann\nCid,Dan\n").unwrap();
    let path = path.to_str().unwrap();
    let output = cliques(path, &["--maximal"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort();
    assert_eq!((lines, output.stderr.as_slice()), (vec!["Ann Bob Cid", "Cid Dan"], b"".as_slice()));
    let cut = cliques(path, &["--size", "2", "--limit", "3", "--timing", "2"]);
    let notes = String::from_utf8(cut.stderr).unwrap();
    assert_eq!(String::from_utf8(cut.stdout).unwrap().lines().count(), 3);
    assert!(notes.contains("raise --limit to find more") && notes.contains("2 searches: least"), "{notes}");
    let counted = cliques(path, &["--size", "2", "--count"]);
    assert_eq!(counted.stdout, b"4\n");
    let found = json_of(path, &["--size", "3", "--time-limit", "0", "--timing", "1"]);
    assert_eq!((&found["stop_reason"], &found["cliques"], &found["count"]), (&json!("time"), &json!([]), &json!(0)));
    assert!(found["milliseconds"]["least"].is_f64());
}

#[test]
fn what_cannot_be_asked_is_refused() {
    let refused = |arguments: &[&str], expected: &str| {
        let output = cliques("MANN_a9", arguments);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(expected) && !error.contains("panicked"), "{error}");
    };
    refused(&[], "--size <K>|--maximal|--maximum");
    refused(&["--size", "0"], "use a size of 1 to 1024");
    refused(&["--size", "1025"], "use a size of 1 to 1024");
    refused(&["--maximal", "--maximum"], "cannot be used with");
    refused(&["--maximum", "--count"], "cannot be used with");
    refused(&["--maximal", "--time-limit", "-1"], "write a number of seconds");
}
