//! Text, mathematics and code as graphs: readers, writers, and the graphs themselves.
//!
//! Every reader gives a [`LanguageGraph`]: nodes in the order of the source, labeled by name, with typed edges. It is a
//! [`ParallelGraph`](connectome_systems::algorithms::ParallelGraph), becomes a
//! [`LabeledGraph`](connectome_systems::algorithms::LabeledGraph) for cliques, edit distances and kernels, and entities in a
//! world.
//!
//! Terms and other graphs with ordered children are [`OrderedDag`]s as well, which [`rewriting`] changes.

#![forbid(unsafe_code)]

#[cfg(feature = "code")]
pub mod code;
mod graph;
pub mod mathematics;
mod ordered_dag;
mod records;
pub mod rewriting;
mod source;
pub mod text;
mod vocabulary;

pub use graph::{EdgeError, LanguageEdge, LanguageEntities, LanguageGraph, Relation, Span};
pub use ordered_dag::{DagError, DagInterner, OrderedDag};
pub use records::{Record, RecordError, Records};
pub use source::{MAX_BYTES, MAX_EDGES, SourceError, decode};
pub use vocabulary::Vocabulary;
