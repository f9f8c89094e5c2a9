//! What is written is read again as the same term, and written with no more parentheses than that takes.

use connectome_languages::mathematics::{Number, Term, Terms};
use proptest::prelude::*;

use super::{fixture, terms};

#[test]
fn operators_bind_as_in_programming_languages() {
    let cases = [
        ("x", "x"),
        ("a-b-c", "sub sub a b c"),
        ("a/b/c", "div div a b c"),
        ("a*b+c*d", "add mul a b mul c d"),
        ("2**3**4", "pow 2 pow 3 4"),
        ("2^3**4", "pow 2 pow 3 4"),
        ("-x**2", "neg pow x 2"),
        ("2**-x", "pow 2 neg x"),
        ("2**-x**2*y", "mul pow 2 neg pow x 2 y"),
        ("-a*b", "mul neg a b"),
        ("a*-b", "mul a neg b"),
        ("a--b", "sub a neg b"),
        ("--a", "neg neg a"),
        ("(a+b)*c", "mul add a b c"),
        ("((a))", "a"),
        ("sin(x)**2", "pow sin x 2"),
        ("log(x) + asin(y)", "add ln x arcsin y"),
        ("f(x, -y*2, g(z))", "f/3 x mul neg y 2 g/1 z"),
        ("sin + f", "add sin/0 f"),
        ("1e3 + 1.50*.5", "add 1000 mul 1.5 0.5"),
        (" 2 \n *\t_x1 ", "mul 2 _x1"),
        ("θ*ω_0", "mul θ ω_0"),
    ];
    for (infix, prefix) in cases {
        let mut terms = Terms::default();
        let term = terms.read_infix(infix).unwrap_or_else(|error| panic!("{infix}: {error}"));
        assert_eq!(terms.prefix(term).unwrap(), prefix, "{infix}");
        assert_eq!(terms.read_prefix(prefix), Ok(term), "{prefix}");
    }
}

#[test]
fn parentheses_stand_only_where_they_are_needed() {
    let plain = ["a - (b - c)", "a - b - c", "a/(b/c)", "a*(b*c)", "a*b*c", "(a**b)**c", "a**b**c", "(-a)**b", "-a**b"];
    let signs = ["a**-b", "-(a*b)", "-a*b", "a*-b", "a + -b", "--a", "-(a + b)", "(a + b)**(c*d)", "f((a), b)"];
    for text in plain.into_iter().chain(signs) {
        let mut terms = Terms::default();
        let term = terms.read_infix(text).unwrap();
        assert_eq!(terms.infix(term).unwrap(), text.replace("(a),", "a,"));
    }
}

#[test]
fn latex_is_that_of_papers() {
    let cases = [
        ("a - (b + c)", r"a - \left(b + c\right)"),
        ("-a*b", r"\left(-a\right) \cdot b"),
        ("-(a*b)", r"-a \cdot b"),
        ("a + -b", r"a + \left(-b\right)"),
        ("(a/b)**2", r"\left(\frac{a}{b}\right)^{2}"),
        ("a**(b/2)*c", r"a^{\frac{b}{2}} \cdot c"),
        ("(a**b)**c", r"\left(a^{b}\right)^{c}"),
        ("sqrt(x)**2", r"\sqrt{x}^{2}"),
        ("f_1(x, y)", r"\operatorname{f\_1}\left(x, y\right)"),
        ("E_n*Nn*x12*rho_c_0", r"E_{n} \cdot \mathrm{Nn} \cdot x_{12} \cdot \rho_{\mathrm{c\_0}}"),
        ("1.5e300*1e-30", r"1.5 \cdot 10^{300} \cdot 10^{-30}"),
        ("_", r"\mathrm{\_}"),
    ];
    for (infix, latex) in cases {
        let mut terms = Terms::default();
        let term = terms.read_infix(infix).unwrap();
        assert_eq!(terms.latex(term).unwrap(), latex);
    }
}

#[test]
fn published_formulas_are_read_and_written() {
    let mut count = 0;
    for line in fixture(include_str!("../fixtures/mathematics/feynman.tsv")) {
        let mut terms = Terms::default();
        let term = terms.read_infix(line[1]).unwrap_or_else(|error| panic!("{line:?}: {error}"));
        assert_same_when_read_again(&mut terms, term);
        // They have more parentheses than they need, and other blanks.
        let plain = |text: &str| text.replace([' ', '(', ')'], "");
        assert_eq!(plain(&terms.infix(term).unwrap()), plain(line[1]));
        assert!(terms.infix(term).unwrap().matches('(').count() <= line[1].matches('(').count());
        count += 1;
    }
    assert_eq!(count, 70);
}

#[test]
fn numbers_keep_their_values() {
    let cases = [
        ("0", "0"),
        ("000.000", "0"),
        ("0e999999999999", "0"),
        ("007", "7"),
        ("1.50", "1.5"),
        (".5", "0.5"),
        ("5.", "5"),
        ("100", "100"),
        ("12e2", "1200"),
        ("1e21", "1e21"),
        ("1e20", "100000000000000000000"),
        ("1e-6", "0.000001"),
        ("1e-7", "1e-7"),
        ("123e-10", "1.23e-8"),
        ("18446744073709551616", "18446744073709551616"),
        ("1234567890123456789012345678901234567891", "1234567890123456789012345678901234567891"),
        ("1234567890123456789012345678901234567890", "1.23456789012345678901234567890123456789e39"),
        ("0.1000000000000000000000000000000000000001", "0.1000000000000000000000000000000000000001"),
    ];
    for (text, written) in cases {
        let number: Number = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(number.to_string(), written);
        assert_eq!(written.parse(), Ok(number.clone()));
        assert_eq!(number.value(), text.parse::<f64>().unwrap(), "{text}");
    }
    for text in
        ["", ".", "e5", "1e", "1e+", "-1", "+1", "1.2.3", "0x1", "1_000", "١", "1e1000000001", "1e99999999999999999999"]
    {
        assert!(text.parse::<Number>().is_err(), "{text}");
    }
    assert_eq!(u64::MAX.to_string().parse::<Number>().unwrap().integer(), Some(u64::MAX));
    assert_eq!("18446744073709551616".parse::<Number>().unwrap().integer(), None);
    assert_eq!("1e19".parse::<Number>().unwrap().integer(), Some(10_u64.pow(19)));
    assert_eq!("0.5".parse::<Number>().unwrap().integer(), None);
}

#[track_caller]
fn assert_same_when_read_again(terms: &mut Terms, term: Term) {
    let (infix, prefix) = (terms.infix(term).unwrap(), terms.prefix(term).unwrap());
    assert_eq!(terms.read_infix(&infix), Ok(term), "{infix}");
    assert_eq!(terms.read_prefix(&prefix), Ok(term), "{prefix}");
    let mut others = Terms::default();
    let other = others.read_infix(&infix).unwrap();
    assert_eq!(others.prefix(other).unwrap(), prefix, "{infix}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_is_written_is_read_again((mut terms, term) in terms()) {
        assert_same_when_read_again(&mut terms, term);
    }

    /// Without one of its pairs of parentheses, the text is another term or none.
    #[test]
    fn no_parentheses_are_in_vain((mut terms, term) in terms()) {
        let text = terms.infix(term).unwrap();
        let mut open = Vec::new();
        for (place, byte) in text.bytes().enumerate() {
            match byte {
                b'(' => open.push(place),
                b')' => {
                    let start = open.pop().unwrap();
                    let mut bytes = text.clone().into_bytes();
                    [bytes[start], bytes[place]] = [b' '; 2];
                    let without = String::from_utf8(bytes).unwrap();
                    prop_assert_ne!(terms.read_infix(&without).ok(), Some(term), "{}", without);
                }
                _ => {}
            }
        }
        prop_assert!(open.is_empty());
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[-+*/^() ,.0-9a-ef_xé\n\u{661}]{0,40}") {
        let mut terms = Terms::default();
        if let Ok(term) = terms.read_infix(&text) {
            assert_same_when_read_again(&mut terms, term);
        }
        if let Ok(term) = terms.read_prefix(&text) {
            assert_same_when_read_again(&mut terms, term);
        }
    }
}

#[test]
fn terms_a_million_deep_are_read_written_and_evaluated() {
    for depth in [10_000, 1_000_000] {
        let forms = [
            format!("{}x{}", "(".repeat(depth), ")".repeat(depth)),
            format!("{}x", "-".repeat(depth)),
            format!("{}x{}", "sin(".repeat(depth), ")".repeat(depth)),
            format!("x{}", "**x".repeat(depth)),
            format!("x{}", " - x".repeat(depth)),
            format!("{}x - x{}", "x - (".repeat(depth - 1), ")".repeat(depth - 1)),
        ];
        for text in forms {
            let mut terms = Terms::default();
            let term = terms.read_infix(&text).unwrap();
            assert!(terms.infix(term).unwrap() == text || text.starts_with("(("));
            let prefix = terms.prefix(term).unwrap();
            assert_eq!(terms.read_prefix(&prefix), Ok(term));
            assert!(terms.latex(term).unwrap().len() < 40 * depth);
            assert!(terms.evaluate(term, |_| Some(0.5)).unwrap().is_finite());
            assert!(terms.dag(term).depth() as usize == depth || text.starts_with("(("));
            assert_eq!(terms.clone().of_dag(&terms.dag(term)), Ok(term));
        }
    }
}

#[test]
fn shared_terms_are_small_and_not_written_out() {
    let mut terms = Terms::default();
    let mut term = terms.read_infix("x").unwrap();
    for _ in 0..100 {
        term = terms.term(connectome_languages::mathematics::Operation::Add, &[term, term]).unwrap();
    }
    assert_eq!((terms.dag(term).len(), terms.dag(term).tree_size()), (101, u64::MAX));
    assert_eq!(terms.evaluate(term, |_| Some(1.0)).unwrap(), 2.0_f64.powi(100));
    for written in [terms.infix(term), terms.prefix(term), terms.latex(term)] {
        let error = written.unwrap_err();
        assert_eq!(error.nodes, u64::MAX);
        assert!(error.to_string().contains("at most 16777216 are written"), "{error}");
    }
}
