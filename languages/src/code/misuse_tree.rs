//! The syntax tree of a function, as the words of a [`MisuseGraph`](super::MisuseGraph) read it.

use std::ops::Range;

use super::{CodeGraph, Function, Grammar, syntax::Meaning};
use crate::LanguageEdge;

/// How many of the expressions around a load are looked at for other uses of a variable.
pub(super) const MAX_EXPRESSIONS: usize = 4;

/// The syntax tree of a function. Nodes come before their parts, so those in a node follow it.
pub(super) struct Tree<'a> {
    pub code: &'a CodeGraph,
    pub function: &'a Function,
    pub grammar: &'a dyn Grammar,
    /// The node after the last part of each node of the function.
    ends: Vec<u32>,
}

impl<'a> Tree<'a> {
    /// Costs `O(nodes)`.
    pub fn new(code: &'a CodeGraph, function: &'a Function, grammar: &'a dyn Grammar) -> Self {
        let first = function.node;
        let mut tree = Self { code, function, grammar, ends: (first + 1..=function.end).collect() };
        for node in (first + 1..function.end).rev() {
            let end = tree.end(node);
            if let Some(place) = tree.edge(node).and_then(|edge| edge.target.checked_sub(first)) {
                let around = &mut tree.ends[place as usize];
                *around = end.max(*around);
            }
        }
        tree
    }

    /// The edge from a node to the one that it is a part of; none of the function itself.
    pub fn edge(&self, node: u32) -> Option<&'a LanguageEdge> {
        // Each node but the root has one, in the order of the nodes, before all other edges.
        let edge = (node > self.function.node).then(|| node as usize - 1)?;
        self.code.graph().language_edges().get(edge)
    }

    /// The node after the last part of a node.
    pub fn end(&self, node: u32) -> u32 {
        let place = node.checked_sub(self.function.node).and_then(|place| self.ends.get(place as usize));
        place.copied().unwrap_or(node + 1)
    }

    /// The label of a node.
    pub fn label(&self, node: u32) -> &'a str {
        self.code.graph().label(node).unwrap_or_default()
    }

    /// The kind of a node, and the text of a leaf.
    pub fn kind_and_text(&self, node: u32) -> (&'a str, &'a str) {
        let label = self.label(node);
        label.split_once(' ').filter(|_| self.code.is_leaf(node)).unwrap_or((label, ""))
    }

    /// Whether a node says nothing by itself: a leaf such as a keyword or a bracket, or a comment.
    pub fn is_silent(&self, node: u32) -> bool {
        let is_operator = || self.edge(node).is_some_and(|edge| self.grammar.has_operator(self.label(edge.target)));
        let is_sign = || self.code.is_leaf(node) && self.kind_and_text(node).1.is_empty() && !is_operator();
        self.code.meanings[node as usize] == Meaning::Comment || is_sign()
    }

    /// The first node, and the one after the last, of the expressions and statements around a node, from the innermost one on.
    pub fn expressions(&self, node: u32) -> Vec<Range<u32>> {
        let around = std::iter::successors(self.edge(node), |edge| self.edge(edge.target)).take(MAX_EXPRESSIONS);
        around.map(|edge| edge.target..self.end(edge.target)).collect()
    }

    /// What stands around a node: its position, in what, or behind what in a list of arguments.
    pub fn surroundings(&self, node: u32) -> String {
        let Some(edge) = self.edge(node) else { return String::new() };
        let around = self.label(edge.target);
        // What is called ends before its arguments.
        let called = edge.target.checked_sub(1).filter(|_| self.grammar.is_arguments(around));
        format!("{around} {} {}", called.map_or("", |called| self.label(called)), edge.position)
    }
}
