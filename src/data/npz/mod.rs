//! Reads graphs from `.npz` files.
//!
//! | array | shape | meaning |
//! | --- | --- | --- |
//! | `x_data`, `x_indices`, `x_indptr`, `x_shape` | \[K\], \[K\], \[N + 1\], \[2\] | features as compressed sparse rows |
//! | `x` | \[N, F\] | instead of these: features as a dense matrix |
//! | `node_label` | \[N\] | instead of these: the column of a one-hot encoding, if labels differ |
//! | `y` | \[N\] | class of each node, counted from 0; optional if there is `node_target` |
//! | `node_target` | \[N, T\] or \[N\] | optional: values to predict, for the tasks `NodeRegression` and `NodeMultiLabel` |
//! | `edge_index` | \[2, E\] | sources, then targets |
//! | `edge_weight` | \[E\] | optional |
//! | `edge_attr` | \[E, F\] or \[E\] | optional: features of the edges |
//! | `edge_label` | \[E\] | optional: class of each edge, counted from 0, for the task `EdgeClassification` |
//! | `edge_target` | \[E, T\] or \[E\] | optional: values to predict of the edges |
//! | `edge_train`, `edge_val`, `edge_test` | any length | optional: edges of each split, or a mask; all three, or none |
//! | `train`, `val`, `test` | any length | nodes of each split, or a mask of \[N\] truth values; all three, or none |
//! | `unlabeled` | any length | optional: nodes that may be in no split |
//! | `node_name`, `node_name_ptr` | \[bytes\], \[N + 1\] | optional: names in UTF-8, and where each begins |
//!
//! Numbers may have any type of NumPy that holds them: floats of 16 bits (`bfloat16` as well) to 64 bits, integers, and truth
//! values for features, classes and masks.
//!
//! If there is `node_ptr`, the file holds a set of graphs: `y`, `train`, `val`, `test` and `unlabeled` are about graphs
//! then, nodes and edges belong to the split of their graph, and `node_label` must be there and is the class of each node; it
//! may be 0 for all. `y` is optional if there is `graph_target`.
//!
//! | array | shape | meaning |
//! | --- | --- | --- |
//! | `node_ptr` | \[G + 1\] | where the nodes of each graph begin |
//! | `edge_ptr` | \[G + 1\] | optional: where the edges of each graph begin |
//! | `fold` | \[G\] | optional: fold of each graph, from 0 to 254 |
//! | `graph_target` | \[G, T\] | optional: values to predict of the graphs |

mod archive;
pub(crate) mod check;
mod edges;
mod features;
mod labels;
mod set;
mod write;

use std::path::Path;

pub(crate) use self::archive::{Archive, open_file};
use super::{GraphData, GraphFileError, Problem};

impl GraphData {
    /// Reads a graph file as it is, without a scene's transformations; features may be missing.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or is malformed.
    pub fn read_npz(path: impl AsRef<Path>) -> Result<Self, GraphFileError> {
        let read_as_is = |path: &Path| {
            let mut archive = Archive::open(path)?;
            let with_features = features::are_in(&archive);
            read(&mut archive, with_features)
        };
        let path = path.as_ref();
        read_as_is(path).map_err(|problem| problem.of_file(path.display()))
    }
}

/// Reads the graph in the file at `path`, and its features if they are wanted.
pub(crate) fn graph(path: &Path, with_features: bool) -> Result<GraphData, Problem> {
    read(&mut Archive::open(path)?, with_features)
}

fn read(archive: &mut Archive, with_features: bool) -> Result<GraphData, Problem> {
    let mut data = if archive.has("node_ptr") { set::read(archive)? } else { labels::read_nodes(archive)? };
    edges::read(archive, &mut data)?;
    if let Some(graphs) = &mut data.graphs {
        graphs.edge_offsets = set::edge_offsets(archive, &graphs.node_offsets, &data.edges)?;
    }
    if with_features {
        data.features = features::read(archive, data.nodes)?;
    }
    data.targets = check::optional_rows(archive, "node_target", data.nodes)?;
    data.names = labels::read_names(archive, data.nodes)?;
    Ok(data)
}
