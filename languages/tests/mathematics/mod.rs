//! Terms: notation, values, rules, and random ones.

mod data;
mod generate;
mod notation;
mod syntax_errors;
mod transform;
mod values;

use connectome_languages::mathematics::{Function, Name, Operation, Term, Terms};
use proptest::prelude::*;

/// One line of a fixture each, cut at tabs.
pub fn fixture(text: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    text.lines().map(|line| line.split('\t').collect())
}

/// Any operation; of rare ones there are more than in practice.
pub fn operations() -> impl Strategy<Value = Operation> {
    let name = || prop_oneof![Just("x"), Just("add"), Just("sin"), Just("log"), Just("π_2"), Just("_"), Just("e5")];
    let name = move || name().prop_map(|name| name.parse::<Name>().unwrap());
    let number = prop_oneof![
        any::<u64>().prop_map(|value| value.to_string()),
        (0_u64..30).prop_map(|value| value.to_string()),
        "[0-9]{0,30}[.][0-9]{1,30}",
        "[0-9]{1,25}[eE][-+]?[0-9]{1,3}",
    ];
    prop_oneof![
        3 => number.prop_map(|number| Operation::Number(number.parse().unwrap())),
        3 => name().prop_map(Operation::Symbol),
        2 => Just(Operation::Add),
        2 => Just(Operation::Subtract),
        2 => Just(Operation::Multiply),
        2 => Just(Operation::Divide),
        2 => Just(Operation::Power),
        2 => Just(Operation::Negate),
        1 => prop::sample::select(Function::ALL.to_vec()).prop_map(Operation::Function),
        1 => (name(), 1_u32..4).prop_filter_map("a known function of several operands", |(name, operands)| {
            Operation::function(name, operands).ok()
        }),
    ]
}

/// The term of operations in prefix notation; numbers stand where operands are missing, and the rest is left out.
pub fn term_of(terms: &mut Terms, operations: &[Operation]) -> Term {
    let mut missing = 1;
    let end = operations.iter().position(|operation| {
        missing = missing + operation.arity() - 1;
        missing == 0
    });
    let mut operands: Vec<Term> = (0..if end.is_some() { 0 } else { missing }).map(|_| terms.integer(7)).collect();
    for operation in operations[..end.map_or(operations.len(), |end| end + 1)].iter().rev() {
        let start = operands.len() - operation.arity();
        let own: Vec<Term> = operands.drain(start..).rev().collect();
        operands.push(terms.term(operation.clone(), &own).unwrap());
    }
    operands.pop().unwrap()
}

/// Random terms, of a few to hundreds of operations.
pub fn terms() -> impl Strategy<Value = (Terms, Term)> {
    prop::collection::vec(operations(), 0..200).prop_map(|operations| {
        let mut terms = Terms::default();
        let term = term_of(&mut terms, &operations);
        (terms, term)
    })
}
