//! Which variable a name stands for.

use super::read;
use connectome_languages::code::Usage;

/// For each occurrence its name and the number of its variable, those that nothing binds with a question mark.
fn variables(source: &str) -> String {
    let code = read(source);
    let name = |symbol: u32| code.symbols().iter().position(|one| one.node == symbol).expect("it has a node");
    let occurrences = code.occurrences().iter().map(|one| {
        let number = name(one.symbol);
        let symbol = &code.symbols()[number];
        format!("{}{number}{}", symbol.name, if symbol.is_bound { "" } else { "?" })
    });
    occurrences.collect::<Vec<_>>().join(" ")
}

#[test]
fn scopes_of_functions() {
    let cases = [
        ("x = 1\ndef f(x, y=x): return x, y, z", "x0 f1 x2 y3 x0 x2 y3 z4?"),
        ("x = 1\ndef f(): return x", "x0 f1 x0"),
        ("def f():\n  print(x)\n  x = 1", "f0 print1? x2 x2"),
        ("def f():\n  global x\n  x = 1\nx", "f0 x1 x1 x1"),
        ("def f():\n  x = 1\n  def g():\n    nonlocal x\n    x += 1", "f0 x1 g2 x1 x1"),
        ("f = lambda a, *b, c=a, **d: (a, b, c, d)", "f0 a1 b2 c3 a4? d5 a1 b2 c3 d5"),
        ("def f(a: T, b: T = 1) -> T: pass", "f0 a1 T2? b3 T2? T2?"),
    ];
    for (source, expected) in cases {
        assert_eq!(variables(source), expected, "{source}");
    }
}

#[test]
fn scopes_of_classes_and_comprehensions() {
    let cases = [
        ("class C:\n  x = 1\n  y = x\n  def f(self): return x, C", "C0 x1 y2 x1 f3 self4 x5? C0"),
        ("x = [x for x in x]", "x0 x1 x1 x0"),
        ("[(x, y) for x in a for y in x]; x", "x0 y1 x0 a2? y1 x0 x3?"),
        ("{k: v for k, v in d.items() if k}", "k0 v1 k0 v1 d2? k0"),
        ("def f(a):\n  any((b := x) for x in a)\n  return b, x", "f0 a1 any2? b3 x4 x4 a1 b3 x5?"),
    ];
    for (source, expected) in cases {
        assert_eq!(variables(source), expected, "{source}");
    }
}

#[test]
fn names_bound_by_statements() {
    let cases = [
        ("x, (y, *z) = [w, v] = a.b, q[r]", "x0 y1 z2 w3 v4 a5? q6? r7?"),
        ("x.y = x[i] = 1", "x0? x0? i1?"),
        ("import os.path as p, sys.x\nfrom a.b import c as d, e\nfrom __future__ import g", "p0 sys1 d2 e3"),
        ("with open(a) as f, b as (g, h): f", "open0? a1? f2 b3? g4 h5 f2"),
        ("try: pass\nexcept E as e: e", "E0? e1 e1"),
        ("match a:\n  case C(k=v) | [w, *r] if v: v\n  case A.b as c: c", "a0? C1? v2 w3 r4 v2 v2 A5? c6 c6"),
        ("f(a, key=b).c(d)", "f0? a1? b2? d3?"),
        ("for i, j in q: i\ndel i", "i0 j1 q2? i0 i0"),
        ("@d\ndef f(): pass", "d0? f1"),
    ];
    for (source, expected) in cases {
        assert_eq!(variables(source), expected, "{source}");
    }
}

#[test]
fn usages_are_told_apart() {
    let usages: Vec<Usage> =
        read("def f(a):\n  a += a\n  return a").occurrences().iter().map(|one| one.usage).collect();
    assert_eq!(usages, [Usage::Store, Usage::Store, Usage::Update, Usage::Load, Usage::Load]);
}

#[test]
fn functions_are_the_same_up_to_names() {
    let same = [
        ("def f(a, b):\n  c = a\n  return c(b)", "def g(x, y): # twice\n    z = (x)\n    return z(y)"),
        ("def f(a): return [b for b in a]", "def f(b): return [a for a in b]"),
        ("len(a)", "sum(b)"),
    ];
    let different = [
        ("def f(a, b): return a - b", "def f(a, b): return b - a"),
        ("if a:\n  b()\nc()", "if a:\n  b()\n  c()"),
        ("a.b", "a.c"),
        ("f(a)", "f(f)"),
        ("x = 1", "x = 2"),
        ("'a' + 'b'", "'a + b'"),
        ("a, b", "a"),
    ];
    let hash = |source| read(source).hash_up_to_names();
    for (one, other) in same {
        assert_eq!(hash(one), hash(other), "{one:?} and {other:?}");
    }
    for (one, other) in different {
        assert_ne!(hash(one), hash(other), "{one:?} and {other:?}");
    }
}
