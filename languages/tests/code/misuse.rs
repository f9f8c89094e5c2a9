//! Functions in which a wrong variable may be read.

use super::{edges, read};
use connectome_languages::{
    Record, Records,
    code::{CodeGraph, MisuseError, MisuseExample, MisuseGraph, Python},
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

/// The records are from Python's own parser.
#[test]
fn functions_have_the_loads_and_candidates_of_the_data() {
    for example in examples() {
        let code = read(&example.code);
        let functions = code.functions(&Python);
        let [function] = &functions[..] else { panic!("{}: {functions:?}", example.id) };
        assert_eq!(function.candidates, example.candidates, "{}", example.id);
        assert_eq!(Ok(function), example.function(&code, &Python).as_ref(), "{}", example.id);
    }
}

#[test]
fn variables_hold_values_and_functions_stand_for_themselves() {
    let source = "import m\ndef outer(a, *b, c: int = 1, **d):\n  from m import e as f\n  with a as g, b: pass\n  \
                  def inner(h):\n    i, (j, *k) = h, c\n    return lambda l: l + i\n  try: x.y = a[g]\n  \
                  except E as n: print(n, d)\n  c += (o := 2)\n  class C:\n    p = o\n  del a\n\n\
                  class D:\n  @q\n  def method(self): return [r for r in self]\n";
    let code = read(source);
    let functions = code.functions(&Python);
    let texts = |nodes: &[u32]| {
        let label = |node: &u32| code.graph().label(*node).unwrap().replace("identifier ", "");
        nodes.iter().map(label).collect::<Vec<_>>().join(" ")
    };
    let [outer, method] = &functions[..] else { panic!("{functions:?}") };
    assert_eq!(outer.candidates.join(" "), "a b c d g h i j k l o p");
    assert_eq!(texts(&outer.loads), "a b h c l i a g d o");
    assert_eq!((method.candidates.join(" "), texts(&method.loads)), ("self r".into(), "r self".into()));
    assert!(outer.end <= method.node && code.graph().label(method.node) == Some("function_definition"));
}

#[test]
fn a_repaired_function_is_as_it_was() {
    let function = &examples()[1];
    assert_eq!(&function.repaired(), function);
    for load in 0..function.loads.len() {
        let others = function.candidates.iter().filter(|other| **other != function.loads[load].name);
        for wrong in others {
            assert_eq!(&function.plant(load, wrong).unwrap().repaired(), function);
        }
    }
}

#[test]
fn each_other_variable_in_the_place_of_a_load_is_a_hypothesis() {
    for example in examples() {
        let code = read(&example.code);
        let graph = MisuseGraph::new(&code, &example.function(&code, &Python).unwrap(), &Python).unwrap();
        let expected: Vec<[usize; 2]> = (example.loads.iter().enumerate())
            .flat_map(|(load, read)| {
                let others = example.candidates.iter().enumerate().filter(|(_, name)| **name != read.name);
                others.map(move |(candidate, _)| [load, candidate])
            })
            .collect();
        let found: Vec<[usize; 2]> =
            graph.hypotheses().iter().map(|one| [one.load, one.candidate].map(|number| number as usize)).collect();
        assert_eq!(found, expected);
        assert_eq!(graph.first_hypothesis() + expected.len() + 1, graph.node_count());
        let nodes = graph.node_count() as u32;
        let is_valid = |end: u32, kind: u32| end < nodes && kind < MisuseGraph::KINDS;
        assert!(graph.edges().iter().all(|edge| is_valid(edge.source, edge.kind) && is_valid(edge.target, edge.kind)));
        for node in 0..graph.node_count() {
            let words = graph.words(node);
            assert!((1..=MisuseGraph::MAX_WORDS).contains(&words.len()), "{words:?}");
            assert!(words.iter().all(|word| *word < MisuseGraph::WORDS));
        }
    }
}

/// What is right must not be seen in the graph: it is that of the text alone.
#[test]
fn the_graph_of_a_planted_misuse_is_that_of_its_text() {
    let function = &examples()[1];
    let graph = |example: &MisuseExample| {
        let code = read(&example.code);
        MisuseGraph::new(&code, &example.function(&code, &Python).unwrap(), &Python).unwrap()
    };
    let of_text = |text: &str| {
        let code = read(text);
        MisuseGraph::new(&code, &code.functions(&Python)[0], &Python).unwrap()
    };
    for load in 0..function.loads.len() {
        let wrong = function.candidates.iter().find(|other| **other != function.loads[load].name).unwrap();
        let planted = function.plant(load, wrong).unwrap();
        assert_eq!(graph(&planted), of_text(&planted.code));
        assert_ne!(graph(&planted), graph(function));
    }
}

#[test]
fn without_names_functions_that_differ_in_them_have_one_graph() {
    let graph = |source: &str, are_hidden: bool| {
        let code = read(source);
        MisuseGraph::without_names(&code, &code.functions(&Python)[0], &Python, &|_| are_hidden).unwrap()
    };
    let [one, other] = ["def f(a_row, b):\n  return len(a_row) - b", "def g(x, yPart):\n  return len(x) - yPart"];
    assert_eq!(graph(one, true), graph(other, true));
    assert_ne!(graph(one, false), graph(other, false));
    assert_ne!(graph(one, true), graph("def f(a, b):\n  return len(b) - a", true));
}

#[test]
fn functions_without_a_choice_and_large_ones_have_no_graph() {
    let error = |source: &str| {
        let code = read(source);
        MisuseGraph::new(&code, &code.functions(&Python)[0], &Python).unwrap_err()
    };
    assert_eq!(error("def f(a, b): pass"), MisuseError::NoChoice);
    assert_eq!(error("def f(a): return a + a"), MisuseError::NoChoice);
    let many: String = (0..100).map(|number| format!("  v{number} = v{number}\n")).collect();
    assert!(matches!(error(&format!("def f(a):\n{many}")), MisuseError::TooLarge { nodes } if nodes > 10_000));
    assert!(matches!(error(&format!("def f(a, b): return {}a", "a + ".repeat(1 << 18))), MisuseError::TooLarge { .. }));
    // Broken code, names of any letters, and a file of many functions.
    for source in ["def f(a, b):\n  a = )\n  return b", "def f(ä, 变量): return ä", "def f(a, b):\n  return a b"] {
        let code = read(source);
        let function = &code.functions(&Python)[0];
        assert!(
            MisuseGraph::new(&code, function, &Python).is_ok_and(|graph| !graph.hypotheses().is_empty()),
            "{source}"
        );
    }
    assert!(read("").functions(&Python).is_empty());
    assert!(read("def (:").functions(&Python).len() < 2);
    let source = "def f(a, b):\n    return a\n".repeat(1 << 15);
    let code = read(&source);
    let functions = code.functions(&Python);
    assert_eq!(functions.len(), 1 << 15);
    let sizes = functions.iter().map(|function| MisuseGraph::new(&code, function, &Python).unwrap().node_count());
    let sizes: Vec<usize> = sizes.collect();
    assert!(sizes.iter().all(|size| *size == sizes[0]));
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
