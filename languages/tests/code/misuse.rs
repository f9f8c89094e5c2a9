//! Functions in which a wrong variable may be read.

use super::{edges, read};
use connectome_languages::{
    Record, Records,
    code::{CodeGraph, MisuseError, MisuseExample},
};

const FUNCTIONS: &str = include_str!("../fixtures/misuse.jsonl");

fn examples() -> Vec<MisuseExample> {
    let read: Result<Vec<_>, _> = Records::new("misuse.jsonl", FUNCTIONS.as_bytes()).of().collect();
    read.unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn loads_and_candidates_are_nodes() {
    for example in examples() {
        let code = read(&example.code);
        let nodes = example.nodes(&code).unwrap_or_else(|error| panic!("{}: {error}", example.id));
        for (node, load) in nodes.loads.iter().zip(&example.loads) {
            assert_eq!(code.graph().label(*node), Some(format!("identifier {}", load.name).as_str()));
        }
        for (nodes, candidate) in nodes.candidates.iter().zip(&example.candidates) {
            assert!(!nodes.is_empty());
            for node in nodes {
                assert_eq!(code.graph().label(*node), Some(format!("symbol {candidate}").as_str()));
            }
        }
    }
}

#[test]
fn a_planted_misuse_is_that_of_the_data() {
    let examples = examples();
    let [planted, function] = [0, 1].map(|number| &examples[number]);
    let misuse = planted.misuse.as_ref().expect("the first has one");
    let wrong = &planted.loads[misuse.load].name;
    assert_eq!(function.plant(misuse.load, wrong).as_ref(), Ok(planted));
    // The right name is longer or shorter than the wrong one.
    assert_ne!(wrong.len(), misuse.right.len());
    assert_eq!(planted.plant(0, wrong), Err(MisuseError::Planted));
    assert_eq!(function.plant(99, wrong), Err(MisuseError::NoLoad { load: 99, count: function.loads.len() }));
    for name in [misuse.right.as_str(), "unknown"] {
        let error = MisuseError::NoMisuse { name: name.to_owned(), right: misuse.right.clone() };
        assert_eq!(function.plant(misuse.load, name), Err(error));
    }
    assert!(matches!(planted.nodes(&read("x = 1")), Err(MisuseError::NoVariable { .. })));
}

#[test]
fn edges_of_planted_code_do_not_tell_the_right_variable() {
    let line = r#"{"id":"f","code":"def f(a, b):\n  return a + a\n","loads":[[22,23,"a"],[26,27,"a"]],"candidates":["a","b"]}"#;
    let function = MisuseExample::parse(line).expect("it is right");
    assert_eq!(edges(&read(&function.code), CodeGraph::NEXT_USE).len(), 2);
    let planted = function.plant(0, "b").expect("it can be planted");
    assert_eq!(
        edges(&read(&planted.code), CodeGraph::NEXT_USE),
        ["identifier b@9 > identifier b@22", "identifier a@6 > identifier a@26"]
    );
}

#[test]
fn wrong_records_are_errors() {
    let line = |loads: &str, more: &str| {
        format!(r#"{{"id":"f","code":"ab = é + ab","loads":{loads},"candidates":["ab","é"]{more}}}"#)
    };
    let cases = [
        ("{".to_owned(), "EOF while parsing"),
        ("[]".to_owned(), "write an object with id"),
        (line(r#"[[5,6,"é"]]"#, ""), "does not stand in bytes 5 to 6"),
        (line(r#"[[9,7,"ab"]]"#, ""), "does not stand in bytes 9 to 7"),
        (line(r#"[[10,99,"ab"]]"#, ""), "load 0 says \"ab\""),
        (line(r#"[[10,12,"ab"],[5,7,"é"]]"#, ""), "load 1 begins before"),
        (line(r#"[[10,12,"ab"]]"#, r#","bug":1,"right":"é""#), "there is no load 1"),
        (line(r#"[[10,12,"ab"]]"#, r#","bug":0,"right":"ab""#), "is no misuse"),
        (line(r#"[[10,12,"ab"]]"#, r#","bug":0"#), "one of bug and right"),
        (line(r#"[[10,12,"ab"]]"#, r#","bug":-1,"right":"é""#), "invalid value"),
        (line(r#"[[3,4,"="]]"#, ""), "none of the candidates"),
    ];
    for (text, expected) in cases {
        let file = format!("\n{text}\n");
        let error = Records::new("data.jsonl", file.as_bytes())
            .of::<MisuseExample>()
            .next()
            .expect("there is a line")
            .unwrap_err();
        assert!(error.line == 2 && error.to_string().starts_with("data.jsonl:2: "), "{error}");
        assert!(error.message.contains(expected), "{error} for {expected}");
    }
    let right = line(r#"[[5,7,"é"],[10,12,"ab"]]"#, r#","bug":null,"right":null"#);
    assert!(MisuseExample::parse(&right).is_ok_and(|example| example.misuse.is_none()));
}
