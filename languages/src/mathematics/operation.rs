//! What a node of a term does.

use std::fmt;

use super::{Number, prefix};

/// What a node of a term is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A number.
    Number(Number),
    /// A variable or a constant.
    Symbol(Name),
    /// The sum of two terms.
    Add,
    /// The difference of two terms.
    Subtract,
    /// The product of two terms.
    Multiply,
    /// The quotient of two terms.
    Divide,
    /// A term to the power of another.
    Power,
    /// A term with the other sign.
    Negate,
    /// A known function of one term.
    Function(Function),
    /// Any other function.
    Named(NamedFunction),
}

impl Operation {
    /// Number of operands.
    pub fn arity(&self) -> usize {
        match self {
            Self::Number(_) | Self::Symbol(_) => 0,
            Self::Negate | Self::Function(_) => 1,
            Self::Add | Self::Subtract | Self::Multiply | Self::Divide | Self::Power => 2,
            Self::Named(function) => function.arity as usize,
        }
    }
}

/// The word of [prefix notation](super::Terms::prefix), which tells operations apart.
impl fmt::Display for Operation {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        if let Some(word) = prefix::word(self) {
            return formatter.write_str(word);
        }
        match self {
            Self::Number(number) => number.fmt(formatter),
            Self::Symbol(name) if prefix::operation(&name.0).is_some() => write!(formatter, "{name}/0"),
            Self::Symbol(name) => name.fmt(formatter),
            Self::Named(NamedFunction { name, arity }) => write!(formatter, "{name}/{arity}"),
            _ => unreachable!("it has a word"),
        }
    }
}

/// The name of a symbol or function: a letter or `_`, then letters, digits and `_`, of any script.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<str>);

/// A text is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is no name; use a letter or _, then letters, digits and _", super::syntax::quote(.0))]
pub struct NameError(pub String);

impl Name {
    /// The longest prefix of a text that is a name; empty if there is none.
    pub(crate) fn prefix(text: &str) -> &str {
        if !text.starts_with(|first: char| first.is_alphabetic() || first == '_') {
            return "";
        }
        let end = text.find(|character: char| !character.is_alphanumeric() && character != '_');
        &text[..end.unwrap_or(text.len())]
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let is_name = !text.is_empty() && Self::prefix(text) == text;
        if is_name { Ok(Self(text.into())) } else { Err(NameError(text.to_owned())) }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A function that is not known, of a number of operands; functions of the same name and other numbers are others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NamedFunction {
    name: Name,
    arity: u32,
}

/// The number of operands is too large for a function.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FunctionError {
    /// A function without operands.
    #[error("a function has operands; without them, `{0}` is a symbol: leave out the parentheses")]
    NoOperands(Name),
    /// A known function with several operands.
    #[error("`{name}` has one operand, not {found}; give it one, or rename the function")]
    Known {
        /// The function's name.
        name: Name,
        /// Number of operands.
        found: u32,
    },
}

impl NamedFunction {
    /// The name.
    pub fn name(&self) -> &Name {
        &self.name
    }
}

impl Operation {
    /// The function of this name, a known one if there is one.
    ///
    /// # Errors
    /// If there are no operands, or several of a known function.
    pub fn function(name: Name, operands: u32) -> Result<Self, FunctionError> {
        match (Function::of_name(&name.0), operands) {
            (_, 0) => Err(FunctionError::NoOperands(name)),
            (Some(function), 1) => Ok(Self::Function(function)),
            (Some(_), found) => Err(FunctionError::Known { name, found }),
            (None, arity) => Ok(Self::Named(NamedFunction { name, arity })),
        }
    }
}

/// A function of one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are those of mathematics")]
pub enum Function {
    Exp,
    Ln,
    Sqrt,
    Sin,
    Cos,
    Tan,
    Arcsin,
    Arccos,
    Arctan,
    Sinh,
    Cosh,
    Tanh,
}

impl Function {
    /// All functions.
    pub const ALL: [Self; 12] = [
        Self::Exp,
        Self::Ln,
        Self::Sqrt,
        Self::Sin,
        Self::Cos,
        Self::Tan,
        Self::Arcsin,
        Self::Arccos,
        Self::Arctan,
        Self::Sinh,
        Self::Cosh,
        Self::Tanh,
    ];

    /// The name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exp => "exp",
            Self::Ln => "ln",
            Self::Sqrt => "sqrt",
            Self::Sin => "sin",
            Self::Cos => "cos",
            Self::Tan => "tan",
            Self::Arcsin => "arcsin",
            Self::Arccos => "arccos",
            Self::Arctan => "arctan",
            Self::Sinh => "sinh",
            Self::Cosh => "cosh",
            Self::Tanh => "tanh",
        }
    }

    /// The function of a name: its own, or that of a programming language.
    pub fn of_name(name: &str) -> Option<Self> {
        match name {
            "log" => Some(Self::Ln),
            "asin" => Some(Self::Arcsin),
            "acos" => Some(Self::Arccos),
            "atan" => Some(Self::Arctan),
            _ => Self::ALL.into_iter().find(|function| function.name() == name),
        }
    }

    /// The value of the function; not a number where it has none.
    pub fn value(self, at: f64) -> f64 {
        match self {
            Self::Exp => at.exp(),
            Self::Ln => at.ln(),
            Self::Sqrt => at.sqrt(),
            Self::Sin => at.sin(),
            Self::Cos => at.cos(),
            Self::Tan => at.tan(),
            Self::Arcsin => at.asin(),
            Self::Arccos => at.acos(),
            Self::Arctan => at.atan(),
            Self::Sinh => at.sinh(),
            Self::Cosh => at.cosh(),
            Self::Tanh => at.tanh(),
        }
    }
}
