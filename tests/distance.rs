//! Edit distances of real molecules are those that are known, and the command tells them: the same bytes for any number
//! of workers, bounds where the search was cut, and what is wrong with what it was given.
//!
//! The molecules are the training graphs of AIDS700nef with exact distances by A* (Y. Bai et al., *SimGNN: A Neural
//! Network Approach to Fast Graph Similarity Computation*, WSDM 2019); each operation costs 1.

use connectome::import::{ImportOptions, LabeledGraphs, import_labeled};
use connectome::systems::{
    Workers,
    algorithms::edit_distance::{EditCosts, SearchBudget, edit_distance},
};
use serde_json::Value;
use std::{
    path::Path,
    process::{Command, Output},
};

const MOLECULES: &str = "tests/fixtures/aids700nef.npz";

fn distance(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_connectome")).arg("distance").args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The lines of a command that succeeds, each an object of JSON.
fn json_lines(arguments: &[&str]) -> Vec<Value> {
    let output = distance(&[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn molecule(number: usize) -> String {
    format!("{MOLECULES}#{number}")
}

#[test]
fn distances_of_molecules_are_those_that_are_known() {
    let read = import_labeled(Path::new(MOLECULES), &ImportOptions::default()).unwrap();
    let LabeledGraphs { graphs, distances: Some(known), .. } = read else { panic!("no distances") };
    assert_eq!(graphs.len(), 560);
    // One pair in 31 of 156,520.
    let pairs = (0..560).flat_map(|one| (0..one).map(move |other| [one, other]));
    let pairs: Vec<[usize; 2]> = pairs.step_by(31).collect();
    let costs = EditCosts::default();
    let workers = Workers::new(2).unwrap();
    let found = workers.map(pairs.len(), |pair| {
        let [one, other] = pairs[pair];
        edit_distance(&graphs[one], &graphs[other], &costs, SearchBudget::EXACT, &Workers::single()).unwrap().distance()
    });
    for ([one, other], found) in pairs.into_iter().zip(found) {
        let known = f64::from(known.values[one * known.width + other]);
        assert_eq!(found, Some(known), "molecules {one} and {other}");
    }
}

#[test]
fn one_is_compared_with_one_and_many_with_many() {
    let [one, other] = [molecule(0), molecule(7)];
    let lines = json_lines(&[&one, &other, "--path"]);
    let [line] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!((line["first"].as_str(), line["second"].as_str()), (Some(&*one), Some(&*other)));
    assert_eq!(
        (&line["exact"], &line["stop_reason"], &line["lower"]),
        (&Value::Bool(true), &Value::Null, &line["upper"])
    );
    let path = line["path"].as_array().unwrap();
    let sum: f64 = path.iter().map(|step| step["cost"].as_f64().unwrap()).sum();
    assert_eq!(Some(sum), line["upper"].as_f64(), "{line}");
    let sentences = text(&distance(&[&one, &other, "--path"]).stdout);
    assert_eq!(sentences.lines().count(), 1 + path.len(), "{sentences}");
    assert!(sentences.starts_with(&format!("{one} and {other}: {sum}\n")), "{sentences}");

    let upper = line["upper"].clone();
    let lines = json_lines(&[&one, MOLECULES]);
    assert_eq!((lines.len(), &lines[0]["upper"], &lines[7]["upper"]), (560, &Value::from(0.0), &upper));
    // Each with all after it, with what the file tells of them.
    let lines = json_lines(&["assets/mutag.npz", "--expansions", "0"]);
    assert_eq!(lines.len(), 188 * 187 / 2);
    assert!(lines.iter().all(|line| line["lower"].as_f64() <= line["upper"].as_f64() && line["known"].is_null()));
}

#[test]
fn costs_and_effort_are_given() {
    let [one, other] = [molecule(220), molecule(89)];
    let upper = |arguments: &[&str]| {
        let lines = json_lines(&[&[&*one, &*other], arguments].concat());
        assert!(lines[0]["exact"].as_bool().unwrap(), "{lines:?}");
        lines[0]["upper"].as_f64().unwrap()
    };
    let plain = upper(&["--exact"]);
    let halves = [
        "--node-insertion=0.5",
        "--node-deletion=0.5",
        "--node-substitution=0.5",
        "--edge-insertion=0.5",
        "--edge-deletion=0.5",
        "--edge-substitution=0.5",
    ];
    assert_eq!(upper(&halves), plain / 2.0);
    assert!(upper(&["--node-substitution=0", "--edge-insertion", "0"]) < plain);

    for (cut, arguments) in [("expansions", ["--expansions", "3"]), ("time", ["--time-limit", "0"])] {
        let lines = json_lines(&[&*one, &other, arguments[0], arguments[1]]);
        let (lower, upper) = (lines[0]["lower"].as_f64().unwrap(), lines[0]["upper"].as_f64().unwrap());
        assert!(lower <= plain && plain <= upper && lower < upper, "{lines:?}");
        assert_eq!((&lines[0]["stop_reason"], &lines[0]["exact"]), (&Value::from(cut), &Value::Bool(false)));
        let sentence = text(&distance(&[&*one, &other, arguments[0], arguments[1]]).stdout);
        assert!(sentence.contains(&format!("from {lower} to {upper}, {cut} used up")), "{sentence}");
    }
}

#[test]
fn any_number_of_workers_tells_the_same_bytes() {
    let one = molecule(220);
    for arguments in [vec![&*one, MOLECULES, "--path"], vec![&*one, "assets/mutag.npz#3", "--expansions", "20000"]] {
        let [expected, rest @ ..] =
            ["1", "2", "8"].map(|workers| distance(&[&arguments[..], &["--json", "--workers", workers]].concat()));
        assert!(expected.status.success() && !expected.stdout.is_empty(), "{}", text(&expected.stderr));
        for output in rest {
            assert!(output.stdout == expected.stdout, "{arguments:?}");
        }
    }
}

#[test]
fn edges_are_compared_by_all_that_is_known_of_them_but_weights() {
    let folder = tempfile::tempdir().unwrap();
    let table = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    for [one, other] in [
        ["source,target,kind\na,b,-1\nb,c,2\n", "source,target,kind\na,b,-1\nb,c,3\n"],
        ["source,target,kind\na,b,0.5\nb,c,1.5\n", "source,target,kind\na,b,0.5\nb,c,2.5\n"],
        ["source,target,kind\na,b,x\nb,c,\n", "source,target,kind\na,b,x\nb,c,y\n"],
        ["source,target,order,ring\na,b,1,0\nb,c,1,0\n", "source,target,ring,order\na,b,0,1\nb,c,0,2\n"],
    ] {
        let paths = [table("one.csv", one), table("two.csv", other)];
        let lines = json_lines(&[&paths[0], &paths[1]]);
        assert_eq!(lines[0]["upper"].as_f64(), Some(1.0), "{one:?} and {other:?}");
    }
    let paths =
        [table("one.csv", "source,target,weight\na,b,1\na,a,1\n"), table("two.csv", "source,target,weight\na,b,2\n")];
    let output = distance(&[&paths[0], &paths[1], "--json"]);
    let notes = text(&output.stderr);
    assert!(
        notes.contains("weights of edges are not compared") && notes.contains("1 self-loops are left out"),
        "{notes}"
    );
    assert!(text(&output.stdout).contains("\"upper\":0.0"));
}

#[test]
fn what_is_wrong_is_told() {
    let one = molecule(0);
    for (arguments, expected) in [
        (vec![&*one, "tests/fixtures/aids700nef.npz#560"], "holds 560"),
        (vec!["nowhere.npz"], "cannot be opened"),
        (vec![&*one], "holds one graph, so there is nothing to compare"),
        (vec![&*one, &one, "--node-deletion", "-1"], "an operation on nodes costs -1"),
        (vec![&*one, &one, "--edge-substitution", "inf"], "an operation on edges costs inf"),
        (vec![&*one, &one, "--time-limit", "nan"], "the time limit is NaN seconds"),
        (vec![&*one, &one, "--exact", "--expansions", "1"], "cannot be used with"),
    ] {
        let output = distance(&arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).contains(expected), "{arguments:?}: {}", text(&output.stderr));
    }
}
