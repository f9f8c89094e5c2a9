//! Graphs of programs.

mod limits;
mod misuse;
mod names;

use connectome_languages::{
    LanguageEdge,
    code::{CodeGraph, Python},
};
use proptest::prelude::*;

fn read(source: &str) -> CodeGraph {
    CodeGraph::new(source, &Python).expect("it is short enough")
}

/// The edges of a relation, by the labels and the first bytes of their ends.
fn edges(code: &CodeGraph, relation: u32) -> Vec<String> {
    let name = |node: u32| {
        let start = code.graph().spans()[node as usize].map(|span| format!("@{}", span.start));
        format!("{}{}", code.graph().label(node).unwrap_or_default(), start.unwrap_or_default())
    };
    let of_relation = code.graph().language_edges().iter().filter(|edge| edge.relation == relation);
    of_relation.map(|edge| format!("{} > {}", name(edge.source), name(edge.target))).collect()
}

/// Checks what is true of the graph of any source.
fn check(source: &str) -> CodeGraph {
    let code = read(source);
    assert_eq!(code.source(), source);
    let graph = code.graph();
    let tree: Vec<&LanguageEdge> =
        graph.language_edges().iter().filter(|edge| edge.relation == CodeGraph::CHILD).collect();
    let nodes = graph.labels().len() - code.symbols().len();
    assert_eq!(tree.len(), nodes - 1, "every node but the root has one parent");
    let mut children = vec![0; nodes];
    for (number, edge) in tree.iter().enumerate() {
        assert!(edge.source as usize == number + 1 && edge.target < edge.source, "{edge:?}");
        assert_eq!(edge.position, children[edge.target as usize], "children are counted in order");
        children[edge.target as usize] += 1;
    }
    code
}

#[test]
fn the_tree_of_a_function() {
    let code = check("def f(x):\n    return x\n");
    let labels: Vec<&str> = (0..).map_while(|node| code.graph().label(node)).collect();
    assert_eq!(
        labels,
        [
            "module",
            "function_definition",
            "def",
            "identifier f",
            "parameters",
            "(",
            "identifier x",
            ")",
            ":",
            "block",
            "return_statement",
            "return",
            "identifier x",
            "symbol f",
            "symbol x"
        ]
    );
    let tokens = edges(&code, CodeGraph::TOKEN);
    assert_eq!(tokens[..3], ["def@0 > identifier f@4", "identifier f@4 > (@5", "(@5 > identifier x@6"]);
    assert_eq!((tokens.len(), code.error_count()), (7, 0));
    assert_eq!(edges(&code, CodeGraph::NEXT_USE), ["identifier x@6 > identifier x@21"]);
    assert_eq!(
        edges(&code, CodeGraph::SYMBOL),
        ["identifier f@4 > symbol f", "identifier x@6 > symbol x", "identifier x@21 > symbol x"]
    );
}

#[test]
fn calls_lead_to_definitions() {
    let code = check(
        "def f(): return g()\ndef g(): return f()\ndef f(): return f()\nlen(f())\nclass C:\n  def a(self): self.b(); other.b()\n  def b(self): C()\n",
    );
    assert_eq!(
        edges(&code, CodeGraph::CALL),
        [
            "call@16 > function_definition@20",
            "call@36 > function_definition@0",
            "call@56 > function_definition@40",
            "call@64 > function_definition@40",
            "call@93 > function_definition@115",
            "call@128 > class_definition@69",
        ]
    );
}

#[test]
fn broken_code_is_a_graph() {
    for source in [
        "",
        "\n\n",
        "def f(:\n  return",
        "x = = 1",
        ")",
        "(",
        "\0",
        "x\0y",
        "\u{feff}x = 1",
        "é = \"ü",
        "\\",
        "\t\tx",
        "print 'a'",
    ] {
        check(source);
    }
    let broken = check("x = (1 +\ny = 2\n");
    assert!(broken.error_count() > 0);
    assert!(broken.graph().vocabulary().names().any(|name| name == "ERROR" || name.starts_with("MISSING")));
    assert_eq!(check("f'{x!r:>{w}} {{}}' 'a\\n'").error_count(), 0);
}

#[test]
fn texts_of_leaves_can_be_replaced() {
    let source = "# é\nif  a :\r\n\tb ( a )\n\n";
    let code = check(source);
    let of_a: Vec<u32> = code
        .occurrences()
        .iter()
        .filter(|one| one.symbol == code.occurrences()[0].symbol)
        .map(|one| one.node)
        .collect();
    let replaced = code.source_with(|node| of_a.contains(&node).then_some("ccc"));
    assert_eq!(replaced, "# é\nif  ccc :\r\n\tb ( ccc )\n\n");
}

/// Pieces of programs, which make more of a tree than single characters.
fn pieces() -> impl Strategy<Value = String> {
    let words = "def class lambda if else for in while return import from as with try except global nonlocal yield match case \
        x y self f'{ } ' \" ( ) [ ] { } : = := + - * ** , . ; @ -> \\ # 1 2.5 None True";
    let words: Vec<String> = words
        .split(' ')
        .map(str::to_owned)
        .chain(["\n", "\n    ", "\n  ", " ", "\t", "\0", "é", "\u{200d}"].map(str::to_owned))
        .collect();
    prop::collection::vec(prop::sample::select(words), 0..60).prop_map(|words| words.join(" "))
}

proptest! {
    #[test]
    fn any_text_comes_back(source in any::<String>()) {
        check(&source);
    }

    #[test]
    fn any_pieces_come_back(source in pieces()) {
        check(&source);
    }
}
