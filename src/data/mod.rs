//! Graphs as plain data: in memory, and in `.npz` files.

mod features;
mod folds;
mod graph_data;
mod graph_set;
mod links;
pub(crate) mod npz;

pub use features::{DenseRows, Features};
pub use folds::stratified_folds;
pub use graph_data::GraphData;
pub use graph_set::GraphSet;
pub use links::{CandidatePair, LinkSplit, hide_edges};
pub use npz::GraphFileError;

pub(crate) use links::{Hidden, non_edge_count, undirected_edges};
