//! Reads graphs from `.npz` files.
//!
//! | array | shape | meaning |
//! | --- | --- | --- |
//! | `x_data`, `x_indices`, `x_indptr`, `x_shape` | \[K\], \[K\], \[N + 1\], \[2\] | features as compressed sparse rows |
//! | `x` | \[N, F\] | instead of these: features as a dense matrix |
//! | `node_label` | \[N\] | instead of these: the column of a one-hot encoding, if labels differ |
//! | `y` | \[N\] | class of each node, counted from 0; optional if there is `node_target` |
//! | `class_name`, `class_name_ptr` | \[bytes\], \[classes + 1\] | optional: names of the classes in UTF-8, and where each begins |
//! | `node_target` | \[N, T\] or \[N\] | optional: values to predict, for the tasks `NodeRegression` and `NodeMultiLabel` |
//! | `edge_index` | \[2, E\] | sources, then targets |
//! | `edge_weight` | \[E\] | optional |
//! | `edge_attr` | \[E, F\] or \[E\] | optional: features of the edges |
//! | `edge_label` | \[E\] | optional: class of each edge, counted from 0, for the task `EdgeClassification` |
//! | `edge_target` | \[E, T\] or \[E\] | optional: values to predict of the edges |
//! | `edge_train`, `edge_val`, `edge_test` | any length | optional: edges of each split, or a mask; all three, or none |
//! | `train`, `val`, `test` | any length | nodes of each split, or a mask of \[N\] truth values; all three, or none |
//! | `train_masks`, `val_masks`, `test_masks` | \[S, N\] | optional: several splits, as masks; or `train_mask` ... of \[N\] or \[N, S\] |
//! | `unlabeled` | any length | optional: nodes that may be in no split |
//! | `node_name`, `node_name_ptr` | \[bytes\], \[N + 1\] | optional: names in UTF-8, and where each begins |
//!
//! Two collections are read as they are published. In heterophilous-graphs features, classes and edges are called
//! `node_features`, `node_labels` and `edges` \[E, 2\]; in gnn-benchmark `attr_matrix`, or `attr_data` and so on, `labels`, and
//! `adj_data`, `adj_indices`, `adj_indptr`, `adj_shape`, a sparse matrix. Edges are undirected in both: the adjacency is
//! symmetric.
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
//!
//! A scene that names kinds of nodes and relations reads the arrays of each under these names with a dot and its name behind:
//! `x.package`, `y.package` (or `label.package`), `train_mask.package` and so on of a kind, of which `num_nodes.package` \[1\]
//! tells how many nodes there are where nothing else does; `edge_index.depends`, `edge_weight.depends` and `edge_attr.depends`
//! of a relation, whose sources and targets are numbered within their kinds. Classes are optional there.

mod archive;
pub(crate) mod check;
mod edges;
mod features;
mod kinds;
mod labels;
mod names;
mod published;
mod set;
mod splits;
mod write;

#[cfg(feature = "import")]
use connectome_components::Split;
use std::path::Path;

pub(crate) use self::archive::{Archive, open_file};
pub(crate) use self::kinds::{KindPlace, KindRequest, KindToRead, RelationToRead, graph_with_kinds};
use super::{GraphData, GraphFileError, Problem};

impl GraphData {
    /// Reads a graph file as it is, without a scene's transformations; features may be missing.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or is malformed.
    pub fn read_npz(path: impl AsRef<Path>) -> Result<Self, GraphFileError> {
        let path = path.as_ref();
        read_as_is(path).map(|(data, _)| data).map_err(|problem| problem.of_file(path.display()))
    }
}

/// Arrays that others read: the known distances between graphs.
pub(crate) const DISTANCES: &str = "ged";

/// Reads a graph file as it is, and what is to be said about it.
pub(crate) fn read_as_is(path: &Path) -> Result<(GraphData, Vec<String>), Problem> {
    let mut archive = Archive::open(path)?;
    let with_features = features::are_in(&archive);
    read(&mut archive, with_features)
}

/// Reads the graph in the file at `path`, and its features if they are wanted; and what is to be said about it.
pub(crate) fn graph(path: &Path, with_features: bool) -> Result<(GraphData, Vec<String>), Problem> {
    read(&mut Archive::open(path)?, with_features)
}

/// A note on the arrays that were not read and are not among these, if there are any.
pub(crate) fn note_unread(archive: &Archive, known: &[&str]) -> Option<String> {
    let unread: Vec<&str> = archive.unread().into_iter().filter(|name| !known.contains(name)).collect();
    names::note_unread(&unread, &[])
}

/// Reads the splits that an archive has for so many nodes, or graphs.
#[cfg(feature = "import")]
pub(crate) fn read_splits(path: &Path, count: usize, what: &str) -> Result<Vec<Vec<Split>>, Problem> {
    let mut archive = Archive::open(path)?;
    let splits = splits::read_splits(&mut archive, "", count, what)?;
    let all = if splits.all.is_empty() { vec![splits.first] } else { splits.all };
    if all.iter().all(|splits| !splits.contains(&Split::Train)) {
        return Err(archive.missing("train_mask"));
    }
    Ok(all)
}

fn read(archive: &mut Archive, with_features: bool) -> Result<(GraphData, Vec<String>), Problem> {
    let mut notes = Vec::new();
    let mut data = if archive.has("node_ptr") { set::read(archive)? } else { labels::read_nodes(archive)? };
    edges::read(archive, &mut data, &mut notes)?;
    if let Some(graphs) = &mut data.graphs {
        graphs.edge_offsets = set::edge_offsets(archive, &graphs.node_offsets, &data.edges)?;
    }
    if with_features {
        data.features = features::read(archive, data.nodes)?;
    }
    data.targets = check::optional_rows(archive, "node_target", data.nodes)?;
    data.names = labels::read_node_names(archive, data.nodes)?;
    let classes = data.graphs.as_ref().map_or(data.classes, |graphs| graphs.classes);
    data.class_names = labels::read_class_names(archive, classes)?;
    let features = if with_features { Vec::new() } else { features::names() };
    let known: Vec<&str> = features.iter().map(String::as_str).chain([DISTANCES]).collect();
    notes.extend(note_unread(archive, &known));
    Ok((data, notes))
}
