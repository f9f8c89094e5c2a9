//! Graphs as plain data: in memory, and in `.npz` files.

mod features;
mod fingerprint;
mod folds;
mod graph_data;
mod graph_set;
pub(crate) mod half;
mod kinds;
mod labeled;
mod labels;
mod links;
pub(crate) mod memory;
mod misuse;
pub(crate) mod npz;
#[cfg(feature = "import")]
mod planting;
mod problem;
mod rewriting;

pub use features::{DenseRows, Features};
pub use folds::stratified_folds;
pub use graph_data::{GraphData, NoSplitError};
pub use graph_set::GraphSet;
pub use kinds::{GraphKinds, NodesOfKind, RelationEdges};
pub use labels::{EdgeLabels, RowKind};
pub use links::{CandidatePair, LinkSplit, hide_edges};
pub use misuse::{EpochGraphs, MisuseChoice, MisuseData, MisuseVerdict};
#[cfg(feature = "import")]
pub use planting::{PlantedFunctions, function_graph, function_graphs, misuse_graph};
pub use problem::GraphFileError;
pub(crate) use rewriting::known_tags;
pub use rewriting::{RewriteData, RewriteLanguage, RewritePair, RewriteTextError, SlotCoding};

pub(crate) use labels::Labels;
pub(crate) use links::{Hidden, non_edge_count, undirected_edges};
pub(crate) use problem::Problem;
