//! LaTeX, for papers.

use super::{
    Function, Number, Operation, Term, Terms, TooLongError,
    write::{Notation, Piece, Precedence, list},
};

/// Greek letters that LaTeX knows by name.
const GREEK: [&str; 35] = [
    "alpha",
    "beta",
    "gamma",
    "delta",
    "epsilon",
    "varepsilon",
    "zeta",
    "eta",
    "theta",
    "vartheta",
    "iota",
    "kappa",
    "lambda",
    "mu",
    "nu",
    "xi",
    "pi",
    "rho",
    "sigma",
    "tau",
    "upsilon",
    "phi",
    "varphi",
    "chi",
    "psi",
    "omega",
    "Gamma",
    "Delta",
    "Theta",
    "Lambda",
    "Xi",
    "Pi",
    "Sigma",
    "Phi",
    "Omega",
];

impl Terms {
    /// Writes LaTeX for mathematics mode, with parentheses only where it needs them.
    ///
    /// Quotients are fractions. Letters with Greek names are Greek, what follows `_` or a letter's digits is an index, and
    /// other long names are upright.
    ///
    /// ```
    /// use connectome_languages::mathematics::Terms;
    ///
    /// let mut terms = Terms::default();
    /// let term = terms.read_infix("m_0*v/sqrt(1 - v**2/c**2) - 2*cos(theta1)**2")?;
    /// assert_eq!(
    ///     terms.latex(term)?,
    ///     r"\frac{m_{0} \cdot v}{\sqrt{1 - \frac{v^{2}}{c^{2}}}} - 2 \cdot \left(\cos\left(\theta_{1}\right)\right)^{2}",
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the term is too long without sharing.
    ///
    /// # Panics
    /// If it is none of these terms.
    #[track_caller]
    pub fn latex(&self, term: Term) -> Result<String, TooLongError> {
        self.write(term, &Latex)
    }
}

struct Latex;

impl Notation for Latex {
    const PARENTHESES: [&str; 2] = [r"\left(", r"\right)"];

    fn pieces<'a>(&self, operation: &'a Operation, operands: &[Term]) -> (Precedence, Vec<Piece<'a>>) {
        let operand = |index: usize, around| Piece::Term(operands[index], around);
        let binary = |left, sign: &'static str, right| vec![operand(0, left), sign.into(), operand(1, right)];
        let call = |name: String| {
            let [open, close] = Self::PARENTHESES;
            [name.into(), open.into()].into_iter().chain(list(operands)).chain([close.into()]).collect()
        };
        match operation {
            Operation::Number(number) => write_number(number),
            Operation::Symbol(name) => (Precedence::Atom, vec![write_symbol(name.as_str()).into()]),
            Operation::Add => (Precedence::Sum, binary(Precedence::Sum, " + ", Precedence::Product)),
            Operation::Subtract => (Precedence::Sum, binary(Precedence::Sum, " - ", Precedence::Product)),
            Operation::Multiply => (Precedence::Product, binary(Precedence::Product, r" \cdot ", Precedence::Power)),
            // As readers take it: -x y is -(x y).
            Operation::Negate => (Precedence::Sum, vec!["-".into(), operand(0, Precedence::Product)]),
            Operation::Divide => {
                let [above, below] = [0, 1].map(|index| operand(index, Precedence::Lowest));
                (Precedence::Power, vec![r"\frac{".into(), above, "}{".into(), below, "}".into()])
            }
            Operation::Power => {
                let [base, exponent] = [operand(0, Precedence::Atom), operand(1, Precedence::Lowest)];
                (Precedence::Power, vec![base, "^{".into(), exponent, "}".into()])
            }
            Operation::Function(Function::Sqrt) => {
                (Precedence::Atom, vec![r"\sqrt{".into(), operand(0, Precedence::Lowest), "}".into()])
            }
            // An exponent behind a function would seem to be one of its operand.
            Operation::Function(function) => (Precedence::Power, call(format!(r"\{}", function.name()))),
            Operation::Named(function) => {
                (Precedence::Power, call(format!(r"\operatorname{{{}}}", escape(function.name().as_str()))))
            }
        }
    }
}

fn write_number<'a>(number: &Number) -> (Precedence, Vec<Piece<'a>>) {
    let text = number.to_string();
    match text.split_once('e') {
        None => (Precedence::Atom, vec![text.into()]),
        Some(("1", exponent)) => (Precedence::Power, vec![format!("10^{{{exponent}}}").into()]),
        Some((digits, exponent)) => (Precedence::Product, vec![format!(r"{digits} \cdot 10^{{{exponent}}}").into()]),
    }
}

/// A symbol with its index: what follows the first `_`, or the digits at the end.
fn write_symbol(name: &str) -> String {
    let digits = name.trim_end_matches(|last: char| last.is_ascii_digit());
    let (base, index) = match name.split_once('_') {
        Some((base, index)) if !base.is_empty() && !index.is_empty() => (base, index),
        _ => (digits, &name[digits.len()..]),
    };
    if index.is_empty() { write_name(name) } else { format!("{}_{{{}}}", write_name(base), write_name(index)) }
}

/// A letter, a Greek letter, digits, or an upright name.
fn write_name(name: &str) -> String {
    if GREEK.contains(&name) {
        format!(r"\{name}")
    } else if name.chars().nth(1).is_none() && name != "_" || name.bytes().all(|byte| byte.is_ascii_digit()) {
        name.to_owned()
    } else {
        format!(r"\mathrm{{{}}}", escape(name))
    }
}

fn escape(name: &str) -> String {
    name.replace('_', r"\_")
}
