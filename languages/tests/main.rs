//! Graphs of languages.

mod alignment;
#[cfg(feature = "code")]
mod code;
mod distance;
mod graph;
mod mathematics;
mod ordered_dag;
mod rewriting;
mod sequence;
mod text;
mod worlds;
