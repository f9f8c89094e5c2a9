//! Functions in which a wrong variable may be read.

use serde::Deserialize;
use thiserror::Error;

use super::{CodeGraph, Function, Grammar};
use crate::{Record, Span};

/// A place where a variable is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    /// Where it stands.
    pub span: Span,
    /// The variable.
    pub name: String,
}

/// A variable that is read in the place of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misuse {
    /// Which load it is, counted from 0.
    pub load: usize,
    /// The variable that belongs there.
    pub right: String,
}

/// A function, all places where it reads a variable of its own, and perhaps a wrong one among them (variable misuse,
/// Allamanis et al. 2018; with a joint pointer, Vasic et al., "Neural program repair by jointly learning to localize and repair",
/// 2019).
///
/// In a file it is an object of JSON: `id`, `code`, `loads` as `[start, end, name]` with offsets in bytes, `candidates`, and in
/// an example `bug`, an index into `loads` or null, with `right`, the name that belongs there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MisuseExample {
    /// What the function is called in the data.
    pub id: String,
    /// Its source; a wrong variable stands in it.
    pub code: String,
    /// Where variables are read, in order.
    pub loads: Vec<Load>,
    /// The variables of the function, in the order in which they come first.
    pub candidates: Vec<String>,
    /// What is wrong; none in a function without a misuse.
    pub misuse: Option<Misuse>,
}

/// The parts of an example in the graph of its code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MisuseNodes {
    /// The node of each load.
    pub loads: Vec<u32>,
    /// The nodes of each candidate: the variables of this name that the code binds, usually one.
    pub candidates: Vec<Vec<u32>>,
}

/// An example and a graph, or a misuse and a function, do not fit.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MisuseError {
    /// There is no such load.
    #[error("there is no load {load}; the function has {count}, counted from 0")]
    NoLoad {
        /// The load.
        load: usize,
        /// How many there are.
        count: usize,
    },
    /// No variable stands where one is read.
    #[error("no variable stands in bytes {} to {} of the graph; make it of the code of this example", span.start, span.end)]
    NoVariable {
        /// Where none stands.
        span: Span,
    },
    /// A candidate is none of the code.
    #[error("the candidate {name:?} is no variable of the graph; make it of the code of this example")]
    NoCandidate {
        /// The candidate.
        name: String,
    },
    /// The wrong variable is the right one, or none of the function.
    #[error("{name:?} in the place of {right:?} is no misuse; take another candidate of the function")]
    NoMisuse {
        /// The variable that was to be read.
        name: String,
        /// The variable that is.
        right: String,
    },
    /// The function has a misuse already.
    #[error("the function has a misuse already; plant one in a function without")]
    Planted,
    /// There is no place where another variable could be meant.
    #[error("the function reads no variable in whose place another one could be meant; give one with two variables")]
    NoChoice,
    /// The graph would be too large.
    #[error(
        "the graph of the function would have {nodes} nodes, one for each other variable in the place of each load among them, \
         and at most {} are made; split the function",
        super::MisuseGraph::MAX_NODES
    )]
    TooLarge {
        /// How many there would be.
        nodes: usize,
    },
}

#[derive(Deserialize)]
struct Line {
    id: String,
    code: String,
    loads: Vec<(u32, u32, String)>,
    candidates: Vec<String>,
    #[serde(default)]
    bug: Option<usize>,
    #[serde(default)]
    right: Option<String>,
}

impl Record for MisuseExample {
    fn parse(line: &str) -> Result<Self, String> {
        let Line { id, code, loads, candidates, bug, right } = serde_json::from_str(line)
            .map_err(|error| format!("{error}; write an object with id, code, loads and candidates"))?;
        let loads: Vec<Load> =
            loads.into_iter().map(|(start, end, name)| Load { span: Span { start, end }, name }).collect();
        let mut end = 0;
        for (number, Load { span, name }) in loads.iter().enumerate() {
            if span.text(&code) != Some(name) {
                let Span { start, end } = span;
                return Err(format!(
                    "load {number} says {name:?}, which does not stand in bytes {start} to {end} of the code"
                ));
            }
            if span.start < end {
                return Err(format!("load {number} begins before the one before it ends; sort the loads"));
            }
            end = span.end;
            if !candidates.contains(name) {
                return Err(format!("load {number} reads {name:?}, which is none of the candidates; add it"));
            }
        }
        let misuse = match (bug, right) {
            (None, None) => None,
            (Some(load), Some(right)) => {
                let read =
                    loads.get(load).ok_or_else(|| MisuseError::NoLoad { load, count: loads.len() }.to_string())?;
                if read.name == right || !candidates.contains(&right) {
                    return Err(MisuseError::NoMisuse { name: read.name.clone(), right }.to_string());
                }
                Some(Misuse { load, right })
            }
            _ => return Err("there is one of bug and right; write both, or null for both".to_owned()),
        };
        Ok(Self { id, code, loads, candidates, misuse })
    }
}

impl MisuseExample {
    /// The function with a wrong variable in one place.
    ///
    /// Make the graph of the code that comes out: edges between the uses of one variable that were made before tell where it
    /// stood.
    ///
    /// # Errors
    /// If there is no such load or candidate, it is the right one, or the function has a misuse already.
    pub fn plant(&self, load: usize, wrong: &str) -> Result<Self, MisuseError> {
        if self.misuse.is_some() {
            return Err(MisuseError::Planted);
        }
        let Some(Load { span, name: right }) = self.loads.get(load) else {
            return Err(MisuseError::NoLoad { load, count: self.loads.len() });
        };
        if wrong == right || !self.candidates.iter().any(|candidate| candidate == wrong) {
            return Err(MisuseError::NoMisuse { name: wrong.to_owned(), right: right.clone() });
        }
        let mut code = self.code.clone();
        code.replace_range(span.range(), wrong);
        let moved = |offset: u32| offset - right.len() as u32 + wrong.len() as u32;
        let mut loads = self.loads.clone();
        for later in &mut loads[load + 1..] {
            later.span = Span { start: moved(later.span.start), end: moved(later.span.end) };
        }
        loads[load] = Load { span: Span { start: span.start, end: moved(span.end) }, name: wrong.to_owned() };
        let misuse = Some(Misuse { load, right: right.clone() });
        Ok(Self { id: self.id.clone(), code, loads, candidates: self.candidates.clone(), misuse })
    }

    /// The function as it should be, without its misuse.
    pub fn repaired(&self) -> Self {
        let Some(Misuse { load, right }) = &self.misuse else { return self.clone() };
        let wrong = self.loads.get(*load).map(|load| load.name.clone()).unwrap_or_default();
        let without = Self { misuse: None, ..self.clone() };
        // To plant the right variable is to replace the wrong one.
        let repaired = without.plant(*load, right).unwrap_or(without);
        debug_assert!(repaired.misuse.as_ref().is_none_or(|misuse| misuse.right == wrong));
        Self { misuse: None, ..repaired }
    }

    /// The function in the graph of its code, with the loads and candidates of the example.
    ///
    /// # Errors
    /// If it is the graph of other code.
    pub fn function(&self, code: &CodeGraph, grammar: &dyn Grammar) -> Result<Function, MisuseError> {
        let MisuseNodes { loads, .. } = self.nodes(code)?;
        let whole =
            || Function { node: 0, end: code.symbols().first().map_or(0, |symbol| symbol.node), ..Function::default() };
        let function = code.functions(grammar).into_iter().next().unwrap_or_else(whole);
        Ok(Function { loads, candidates: self.candidates.clone(), ..function })
    }

    /// The loads and candidates in the graph of the code.
    ///
    /// # Errors
    /// If it is the graph of other code.
    pub fn nodes(&self, graph: &CodeGraph) -> Result<MisuseNodes, MisuseError> {
        let load = |load: &Load| {
            let occurrence = graph.occurrence_at(load.span).ok_or(MisuseError::NoVariable { span: load.span })?;
            Ok(occurrence.node)
        };
        let candidate = |name: &String| {
            let of_name = graph.symbols().iter().filter(|symbol| symbol.is_bound && symbol.name == *name);
            let nodes: Vec<u32> = of_name.map(|symbol| symbol.node).collect();
            if nodes.is_empty() { Err(MisuseError::NoCandidate { name: name.clone() }) } else { Ok(nodes) }
        };
        Ok(MisuseNodes {
            loads: self.loads.iter().map(load).collect::<Result<_, _>>()?,
            candidates: self.candidates.iter().map(candidate).collect::<Result<_, _>>()?,
        })
    }
}
