//! `connectome generate`.

use std::{
    fs,
    process::{Command, Output},
};

fn generate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_connectome")).arg("generate").args(arguments).output().unwrap()
}

#[test]
fn pairs_are_the_same_for_a_seed_and_leave_out_others() {
    let folder = tempfile::tempdir().unwrap();
    let [train, test] = ["train.jsonl", "test.jsonl"].map(|name| folder.path().join(name));
    let run = |more: &[&str]| {
        let output = generate(more);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let [train_path, test_path] = [&train, &test].map(|path| path.to_str().unwrap());
    let arguments = ["derive", "--count", "200", "--depth", "1..3", "--seed", "4", "--output"];
    let printed = run(&[&arguments[..], &[train_path]].concat());
    assert_eq!(printed, format!("wrote 200 pairs to {train_path}\n"));
    run(&[&arguments[..], &[test_path]].concat());
    let pairs = fs::read_to_string(&train).unwrap();
    assert_eq!(fs::read_to_string(&test).unwrap(), pairs);
    let fields: Vec<serde_json::Value> = pairs.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(fields.iter().all(|pair| pair["source"].is_string() && pair["target"].is_string()));
    assert!(fields.iter().all(|pair| (1..=3).contains(&pair["depth"].as_u64().unwrap())));

    run(&[&arguments[..], &[test_path, "--exclude", train_path]].concat());
    let others = fs::read_to_string(&test).unwrap();
    assert_eq!(others.lines().count(), 200);
    assert!(others.lines().all(|line| !pairs.contains(line)));
}

#[test]
fn what_cannot_be_generated_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pairs.jsonl");
    fs::write(&file, "{\"source\": \"x\", \"target\": \"x\"}\n{\"source\": \"add x\", \"target\": \"x\"}\n").unwrap();
    let path = file.to_str().unwrap();
    let cases: [(&[&str], &str); 4] = [
        (&["--depth", "5..2"], "the smaller one first"),
        (&["--depth", "0..0"], "only 13 of 20000 distinct terms were found"),
        (&["--count", "10000000"], "1000000"),
        (&["--exclude", path], "pairs.jsonl:2: source:1:6: found the end, expected an operand"),
    ];
    for (arguments, message) in cases {
        let output = generate(&[&["simplify", "--output", path][..], arguments].concat());
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(message), "{error}");
        assert!(fs::read_to_string(&file).unwrap().starts_with("{\"source\": \"x\""));
    }
}
