//! What the nodes of a [`MisuseGraph`](super::MisuseGraph) say of a variable: how often, how near and in what it is used.

use std::ops::Range;

use super::{CodeGraph, Function, Grammar, Occurrence, Usage};
use crate::LanguageEdge;

/// The most parts of a name that are words.
pub(super) const MAX_PARTS: usize = 3;

/// How often a variable is read and bound.
#[derive(Clone, Copy, Default)]
pub(super) struct Counts {
    reads: usize,
    bindings: usize,
}

impl Counts {
    pub(super) fn add(&mut self, usage: Usage) {
        self.reads += usize::from(usage == Usage::Load);
        self.bindings += usize::from(usage != Usage::Load);
    }

    /// As a word, which tells small numbers apart.
    pub(super) fn text(self) -> String {
        format!("{} {}", self.reads.min(4), self.bindings.min(3))
    }
}

/// What stands around the child of a node: its position, in what, or behind what in a list of arguments.
pub(super) fn surroundings(code: &CodeGraph, edge: &LanguageEdge, grammar: &dyn Grammar) -> String {
    let label = |node: u32| code.graph().label(node).unwrap_or_default();
    let parent = label(edge.target);
    // What is called ends before its arguments.
    let called = edge.target.checked_sub(1).filter(|_| grammar.is_arguments(parent)).map_or("", label);
    format!("{parent} {called} {}", edge.position)
}

/// The node after the last part of each node of a function.
pub(super) fn ends(edges: &[LanguageEdge], function: &Function) -> Vec<u32> {
    let mut ends: Vec<u32> = (function.node + 1..=function.end).collect();
    for node in (function.node + 1..function.end).rev() {
        let end = ends[(node - function.node) as usize];
        if let Some(parent) = edges.get(node as usize - 1).and_then(|edge| edge.target.checked_sub(function.node)) {
            let of_parent = &mut ends[parent as usize];
            *of_parent = end.max(*of_parent);
        }
    }
    ends
}

/// How many of the expressions around a load are looked at for other uses of a variable.
pub(super) const MAX_EXPRESSIONS: usize = 4;

/// The expressions and statements around a node, from the innermost one on, each as the range of its nodes.
pub(super) fn expressions(edges: &[LanguageEdge], function: &Function, ends: &[u32], mut node: u32) -> Vec<Range<u32>> {
    let mut around = Vec::new();
    while around.len() < MAX_EXPRESSIONS && node > function.node {
        let Some(edge) = edges.get(node as usize - 1) else { break };
        node = edge.target;
        let Some(place) = node.checked_sub(function.node) else { break };
        around.push(node..ends[place as usize]);
    }
    around
}

/// The number of the innermost expression around a node in which a variable stands elsewhere.
pub(super) fn nearness(stands: &[&Occurrence], node: u32, expressions: &[Range<u32>]) -> usize {
    let stands_in = |expression: &Range<u32>| {
        let first = stands.partition_point(|one| one.node < expression.start);
        let inside = stands[first..].iter().take_while(|one| one.node < expression.end);
        inside.take(2).any(|one| one.node != node)
    };
    expressions.iter().position(stands_in).unwrap_or(MAX_EXPRESSIONS)
}

pub(super) fn usage_name(usage: Usage) -> &'static str {
    match usage {
        Usage::Load => "load",
        Usage::Store => "store",
        Usage::Update => "update",
        Usage::StoreInFunction => "store in function",
        Usage::Global => "global",
        Usage::Nonlocal => "nonlocal",
        Usage::Member => "member",
    }
}

/// The first parts of a name: what stands between underscores, and words that begin with a capital.
pub(super) fn name_parts(name: &str) -> impl Iterator<Item = &str> {
    let words = name.split('_').flat_map(|word| {
        let mut rest = word;
        std::iter::from_fn(move || {
            let mut letters = rest.char_indices().skip(1).skip_while(|(_, letter)| letter.is_uppercase());
            let end = letters.find(|(_, letter)| letter.is_uppercase()).map_or(rest.len(), |(place, _)| place);
            let (part, after) = rest.split_at(end);
            rest = after;
            (!part.is_empty()).then_some(part)
        })
    });
    words.take(MAX_PARTS)
}
