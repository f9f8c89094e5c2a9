//! Programs as graphs, by tree-sitter.
//!
//! | relation | from | to |
//! | --- | --- | --- |
//! | `child` | a node of the syntax tree | its parent, by its place among the children |
//! | `token` | a leaf of the syntax tree | the following one |
//! | `next use` | a variable where it stands | the next place where it does |
//! | `symbol` | a variable where it stands | the node of the variable |
//! | `call` | a call | the definition in the same file that it calls |
//!
//! Another language adds one file with its [`Grammar`], such as `python.rs`.

mod canonical;
mod functions;
mod grammar;
mod graph;
mod misuse;
mod misuse_flow;
mod misuse_graph;
mod misuse_repeats;
mod misuse_tree;
mod misuse_words;
mod python;
mod symbols;
mod syntax;

pub use functions::Function;
pub use grammar::{Grammar, Part, Place, ScopeKind, Usage};
pub use graph::{CodeError, CodeGraph, Occurrence, Symbol};
pub use misuse::{Load, Misuse, MisuseError, MisuseExample, MisuseNodes};
pub use misuse_graph::{Hypothesis, MisuseEdge, MisuseGraph};
pub use python::Python;
