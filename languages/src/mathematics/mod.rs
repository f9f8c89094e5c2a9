//! Mathematics: terms of numbers, symbols, operators and functions, and rules that rewrite them.
//!
//! [`Terms`] reads infix and prefix notation and writes them and LaTeX, evaluates terms, and gives their graphs. A
//! [`Transformation`] simplifies or derives a term by rules, and gives the slots of [`rewriting`](crate::rewriting) that do
//! the same in one pass. A [`Generator`] makes pairs to learn from.
//!
//! Nothing recurses on the depth of a term, and each subterm is visited once.

mod generate;
mod graph;
mod infix;
mod latex;
mod number;
mod operation;
mod pairs;
mod prefix;
mod rules;
mod syntax;
mod terms;
mod transform;
mod write;

pub use generate::{Generator, GeneratorError};
pub use number::{Number, NumberError};
pub use operation::{Function, FunctionError, Name, NameError, NamedFunction, Operation};
pub use pairs::{PairError, TermPair};
pub use syntax::SyntaxError;
pub use terms::{ArityError, EvaluationError, Term, TermError, Terms};
pub use transform::{NoRule, Transformation};
pub use write::TooLongError;
