//! Infix notation, as programming languages have it.

use super::{
    Function, Name, Number, Operation, SyntaxError, Term, Terms, TooLongError,
    write::{Notation, Piece, Precedence, list},
};

/// Part of a text.
#[derive(Clone, PartialEq)]
enum Token {
    Number(Number),
    Name(Name),
    /// An operator between two operands; [`Operation::Subtract`] may be a sign as well.
    Operator(Operation),
    Open,
    Close,
    Comma,
    End,
}

/// What waits for the end of its last operand.
enum Pending {
    Operator(Operation),
    /// An open parenthesis.
    Group {
        offset: usize,
    },
    /// The open parenthesis of a function.
    Call {
        offset: usize,
        name: Name,
        start: usize,
    },
}

struct Parser<'a> {
    terms: &'a mut Terms,
    text: &'a str,
    /// The byte after the last token.
    end: usize,
    operands: Vec<Term>,
    pending: Vec<Pending>,
}

impl Terms {
    /// Reads infix notation: `-2*x**2 + f(x, 1)`.
    ///
    /// | from loose to tight | |
    /// | --- | --- |
    /// | `+`, `-` | from left to right |
    /// | `*`, `/` | from left to right |
    /// | `-` before a term | `-x**2` is -(x**2), `2**-x` is 2**(-x), `-x*y` is (-x)*y |
    /// | `**` or `^` | from right to left |
    /// | `f(x, y)`, `(x)`, numbers, symbols | |
    ///
    /// A name before `(` is a function, else a symbol. Nothing is implicit: a product is written with `*`. Blanks and line
    /// breaks may stand between all of these.
    ///
    /// ```
    /// use connectome_languages::mathematics::Terms;
    ///
    /// let mut terms = Terms::default();
    /// let term = terms.read_infix("-x^2 - (y - 1)")?;
    /// assert_eq!(terms.prefix(term)?, "sub neg pow x 2 sub y 1");
    /// let error = terms.read_infix("2x").unwrap_err();
    /// assert_eq!(error.to_string(), "1:2: found \"x\", expected an operator or the end\n  help: write 2*x");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the text is no term; see [`SyntaxError`].
    pub fn read_infix(&mut self, text: &str) -> Result<Term, SyntaxError> {
        let mut parser = Parser { terms: self, text, end: 0, operands: Vec::new(), pending: Vec::new() };
        loop {
            parser.read_operand()?;
            if let Some(term) = parser.read_operator()? {
                return Ok(term);
            }
        }
    }

    /// Writes infix notation, as [`read_infix`](Self::read_infix) reads it, with parentheses only where it needs them.
    ///
    /// # Errors
    /// If the term is too long without sharing.
    ///
    /// # Panics
    /// If it is none of these terms.
    #[track_caller]
    pub fn infix(&self, term: Term) -> Result<String, TooLongError> {
        self.write(term, &Infix)
    }
}

impl<'a> Parser<'a> {
    /// The next token, its first byte and its text, which is empty at the end.
    fn next(&mut self) -> Result<(Token, usize, &'a str), SyntaxError> {
        let rest = self.text[self.end..].trim_start();
        let offset = self.text.len() - rest.len();
        let (number, name) = (Number::prefix(rest), Name::prefix(rest));
        let first = rest.chars().next().map_or(0, char::len_utf8);
        let word = match (number, name) {
            ("", "") if rest.starts_with("**") => &rest[..2],
            ("", "") => &rest[..first],
            ("", name) => name,
            (number, _) => number,
        };
        let token = match word {
            "" => Token::End,
            "+" => Token::Operator(Operation::Add),
            "-" => Token::Operator(Operation::Subtract),
            "*" => Token::Operator(Operation::Multiply),
            "/" => Token::Operator(Operation::Divide),
            "**" | "^" => Token::Operator(Operation::Power),
            "(" => Token::Open,
            ")" => Token::Close,
            "," => Token::Comma,
            word => match (word.parse(), word.parse()) {
                (Ok(name), _) => Token::Name(name),
                (_, Ok(number)) => Token::Number(number),
                (_, Err(error)) if !number.is_empty() => {
                    return Err(self.error(offset, word, "a number", error.to_string()));
                }
                _ => {
                    let help = "use numbers, names, + - * / ** ( ) and commas";
                    return Err(self.error(offset, word, "a term", help));
                }
            },
        };
        self.end = offset + word.len();
        Ok((token, offset, word))
    }

    fn error(&self, offset: usize, word: &str, expected: &str, help: impl Into<String>) -> SyntaxError {
        SyntaxError::new(self.text, offset, word, expected, help)
    }

    /// Reads signs and open parentheses up to a number or symbol.
    fn read_operand(&mut self) -> Result<(), SyntaxError> {
        loop {
            let (token, offset, word) = self.next()?;
            let operation = match token {
                Token::Number(number) => Operation::Number(number),
                Token::Name(name) if self.text[self.end..].trim_start().starts_with('(') => {
                    self.next()?;
                    self.pending.push(Pending::Call { offset, name, start: self.operands.len() });
                    continue;
                }
                Token::Name(name) => Operation::Symbol(name),
                Token::Operator(Operation::Subtract) => {
                    self.pending.push(Pending::Operator(Operation::Negate));
                    continue;
                }
                Token::Open => {
                    self.pending.push(Pending::Group { offset });
                    continue;
                }
                _ => return Err(self.error(offset, word, "a term", self.help_for_operand(&token))),
            };
            let operand = self.terms.make(operation, &[]);
            self.operands.push(operand);
            return Ok(());
        }
    }

    fn help_for_operand(&self, token: &Token) -> String {
        match (token, self.pending.last()) {
            (Token::Close, Some(Pending::Call { name, start, .. })) if self.operands.len() == *start => {
                format!("give `{name}` operands, or write {name} for a symbol")
            }
            (Token::Operator(Operation::Add), _) => "take the sign + out".to_owned(),
            (Token::End, None) => "write a term".to_owned(),
            (_, Some(Pending::Operator(_))) => "write a term behind the operator".to_owned(),
            _ => "write a term before it".to_owned(),
        }
    }

    /// Reads closing parentheses up to an operator or comma, or to the end, where it returns the term.
    fn read_operator(&mut self) -> Result<Option<Term>, SyntaxError> {
        loop {
            let (token, offset, word) = self.next()?;
            match token {
                Token::Operator(operator) => {
                    self.reduce(binding(&operator));
                    self.pending.push(Pending::Operator(operator));
                    return Ok(None);
                }
                Token::Close => self.close(offset, word)?,
                Token::Comma => {
                    self.reduce(Precedence::Lowest);
                    if let Some(Pending::Call { .. }) = self.pending.last() {
                        return Ok(None);
                    }
                    let help = "commas stand between the operands of a function: f(x, y)";
                    return Err(self.error(offset, word, "an operator or the end", help));
                }
                Token::End => {
                    self.reduce(Precedence::Lowest);
                    return match self.pending.pop() {
                        None => Ok(self.operands.pop()),
                        Some(Pending::Group { offset: open } | Pending::Call { offset: open, .. }) => {
                            let (line, column) = super::syntax::position(self.text, open);
                            let help = format!("close the parenthesis of {line}:{column}");
                            Err(self.error(offset, word, "an operator or )", help))
                        }
                        Some(Pending::Operator(_)) => unreachable!("operators are reduced"),
                    };
                }
                Token::Number(_) | Token::Name(_) | Token::Open => {
                    return Err(self.error(
                        offset,
                        word,
                        "an operator or the end",
                        self.help_for_product(offset, word),
                    ));
                }
            }
        }
    }

    /// How a product, or the operand of a function, is written.
    fn help_for_product(&self, offset: usize, word: &str) -> String {
        let before = self.text[..offset].trim_end();
        let last = before.char_indices().rev().take_while(|(_, last)| last.is_alphanumeric() || "_.".contains(*last));
        match last.last().map(|(start, _)| &before[start..]) {
            Some(name) if Function::of_name(name).is_some() => format!("write {name}({word})"),
            Some(factor) if word != "(" => format!("write {factor}*{word}"),
            _ => "write * between factors".to_owned(),
        }
    }

    /// Makes the operators since the last open parenthesis that bind their last operand tighter than the next operator,
    /// or as tight and from left to right.
    fn reduce(&mut self, next: Precedence) {
        let is_ready = |pending: &mut Pending| {
            matches!(pending, Pending::Operator(operator)
                if binding(operator) > next || binding(operator) == next && next != Precedence::Power)
        };
        while let Some(Pending::Operator(operator)) = self.pending.pop_if(is_ready) {
            let start = self.operands.len() - operator.arity();
            self.make(operator, start);
        }
    }

    /// Puts an operation in the place of its operands.
    fn make(&mut self, operation: Operation, start: usize) {
        let term = self.terms.make(operation, &self.operands[start..]);
        self.operands.truncate(start);
        self.operands.push(term);
    }

    /// Ends a parenthesis or the operands of a function.
    fn close(&mut self, offset: usize, word: &str) -> Result<(), SyntaxError> {
        self.reduce(Precedence::Lowest);
        match self.pending.pop() {
            Some(Pending::Group { .. }) => Ok(()),
            Some(Pending::Call { offset, name, start }) => {
                let count = u32::try_from(self.operands.len() - start).unwrap_or(u32::MAX);
                let word = name.to_string();
                let function = Operation::function(name, count)
                    .map_err(|error| self.error(offset, &word, "a function of so many operands", error.to_string()))?;
                self.make(function, start);
                Ok(())
            }
            _ => {
                let help = "take the parenthesis out, or open it before";
                Err(self.error(offset, word, "an operator or the end", help))
            }
        }
    }
}

/// How tightly an operator binds.
fn binding(operator: &Operation) -> Precedence {
    match operator {
        Operation::Add | Operation::Subtract => Precedence::Sum,
        Operation::Multiply | Operation::Divide => Precedence::Product,
        Operation::Negate => Precedence::Sign,
        Operation::Power => Precedence::Power,
        _ => Precedence::Atom,
    }
}

struct Infix;

impl Notation for Infix {
    const PARENTHESES: [&str; 2] = ["(", ")"];

    fn pieces<'a>(&self, operation: &'a Operation, operands: &[Term]) -> (Precedence, Vec<Piece<'a>>) {
        let operand = |index: usize, around| Piece::Term(operands[index], around);
        // What stands left of an operator that groups from the left may be one of the same kind.
        let binary = |left, sign: &'static str, right| vec![operand(0, left), sign.into(), operand(1, right)];
        let call = |name: &'a str| [name.into(), "(".into()].into_iter().chain(list(operands)).chain([")".into()]);
        let pieces = match operation {
            Operation::Number(number) => vec![number.to_string().into()],
            Operation::Symbol(name) => vec![name.as_str().into()],
            Operation::Add => binary(Precedence::Sum, " + ", Precedence::Product),
            Operation::Subtract => binary(Precedence::Sum, " - ", Precedence::Product),
            Operation::Multiply => binary(Precedence::Product, "*", Precedence::Sign),
            Operation::Divide => binary(Precedence::Product, "/", Precedence::Sign),
            Operation::Power => binary(Precedence::Atom, "**", Precedence::Sign),
            Operation::Negate => vec!["-".into(), operand(0, Precedence::Sign)],
            Operation::Function(function) => call(function.name()).collect(),
            Operation::Named(function) => call(function.name().as_str()).collect(),
        };
        (binding(operation), pieces)
    }
}
