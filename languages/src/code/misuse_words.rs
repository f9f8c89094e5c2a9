//! What the nodes of a [`MisuseGraph`](super::MisuseGraph) say of a variable: how often, how near and in what it is used.

use std::ops::Range;

use super::{Occurrence, Usage, misuse_tree::MAX_EXPRESSIONS};

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
