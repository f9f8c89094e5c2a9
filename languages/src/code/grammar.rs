//! What has to be known of a programming language.

use tree_sitter::{Language, Node};

/// How an identifier is used where it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Usage {
    /// The variable is read.
    #[default]
    Load,
    /// The variable is bound in the scope: by assignment, as a parameter, a definition or an import.
    Store,
    /// The variable is read and then bound, as by `x += 1`.
    Update,
    /// The variable is bound in the nearest scope that is a whole function, class or file.
    StoreInFunction,
    /// The name stands for the variable of the file in all of the scope.
    Global,
    /// The name stands for the variable of a surrounding function in all of the scope.
    Nonlocal,
    /// It is the name of no variable: an attribute, or a keyword of arguments.
    Member,
}

/// What a scope is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScopeKind {
    /// The whole file.
    File,
    /// A function: what it contains sees its variables.
    Function,
    /// A class: functions in it do not see its variables.
    Class,
    /// A part of an expression with variables of its own, such as a comprehension.
    Expression,
}

/// What a node is to its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// What a call calls.
    Callee,
    /// What an attribute is looked up in.
    Receiver,
    /// The name of an attribute.
    Attribute,
    /// The name of what a definition defines.
    Definition,
}

/// A node in its surroundings.
#[derive(Clone, Copy, Debug)]
pub struct Place<'tree> {
    /// The node.
    pub node: Node<'tree>,
    /// Its parent.
    pub parent: Node<'tree>,
    /// What the grammar calls it in the parent.
    pub field: Option<&'tree str>,
    /// Its position among the children of the parent.
    pub position: u32,
    /// The position of the parent among the children of its own.
    pub parent_position: u32,
    /// The usage of the parent, which patterns hand on to their parts.
    pub parent_usage: Usage,
}

/// A programming language: its parser, and what its kinds of nodes mean.
///
/// Kinds and fields are named as in the `node-types.json` of the parser.
pub trait Grammar: Sync {
    /// The parser.
    fn language(&self) -> Language;

    /// Whether a leaf is the name of something.
    fn is_identifier(&self, kind: &str) -> bool;

    /// Whether a node is a leaf for us, whatever the parser finds in it, such as the escape sequences of a string.
    fn is_atom(&self, kind: &str) -> bool;

    /// Whether a node means nothing to the program.
    fn is_comment(&self, kind: &str) -> bool;

    /// Whether a node only keeps its content together, as parentheses do.
    fn is_parenthesized(&self, kind: &str) -> bool;

    /// What scope a node opens, if it does. The root of the tree always is one.
    fn scope(&self, kind: &str) -> Option<ScopeKind>;

    /// Whether a node belongs to the scope around the one that its parent is in or opens, as default values of parameters do.
    fn is_outside(&self, place: &Place) -> bool;

    /// How an identifier is used, or the identifiers in a pattern are.
    fn usage(&self, place: &Place) -> Usage;

    /// What a node is to its parent, as far as it matters for calls.
    fn part(&self, place: &Place) -> Option<Part>;

    /// Whether a node defines a function with a name.
    fn is_function(&self, kind: &str) -> bool;

    /// Whether a name that is bound somewhere in a node of this kind holds a value, as a parameter does, or is one of a
    /// definition, an import and the like; none if the nodes around it decide.
    fn binds_value(&self, kind: &str) -> Option<bool>;

    /// Whether a node holds the arguments of a call, and follows what is called.
    fn is_arguments(&self, kind: &str) -> bool;

    /// Whether the fixed words and signs in a node of this kind matter, as the sign of `a + b` does.
    fn has_operator(&self, kind: &str) -> bool;
}
