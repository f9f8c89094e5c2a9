//! Graphs of programs.

use std::collections::HashMap;

use thiserror::Error;
use tree_sitter::Parser;

use super::{
    Grammar, ScopeKind, Usage,
    symbols::{FREE, Variable, Variables},
    syntax::{Leaf, Meaning, Syntax},
};
use crate::{LanguageGraph, Relation, SourceError, Span, source::check_length};

/// A program cannot become a graph.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CodeError {
    /// The source is too long.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The parser of the grammar cannot be used.
    #[error("the parser cannot be used: {0}; take a grammar for the version of tree-sitter")]
    Parser(String),
}

/// A variable where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// The node of the identifier.
    pub node: u32,
    /// The node of the variable.
    pub symbol: u32,
    /// How it is used.
    pub usage: Usage,
}

/// A variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// Its node.
    pub node: u32,
    /// Its name.
    pub name: String,
    /// Whether the file binds it; otherwise it is of the language, or unknown.
    pub is_bound: bool,
}

/// A program as a graph: its syntax tree, in the order of the source, then its variables.
///
/// The label of an inner node of the tree is its kind, that of a leaf its kind and its text, such as `identifier x`, or its
/// text alone where that is the kind, such as `+`; that of a variable is `symbol NAME`. Broken code is a graph, too, with nodes
/// `ERROR` and `MISSING ..`.
///
/// The next use of a variable is looked for in the order of the source within one function, an approximation of the flow of
/// data (Allamanis et al., "Learning to represent programs with graphs", 2018). A call leads to the last definition before it
/// in the file, else to the first one; `self.name()` is the method of the class, where `self` is the first parameter.
///
/// ```
/// use connectome_languages::code::{CodeGraph, Python};
///
/// let source = "def double(x):\n    return 2 * x  # twice\n";
/// let code = CodeGraph::new(source, &Python)?;
/// assert_eq!(code.symbols().iter().map(|symbol| symbol.name.as_str()).collect::<Vec<_>>(), ["double", "x"]);
/// assert_eq!(code.source(), source);
/// let x = code.occurrences().last().map(|one| one.node);
/// assert_eq!(code.source_with(|node| (Some(node) == x).then_some("y")), "def double(x):\n    return 2 * y  # twice\n");
/// # Ok::<(), connectome_languages::code::CodeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeGraph {
    graph: LanguageGraph,
    leaves: Vec<Leaf>,
    /// What stands before each leaf and after the last: blanks and line breaks.
    gaps: Vec<Box<str>>,
    /// One for each node of the syntax tree.
    pub(super) meanings: Vec<Meaning>,
    occurrences: Vec<Occurrence>,
    symbols: Vec<Symbol>,
    errors: usize,
}

impl CodeGraph {
    /// The relation of a node to its parent.
    pub const CHILD: u32 = 0;
    /// The relation of a leaf to the next.
    pub const TOKEN: u32 = 1;
    /// The relation of an occurrence of a variable to the next.
    pub const NEXT_USE: u32 = 2;
    /// The relation of an occurrence of a variable to the variable.
    pub const SYMBOL: u32 = 3;
    /// The relation of a call to the definition.
    pub const CALL: u32 = 4;
    /// The relations, by their numbers.
    pub const RELATIONS: &'static [Relation] = &[
        Relation::ordered("child"),
        Relation::unordered("token"),
        Relation::unordered("next use"),
        Relation::unordered("symbol"),
        Relation::unordered("call"),
    ];

    /// The graph of a program.
    ///
    /// Costs time and memory in proportion to its length, however deep it is nested.
    ///
    /// # Errors
    /// If the source is too long, or the parser does not fit. Errors in the program are none.
    pub fn new(source: &str, grammar: &dyn Grammar) -> Result<Self, CodeError> {
        check_length(source)?;
        let mut parser = Parser::new();
        parser.set_language(&grammar.language()).map_err(|error| CodeError::Parser(error.to_string()))?;
        let tree = parser.parse(source, None).ok_or_else(|| CodeError::Parser("it gave no tree".to_owned()))?;
        let syntax = Syntax::of(&tree, source, grammar);
        // It takes several times the memory of the graph.
        drop(tree);
        let variables = Variables::of(&syntax);
        let gaps = gaps(&syntax, source);
        Ok(Self::with_edges(syntax, &variables, gaps))
    }

    /// Adds the variables, and all edges but those of the tree.
    fn with_edges(mut syntax: Syntax, variables: &Variables, gaps: Vec<Box<str>>) -> Self {
        for pair in syntax.leaves.windows(2) {
            syntax.graph.connect([pair[0].node, pair[1].node], Self::TOKEN, 0);
        }
        let (mut numbers, mut last_uses) = (HashMap::new(), HashMap::new());
        let (mut symbols, mut occurrences) = (Vec::new(), Vec::new());
        for (one, variable) in syntax.uses.iter().zip(&variables.of_uses) {
            let symbol = *numbers.entry(*variable).or_insert_with(|| {
                let name = syntax.names.name(one.name).unwrap_or_default().to_owned();
                let node = syntax.graph.add_node(&format!("symbol {name}"), None);
                symbols.push(Symbol { node, name, is_bound: variable.0 != FREE });
                node
            });
            if let Some(last) = last_uses.insert((symbol, variables.homes[one.scope as usize]), one.node) {
                syntax.graph.connect([last, one.node], Self::NEXT_USE, 0);
            }
            syntax.graph.connect([one.node, symbol], Self::SYMBOL, 0);
            occurrences.push(Occurrence { node: one.node, symbol, usage: one.usage });
        }
        for [call, definition] in calls(&syntax, variables) {
            syntax.graph.connect([call, definition], Self::CALL, 0);
        }
        let Syntax { graph, leaves, meanings, errors, .. } = syntax;
        Self { graph, leaves, gaps, meanings, occurrences, symbols, errors }
    }

    /// The graph: the nodes of the syntax tree in the order of the source, parents before children, then the variables.
    pub fn graph(&self) -> &LanguageGraph {
        &self.graph
    }

    /// The graph alone.
    pub fn into_graph(self) -> LanguageGraph {
        self.graph
    }

    /// Where variables stand, in the order of the source.
    pub fn occurrences(&self) -> &[Occurrence] {
        &self.occurrences
    }

    /// The variables, in the order in which they come first.
    pub fn symbols(&self) -> &[Symbol] {
        &self.symbols
    }

    /// The variable of a node.
    pub(super) fn symbol(&self, node: u32) -> Option<&Symbol> {
        // Their nodes follow each other.
        let first = self.symbols.first()?.node;
        self.symbols.get(node.checked_sub(first)? as usize)
    }

    /// Whether a node is a leaf of the syntax tree.
    pub(super) fn is_leaf(&self, node: u32) -> bool {
        self.leaves.binary_search_by_key(&node, |leaf| leaf.node).is_ok()
    }

    /// Number of errors in the program.
    pub fn error_count(&self) -> usize {
        self.errors
    }

    /// The variable that stands in these bytes of the source, if one does.
    pub fn occurrence_at(&self, span: Span) -> Option<Occurrence> {
        let span_of = |one: &Occurrence| self.graph.spans()[one.node as usize];
        let place = self.occurrences.binary_search_by_key(&Some(span), span_of).ok()?;
        Some(self.occurrences[place])
    }

    /// The source, byte by byte, out of the labels of leaves and what stands between them.
    pub fn source(&self) -> String {
        self.source_with(|_| None)
    }

    /// The source with another text for some leaves.
    pub fn source_with<'a>(&'a self, text: impl Fn(u32) -> Option<&'a str>) -> String {
        let mut source = String::new();
        for (gap, leaf) in self.gaps.iter().zip(&self.leaves) {
            source.push_str(gap);
            let own = || self.graph.label(leaf.node).and_then(|label| label.get(leaf.text as usize..));
            source.push_str(text(leaf.node).or_else(own).unwrap_or_default());
        }
        self.gaps.last().iter().for_each(|gap| source.push_str(gap));
        source
    }
}

/// What stands before each leaf, and after the last.
fn gaps(syntax: &Syntax, source: &str) -> Vec<Box<str>> {
    let mut end = 0;
    let mut gaps = Vec::with_capacity(syntax.leaves.len() + 1);
    for leaf in &syntax.leaves {
        let span = syntax.graph.spans()[leaf.node as usize].map_or(end..end, Span::range);
        gaps.push(source.get(end..span.start).unwrap_or_default().into());
        end = span.end.max(end);
    }
    gaps.push(source.get(end..).unwrap_or_default().into());
    gaps
}

/// The calls of what the file defines, each with the definition.
fn calls(syntax: &Syntax, variables: &Variables) -> Vec<[u32; 2]> {
    let of_nodes: HashMap<u32, Variable> =
        syntax.uses.iter().map(|one| one.node).zip(variables.of_uses.iter().copied()).collect();
    let mut definitions: HashMap<Variable, Vec<u32>> = HashMap::new();
    for [definition, name] in &syntax.definitions {
        if let Some(variable) = of_nodes.get(name) {
            definitions.entry(*variable).or_default().push(*definition);
        }
    }
    // The method of a class by an attribute of the first parameter of another.
    let method = |callee: &u32| -> Option<Variable> {
        let [receiver, name] = syntax.attributes.get(callee)?;
        let (function, receiver) = *of_nodes.get(receiver)?;
        let class = syntax.scopes.get(function as usize)?.parent;
        let is_first = variables.first_bound.get(&function) == Some(&receiver);
        (is_first && syntax.scopes[class as usize].kind == ScopeKind::Class).then_some((class, *name))
    };
    let definition = |[call, callee]: &[u32; 2]| {
        let variable = of_nodes.get(callee).copied().or_else(|| method(callee))?;
        let all = definitions.get(&variable)?;
        let before = all.partition_point(|definition| definition < call);
        Some([*call, all[before.saturating_sub(1)]])
    };
    syntax.calls.iter().filter_map(definition).collect()
}
