//! Folders of the collection [TUDataset](https://chrsmrrs.github.io/datasets/).
//!
//! One text file for each thing that is known, with a line for each edge, node or graph; all are counted from 1.
//!
//! | file | line | becomes |
//! | --- | --- | --- |
//! | `NAME_A.txt` | source, target | the edges |
//! | `NAME_graph_indicator.txt` | the graph of a node | the parts of the set |
//! | `NAME_graph_labels.txt` | class of a graph | the classes to tell |
//! | `NAME_graph_attributes.txt` | numbers of a graph | targets |
//! | `NAME_node_labels.txt` | whole numbers of a node | class of the node, and features in one-hot code |
//! | `NAME_node_attributes.txt` | numbers of a node | features, before those |
//! | `NAME_edge_labels.txt` | whole numbers of an edge | features of the edges in one-hot code |
//! | `NAME_edge_attributes.txt` | numbers of an edge | features of the edges, before those |

use std::path::{Path, PathBuf};

use connectome_components::Split;

use super::Imported;
use super::error::ImportError;
use super::kinds::{Kinds, MAX_KINDS};
use super::labeled::SourceLabels;
use super::matrix::{Entry, Matrix, OneHot, dense_features, features};
use super::text::fits;
use crate::data::{DenseRows, GraphData, GraphSet};

/// Reads the set of graphs in a folder.
pub(super) fn read(path: &Path) -> Result<Imported, ImportError> {
    let folder = Folder::open(path)?;
    let indicator = folder.matrix::<i64>("graph_indicator")?;
    indicator.check_width(1)?;
    let nodes = indicator.rows();
    if u32::try_from(nodes).is_err() {
        return Err(ImportError::new(path, "there are more nodes than can be numbered", "import a part of the set"));
    }
    let (mut graphs, class_names) = read_graphs(&folder, &indicator)?;
    let graph_of = graph_numbers(&indicator, graphs.len())?;
    graphs.node_offsets = offsets(graph_of.iter().copied(), graphs.len());

    let (edges, order) = read_edges(&folder, &graph_of)?;
    graphs.edge_offsets = offsets(edges.iter().map(|endpoints| graph_of[endpoints[0] as usize]), graphs.len());
    let (edge_features, edge_labels) = read_edge_features(&folder, &order)?;

    let attributes = folder.optional::<f32>("node_attributes", nodes, "nodes")?;
    let node_labels = folder.optional::<i64>("node_labels", nodes, "nodes")?;
    let code = node_labels.as_ref().map(OneHot::of);
    // All labels of a node together are its class; without any there is none.
    let label = |labels: &Matrix<i64>| Kinds::of((0..nodes).map(|node| Some(labels.label(node))), usize::MAX);
    let kinds = node_labels.as_ref().and_then(label).unwrap_or_default();
    let mut unlabeled = Vec::new();
    unlabeled.extend(attributes.as_ref().map(|_| "node_attributes".to_owned()));
    unlabeled.extend(folder.path("edge_attributes").exists().then(|| "edge_attributes".to_owned()));
    let data = GraphData {
        nodes,
        features: features(attributes, code.as_ref(), nodes),
        classes: kinds.names.len().max(usize::from(nodes > 0)),
        labels: if kinds.indices.is_empty() { vec![0; nodes] } else { kinds.indices.clone() },
        class_names,
        splits: vec![Split::Unused; nodes],
        edges,
        edge_features,
        graphs: Some(graphs),
        ..GraphData::default()
    };
    let labels = Some(SourceLabels { nodes: kinds, edges: edge_labels, unlabeled });
    Ok(Imported { data, notes: Vec::new(), labels })
}

/// The files of one data set.
struct Folder<'a> {
    folder: &'a Path,
    /// What their names begin with.
    name: String,
}

impl<'a> Folder<'a> {
    fn open(folder: &'a Path) -> Result<Self, ImportError> {
        let unreadable =
            |error| ImportError::new(folder, format!("the folder cannot be read: {error}"), "check the path");
        let mut names = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(unreadable)? {
            let file = entry.map_err(unreadable)?.file_name();
            names.extend(file.to_str().and_then(|name| name.strip_suffix("_A.txt")).map(str::to_owned));
        }
        names.sort_unstable();
        match &names[..] {
            [name] => Ok(Self { folder, name: name.clone() }),
            [] => {
                let help = "name the folder that holds NAME_A.txt and NAME_graph_indicator.txt";
                Err(ImportError::new(folder, "the folder holds no TUDataset", help))
            }
            _ => {
                let message = format!("the folder holds several TUDatasets: {}", names.join(", "));
                Err(ImportError::new(folder, message, "put each into a folder of its own"))
            }
        }
    }

    fn path(&self, what: &str) -> PathBuf {
        self.folder.join(format!("{}_{what}.txt", self.name))
    }

    fn matrix<T: Entry>(&self, what: &str) -> Result<Matrix<T>, ImportError> {
        Matrix::read(&self.path(what))
    }

    /// Reads a file that need not be there; if it is, it must have so many lines.
    fn optional<T: Entry>(&self, what: &str, count: usize, things: &str) -> Result<Option<Matrix<T>>, ImportError> {
        if !self.path(what).exists() {
            return Ok(None);
        }
        let matrix = self.matrix(what)?;
        matrix.check_rows(count, things)?;
        Ok(Some(matrix))
    }
}

/// Reads what is known of each graph but its nodes and edges, and what its classes are called.
fn read_graphs(folder: &Folder, indicator: &Matrix<i64>) -> Result<(GraphSet, Vec<String>), ImportError> {
    if folder.path("graph_labels").exists() {
        let labels = folder.matrix::<i64>("graph_labels")?;
        labels.check_width(1)?;
        let targets = folder.optional::<f32>("graph_attributes", labels.rows(), "graphs")?;
        let mut names = labels.values.clone();
        names.sort_unstable();
        names.dedup();
        let number = |label: &i64| names.partition_point(|name| name < label) as u32;
        let numbers = labels.values.iter().map(number).collect();
        let names: Vec<String> = names.iter().map(i64::to_string).collect();
        return Ok((graph_set(numbers, names.len(), targets), names));
    }
    let targets = match folder.path("graph_attributes").exists() {
        true => Some(folder.matrix::<f32>("graph_attributes")?),
        false => None,
    };
    let count = match &targets {
        Some(targets) => targets.rows(),
        // No graph is empty then, so there are no more graphs than nodes.
        None => indicator.values.iter().copied().max().unwrap_or(0).clamp(0, indicator.rows() as i64) as usize,
    };
    Ok((graph_set(vec![0; count], count.min(1), targets), Vec::new()))
}

fn graph_set(labels: Vec<u32>, classes: usize, targets: Option<Matrix<f32>>) -> GraphSet {
    let targets = targets.map(|targets| DenseRows { width: targets.width, values: targets.values });
    GraphSet { splits: vec![Split::Unused; labels.len()], labels, classes, targets, ..GraphSet::default() }
}

/// The number of the graph of each node, counted from 0; they must rise.
fn graph_numbers(indicator: &Matrix<i64>, graphs: usize) -> Result<Vec<usize>, ImportError> {
    let mut last = 0;
    let check = |(row, &number): (usize, &i64)| {
        let graph = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        let graph = graph.filter(|&graph| graph < graphs).ok_or_else(|| {
            let message = format!("node {} is in graph {number}, but graphs go from 1 to {graphs}", row + 1);
            indicator.error(row, message, "name a graph that has a label, counted from 1")
        })?;
        if graph < last {
            let message = format!("node {} of graph {number} stands behind those of graph {}", row + 1, last + 1);
            return Err(indicator.error(row, message, "sort the nodes by graph"));
        }
        last = graph;
        Ok(graph)
    };
    indicator.values.iter().enumerate().map(check).collect()
}

/// Where each of so many graphs begins, if these rising numbers are the graphs of things in a row.
fn offsets(graph_of: impl Iterator<Item = usize>, graphs: usize) -> Vec<usize> {
    let mut counts = vec![0; graphs + 1];
    graph_of.for_each(|graph| counts[graph + 1] += 1);
    for graph in 0..graphs {
        counts[graph + 1] += counts[graph];
    }
    counts
}

/// Reads the edges, sorted by graph, and from which line each came.
fn read_edges(folder: &Folder, graph_of: &[usize]) -> Result<(Vec<[u32; 2]>, Vec<usize>), ImportError> {
    let matrix = folder.matrix::<i64>("A")?;
    if !matrix.values.is_empty() {
        matrix.check_width(2)?;
    }
    let nodes = graph_of.len();
    let end = |row: usize, number: i64| {
        let node = u32::try_from(number).ok().and_then(|number| number.checked_sub(1));
        node.filter(|&node| (node as usize) < nodes).ok_or_else(|| {
            let message = format!("the edge names node {number}, but nodes go from 1 to {nodes}");
            matrix.error(row, message, "name a node that has a line in the graph indicator, counted from 1")
        })
    };
    let mut edges = Vec::with_capacity(matrix.rows());
    for (row, endpoints) in matrix.values.chunks_exact(2).enumerate() {
        let [source, target] = [end(row, endpoints[0])?, end(row, endpoints[1])?];
        let [graph, other] = [source, target].map(|node| graph_of[node as usize] + 1);
        if graph != other {
            let message = format!("the edge joins graph {graph} to graph {other}");
            return Err(matrix.error(row, message, "an edge must stay in its graph"));
        }
        edges.push([source, target]);
    }
    let mut order: Vec<usize> = (0..edges.len()).collect();
    order.sort_by_key(|&edge| graph_of[edges[edge][0] as usize]);
    Ok((order.iter().map(|&edge| edges[edge]).collect(), order))
}

/// Reads the features of the edges, and what they are labeled with.
fn read_edge_features(folder: &Folder, order: &[usize]) -> Result<(Option<DenseRows>, Option<Kinds>), ImportError> {
    let numbers = folder.optional::<f32>("edge_attributes", order.len(), "edges")?;
    let labels = folder.optional::<i64>("edge_labels", order.len(), "edges")?;
    if numbers.is_none() && labels.is_none() {
        return Ok((None, Some(Kinds::default())));
    }
    let code = labels.as_ref().map(OneHot::of);
    let width = numbers.as_ref().map_or(0, |numbers| numbers.width) + code.as_ref().map_or(0, |code| code.width);
    fits(order.len(), width).map_err(|message| {
        let help = "give the edges fewer different labels, or take the file of edge labels away";
        ImportError::new(&folder.path("edge_labels"), format!("as code of the labels, {message}"), help)
    })?;
    let kinds = match &labels {
        None => Some(Kinds::default()),
        Some(labels) => Kinds::of(order.iter().map(|&row| Some(labels.label(row))), MAX_KINDS),
    };
    Ok((Some(dense_features(numbers.as_ref(), code.as_ref(), order)), kinds))
}
