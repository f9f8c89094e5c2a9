//! Terms as nodes that exist once.

use std::collections::HashMap;

use super::{Function, Number, Operation};
use crate::{DagInterner, OrderedDag, rewriting::Step};

/// A term of some [`Terms`].
///
/// It has a meaning there alone: those of other terms panic, or are other terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term(pub(crate) u32);

/// Terms of mathematics: an operation over ordered operands each, which are terms.
///
/// Each term exists once (hash-consing): terms are equal if and only if they are the same [`Term`]. Nothing here recurses,
/// so terms may be a million deep.
///
/// | notation | read | written |
/// | --- | --- | --- |
/// | infix, `2*x**2 + sin(y)` | [`read_infix`](Self::read_infix) | [`infix`](Self::infix) |
/// | prefix, `add mul 2 pow x 2 sin y` | [`read_prefix`](Self::read_prefix) | [`prefix`](Self::prefix) |
/// | LaTeX, `2 \cdot x^{2} + \sin\left(y\right)` | | [`latex`](Self::latex) |
///
/// ```
/// use connectome_languages::mathematics::Terms;
///
/// let mut terms = Terms::default();
/// let term = terms.read_infix("(x + 1)*(x + 1)")?;
/// assert_eq!(terms.read_prefix("mul add x 1 add x 1")?, term);
/// assert_eq!(terms.infix(term)?, "(x + 1)*(x + 1)");
/// assert_eq!(terms.dag(term).len(), 4);
/// assert_eq!(terms.evaluate(term, |name| (name == "x").then_some(2.0))?, 9.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Terms {
    pub(crate) nodes: DagInterner,
    /// The operation of each label.
    operations: Vec<Operation>,
    labels: HashMap<Operation, u32>,
}

/// An operation has another number of operands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{operation}` has {expected} operands, not {found}")]
pub struct ArityError {
    /// The operation, as in prefix notation.
    pub operation: String,
    /// Its number of operands.
    pub expected: usize,
    /// The number given.
    pub found: usize,
}

/// A graph is no term.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TermError {
    /// There are no nodes.
    #[error("the graph has no nodes; a term has one at least")]
    Empty,
    /// A label is none of an operation.
    #[error("label {label} of node {node} is none of the {known} operations; use labels of the same terms")]
    Label {
        /// The node.
        node: u32,
        /// Its label.
        label: u32,
        /// Number of operations.
        known: usize,
    },
    /// An operation has another number of operands.
    #[error("node {node}: {source}")]
    Arity {
        /// The node.
        node: u32,
        /// What is wrong.
        source: ArityError,
    },
}

/// A term has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    /// A symbol has no value.
    #[error("the symbol `{0}` has no value; give it one")]
    Symbol(String),
    /// A function is not known.
    #[error("the function `{0}` is not known; use one of {known}", known = Function::ALL.map(Function::name).join(", "))]
    Function(String),
}

impl Terms {
    /// The term of an operation over operands, in order.
    ///
    /// # Errors
    /// If the operation has another number of operands.
    ///
    /// # Panics
    /// If an operand is none of these terms.
    #[track_caller]
    pub fn term(&mut self, operation: Operation, operands: &[Term]) -> Result<Term, ArityError> {
        if operation.arity() != operands.len() {
            let (expected, found) = (operation.arity(), operands.len());
            return Err(ArityError { operation: operation.to_string(), expected, found });
        }
        let label = self.label(operation);
        let operands: Vec<u32> = operands.iter().map(|operand| operand.0).collect();
        Ok(Term(self.nodes.node(label, &operands)))
    }

    /// The label of an operation in graphs of these terms.
    pub fn label(&mut self, operation: Operation) -> u32 {
        if let Some(label) = self.labels.get(&operation) {
            return *label;
        }
        let label = self.operations.len() as u32;
        self.operations.push(operation.clone());
        self.labels.insert(operation, label);
        label
    }

    /// The operations, by their labels in graphs of these terms.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// An integer.
    pub fn integer(&mut self, value: u64) -> Term {
        let label = self.label(Operation::Number(Number::from(value)));
        Term(self.nodes.node(label, &[]))
    }

    /// What a term is.
    ///
    /// # Panics
    /// If it is none of these terms.
    #[track_caller]
    pub fn operation(&self, term: Term) -> &Operation {
        &self.operations[self.nodes.nodes().label(term.0) as usize]
    }

    /// The operands of a term, in order.
    ///
    /// # Panics
    /// If it is none of these terms.
    #[track_caller]
    pub fn operands(&self, term: Term) -> impl DoubleEndedIterator<Item = Term> + ExactSizeIterator {
        self.nodes.nodes().children(term.0).iter().map(|operand| Term(*operand))
    }

    /// The first operand of a negation.
    pub(crate) fn negated(&self, term: Term) -> Option<Term> {
        self.operands(term).next().filter(|_| *self.operation(term) == Operation::Negate)
    }

    /// Makes what a constructor says.
    pub(crate) fn apply(&mut self, step: &Step) -> Term {
        Term(step.apply(&mut self.nodes))
    }

    /// The term as a graph, in postorder, in which equal subterms are one node; labels are indices of
    /// [`operations`](Self::operations).
    ///
    /// # Panics
    /// If it is none of these terms.
    #[track_caller]
    pub fn dag(&self, term: Term) -> OrderedDag {
        self.nodes.term(term.0)
    }

    /// The term of a graph whose labels are indices of [`operations`](Self::operations), such as a decoded answer.
    ///
    /// # Errors
    /// If the graph is empty, a label is no index of an operation, or a node has another number of children than its
    /// operation has operands.
    pub fn of_dag(&mut self, dag: &OrderedDag) -> Result<Term, TermError> {
        let mut terms: Vec<Term> = Vec::with_capacity(dag.len());
        for node in dag.nodes() {
            let (label, known) = (dag.label(node), self.operations.len());
            let operation = self.operations.get(label as usize).ok_or(TermError::Label { node, label, known })?;
            let operands: Vec<Term> = dag.children(node).iter().map(|child| terms[*child as usize]).collect();
            let term = self.term(operation.clone(), &operands);
            terms.push(term.map_err(|source| TermError::Arity { node, source })?);
        }
        terms.last().copied().ok_or(TermError::Empty)
    }

    /// The value of a term, in 64-bit floats: each subterm once, from the leaves up.
    ///
    /// `value` gives the values of symbols; `pi` has its own unless it is given. Where a function has no value the result is
    /// not a number.
    ///
    /// # Errors
    /// If a symbol has no value, or a function is not known.
    ///
    /// # Panics
    /// If it is none of these terms.
    #[track_caller]
    pub fn evaluate(&self, term: Term, value: impl Fn(&str) -> Option<f64>) -> Result<f64, EvaluationError> {
        let dag = self.dag(term);
        let mut values: Vec<f64> = Vec::with_capacity(dag.len());
        for node in dag.nodes() {
            let operand = |index: usize| values[dag.children(node)[index] as usize];
            values.push(match &self.operations[dag.label(node) as usize] {
                Operation::Number(number) => number.value(),
                Operation::Symbol(name) => {
                    let known = value(name.as_str()).or((name.as_str() == "pi").then_some(std::f64::consts::PI));
                    known.ok_or_else(|| EvaluationError::Symbol(name.to_string()))?
                }
                Operation::Add => operand(0) + operand(1),
                Operation::Subtract => operand(0) - operand(1),
                Operation::Multiply => operand(0) * operand(1),
                Operation::Divide => operand(0) / operand(1),
                Operation::Power => operand(0).powf(operand(1)),
                Operation::Negate => -operand(0),
                Operation::Function(function) => function.value(operand(0)),
                Operation::Named(function) => return Err(EvaluationError::Function(function.name().to_string())),
            });
        }
        Ok(values.pop().unwrap_or(f64::NAN))
    }
}
