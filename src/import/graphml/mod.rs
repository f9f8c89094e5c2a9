//! GraphML, <http://graphml.graphdrawing.org>.
//!
//! A node's key `class`, or else `label`, is its class, `split` its split, `name` its name and `target` a value to predict;
//! an edge's `weight` is its weight. All other keys with a type are features, in the order in which they are declared: texts
//! as one-hot codes. A graph without `edgedefault` is undirected. Of the keys of edges `label` is the class of an edge, `target`
//! a value to predict and `split` its split.
//!
//! GEXF, <https://gexf.net>, says the same in other words, so it is read into the same document.

mod document;
mod gexf;
mod keys;
mod reader;

use std::path::Path;

use connectome_components::Split;

use self::document::Element;
use self::keys::{Keys, Role};
use super::Imported;
use super::columns::{Columns, Value, parse_bool};
use super::draft::{Draft, split_named};
use super::error::ImportError;
use super::node_list::Numbers;
use super::targets::Targets;
use super::text::{TextFile, fits};
use crate::suggest::quote;

/// Reads the graph in a file.
pub(super) fn read(path: &Path) -> Result<Imported, ImportError> {
    let file = TextFile::read(path)?;
    let document = document::read(&file)?;
    build(&file, &document, Vec::new())
}

/// Reads the graph in a file of Gephi.
pub(super) fn read_gexf(path: &Path) -> Result<Imported, ImportError> {
    let file = TextFile::read(path)?;
    let (document, notes) = gexf::read(&file)?;
    build(&file, &document, notes)
}

/// The graph that a document describes.
fn build(file: &TextFile, document: &document::Document, notes: Vec<String>) -> Result<Imported, ImportError> {
    let mut keys = Keys::of_nodes(&document.keys, &document.nodes);
    let mut edge_keys = Keys::of_edges(&document.keys, &document.edges);
    let mut draft = Draft { notes, ..Draft::default() };
    let numbers = number_nodes(file, &document.nodes)?;
    let is_undirected = read_edges(file, &mut edge_keys, document, &numbers, &mut draft)?;
    draft.names = numbers.into_names();
    read_nodes(file, &mut keys, &document.nodes, &mut draft)?;
    draft.add_reverse_edges(|edge| is_undirected[edge]);
    for (what, keys) in [("node", &keys), ("edge", &edge_keys)] {
        let left_out = keys.names(Role::LeftOut);
        if !left_out.is_empty() {
            draft.notes.push(format!("keys of {what}s that are left out: {}", left_out.join(", ")));
        }
        if !keys.misdeclared().is_empty() {
            let names = keys.misdeclared().join(", ");
            draft.notes.push(format!("keys that are used for {what}s, although declared for something else: {names}"));
        }
    }
    Ok(draft.finish())
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
    check_size(file, nodes.len(), keys.default_count())?;
    let mut features = Columns::new(keys.names(Role::Feature));
    let mut targets = Targets::new(keys.names(Role::Target));
    for (number, node) in nodes.iter().enumerate() {
        keys.take(file, node)?;
        keys.push(Role::Feature, file, node, |column, text, is_text| match is_text {
            true => features.push_word(column, number, text),
            false => features.push(column, number, text),
        })?;
        keys.push(Role::Target, file, node, |target, text, _| targets.push(target, number, text))?;
        if keys.has(Role::Label) {
            draft.labels.push(keys.label());
        }
        if let Some(name) = keys.text(Role::Name) {
            draft.names[number] = name.to_owned();
        }
        if keys.has(Role::Split) {
            let split = read_split(file, node, keys.text(Role::Split).unwrap_or_default())?;
            draft
                .check_split(split, &targets)
                .map_err(|message| file.error(node.offset, message, "write it, or leave the split of the node out"))?;
            draft.splits.get_or_insert_default().push(split);
        }
    }
    let read = draft.take_node_columns(features, targets, nodes.len());
    read.map_err(|message| file.error_of_file(message, "declare fewer keys, or other ones"))
}

fn read_split(file: &TextFile, node: &Element, name: &str) -> Result<Split, ImportError> {
    split_named(name).ok_or_else(|| {
        let message = format!("{} is no split", quote(name));
        file.error(node.offset, message, "write train, validation or test, or leave it out")
    })
}

/// Reads the edges; which are undirected is returned.
fn read_edges(
    file: &TextFile,
    keys: &mut Keys,
    document: &document::Document,
    numbers: &Numbers,
    draft: &mut Draft,
) -> Result<Vec<bool>, ImportError> {
    let edges = &document.edges;
    check_size(file, edges.len(), keys.default_count())?;
    if document.undirected.is_none() && edges.iter().any(|edge| edge.get("directed").is_none()) {
        draft.notes.push("the graph has no edgedefault, and is read as undirected".to_owned());
    }
    let mut features = Columns::new(keys.names(Role::Feature));
    let (mut weights, mut unweighted) = (Vec::new(), 0_usize);
    let mut is_undirected = Vec::with_capacity(edges.len());
    for (number, edge) in edges.iter().enumerate() {
        let end = |name| {
            let id = file.attribute(edge, name)?;
            numbers.find(&id).map_err(|help| {
                file.error(edge.offset, format!("the edge names the {name} {}, which is no node", quote(&id)), help)
            })
        };
        draft.edges.push([end("source")?, end("target")?]);
        is_undirected.push(match edge.get("directed") {
            None => document.undirected.unwrap_or(true),
            Some(directed) => !parse_bool(directed).ok_or_else(|| {
                let message = format!("{} does not tell whether the edge is directed", quote(directed));
                file.error(edge.offset, message, "write true or false")
            })?,
        });
        keys.take(file, edge)?;
        keys.push(Role::Feature, file, edge, |column, text, is_text| match is_text {
            true => features.push_word(column, number, text),
            false => features.push(column, number, text),
        })?;
        let weight = read_weight(keys).map_err(|message| file.error(edge.offset, message, "write a finite number"))?;
        unweighted += usize::from(weight.is_none());
        weights.push(weight.unwrap_or(1.0));
    }
    if unweighted > 0 && unweighted < edges.len() {
        draft.notes.push(format!("the weight is missing for {unweighted} of {} edges, and read as 1", edges.len()));
    }
    draft.weights = Some(weights);
    draft.take_edge_columns(features).map_err(|message| file.error_of_file(message, "declare fewer keys"))?;
    Ok(is_undirected)
}

/// The weight of the edge, if it has one.
fn read_weight(keys: &Keys) -> Result<Option<f32>, String> {
    let Some(text) = keys.text(Role::Weight) else { return Ok(None) };
    match Value::parse(text) {
        Ok(Value::Missing) => Ok(None),
        Ok(Value::Number(weight)) => Ok(Some(weight)),
        Ok(Value::Word(word)) => Err(format!("the weight {} is no number", quote(word))),
        Err(message) => Err(format!("the weight {message}")),
    }
}

/// Defaults make a matrix far larger than the file it comes from.
fn check_size(file: &TextFile, rows: usize, width: usize) -> Result<(), ImportError> {
    fits(rows, width).map_err(|message| file.error_of_file(message, "declare fewer keys"))
}
