//! Graphs of languages.

mod graph;
