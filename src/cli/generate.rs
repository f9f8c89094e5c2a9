//! `connectome generate`.

use clap::{Args, ValueEnum};
use connectome::{
    languages::mathematics::{Generator, Term, TermPair, Terms, Transformation},
    output::write_file,
};
use std::{error::Error, ops::RangeInclusive, path::PathBuf};

use super::print_line;

/// Generate pairs of terms to learn from: before, and after a transformation by rules.
#[derive(Args, Debug)]
pub struct Generate {
    /// What becomes of a term.
    target: Target,
    /// Number of pairs, at most a million.
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    count: u32,
    /// The least and the greatest depth of a term, both included.
    #[arg(long, value_name = "LOW..HIGH", default_value = "2..5", value_parser = read_depths)]
    depth: RangeInclusive<u32>,
    /// The most numbers, symbols and operations of a term before; six times the greatest depth if not given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    nodes: Option<u32>,
    /// The seed of the random numbers. With the same seed a longer file begins with the shorter one.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Files of pairs, such as those to train on: their terms are left out.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    exclude: Vec<PathBuf>,
    /// The file to write: a line of JSON for each pair, both terms in prefix notation.
    #[arg(long, value_name = "FILE.jsonl")]
    output: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Target {
    /// The simplified term.
    Simplify,
    /// The derivative by x.
    Derive,
}

impl Generate {
    pub fn run(self) -> Result<(), Box<dyn Error>> {
        let transformation = match self.target {
            Target::Simplify => Transformation::Simplify,
            Target::Derive => Transformation::Derive("x".parse()?),
        };
        let mut terms = Terms::default();
        let mut excluded: Vec<Term> = Vec::new();
        for file in &self.exclude {
            excluded.extend(TermPair::read_file(&mut terms, file)?.iter().map(|pair| pair.source));
        }
        let mut generator = Generator::new(self.seed, self.depth);
        generator.max_nodes = self.nodes.map_or(generator.max_nodes, |nodes| nodes as usize);
        let pairs = generator.pairs(&mut terms, &transformation, self.count as usize, &excluded)?;
        let mut text = String::new();
        for pair in &pairs {
            text.push_str(&pair.write(&terms)?);
            text.push('\n');
        }
        write_file(&self.output, text.as_bytes())?;
        Ok(print_line(format_args!("wrote {} pairs to {}", pairs.len(), self.output.display()))?)
    }
}

/// Reads `LOW..HIGH`, or one depth.
fn read_depths(text: &str) -> Result<RangeInclusive<u32>, String> {
    let (low, high) = text.split_once("..").unwrap_or((text, text));
    match (low.parse(), high.parse()) {
        (Ok(low), Ok(high)) if low <= high && high <= MAX_DEPTH => Ok(low..=high),
        _ => Err(format!("write two depths up to {MAX_DEPTH}, the smaller one first, such as 2..5")),
    }
}

/// Random terms that are deeper and small are too rare to be found.
const MAX_DEPTH: u32 = 1_000;
