//! Questions about the structure of a graph, answered exactly, in parallel, and in the same order for any number of
//! workers.
//!
//! All of them read a [`ParallelGraph`]: the [`Topology`](connectome_components::Topology) of a graph of the world, data
//! loaded from a file, or a graph of the user's.

pub mod cliques;
pub mod edit_distance;
mod labeled_graph;
mod parallel_graph;
#[cfg(feature = "petgraph")]
pub mod petgraph;
mod simple_graph;
pub mod weisfeiler_leman;

pub use labeled_graph::LabeledGraph;
pub use parallel_graph::ParallelGraph;
pub use simple_graph::SimpleGraph;
