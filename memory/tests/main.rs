//! A memory keeps what it was given, finds copies and similar graphs, and survives what happens to files: one program.

mod common;
mod crashes;
mod files;
mod find;
mod life;
mod service;
