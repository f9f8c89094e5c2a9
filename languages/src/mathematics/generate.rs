//! Random terms to learn from.

use std::{collections::HashSet, ops::RangeInclusive};

use connectome_systems::random::{Philox, RandomStream};

use super::{Function, Name, NoRule, Operation, Term, TermPair, Terms, Transformation};

/// Random pairs of a term and what a transformation makes of it, all sources distinct.
///
/// A source is drawn from the root down. Its depth is uniform over a range, and one path has it; elsewhere a term ends
/// early with probability 1/4.
///
/// | drawn | with probability |
/// | --- | --- |
/// | at the end: `x`; `y`, `z`; 0, 1; 2 to 9 | .30; .20; .25; .25, each equally among them |
/// | else an operator: `+`, `-`, `*`, `/`, `**` | .74, as 5 : 4 : 5 : 2 : 2 |
/// | else `-` before a term, `sin`, `cos`, `exp`, `ln`, `sqrt` | .26, as 4 : 1 : 1 : 1 : 1 : 1 |
/// | the exponent of `**` | 0, 1, 2, 2, 3, 3 or 4, each equally |
///
/// Terms of more nodes than the limit are drawn again, as are those whose derivative by x has more than four times as many,
/// and four of five that are simple already. Each draw has random numbers of its own, by seed and number, so a longer list
/// begins with the shorter one.
///
/// ```
/// use connectome_languages::mathematics::{Generator, Terms, Transformation};
///
/// let mut terms = Terms::default();
/// let generator = Generator::new(1, 2..=5);
/// let pairs = generator.pairs(&mut terms, &Transformation::Simplify, 100, &[])?;
/// assert_eq!(pairs.len(), 100);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generator {
    /// The seed of the random numbers.
    pub seed: u64,
    /// The depths of sources.
    pub depths: RangeInclusive<u32>,
    /// The most nodes of a source, where nothing is shared.
    pub max_nodes: usize,
}

/// Pairs cannot be generated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GeneratorError {
    /// There is no depth to draw.
    #[error("the depths {0}..{1} are none; give the smaller one first")]
    NoDepth(u32, u32),
    /// Hardly any term is new and small enough.
    #[error(
        "only {found} of {wanted} distinct terms were found, none in the last {draws} draws; ask for fewer, or allow \
         other depths or more nodes"
    )]
    Exhausted {
        /// How many were found.
        found: usize,
        /// How many were asked for.
        wanted: usize,
        /// How many draws found none.
        draws: u64,
    },
    /// No rule derives a function.
    #[error(transparent)]
    NoRule(#[from] NoRule),
}

/// The stream of random numbers.
const STREAM: u32 = 0x7465_726d;

/// So many draws in a row without a new term are the end.
const MAX_DRAWS: u64 = 100_000;

impl Generator {
    /// Terms of some depths, with six nodes for each level of the deepest, but at most 10,000.
    pub fn new(seed: u64, depths: RangeInclusive<u32>) -> Self {
        let max_nodes = (*depths.end() as usize).saturating_mul(6).clamp(1, 10_000);
        Self { seed, depths, max_nodes }
    }

    /// Generates pairs, none of which has one of the `excluded` sources.
    ///
    /// # Errors
    /// If the range of depths is empty, or no new terms are found any more.
    pub fn pairs(
        &self,
        terms: &mut Terms,
        transformation: &Transformation,
        count: usize,
        excluded: &[Term],
    ) -> Result<Vec<TermPair>, GeneratorError> {
        let (low, high) = (*self.depths.start(), *self.depths.end());
        if low > high {
            return Err(GeneratorError::NoDepth(low, high));
        }
        let by_x = Transformation::Derive(name("x"));
        let mut seen: HashSet<Term> = excluded.iter().copied().collect();
        let (mut pairs, mut last) = (Vec::new(), 0);
        for draw in 0.. {
            if pairs.len() == count {
                break;
            }
            if draw - last > MAX_DRAWS {
                return Err(GeneratorError::Exhausted { found: pairs.len(), wanted: count, draws: MAX_DRAWS });
            }
            let mut random = RandomStream::new(Philox::new(self.seed, STREAM, draw));
            let depth = low + random.below(u64::from(high - low) + 1) as u32;
            let Some(operations) = draw_term(&mut random, depth, self.max_nodes) else { continue };
            let source = terms.of_prefix(operations);
            if seen.contains(&source) || !self.depths.contains(&terms.dag(source).depth()) {
                continue;
            }
            let derivative = by_x.apply(terms, source)?;
            if terms.dag(derivative).tree_size() > 4 * self.max_nodes as u64 {
                continue;
            }
            let simplified = Transformation::Simplify.apply(terms, source)?;
            if simplified == source && random.below(5) < 4 {
                continue;
            }
            seen.insert(source);
            last = draw;
            let target = match transformation {
                Transformation::Simplify => simplified,
                other if *other == by_x => derivative,
                other => other.apply(terms, source)?,
            };
            pairs.push(TermPair { source, target });
        }
        Ok(pairs)
    }
}

/// The operations of a random term in prefix notation; none if there are more than `max_nodes`.
fn draw_term(random: &mut RandomStream, depth: u32, max_nodes: usize) -> Option<Vec<Operation>> {
    let mut operations = Vec::new();
    // What is still to be drawn: the greatest depth, and whether it is to be reached. Left operands are on top.
    let mut rest = vec![Draw::Term { depth, is_full: true }];
    while let Some(next) = rest.pop() {
        if operations.len() + rest.len() >= max_nodes {
            return None;
        }
        let (depth, is_full) = match next {
            Draw::Exponent => {
                operations.push(integer([0, 1, 2, 2, 3, 3, 4][random.below(7) as usize]));
                continue;
            }
            Draw::Term { depth, is_full } => (depth, is_full),
        };
        if depth == 0 || !is_full && random.below(4) == 0 {
            operations.push(draw_leaf(random));
        } else if random.below(100) < 74 {
            let operator = draw_operator(random);
            let is_left = operator == Operation::Power || random.below(2) == 0;
            rest.push(match operator {
                Operation::Power => Draw::Exponent,
                _ => Draw::Term { depth: depth - 1, is_full: is_full && !is_left },
            });
            rest.push(Draw::Term { depth: depth - 1, is_full: is_full && is_left });
            operations.push(operator);
        } else {
            rest.push(Draw::Term { depth: depth - 1, is_full });
            operations.push(draw_function(random));
        }
    }
    Some(operations)
}

/// What is to be drawn.
enum Draw {
    Term { depth: u32, is_full: bool },
    Exponent,
}

fn draw_leaf(random: &mut RandomStream) -> Operation {
    match random.below(100) {
        0..30 => Operation::Symbol(name("x")),
        30..50 => Operation::Symbol(name(["y", "z"][random.below(2) as usize])),
        50..75 => integer(random.below(2)),
        _ => integer(2 + random.below(8)),
    }
}

fn draw_operator(random: &mut RandomStream) -> Operation {
    match random.below(18) {
        0..5 => Operation::Add,
        5..9 => Operation::Subtract,
        9..14 => Operation::Multiply,
        14..16 => Operation::Divide,
        _ => Operation::Power,
    }
}

fn draw_function(random: &mut RandomStream) -> Operation {
    match random.below(9) {
        0..4 => Operation::Negate,
        4 => Operation::Function(Function::Sin),
        5 => Operation::Function(Function::Cos),
        6 => Operation::Function(Function::Exp),
        7 => Operation::Function(Function::Ln),
        _ => Operation::Function(Function::Sqrt),
    }
}

fn integer(value: u64) -> Operation {
    Operation::Number(value.into())
}

fn name(text: &str) -> Name {
    text.parse().unwrap_or_else(|error| unreachable!("{error}"))
}

impl Terms {
    /// The term of operations in prefix notation, of which none is missing.
    fn of_prefix(&mut self, operations: Vec<Operation>) -> Term {
        let mut operands: Vec<Term> = Vec::new();
        // From the back, the operands of each operation are the last terms, in reverse order.
        for operation in operations.into_iter().rev() {
            let start = operands.len() - operation.arity();
            operands[start..].reverse();
            let term = self.make(operation, &operands[start..]);
            operands.truncate(start);
            operands.push(term);
        }
        operands.pop().unwrap_or_else(|| unreachable!("there is an operation"))
    }
}
