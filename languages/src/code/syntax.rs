//! The syntax tree of a program as nodes and edges.

use std::collections::HashMap;

use tree_sitter::{Node, Tree};

use super::{CodeGraph, Grammar, Part, Place, ScopeKind, Usage};
use crate::{LanguageGraph, Span, Vocabulary};

/// What a walk over a syntax tree finds.
pub(super) struct Syntax {
    pub graph: LanguageGraph,
    /// The leaves, in the order of the source.
    pub leaves: Vec<Leaf>,
    /// What each node means to the program.
    pub meanings: Vec<Meaning>,
    /// The names of variables and attributes.
    pub names: Vocabulary,
    /// Where variables stand, in the order of the source.
    pub uses: Vec<Use>,
    /// The first is the file; each comes after the one around it.
    pub scopes: Vec<Scope>,
    /// Definitions, and the nodes of their names.
    pub definitions: Vec<[u32; 2]>,
    /// Calls, and the nodes of what they call.
    pub calls: Vec<[u32; 2]>,
    /// By the node of an attribute the node of what it is looked up in, and its name.
    pub attributes: HashMap<u32, [u32; 2]>,
    /// Number of errors in the program.
    pub errors: usize,
}

/// A leaf of the syntax tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leaf {
    pub node: u32,
    /// Where its text begins in the label.
    pub text: u32,
}

/// What a node means to the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Plain,
    /// Nothing.
    Comment,
    /// What is in it.
    Parentheses,
}

/// A variable where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Use {
    pub node: u32,
    pub name: u32,
    pub scope: u32,
    pub usage: Usage,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Scope {
    pub kind: ScopeKind,
    /// The scope around it; the file has itself.
    pub parent: u32,
}

/// A node whose children are walked.
struct Frame<'tree> {
    node: Node<'tree>,
    number: u32,
    position: u32,
    /// The scope of its children.
    scope: u32,
    usage: Usage,
    /// Number of children so far.
    children: u32,
}

impl Syntax {
    /// Walks over a tree with a stack of its own, however deep it is.
    pub fn of(tree: &Tree, source: &str, grammar: &dyn Grammar) -> Self {
        let mut syntax = Self {
            graph: LanguageGraph::new(CodeGraph::RELATIONS),
            leaves: Vec::new(),
            meanings: Vec::new(),
            names: Vocabulary::default(),
            uses: Vec::new(),
            scopes: vec![Scope { kind: ScopeKind::File, parent: 0 }],
            definitions: Vec::new(),
            calls: Vec::new(),
            attributes: HashMap::new(),
            errors: 0,
        };
        let mut cursor = tree.walk();
        let mut stack: Vec<Frame> = Vec::new();
        loop {
            let (node, field) = (cursor.node(), cursor.field_name());
            let is_leaf = grammar.is_atom(node.kind()) || !cursor.goto_first_child();
            let number = syntax.add(node, is_leaf, source, grammar);
            let frame = match stack.last_mut() {
                None => Frame { node, number, position: 0, scope: 0, usage: Usage::Load, children: 0 },
                Some(parent) => syntax.attach((node, number), field, is_leaf, parent, source, grammar),
            };
            if !is_leaf {
                stack.push(frame);
                continue;
            }
            while !cursor.goto_next_sibling() {
                stack.pop();
                if !cursor.goto_parent() {
                    return syntax;
                }
            }
        }
    }

    /// Adds a node, and returns its number.
    ///
    /// The label of an inner node is its kind, that of a leaf its kind and its text, or its text alone where that is the kind.
    fn add(&mut self, node: Node, is_leaf: bool, source: &str, grammar: &dyn Grammar) -> u32 {
        let (kind, span) = (node.kind(), node.byte_range());
        let text = source.get(span.clone()).filter(|_| is_leaf).unwrap_or_default();
        let (label, start) = if node.is_missing() {
            (format!("MISSING {kind}"), 8 + kind.len())
        } else if text.is_empty() {
            (kind.to_owned(), kind.len())
        } else if text == kind {
            (kind.to_owned(), 0)
        } else {
            (format!("{kind} {text}"), kind.len() + 1)
        };
        let number = self.graph.add_node(&label, Some(Span { start: span.start as u32, end: span.end as u32 }));
        if is_leaf {
            self.leaves.push(Leaf { node: number, text: start as u32 });
        }
        self.errors += usize::from(node.is_error() || node.is_missing());
        self.meanings.push(match kind {
            _ if grammar.is_comment(kind) => Meaning::Comment,
            _ if grammar.is_parenthesized(kind) => Meaning::Parentheses,
            _ => Meaning::Plain,
        });
        number
    }

    /// Joins a node with its parent, and keeps what it means there.
    fn attach<'tree>(
        &mut self,
        (node, number): (Node<'tree>, u32),
        field: Option<&'tree str>,
        is_leaf: bool,
        parent: &mut Frame<'tree>,
        source: &str,
        grammar: &dyn Grammar,
    ) -> Frame<'tree> {
        let position = parent.children;
        parent.children += 1;
        self.graph.connect([number, parent.number], CodeGraph::CHILD, position);
        let place = Place {
            node,
            parent: parent.node,
            field,
            position,
            parent_position: parent.position,
            parent_usage: parent.usage,
        };
        let usage = grammar.usage(&place);
        let mut scope = parent.scope;
        if grammar.is_outside(&place) {
            scope = self.scopes[scope as usize].parent;
        }
        let text = source.get(node.byte_range()).unwrap_or_default();
        let is_name = is_leaf && !text.is_empty() && grammar.is_identifier(node.kind());
        if is_name && usage != Usage::Member {
            let name = self.names.add(text);
            self.uses.push(Use { node: number, name, scope, usage });
        }
        match grammar.part(&place) {
            Some(Part::Callee) => self.calls.push([parent.number, number]),
            Some(Part::Definition) => self.definitions.push([parent.number, number]),
            Some(Part::Receiver) => self.attributes.entry(parent.number).or_insert([NONE; 2])[0] = number,
            Some(Part::Attribute) if is_name => {
                self.attributes.entry(parent.number).or_insert([NONE; 2])[1] = self.names.add(text);
            }
            Some(Part::Attribute) | None => {}
        }
        if let Some(kind) = grammar.scope(node.kind()).filter(|_| !is_leaf) {
            self.scopes.push(Scope { kind, parent: scope });
            scope = self.scopes.len() as u32 - 1;
        }
        Frame { node, number, position, scope, usage, children: 0 }
    }
}

/// No node, or no name.
const NONE: u32 = u32::MAX;
