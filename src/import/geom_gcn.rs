//! Folders of [Geom-GCN](https://github.com/graphdml-uiuc-jlu/geom-gcn), with one graph each.
//!
//! | file | line, parted by tabs | becomes |
//! | --- | --- | --- |
//! | `out1_node_feature_label.txt` | id, features, label | a node with its features, parted by commas, and its class |
//! | `out1_graph_edges.txt` | id, id | a directed edge |
//!
//! Each file begins with a line of names. Nodes are put in the order of their ids, as the masks of the splits have them. Where
//! lines have differing numbers of features, as in `film`, they are the indices of those that are 1.

use std::path::Path;

use super::Imported;
use super::draft::Draft;
use super::edge_list;
use super::error::ImportError;
use super::node_list::Numbers;
use super::table::{Row, Table, find_column};
use super::text::{fits, parse_number};
use crate::data::DenseRows;
use crate::suggest::quote;

const NODES: &str = "out1_node_feature_label.txt";
const EDGES: &str = "out1_graph_edges.txt";

/// Whether a folder holds such a graph.
pub(super) fn is_in(folder: &Path) -> bool {
    [NODES, EDGES].iter().any(|file| folder.join(file).exists())
}

/// Reads the graph in a folder.
pub(super) fn read(folder: &Path, undirected: bool) -> Result<Imported, ImportError> {
    let known = read_nodes(&Table::read(&folder.join(NODES))?)?;
    edge_list::read_table(&Table::read(&folder.join(EDGES))?, Some(known), undirected)
}

/// A node as its line tells.
struct Node {
    id: u64,
    features: Vec<f32>,
    label: Option<String>,
}

fn read_nodes(table: &Table) -> Result<(Draft, Numbers), ImportError> {
    let header = table.first_row()?;
    let columns = ["node_id", "feature", "label"].map(|name| find_column(&header, &[name]));
    let [Some(id), Some(feature), Some(label)] = columns else {
        let help = "the first line must be node_id, feature and label, parted by tabs";
        return Err(table.error("the first line does not name the columns", help));
    };
    let mut nodes = Vec::new();
    table.each(true, |row| {
        row.check_width(header.len())?;
        nodes.push(Node {
            id: row.get(id).parse().map_err(|_| {
                let message = format!("{} is no whole number", quote(row.get(id)));
                row.error(id, message, "write the number of the node")
            })?,
            features: read_features(&row, feature)?,
            label: Some(row.get(label).to_owned()).filter(|label| !label.is_empty()),
        });
        Ok(())
    })?;
    nodes.sort_by_key(|node| node.id);
    let (mut draft, mut numbers) = (Draft::default(), Numbers::default());
    for (number, node) in nodes.iter().enumerate() {
        match numbers.insert(&node.id.to_string()) {
            Some(given) if given as usize == number => {}
            Some(_) => return Err(table.error(format!("there are two nodes {}", node.id), "keep one of them")),
            None => return Err(table.error("there are more nodes than can be numbered", "import a part of the graph")),
        }
    }
    draft.features = rows_of(&nodes, &mut draft.notes).map_err(|(message, help)| table.error(message, help))?;
    draft.feature_names = vec![header[feature].clone()];
    draft.labels = nodes.into_iter().map(|node| node.label).collect();
    Ok((draft, numbers))
}

fn read_features(row: &Row, column: usize) -> Result<Vec<f32>, ImportError> {
    let texts = row.get(column).split(',').map(str::trim).filter(|text| !text.is_empty());
    texts
        .map(|text| parse_number(text).map_err(|message| row.error(column, message, "write numbers, parted by commas")))
        .collect()
}

/// The features of all nodes; or what is wrong, and what to do.
fn rows_of(nodes: &[Node], notes: &mut Vec<String>) -> Result<DenseRows, (String, &'static str)> {
    let width = nodes.first().map_or(0, |node| node.features.len());
    if nodes.iter().all(|node| node.features.len() == width) {
        return Ok(DenseRows { width, values: nodes.iter().flat_map(|node| &node.features).copied().collect() });
    }
    let index = |value: &f32| (value.fract() == 0.0 && (0.0..1e9).contains(value)).then_some(*value as usize);
    let mut width = 0;
    for node in nodes {
        for value in &node.features {
            let Some(index) = index(value) else {
                let message = format!("node {} has other features than most: {value} is no index of one", node.id);
                return Err((message, "give each node as many features, or the indices of those that it has"));
            };
            width = width.max(index + 1);
        }
    }
    fits(nodes.len(), width).map_err(|message| (message, "take large indices out"))?;
    let mut rows = DenseRows { width, values: vec![0.0; nodes.len() * width] };
    for (row, node) in nodes.iter().enumerate() {
        node.features.iter().filter_map(index).for_each(|index| rows.values[row * width + index] = 1.0);
    }
    notes.push(format!("features are read as indices of {width}, for lines have differing numbers of them"));
    Ok(rows)
}
