//! Constructors that simplify.
//!
//! Each takes simplified operands and says how the simplified term comes about: it is one that exists, or a new node over
//! those. The order of the tests matters. Only integers below 2^64 are computed with; sums, products and powers up to 12.

use super::{Function, Operation, Term, Terms};
use crate::rewriting::Step;

/// The largest sum, product or power that replaces its operands.
const LARGEST: u64 = 12;

/// Forwards a term.
fn forward(term: Term) -> Step {
    Step::Forward(term.0)
}

impl Terms {
    /// A new node.
    pub(super) fn new_step(&mut self, operation: Operation, operands: &[Term]) -> Step {
        debug_assert_eq!(operation.arity(), operands.len());
        Step::New { label: self.label(operation), children: operands.iter().map(|operand| operand.0).collect() }
    }

    /// An integer, which is always new: what it happens to equal is no reason for it.
    pub(super) fn integer_step(&mut self, value: u64) -> Step {
        let label = self.label(Operation::Number(value.into()));
        Step::New { label, children: Vec::new() }
    }

    /// The value of an integer.
    pub(super) fn integer_of(&self, term: Term) -> Option<u64> {
        match self.operation(term) {
            Operation::Number(number) => number.integer(),
            _ => None,
        }
    }

    fn is_number(&self, term: Term) -> bool {
        matches!(self.operation(term), Operation::Number(_))
    }

    /// The result of an operation on two integers, if it has one.
    fn fold(&self, a: Term, b: Term, fold: impl Fn(u64, u64) -> Option<u64>) -> Option<u64> {
        fold(self.integer_of(a)?, self.integer_of(b)?)
    }

    /// Of two operands whose order is free, a number comes first.
    fn number_first(&self, a: Term, b: Term) -> [Term; 2] {
        if self.is_number(b) && !self.is_number(a) { [b, a] } else { [a, b] }
    }

    /// Simplifies an operation over simplified operands.
    pub(super) fn simplified(&mut self, operation: &Operation, operands: &[Term]) -> Step {
        match (operation, operands) {
            (Operation::Add, &[a, b]) => self.sum(a, b),
            (Operation::Subtract, &[a, b]) => self.difference(a, b),
            (Operation::Multiply, &[a, b]) => self.product(a, b),
            (Operation::Divide, &[a, b]) => self.quotient(a, b),
            (Operation::Power, &[a, b]) => self.power(a, b),
            (Operation::Negate, &[a]) => self.negation(a),
            (Operation::Function(function), &[a]) => self.function(*function, a),
            _ => self.new_step(operation.clone(), operands),
        }
    }

    pub(super) fn sum(&mut self, a: Term, b: Term) -> Step {
        if let Some(sum) = self.fold(a, b, |a, b| a.checked_add(b).filter(|sum| *sum <= LARGEST)) {
            return self.integer_step(sum);
        }
        match (self.integer_of(a), self.integer_of(b), self.negated(b)) {
            (Some(0), ..) => forward(b),
            (_, Some(0), _) => forward(a),
            (.., Some(negated)) => self.difference(a, negated),
            _ => {
                let operands = self.number_first(a, b);
                self.new_step(Operation::Add, &operands)
            }
        }
    }

    pub(super) fn difference(&mut self, a: Term, b: Term) -> Step {
        if let Some(difference) = self.fold(a, b, u64::checked_sub) {
            return self.integer_step(difference);
        }
        match (self.integer_of(a), self.integer_of(b), self.negated(b)) {
            (_, Some(0), _) => forward(a),
            (Some(0), ..) => self.negation(b),
            (.., Some(negated)) => {
                let operands = self.number_first(a, negated);
                self.new_step(Operation::Add, &operands)
            }
            _ => self.new_step(Operation::Subtract, &[a, b]),
        }
    }

    pub(super) fn product(&mut self, a: Term, b: Term) -> Step {
        if let Some(product) = self.fold(a, b, |a, b| a.checked_mul(b).filter(|product| *product <= LARGEST)) {
            return self.integer_step(product);
        }
        match (self.integer_of(a), self.integer_of(b)) {
            (Some(0), _) | (_, Some(0)) => self.integer_step(0),
            (Some(1), _) => forward(b),
            (_, Some(1)) => forward(a),
            _ => {
                let operands = self.number_first(a, b);
                self.new_step(Operation::Multiply, &operands)
            }
        }
    }

    pub(super) fn quotient(&mut self, a: Term, b: Term) -> Step {
        match (self.integer_of(a), self.integer_of(b)) {
            (Some(0), _) => self.integer_step(0),
            (_, Some(1)) => forward(a),
            (Some(a), Some(b)) if b != 0 && a % b == 0 => self.integer_step(a / b),
            _ => self.new_step(Operation::Divide, &[a, b]),
        }
    }

    pub(super) fn power(&mut self, a: Term, b: Term) -> Step {
        match (self.integer_of(a), self.integer_of(b)) {
            (_, Some(0)) => return self.integer_step(1),
            (_, Some(1)) => return forward(a),
            (Some(0 | 1), _) if self.is_number(b) => return forward(a),
            _ => {}
        }
        let fold = |a: u64, b| a.checked_pow(u32::try_from(b).ok()?).filter(|power| *power <= LARGEST);
        match self.fold(a, b, fold) {
            Some(power) => self.integer_step(power),
            None => self.new_step(Operation::Power, &[a, b]),
        }
    }

    pub(super) fn negation(&mut self, a: Term) -> Step {
        match (self.integer_of(a), self.negated(a)) {
            (Some(0), _) => forward(a),
            (_, Some(negated)) => forward(negated),
            _ => self.new_step(Operation::Negate, &[a]),
        }
    }

    pub(super) fn function(&mut self, function: Function, a: Term) -> Step {
        let value = match (function, self.integer_of(a)) {
            (Function::Sin | Function::Sqrt, Some(0)) | (Function::Ln, Some(1)) => 0,
            (Function::Cos | Function::Exp, Some(0)) | (Function::Sqrt, Some(1)) => 1,
            _ => return self.new_step(Operation::Function(function), &[a]),
        };
        self.integer_step(value)
    }
}
