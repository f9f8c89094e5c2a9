//! Graphs out of `.npz` files.
//!
//! | array | shape | meaning |
//! | --- | --- | --- |
//! | `x_data`, `x_indices`, `x_indptr`, `x_shape` | \[K\], \[K\], \[N + 1\], \[2\] | features as compressed sparse rows |
//! | `x` | \[N, F\] | instead of these: features as a dense matrix |
//! | `node_label` | \[N\] | instead of these: the column of a one-hot code, if there are different ones |
//! | `y` | \[N\] | class of each node, counted from 0 |
//! | `node_target` | \[N, T\] | optional: numbers to predict |
//! | `edge_index` | \[2, E\] | sources, then targets |
//! | `edge_weight` | \[E\] | optional |
//! | `edge_attr` | \[E, F\] or \[E\] | optional: features of the edges |
//! | `train`, `val`, `test` | any length | nodes of each split; all three, or none |
//! | `unlabelled` | any length | optional: nodes that may be in no split |
//! | `node_name`, `node_name_ptr` | \[bytes\], \[N + 1\] | optional: names in UTF-8, and where each begins |
//!
//! If there is `node_ptr`, the file holds a set of graphs: `y`, `train`, `val`, `test` and `unlabelled` are about graphs
//! then, and `node_label` must be there and is the class of each node; it may be 0 for all.
//!
//! | array | shape | meaning |
//! | --- | --- | --- |
//! | `node_ptr` | \[G + 1\] | where the nodes of each graph begin |
//! | `edge_ptr` | \[G + 1\] | optional: where the edges of each graph begin |
//! | `fold` | \[G\] | optional: fold of each graph, from 0 to 254 |
//! | `graph_target` | \[G, T\] | optional: numbers to predict |

mod archive;
mod check;
mod edges;
mod features;
mod labels;
mod problem;
mod set;

use std::path::Path;

use self::archive::Archive;
pub(super) use self::archive::open_file;
pub(super) use self::problem::Problem;
use super::data::GraphData;

/// Reads the graph in the file at `path`, and its features if they are wanted.
pub(super) fn graph(path: &Path, with_features: bool) -> Result<GraphData, Problem> {
    let mut archive = Archive::open(path)?;
    let mut data = if archive.has("node_ptr") { set::read(&mut archive)? } else { labels::read_nodes(&mut archive)? };
    edges::read(&mut archive, &mut data)?;
    if let Some(graphs) = &mut data.graphs {
        graphs.edge_offsets = set::edge_offsets(&mut archive, &graphs.node_offsets, &data.edges)?;
    }
    if with_features {
        data.features = features::read(&mut archive, data.nodes)?;
    }
    data.targets = check::optional_rows(&mut archive, "node_target", data.nodes)?;
    data.names = labels::read_names(&mut archive, data.nodes)?;
    Ok(data)
}
