//! Values of terms.

use connectome_languages::mathematics::{EvaluationError, Function, Terms};

#[test]
fn operators_and_functions_have_their_values() {
    let cases: [(&str, f64); 10] = [
        ("x - 2*y/4", 1.5 - 2.0 * 2.5 / 4.0),
        ("-x**2", -2.25),
        ("2**-x", 2.0_f64.powf(-1.5)),
        ("exp(x)*ln(y)", 1.5_f64.exp() * 2.5_f64.ln()),
        ("log(y)", 2.5_f64.ln()),
        ("sqrt(x + y)", 2.0),
        ("sin(x) + cos(x)*tan(x)", 2.0 * 1.5_f64.sin()),
        ("sinh(x)/cosh(x) - tanh(x)", 0.0),
        ("sin(arcsin(0.3)) + cos(arccos(0.2)) + tan(arctan(y))", 3.0),
        ("cos(2*pi)", 1.0),
    ];
    for (text, value) in cases {
        let mut terms = Terms::default();
        let term = terms.read_infix(text).unwrap();
        let found = terms.evaluate(term, |name| [("x", 1.5), ("y", 2.5)].iter().find(|(x, _)| *x == name).map(|x| x.1));
        assert!((found.clone().unwrap() - value).abs() < 1e-12, "{text}: {found:?}");
    }
}

#[test]
fn every_function_is_known_by_its_name() {
    for function in Function::ALL {
        let mut terms = Terms::default();
        let term = terms.read_infix(&format!("{}(x)", function.name())).unwrap();
        assert_eq!(terms.evaluate(term, |_| Some(0.5)), Ok(function.value(0.5)));
    }
}

#[test]
fn what_has_no_value_is_named() {
    let mut terms = Terms::default();
    let [symbol, function, quotient] = ["x + y", "f(1)", "1/0"].map(|text| terms.read_infix(text).unwrap());
    let only_x = |name: &str| (name == "x").then_some(1.0);
    assert_eq!(terms.evaluate(symbol, only_x), Err(EvaluationError::Symbol("y".to_owned())));
    let error = terms.evaluate(function, only_x).unwrap_err();
    assert!(error.to_string().starts_with("the function `f` is not known; use one of exp, ln, "), "{error}");
    assert_eq!(terms.evaluate(quotient, only_x), Ok(f64::INFINITY));
    assert_eq!(terms.evaluate(symbol, |name| Some(if name == "x" { 1.0 } else { 2.0 })), Ok(3.0));
}

#[test]
fn constants_can_be_given_other_values() {
    let mut terms = Terms::default();
    let term = terms.read_infix("pi").unwrap();
    assert_eq!(terms.evaluate(term, |_| None), Ok(std::f64::consts::PI));
    assert_eq!(terms.evaluate(term, |_| Some(3.0)), Ok(3.0));
}
