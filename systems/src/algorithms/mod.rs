//! Questions about the structure of a graph, answered exactly, in parallel, and in the same order for any number of
//! workers.
//!
//! All of them read a [`ParallelGraph`]: the [`Topology`](connectome_components::Topology) of a graph of the world, data
//! loaded from a file, or a graph of the user's.

mod edit_distance;
#[cfg(feature = "petgraph")]
pub mod interchange;
mod labelled_graph;
mod parallel_graph;
mod simple_graph;
pub mod weisfeiler_leman;

pub use edit_distance::{
    Compared, EditComparison, EditCosts, EditCut, EditEffort, EditError, EditOperation, MOST_EDGE_LABELS, MOST_NODES,
    OperationCosts, compare_graphs, edit_distance, edit_distances, edit_path, pairwise_edit_distances,
    update_edit_distances,
};
pub use labelled_graph::LabelledGraph;
pub use parallel_graph::ParallelGraph;
pub use simple_graph::SimpleGraph;
