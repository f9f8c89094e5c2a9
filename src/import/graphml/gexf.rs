//! GEXF, as a document of the same form as GraphML.
//!
//! The label of a node is its name, that of an edge its label. Attributes are keys. Of a graph that changes with time, each node
//! and edge is read whenever it exists, with the last of its values.

use std::collections::HashSet;

use super::document::{Document, Element};
use super::reader::{Markup, Reader};
use crate::import::error::ImportError;
use crate::import::text::TextFile;
use crate::suggest::quote;

/// Ids of what GEXF has attributes of XML for; none is an id in a file, for XML has no such letter.
const LABEL: &str = "\0label";
const WEIGHT: &str = "\0weight";

/// What an open element is, as far as its children need to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Root,
    Graph,
    /// Declarations of attributes of nodes, or of edges.
    Attributes(&'static str),
    Attribute,
    /// The default of an attribute.
    Default,
    Nodes,
    /// The node of this index; nodes may lie in one another.
    Node(usize),
    Edges,
    Edge(usize),
    /// Values of the node or edge around it.
    Values,
    /// Anything else; what is in it is skipped.
    Other,
}

/// Reads a document, and what is to be said about it.
pub(super) fn read(file: &TextFile) -> Result<(Document, Vec<String>), ImportError> {
    let mut parser =
        Parser { file, document: Document::default(), open: Vec::new(), has_graph: false, notes: Vec::new() };
    let mut reader = Reader::new(file);
    while let Some((offset, markup)) = reader.next()? {
        match markup {
            Markup::Start { name, attributes } => parser.start(offset, &name, attributes)?,
            Markup::End => drop(parser.open.pop()),
            Markup::Text(text) => parser.text(&text),
        }
    }
    if !parser.has_graph {
        return Err(file.error_of_file("the file holds no graph", "write a <graph> into <gexf>"));
    }
    let Parser { mut document, mut notes, .. } = parser;
    declare(&mut document, &mut notes);
    Ok((document, notes))
}

/// Declares what is used of labels and weights.
fn declare(document: &mut Document, notes: &mut Vec<String>) {
    let values = |elements: &[Element], id: &str| -> Vec<String> {
        elements
            .iter()
            .flat_map(|element| &element.data)
            .filter(|(key, _)| key == id)
            .map(|(_, text)| text.clone())
            .collect()
    };
    let names = values(&document.nodes, LABEL);
    let distinct: HashSet<&String> = names.iter().collect();
    if distinct.len() < names.len() {
        notes.push(
            "labels of nodes are read as their names, although some repeat; classes belong into an attribute titled class"
                .to_owned(),
        );
    }
    let mut declare = |is_used: bool, id: &str, what: &str, name: &str, value_type: &str| {
        if is_used {
            document.keys.push(key(0, id, what, name, value_type));
        }
    };
    let [labels, weights] = [LABEL, WEIGHT].map(|id| !values(&document.edges, id).is_empty());
    declare(!names.is_empty(), LABEL, "node", "name", "string");
    declare(labels, LABEL, "edge", "label", "string");
    declare(weights, WEIGHT, "edge", "weight", "double");
}

/// A key as GraphML declares it.
fn key(offset: usize, id: &str, what: &str, name: &str, value_type: &str) -> Element {
    let attributes = [("id", id), ("for", what), ("attr.name", name), ("attr.type", value_type)];
    Element::new(offset, attributes.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec())
}

/// The type of GraphML for one of GEXF.
fn type_of(name: &str) -> &'static str {
    match name {
        "boolean" => "boolean",
        "integer" | "long" | "short" | "byte" | "biginteger" => "long",
        "float" | "double" | "bigdecimal" => "double",
        _ => "string",
    }
}

struct Parser<'a> {
    file: &'a TextFile,
    document: Document,
    open: Vec<Open>,
    has_graph: bool,
    notes: Vec<String>,
}

impl Parser<'_> {
    fn start(&mut self, offset: usize, name: &str, attributes: Vec<(String, String)>) -> Result<(), ImportError> {
        let get = |name: &str| attributes.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str());
        let kind = match (self.open.last(), name) {
            (None, "gexf") => Open::Root,
            (None, _) => {
                let message = format!("the file is no GEXF, but {}", quote(name));
                return Err(self.file.error(offset, message, "name a file whose first element is <gexf>"));
            }
            (Some(Open::Root), "graph") => {
                self.start_graph(offset, get("defaultedgetype"), get("mode"))?;
                Open::Graph
            }
            (Some(Open::Graph), "attributes") => {
                Open::Attributes(if get("class") == Some("edge") { "edge" } else { "node" })
            }
            (Some(Open::Attributes(what)), "attribute") => {
                let id = get("id").unwrap_or_default();
                let title = get("title").unwrap_or(id);
                let value_type = type_of(get("type").unwrap_or_default());
                self.document.declare(self.file, key(offset, id, what, title, value_type))?;
                Open::Attribute
            }
            (Some(Open::Attribute), "default") => {
                let key = self.document.keys.last_mut();
                key.into_iter().for_each(|key| key.data.push(("default".to_owned(), String::new())));
                Open::Default
            }
            (Some(Open::Graph | Open::Node(_)), "nodes") => Open::Nodes,
            (Some(Open::Graph | Open::Node(_)), "edges") => Open::Edges,
            (Some(Open::Nodes), "node") => {
                let mut element = Element::new(offset, Vec::new());
                add_value(&mut element, LABEL, get("label"));
                element.set("id", get("id"));
                self.document.nodes.push(element);
                Open::Node(self.document.nodes.len() - 1)
            }
            (Some(Open::Edges), "edge") => {
                let edge = self.edge(offset, get)?;
                self.document.edges.push(edge);
                Open::Edge(self.document.edges.len() - 1)
            }
            (Some(Open::Node(_) | Open::Edge(_)), "attvalues") => Open::Values,
            (Some(Open::Values), "attvalue") => {
                // Of GEXF 1.0 on; before, it was called `id`.
                let id = get("for").or(get("id")).unwrap_or_default();
                let value = get("value");
                let around = self.open.iter().rev().nth(1);
                let element = match around {
                    Some(Open::Node(node)) => self.document.nodes.get_mut(*node),
                    Some(Open::Edge(edge)) => self.document.edges.get_mut(*edge),
                    _ => None,
                };
                element.into_iter().for_each(|element| add_value(element, id, value));
                Open::Other
            }
            _ => Open::Other,
        };
        self.open.push(kind);
        Ok(())
    }

    fn start_graph(&mut self, offset: usize, direction: Option<&str>, mode: Option<&str>) -> Result<(), ImportError> {
        if std::mem::replace(&mut self.has_graph, true) {
            return Err(self.file.error(offset, "the file holds a second graph", "put each graph into its own file"));
        }
        // Undirected is the default of the format.
        self.document.undirected = Some(!self.is_directed(offset, direction.unwrap_or("undirected"))?);
        if mode == Some("dynamic") {
            let note =
                "the graph changes with time: nodes and edges are read whenever they exist, with their last values";
            self.notes.push(note.to_owned());
        }
        Ok(())
    }

    fn is_directed(&self, offset: usize, direction: &str) -> Result<bool, ImportError> {
        match direction {
            "directed" => Ok(true),
            "undirected" | "mutual" => Ok(false),
            other => {
                let message = format!("{} does not tell whether edges are directed", quote(other));
                Err(self.file.error(offset, message, "write directed, undirected or mutual"))
            }
        }
    }

    fn edge<'a>(&self, offset: usize, get: impl Fn(&str) -> Option<&'a str>) -> Result<Element, ImportError> {
        let mut element = Element::new(offset, Vec::new());
        element.set("source", get("source"));
        element.set("target", get("target"));
        if let Some(direction) = get("type") {
            let is_directed = self.is_directed(offset, direction)?;
            element.set("directed", Some(if is_directed { "true" } else { "false" }));
        }
        add_value(&mut element, LABEL, get("label"));
        add_value(&mut element, WEIGHT, get("weight"));
        Ok(element)
    }

    fn text(&mut self, text: &str) {
        let is_default = self.open.last() == Some(&Open::Default);
        let default = self.document.keys.last_mut().filter(|_| is_default).and_then(|key| key.data.last_mut());
        default.into_iter().for_each(|(_, value)| value.push_str(text));
    }
}

/// Adds a value to an element, if it is there and not empty.
fn add_value(element: &mut Element, id: &str, value: Option<&str>) {
    let value = value.filter(|value| !value.trim().is_empty());
    value.into_iter().for_each(|value| element.data.push((id.to_owned(), value.to_owned())));
}
