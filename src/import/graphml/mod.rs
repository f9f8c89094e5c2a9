//! GraphML, <http://graphml.graphdrawing.org>.
//!
//! A node's key `class`, or else `label`, is its class, `split` its split and `name` its name; an edge's `weight` is its
//! weight. All other keys of numbers are features, in the order in which they are declared; keys of text are left out.

mod document;
mod keys;
mod reader;

use std::path::Path;

use connectome_components::Split;

use self::document::Element;
use self::keys::{Keys, Role};
use super::Imported;
use super::draft::{Draft, split_named};
use super::error::ImportError;
use super::node_list::Numbers;
use super::text::{TextFile, fits, parse_number};
use crate::data::DenseRows;
use crate::scene::suggest::quote;

/// Reads the graph in a file.
pub(super) fn read(path: &Path) -> Result<Imported, ImportError> {
    let file = TextFile::read(path)?;
    let document = document::read(&file)?;
    let (mut keys, mut edge_keys) = (Keys::of_nodes(&document.keys), Keys::of_edges(&document.keys));
    let mut draft = Draft::default();
    let numbers = number_nodes(&file, &document.nodes)?;
    let is_undirected = read_edges(&file, &mut edge_keys, &document, &numbers, &mut draft)?;
    draft.names = numbers.into_names();
    read_nodes(&file, &mut keys, &document.nodes, &mut draft)?;
    draft.add_ways_back(|edge| is_undirected[edge]);
    let left_out = |what: &str, keys: &Keys| {
        let names = keys.left_out().join(", ");
        (!names.is_empty()).then(|| format!("keys of {what}s that hold text and are left out: {names}"))
    };
    let notes = left_out("node", &keys).into_iter().chain(left_out("edge", &edge_keys)).collect();
    Ok(draft.finish(notes))
}

fn number_nodes(file: &TextFile, nodes: &[Element]) -> Result<Numbers, ImportError> {
    let mut numbers = Numbers::default();
    for (number, node) in nodes.iter().enumerate() {
        let id = file.attribute(node, "id")?;
        match numbers.insert(&id) {
            Some(given) if given as usize == number => {}
            Some(first) => {
                let message = format!("the node has the id {} like node {first}", quote(&id));
                return Err(file.error(node.offset, message, "give each node an id of its own"));
            }
            None => {
                let message = "there are more nodes than can be numbered";
                return Err(file.error(node.offset, message, "import a part of the graph"));
            }
        }
    }
    Ok(numbers)
}

fn read_nodes(file: &TextFile, keys: &mut Keys, nodes: &[Element], draft: &mut Draft) -> Result<(), ImportError> {
    draft.features.width = keys.feature_count();
    check_size(file, nodes.len(), draft.features.width)?;
    for (number, node) in nodes.iter().enumerate() {
        keys.take(file, node)?;
        draft.features.values.extend(keys.features(file, node)?);
        if keys.has(Role::Label) {
            draft.labels.push(keys.text(Role::Label).filter(|label| !label.is_empty()).map(str::to_owned));
        }
        if let Some(name) = keys.text(Role::Name) {
            draft.names[number] = name.to_owned();
        }
        if keys.has(Role::Split) {
            let split = read_split(file, node, keys.text(Role::Split).unwrap_or_default())?;
            if split != Split::Unused && draft.labels.last().is_some_and(Option::is_none) {
                let message = "the node is in a split, but has no label";
                return Err(file.error(node.offset, message, "write its label, or leave its split out"));
            }
            draft.splits.get_or_insert_default().push(split);
        }
    }
    Ok(())
}

fn read_split(file: &TextFile, node: &Element, name: &str) -> Result<Split, ImportError> {
    split_named(name).ok_or_else(|| {
        let message = format!("{} is no split", quote(name));
        file.error(node.offset, message, "write train, validation or test, or leave it out")
    })
}

/// Reads the edges and tells which are undirected.
fn read_edges(
    file: &TextFile,
    keys: &mut Keys,
    document: &document::Document,
    numbers: &Numbers,
    draft: &mut Draft,
) -> Result<Vec<bool>, ImportError> {
    let width = keys.feature_count();
    check_size(file, document.edges.len(), width)?;
    let mut features = DenseRows { width, values: Vec::new() };
    let mut weights = Vec::new();
    let mut is_undirected = Vec::with_capacity(document.edges.len());
    for edge in &document.edges {
        let end = |name| {
            let id = file.attribute(edge, name)?;
            numbers.find(&id).map_err(|help| {
                file.error(edge.offset, format!("the edge names the {name} {}, which is no node", quote(&id)), help)
            })
        };
        draft.edges.push([end("source")?, end("target")?]);
        is_undirected.push(match edge.get("directed") {
            Some("true") => false,
            Some("false") => true,
            None => document.undirected,
            Some(other) => {
                let message = format!("{} does not tell whether the edge is directed", quote(other));
                return Err(file.error(edge.offset, message, "write true or false"));
            }
        });
        keys.take(file, edge)?;
        features.values.extend(keys.features(file, edge)?);
        weights.push(match keys.text(Role::Weight) {
            None => 1.0,
            Some(text) => parse_number(text)
                .map_err(|message| file.error(edge.offset, format!("the weight {message}"), "write a finite number"))?,
        });
    }
    draft.weights = Some(weights);
    draft.edge_features = (width > 0).then_some(features);
    Ok(is_undirected)
}

/// Defaults make a matrix far larger than the file it comes from.
fn check_size(file: &TextFile, rows: usize, width: usize) -> Result<(), ImportError> {
    fits(rows, width).map_err(|message| file.error_of_file(message, "declare fewer keys"))
}
