//! Simplified terms and derivatives, and the slots that make them.

use super::{Function, Name, Operation, Term, Terms};
use crate::{
    OrderedDag,
    rewriting::{RewriteTarget, SlotLayout, Step, TargetBuilder},
};

/// What is made of a term by rules, from the leaves up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Transformation {
    /// The term in a simpler form: numbers up to 12 are computed, what adds 0 or multiplies by 1 is dropped, as are two
    /// signs; numbers come first.
    ///
    /// Slots: one, a role, the simplified subterm.
    Simplify,
    /// The derivative with respect to a symbol, simplified as it is made.
    ///
    /// Slots: seven. Role 0 is the simplified subterm and role 1 its derivative. The others are the intermediate steps of
    /// the operation's rule, in order, each of which is a sum, product or other operation of roles and steps before: of a
    /// product a*b, slot 2 is a'*b, slot 3 is a*b', and role 1 is their sum.
    Derive(Name),
}

/// No rule derives a function.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no rule for the derivative of `{0}`; use operators and {known}", known = Function::ALL.map(Function::name).join(", "))]
pub struct NoRule(pub Name);

impl Transformation {
    /// How many slots a node has.
    pub fn layout(&self) -> SlotLayout {
        match self {
            Self::Simplify => SlotLayout { slots: 1, roles: 1, result: 0, parts: 1 },
            Self::Derive(_) => SlotLayout { slots: 7, roles: 2, result: 1, parts: 1 },
        }
    }

    /// Transforms a term; each subterm once.
    ///
    /// ```
    /// use connectome_languages::mathematics::{Terms, Transformation};
    ///
    /// let mut terms = Terms::default();
    /// let source = terms.read_infix("x**3 + (2 - 2)*y")?;
    /// let simplified = Transformation::Simplify.apply(&mut terms, source)?;
    /// assert_eq!(terms.infix(simplified)?, "x**3");
    /// let derivative = Transformation::Derive("x".parse()?).apply(&mut terms, source)?;
    /// assert_eq!(terms.infix(derivative)?, "3*x**2");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If a derivative needs one of a function that is not known.
    ///
    /// # Panics
    /// If `source` is none of these terms.
    #[track_caller]
    pub fn apply(&self, terms: &mut Terms, source: Term) -> Result<Term, NoRule> {
        let dag = terms.dag(source);
        self.run(terms, &dag, |_, _, _, _| {})
    }

    /// Transforms a term, and gives the slots of [`terms.dag(source)`](Terms::dag) that make the same.
    ///
    /// # Errors
    /// If a derivative needs one of a function that is not known.
    ///
    /// # Panics
    /// If `source` is none of these terms.
    #[track_caller]
    pub fn trace(&self, terms: &mut Terms, source: Term) -> Result<(Term, RewriteTarget), NoRule> {
        let dag = terms.dag(source);
        let mut targets = TargetBuilder::new(&dag, self.layout());
        let result = self.run(terms, &dag, |terms, node, slot, step| {
            if slot == 0 {
                targets.begin(&terms.nodes, node);
            }
            // Rules use the roles of operands, the parts of those with a sign, and their own steps.
            targets.set(&mut terms.nodes, slot, step).unwrap_or_else(|error| unreachable!("{error}"));
        })?;
        Ok((result, targets.finish()))
    }

    /// Transforms a graph of a term; `record` is given each step: the node, its slot, and how that comes about.
    fn run(
        &self,
        terms: &mut Terms,
        dag: &OrderedDag,
        mut record: impl FnMut(&mut Terms, u32, u32, &Step),
    ) -> Result<Term, NoRule> {
        let mut results: Vec<[Term; 2]> = Vec::with_capacity(dag.len());
        for node in dag.nodes() {
            let operation = terms.operations()[dag.label(node) as usize].clone();
            let [operands, derivatives] =
                [0, 1].map(|role| dag.children(node).iter().map(|child| results[*child as usize][role]).collect());
            let operands: Vec<Term> = operands;
            let step = terms.simplified(&operation, &operands);
            let term = terms.apply(&step);
            record(terms, node, 0, &step);
            let Self::Derive(variable) = self else {
                results.push([term; 2]);
                continue;
            };
            let rule = Rule { operands: &operands, derivatives, term };
            let mut steps = Steps { terms, steps: Vec::new() };
            let derivative = steps.derivative(&operation, rule, variable)?;
            let (steps, count) = (steps.steps, self.layout().slots);
            let before = steps.len() - 1;
            for (step, slot) in steps.iter().zip((2..count).take(before).chain([1])) {
                record(terms, node, slot, step);
            }
            results.push([term, derivative]);
        }
        match results.last() {
            Some([_, result]) => Ok(*result),
            None => unreachable!("a term has nodes"),
        }
    }
}

/// What the rule of an operation begins with.
struct Rule<'a> {
    /// The simplified operands.
    operands: &'a [Term],
    /// Their derivatives.
    derivatives: Vec<Term>,
    /// The simplified term.
    term: Term,
}

/// The steps of a rule, in order; the last one is the derivative.
struct Steps<'a> {
    terms: &'a mut Terms,
    steps: Vec<Step>,
}

impl Steps<'_> {
    fn step(&mut self, step: impl FnOnce(&mut Terms) -> Step) -> Term {
        let step = step(self.terms);
        let term = self.terms.apply(&step);
        self.steps.push(step);
        term
    }

    fn integer(&mut self, value: u64) -> Term {
        self.step(|terms| terms.integer_step(value))
    }

    fn sum(&mut self, a: Term, b: Term) -> Term {
        self.step(|terms| terms.sum(a, b))
    }

    fn difference(&mut self, a: Term, b: Term) -> Term {
        self.step(|terms| terms.difference(a, b))
    }

    fn product(&mut self, a: Term, b: Term) -> Term {
        self.step(|terms| terms.product(a, b))
    }

    fn quotient(&mut self, a: Term, b: Term) -> Term {
        self.step(|terms| terms.quotient(a, b))
    }

    fn power(&mut self, a: Term, b: Term) -> Term {
        self.step(|terms| terms.power(a, b))
    }

    fn negation(&mut self, a: Term) -> Term {
        self.step(|terms| terms.negation(a))
    }

    fn function(&mut self, function: Function, a: Term) -> Term {
        self.step(|terms| terms.function(function, a))
    }

    /// The derivative of an operation, of at least one and at most six steps.
    fn derivative(&mut self, operation: &Operation, rule: Rule, variable: &Name) -> Result<Term, NoRule> {
        let term = rule.term;
        Ok(match (operation, rule.operands, &rule.derivatives[..]) {
            (Operation::Symbol(name), ..) if name == variable => self.integer(1),
            (Operation::Number(_) | Operation::Symbol(_), ..) => self.integer(0),
            (Operation::Add, _, &[da, db]) => self.sum(da, db),
            (Operation::Subtract, _, &[da, db]) => self.difference(da, db),
            (Operation::Multiply, &[a, b], &[da, db]) => {
                let [left, right] = [self.product(da, b), self.product(a, db)];
                self.sum(left, right)
            }
            (Operation::Divide, &[_, b], &[da, db]) if self.terms.integer_of(db) == Some(0) => self.quotient(da, b),
            (Operation::Divide, &[a, b], &[da, db]) => {
                let [left, right] = [self.product(da, b), self.product(a, db)];
                let [above, two] = [self.difference(left, right), self.integer(2)];
                let square = self.power(b, two);
                self.quotient(above, square)
            }
            (Operation::Power, &[a, b], &[da, db]) => match (self.terms.integer_of(b), self.terms.integer_of(db)) {
                (Some(0), _) => self.integer(0),
                (Some(exponent), _) => {
                    let less = self.integer(exponent - 1);
                    let power = self.power(a, less);
                    let outer = self.product(b, power);
                    self.product(outer, da)
                }
                // The exponent does not depend on the variable.
                (None, Some(0)) => {
                    let one = self.integer(1);
                    let less = self.difference(b, one);
                    let power = self.power(a, less);
                    let outer = self.product(b, power);
                    self.product(outer, da)
                }
                _ => {
                    let logarithm = self.function(Function::Ln, a);
                    let of_exponent = self.product(db, logarithm);
                    let ratio = self.quotient(da, a);
                    let of_base = self.product(b, ratio);
                    let factor = self.sum(of_exponent, of_base);
                    self.product(term, factor)
                }
            },
            (Operation::Negate, _, &[da]) => self.negation(da),
            (Operation::Function(function), &[a], &[da]) => self.derivative_of_function(*function, a, da),
            (Operation::Named(function), ..) => return Err(NoRule(function.name().clone())),
            _ => unreachable!("an operation has its number of operands"),
        })
    }

    /// The derivative of a function of `a`, which has the derivative `da`.
    fn derivative_of_function(&mut self, function: Function, a: Term, da: Term) -> Term {
        match function {
            Function::Exp => {
                let outer = self.function(Function::Exp, a);
                self.product(outer, da)
            }
            Function::Ln => self.quotient(da, a),
            Function::Sqrt => {
                let [two, root] = [self.integer(2), self.function(Function::Sqrt, a)];
                let below = self.product(two, root);
                self.quotient(da, below)
            }
            Function::Sin | Function::Sinh => {
                let outer = self.function(if function == Function::Sin { Function::Cos } else { Function::Cosh }, a);
                self.product(outer, da)
            }
            Function::Cos => {
                let outer = self.function(Function::Sin, a);
                let product = self.product(outer, da);
                self.negation(product)
            }
            Function::Cosh => {
                let outer = self.function(Function::Sinh, a);
                self.product(outer, da)
            }
            // 1 / cos(a)^2 and 1 / cosh(a)^2.
            Function::Tan | Function::Tanh => {
                let below = self.function(if function == Function::Tan { Function::Cos } else { Function::Cosh }, a);
                let two = self.integer(2);
                let square = self.power(below, two);
                self.quotient(da, square)
            }
            Function::Arctan => {
                let [one, square] = [self.integer(1), self.product(a, a)];
                let below = self.sum(one, square);
                self.quotient(da, below)
            }
            // 1 / sqrt(1 - a^2), and the negative.
            Function::Arcsin | Function::Arccos => {
                let [one, square] = [self.integer(1), self.product(a, a)];
                let inner = self.difference(one, square);
                let below = self.function(Function::Sqrt, inner);
                let quotient = self.quotient(da, below);
                if function == Function::Arcsin { quotient } else { self.negation(quotient) }
            }
        }
    }
}
