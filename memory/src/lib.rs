//! A memory of graphs on disk: graphs with what accompanies them, in one file, found again as copies or by similarity.
//!
//! [`GraphMemory`] stores graphs in durable transactions and answers at once. [`MemoryService`] gives it a thread of its
//! own, with a bounded queue that programs ask by a [`MemoryHandle`], entities of a world through the system
//! [`ask_memory`], and tasks of tokio by `AsyncGraphMemory` (feature `tokio`). The answers are the same.
//!
//! - *Copies* are found by a hash of the colors of their nodes, and verified: any isomorphic graph is one.
//! - *Similar* graphs are those with the nearest [`GraphVector`]s, ranked by exact or bounded edit distance.
//! - *Episodes* are kept in the order in which graphs were stored; *consolidation* merges copies and counts them.
//! - *Forgetting* follows use: under a capacity the least used graphs go.
//! - *Replay*: [`GraphMemory::sample`] draws batches by seed and step.
//!
//! A graph of the world is stored by
//! [`labeled_graph`](connectome_systems::algorithms::edit_distance::labeled_graph), a part of it by
//! [`induced_subgraph`](connectome_systems::algorithms::LabeledGraph::induced_subgraph).
#![forbid(unsafe_code)]

#[cfg(feature = "tokio")]
mod asynchronous;
mod check;
mod colors;
mod consolidate;
mod encoding;
mod entry;
mod error;
mod find;
mod index;
mod isomorphism;
mod memory;
mod prepared;
mod service;
mod store;
mod vector;
mod world;

#[cfg(feature = "tokio")]
pub use asynchronous::AsyncGraphMemory;
pub use consolidate::Consolidation;
pub use encoding::{MAX_EDGES, MAX_NODES, Metadata};
pub use entry::{Entry, Episode, MAX_EPISODES};
pub use error::MemoryError;
pub use find::{Answer, MAX_COMPARED_NODES, Match, Query};
pub use isomorphism::are_isomorphic;
pub use memory::{Change, GraphMemory, MAX_METADATA, NewGraph, StoredGraph};
pub use service::{MemoryHandle, MemoryService, Pending};
pub use vector::{DIMENSIONS, GraphVector};
pub use world::{AskedMemory, MemoryAnswer, MemoryRequest, ask_memory};
