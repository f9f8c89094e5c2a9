//! Errors show the place, what stands there, what is expected, and what to do.

use connectome_languages::mathematics::{SyntaxError, Terms};

fn check(error: SyntaxError, place: (usize, usize, usize), expected: &str) {
    assert_eq!(error.to_string(), expected);
    assert_eq!((error.offset, error.line, error.column), place, "{error}");
}

#[test]
fn of_infix_notation() {
    let operator = "an operator or the end";
    let cases = [
        ("", 0, "the end", "a term", "write a term"),
        ("2x", 1, "\"x\"", operator, "write 2*x"),
        ("2 sin(x)", 2, "\"sin\"", operator, "write 2*sin"),
        ("x(y)(z)", 4, "\"(\"", operator, "write * between factors"),
        ("2(x)", 1, "\"(\"", operator, "write * between factors"),
        ("(x)y", 3, "\"y\"", operator, "write * between factors"),
        ("sin x", 4, "\"x\"", operator, "write sin(x)"),
        ("log 2", 4, "\"2\"", operator, "write log(2)"),
        ("1.2.3", 3, "\".3\"", operator, "write 1.2*.3"),
        ("x + ", 4, "the end", "a term", "write a term behind the operator"),
        ("x + * y", 4, "\"*\"", "a term", "write a term behind the operator"),
        ("+x", 0, "\"+\"", "a term", "take the sign + out"),
        ("()", 1, "\")\"", "a term", "write a term before it"),
        ("f()", 2, "\")\"", "a term", "give `f` operands, or write f for a symbol"),
        ("f(x,)", 4, "\")\"", "a term", "write a term before it"),
        ("(x", 2, "the end", "an operator or )", "close the parenthesis of 1:1"),
        ("g(f(x)", 6, "the end", "an operator or )", "close the parenthesis of 1:1"),
        ("x)", 1, "\")\"", operator, "take the parenthesis out, or open it before"),
        ("x, y", 1, "\",\"", operator, "commas stand between the operands of a function: f(x, y)"),
        ("f((x, y))", 4, "\",\"", operator, "commas stand between the operands of a function: f(x, y)"),
        ("x $ y", 2, "\"$\"", "a term", "use numbers, names, + - * / ** ( ) and commas"),
        ("x\u{0}", 1, "\"\\0\"", "a term", "use numbers, names, + - * / ** ( ) and commas"),
    ];
    for (text, offset, found, expected, help) in cases {
        let error = Terms::default().read_infix(text).expect_err(text);
        let message = format!("1:{}: found {found}, expected {expected}\n  help: {help}", offset + 1);
        check(error, (offset, 1, offset + 1), &message);
    }
    let error = Terms::default().read_infix("sin(x, y)").unwrap_err();
    let help = "`sin` has one operand, not 2; give it one, or rename the function";
    check(error, (0, 1, 1), &format!("1:1: found \"sin\", expected a function of so many operands\n  help: {help}"));
    let error = Terms::default().read_infix("x + 1e9999999999").unwrap_err();
    let help = "the exponent of a number is at most 1000000000 either way";
    check(error, (4, 1, 5), &format!("1:5: found \"1e9999999999\", expected a number\n  help: {help}"));
}

#[test]
fn lines_and_columns_count_characters() {
    let error = Terms::default().read_infix("é +\n ω ω").unwrap_err();
    check(error, (9, 2, 4), "2:4: found \"ω\", expected an operator or the end\n  help: write ω*ω");
    for long in [format!("x + {}é", "$".repeat(1_000)), format!("{}é y", "é".repeat(1_000))] {
        assert!(Terms::default().read_infix(&long).unwrap_err().to_string().len() < 600);
    }
}

#[test]
fn of_prefix_notation() {
    let word = "an operation, a number or a symbol";
    let name = |text: &str| format!("{text:?} is no name; use a letter or _, then letters, digits and _");
    let cases = [
        ("", 0, "the end", "an operand", "write a term".to_owned()),
        ("add x", 5, "the end", "an operand", "complete `add` at 1:1, which has 2 operands".to_owned()),
        ("mul x sin", 9, "the end", "an operand", "complete `sin` at 1:7, which has 1 operand".to_owned()),
        ("x y", 2, "\"y\"", "the end", "take the rest out, or put an operation before".to_owned()),
        ("neg $", 4, "\"$\"", word, name("$")),
        ("neg f/", 4, "\"f/\"", word, "write the number of operands behind `f/`".to_owned()),
        (
            "neg 2/2",
            4,
            "\"2/2\"",
            word,
            "a number is digits, maybe with a decimal point and an exponent, such as 12, 0.5 or 6.02e23".to_owned(),
        ),
        (
            "sin/2 x y",
            0,
            "\"sin/2\"",
            word,
            "`sin` has one operand, not 2; give it one, or rename the function".to_owned(),
        ),
        (
            "-x",
            0,
            "\"-x\"",
            word,
            "a number is digits, maybe with a decimal point and an exponent, such as 12, 0.5 or 6.02e23".to_owned(),
        ),
    ];
    for (text, offset, found, expected, help) in cases {
        let error = Terms::default().read_prefix(text).expect_err(text);
        let message = format!("1:{}: found {found}, expected {expected}\n  help: {help}", offset + 1);
        check(error, (offset, 1, offset + 1), &message);
    }
}

#[test]
fn of_pairs() {
    let mut terms = Terms::default();
    let mut read = |line| connectome_languages::mathematics::TermPair::read(&mut terms, line).unwrap_err().to_string();
    assert!(read("{").contains("help: write {\"source\": \"add x 0\", \"target\": \"x\"}"));
    assert!(read(r#"{"source": "x"}"#).contains("missing field `target`"));
    assert!(read(r#"{"source": "x", "target": "add"}"#).starts_with("target:1:4: found the end"));
}
