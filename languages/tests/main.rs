//! Graphs of languages.

#[cfg(feature = "code")]
mod code;
mod graph;
mod text;
