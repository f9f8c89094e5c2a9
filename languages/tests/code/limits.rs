//! Sources that are long or deep.

use super::{check, edges};
use connectome_languages::code::CodeGraph;

#[test]
fn deep_sources_are_read() {
    let nested = |open: &str, inner: &str, close: &str, depth: usize| {
        check(&format!("{}{inner}{}", open.repeat(depth), close.repeat(depth)))
    };
    for (open, close) in
        [("(", ")"), ("[", "]"), ("f(", ")"), ("-", ""), ("not ", ""), ("lambda x=", ": x"), ("lambda x: ", "")]
    {
        let code = nested(open, "x", close, 10_000);
        assert_eq!(code.error_count(), 0, "{open}");
        assert!(code.graph().labels().len() > 10_000);
    }
    // Never closed, or never opened.
    for source in ["(".repeat(10_000), ")".repeat(10_000), "[x for x in ".repeat(2_000), "f'{".repeat(10_000)] {
        check(&source);
    }
    // Each scope binds the name of all others.
    let code = nested("[(x := x) for x in ", "x", "]", 5_000);
    assert_eq!(code.occurrences().len(), 15_001);
    nested("class C:\n x = x; ", "x", "", 200);
}

#[test]
fn long_sources_are_read() {
    let function = "def f(a, b):\n    c = a + b  # sum\n    return f(c, [d for d in a])\n\n";
    let code = check(&function.repeat((1 << 20) / function.len()));
    let count = (1 << 20) / function.len();
    assert_eq!((code.error_count(), edges(&code, CodeGraph::CALL).len()), (0, count));
    // f is one variable of the file; a, b, c and d are of each function.
    assert_eq!(code.symbols().len(), 1 + 4 * count);
    for source in [
        "x".repeat(1 << 20),
        " ".repeat(1 << 20),
        "\n".repeat(1 << 20),
        "\"".to_owned() + &"é".repeat(1 << 19),
        "x=1;".repeat(1 << 18),
    ] {
        check(&source);
    }
}
