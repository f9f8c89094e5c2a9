//! Rules, and the slots that do the same.

use connectome_languages::{
    mathematics::{Operation, Term, Terms, Transformation},
    rewriting::{SlotAddress, SlotLabel},
};
use proptest::prelude::*;

use super::{fixture, terms};

pub fn derive() -> Transformation {
    Transformation::Derive("x".parse().unwrap())
}

/// Applies a transformation, checks that its slots decode to the same, whichever right addresses are taken, and returns it.
pub fn check_slots(transformation: &Transformation, terms: &mut Terms, source: Term, mut seed: u64) -> Term {
    let applied = transformation.apply(terms, source).unwrap();
    let (traced, target) = transformation.trace(terms, source).unwrap();
    assert_eq!(traced, applied);
    let dag = terms.dag(source);
    let expected = terms.dag(applied);
    assert_eq!(target.rewrite(|_| 0).decode(&dag).as_ref(), Ok(&expected));
    assert_eq!(target.rewrite(|right| right.len() - 1).decode(&dag).as_ref(), Ok(&expected));
    let any = target.rewrite(|right| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) as usize % right.len()
    });
    assert_eq!(any.decode(&dag).as_ref(), Ok(&expected));
    assert_eq!(terms.of_dag(&expected), Ok(applied));
    // All are among the addresses that a network chooses from.
    let layout = target.layout();
    for (node, slots) in target.slots().chunks(layout.slots as usize).enumerate() {
        let candidates = layout.candidates(dag.children(node as u32).len() as u32);
        for right in slots.iter().flat_map(|slot| &slot.addresses) {
            let indices: Vec<u64> = right.iter().map(|address| layout.index(*address).unwrap()).collect();
            assert!(indices.is_sorted() && indices.iter().all(|index| *index < candidates), "{right:?}");
            assert!(right.iter().zip(&indices).all(|(address, index)| layout.address(*index) == Some(*address)));
        }
    }
    applied
}

#[test]
fn results_are_those_of_an_independent_program() {
    let lines: Vec<_> = fixture(include_str!("../fixtures/mathematics/terms.tsv")).skip(1).collect();
    assert_eq!(lines.len(), 140);
    let mut terms = Terms::default();
    for line in lines {
        let source = terms.read_prefix(line[0]).unwrap();
        for (transformation, target) in [(Transformation::Simplify, line[1]), (derive(), line[2])] {
            let result = check_slots(&transformation, &mut terms, source, 1);
            assert_eq!(terms.prefix(result).unwrap(), target, "{transformation:?} {}", line[0]);
        }
    }
}

#[test]
fn slots_say_what_becomes_of_a_node() {
    let mut terms = Terms::default();
    let source = terms.read_infix("x + -y").unwrap();
    let (_, target) = Transformation::Simplify.trace(&mut terms, source).unwrap();
    let [x, y, minus, sum] = target.slots() else { panic!("{:?}", target.slots()) };
    assert_eq!([x.label, y.label, minus.label], [SlotLabel::Keep; 3]);
    let difference = terms.label(Operation::Subtract);
    assert_eq!(sum.label, SlotLabel::Vocabulary(difference));
    let [child, part] = [SlotAddress::Child { child: 0, role: 0 }, SlotAddress::Part { child: 1, role: 0, part: 0 }];
    assert_eq!(sum.addresses, [[child], [part]]);

    // Of x*x both factors are the same: each has two right addresses, and so has each intermediate product.
    let source = terms.read_infix("x*x").unwrap();
    let (derivative, target) = derive().trace(&mut terms, source).unwrap();
    assert_eq!(terms.infix(derivative).unwrap(), "x + x");
    let product = &target.slots()[7..];
    assert_eq!(product[0].label, SlotLabel::Keep);
    let copies = [0, 1].map(|child| SlotAddress::Child { child, role: 0 });
    assert_eq!(product[0].addresses, [copies, copies]);
    assert_eq!(product[2].label, SlotLabel::Forward);
    let sum = terms.label(Operation::Add);
    assert_eq!(product[1].label, SlotLabel::Vocabulary(sum));
    let all = [SlotAddress::Own(2), SlotAddress::Own(3), copies[0], copies[1]];
    assert_eq!(product[1].addresses, [all, all]);
    assert_eq!(product[4].label, SlotLabel::Null);
}

#[test]
fn functions_and_powers_without_a_published_rule_are_derived() {
    let cases = [
        ("tan(x)", "1/cos(x)**2"),
        ("arcsin(x)", "1/sqrt(1 - x*x)"),
        ("arccos(x)", "-(1/sqrt(1 - x*x))"),
        ("arctan(2*x)", "2/(1 + 2*x*(2*x))"),
        ("sinh(x)", "cosh(x)"),
        ("cosh(x)", "sinh(x)"),
        ("tanh(x)", "1/cosh(x)**2"),
        ("x**y", "y*x**(y - 1)"),
        ("2**x", "2**x*ln(2)"),
        ("x**x", "x**x*(ln(x) + x*(1/x))"),
        ("2.5*x", "2.5"),
        ("x**0.5", "0.5*x**(0.5 - 1)"),
    ];
    for (text, expected) in cases {
        let mut terms = Terms::default();
        let source = terms.read_infix(text).unwrap();
        let derivative = check_slots(&derive(), &mut terms, source, 5);
        assert_eq!(terms.infix(derivative).unwrap(), expected, "{text}");
    }
    let mut terms = Terms::default();
    let source = terms.read_infix("f(x)").unwrap();
    let error = derive().apply(&mut terms, source).unwrap_err();
    assert!(
        error.to_string().starts_with("there is no rule for the derivative of `f`; use operators and exp, "),
        "{error}"
    );
    assert_eq!(Transformation::Simplify.apply(&mut terms, source), Ok(source));
}

#[test]
fn deep_terms_are_transformed() {
    let mut terms = Terms::default();
    let source = terms.read_infix(&format!("{}x{}", "sin(1*".repeat(100_000), ")".repeat(100_000))).unwrap();
    for transformation in [Transformation::Simplify, derive()] {
        check_slots(&transformation, &mut terms, source, 2);
    }
}

/// Values that are finite at both, or neither.
fn agree(found: f64, expected: f64, tolerance: f64) -> bool {
    (found - expected).abs() <= tolerance * expected.abs().max(1.0)
}

/// Checks a derivative by x against central differences; returns whether it could be compared.
pub fn is_central_difference(terms: &Terms, source: Term, derivative: Term) -> Option<bool> {
    let at = |term, x: f64| {
        let value = |name: &str| match name {
            "x" => Some(x),
            name => Some(1.0 + 0.1 * f64::from(name.bytes().map(u32::from).sum::<u32>() % 17)),
        };
        terms.evaluate(term, value).unwrap_or(f64::NAN)
    };
    // Not every formula has a value everywhere: some divide by 0, or are too large or too steep to compare.
    [1.3, 0.6, 2.7].into_iter().find_map(|x| {
        let difference = |step: f64| (at(source, x + step) - at(source, x - step)) / (2.0 * step);
        let [near, nearer] = [difference(1e-4), difference(5e-5)];
        let is_smooth = nearer.abs() < 1e6 && agree(near, nearer, 1e-6) && at(source, x).abs() < 1e6;
        let found = at(derivative, x);
        (is_smooth && found.is_finite()).then(|| agree(found, nearer, 1e-5))
    })
}

#[test]
fn derivatives_of_published_formulas_are_right() {
    let mut terms = Terms::default();
    let (mut compared, mut count) = (0, 0);
    for line in include_str!("../fixtures/mathematics/feynman_derivatives.jsonl").lines() {
        let pair = connectome_languages::mathematics::TermPair::read(&mut terms, line).unwrap();
        assert_eq!(check_slots(&derive(), &mut terms, pair.source, 3), pair.target, "{line}");
        let is_right = is_central_difference(&terms, pair.source, pair.target);
        assert_ne!(is_right, Some(false), "{line}");
        compared += usize::from(is_right.is_some());
        count += 1;
    }
    assert!(count == 83 && compared >= 75, "{compared} of {count}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, max_global_rejects: 1 << 14, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn slots_make_what_rules_make((mut terms, source) in terms(), seed: u64) {
        let simplified = check_slots(&Transformation::Simplify, &mut terms, source, seed);
        // What a rule makes may be what another one begins with, but no step makes a term larger.
        prop_assert!(terms.dag(simplified).tree_size() <= terms.dag(source).tree_size());
        if derive().apply(&mut terms, source).is_ok() {
            check_slots(&derive(), &mut terms, source, seed);
        }
    }

    #[test]
    fn simplified_terms_have_the_same_value((mut terms, source) in terms(), x in 0.5_f64..2.0) {
        let simplified = Transformation::Simplify.apply(&mut terms, source).unwrap();
        let value = |term| terms.evaluate(term, |_| Some(x)).unwrap_or(f64::NAN);
        // A quotient by 0 has no value, though the whole may have one by accident, such as 2^(1/-0) as 0.
        let mut parts = vec![source];
        while let Some(part) = parts.pop() {
            prop_assume!(value(part).is_finite());
            parts.extend(terms.operands(part));
        }
        let [before, after] = [value(source), value(simplified)];
        prop_assert!(agree(after, before, 1e-9), "{} {}", before, after);
    }
}
