//! Prefix notation: words between blanks, each operation before its operands.

use super::{Function, Name, NameError, NumberError, Operation, SyntaxError, Term, Terms, TooLongError};

/// The words of the operators; the second ones are read, too.
const OPERATORS: [(Operation, [&str; 2]); 6] = [
    (Operation::Add, ["add", "+"]),
    (Operation::Subtract, ["sub", "-"]),
    (Operation::Multiply, ["mul", "*"]),
    (Operation::Divide, ["div", "/"]),
    (Operation::Power, ["pow", "**"]),
    (Operation::Negate, ["neg", "neg"]),
];

/// The word of an operator or known function.
pub(super) fn word(operation: &Operation) -> Option<&'static str> {
    match operation {
        Operation::Function(function) => Some(function.name()),
        _ => OPERATORS.iter().find(|(operator, _)| operator == operation).map(|(_, [word, _])| *word),
    }
}

/// The operator or known function of a word.
pub(super) fn operation(word: &str) -> Option<Operation> {
    let operator = OPERATORS.iter().find(|(_, words)| words.contains(&word) || word == "^" && words[1] == "**");
    let function = || Function::of_name(word).map(Operation::Function);
    operator.map(|(operator, _)| operator.clone()).or_else(function)
}

/// An operation whose operands are read.
struct Pending {
    operation: Operation,
    offset: usize,
    /// Number of terms before its operands.
    start: usize,
}

impl Terms {
    /// Reads prefix notation: `add mul 2 x 1` is 2*x + 1.
    ///
    /// | word | operation |
    /// | --- | --- |
    /// | `add`, `sub`, `mul`, `div`, `pow`; `+`, `-`, `*`, `/`, `**`, `^` | operators with two operands |
    /// | `neg` | the sign, also before a number: `-2` is `neg 2` |
    /// | `exp`, `ln`, ... | the names of [`Function`]s |
    /// | `2`, `0.5`, `6.02e23` | [`Number`](super::Number)s |
    /// | `f/3` | another function, of three operands |
    /// | `x`; `x/0` | a symbol; so can symbols be written that are called as an operation is |
    ///
    /// ```
    /// use connectome_languages::mathematics::Terms;
    ///
    /// let mut terms = Terms::default();
    /// let term = terms.read_prefix("+ x f/2 exp y -1")?;
    /// assert_eq!(terms.prefix(term)?, "add x f/2 exp y neg 1");
    /// assert_eq!(terms.infix(term)?, "x + f(exp(y), -1)");
    /// let error = terms.read_prefix("add x").unwrap_err();
    /// assert_eq!(error.to_string(), "1:6: found the end, expected an operand\n  help: complete `add` at 1:1, which has 2 operands");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If a word is none of these, an operand is missing, or words are left.
    pub fn read_prefix(&mut self, text: &str) -> Result<Term, SyntaxError> {
        let mut pending: Vec<Pending> = Vec::new();
        let mut operands: Vec<Term> = Vec::new();
        for (offset, word) in words(text) {
            if pending.is_empty() && !operands.is_empty() {
                let help = "take the rest out, or put an operation before";
                return Err(SyntaxError::new(text, offset, word, "the end", help));
            }
            if let Some(number) = word.strip_prefix('-').filter(|number| !number.is_empty()) {
                pending.push(Pending { operation: Operation::Negate, offset, start: operands.len() });
                let number =
                    read_number(number).map_err(|help| SyntaxError::new(text, offset, word, EXPECTED, help))?;
                pending.push(Pending { operation: number, offset, start: operands.len() });
            } else {
                let operation = read_word(word).map_err(|help| SyntaxError::new(text, offset, word, EXPECTED, help))?;
                pending.push(Pending { operation, offset, start: operands.len() });
            }
            while let Some(last) = pending.pop_if(|last| operands.len() - last.start == last.operation.arity()) {
                let term = self.make(last.operation, &operands[last.start..]);
                operands.truncate(last.start);
                operands.push(term);
            }
        }
        if let (Some(term), true) = (operands.last(), pending.is_empty()) {
            return Ok(*term);
        }
        let help = pending.last().map_or_else(
            || "write a term".to_owned(),
            |last| {
                let ((line, column), arity) = (super::syntax::position(text, last.offset), last.operation.arity());
                let operands = if arity == 1 { "operand" } else { "operands" };
                format!("complete `{}` at {line}:{column}, which has {arity} {operands}", last.operation)
            },
        );
        Err(SyntaxError::new(text, text.len(), "", "an operand", help))
    }

    /// Writes prefix notation, as [`read_prefix`](Self::read_prefix) reads it.
    ///
    /// # Errors
    /// If the term is too long without sharing.
    ///
    /// # Panics
    /// If it is none of these terms.
    #[track_caller]
    pub fn prefix(&self, term: Term) -> Result<String, TooLongError> {
        self.check_length(term)?;
        let (mut text, mut rest) = (String::new(), vec![term]);
        while let Some(term) = rest.pop() {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(&self.operation(term).to_string());
            rest.extend(self.operands(term).rev());
        }
        Ok(text)
    }
}

/// What a word can be.
const EXPECTED: &str = "an operation, a number or a symbol";

/// The words of a text, and their bytes.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let offset = |word: &str| word.as_ptr() as usize - text.as_ptr() as usize;
    text.split_whitespace().map(move |word| (offset(word), word))
}

fn read_number(word: &str) -> Result<Operation, String> {
    word.parse().map(Operation::Number).map_err(|error: NumberError| error.to_string())
}

/// The operation of a word, or what to do if it is none.
fn read_word(word: &str) -> Result<Operation, String> {
    if let Some(operation) = operation(word) {
        return Ok(operation);
    }
    if word.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return read_number(word);
    }
    let of_name = |error: NameError| error.to_string();
    let Some((name, arity)) = word.split_once('/') else {
        return word.parse().map(Operation::Symbol).map_err(of_name);
    };
    let name: Name = name.parse().map_err(of_name)?;
    let Ok(arity) = arity.parse() else {
        return Err(format!("write the number of operands behind `{name}/`"));
    };
    if arity == 0 {
        return Ok(Operation::Symbol(name));
    }
    Operation::function(name, arity).map_err(|error| error.to_string())
}

impl Terms {
    /// The term of an operation over as many operands as it has.
    pub(super) fn make(&mut self, operation: Operation, operands: &[Term]) -> Term {
        self.term(operation, operands).unwrap_or_else(|error| unreachable!("{error}"))
    }
}
