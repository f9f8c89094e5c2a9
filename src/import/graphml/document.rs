//! What a GraphML file says, before it is known what it means.

use super::reader::{Markup, Reader};
use crate::import::columns::MAX_COLUMNS;
use crate::import::error::ImportError;
use crate::import::text::TextFile;
use crate::suggest::quote;

/// An element that stands for something: a key, a node or an edge.
#[derive(Clone, Debug)]
pub(super) struct Element {
    /// Where it begins.
    pub offset: usize,
    attributes: Vec<(String, String)>,
    /// The texts of its children, by their attribute `key`; a key's own default has the name `default`.
    pub data: Vec<(String, String)>,
}

impl Element {
    /// An element without data so far.
    pub fn new(offset: usize, attributes: Vec<(String, String)>) -> Self {
        Self { offset, attributes, data: Vec::new() }
    }

    /// Adds an attribute, if there is a value for it.
    pub fn set(&mut self, name: &str, value: Option<&str>) {
        self.attributes.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    }

    /// The value of an attribute, if it has it.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

impl TextFile {
    /// The value of an attribute that an element must have.
    pub(super) fn attribute(&self, element: &Element, name: &str) -> Result<String, ImportError> {
        element.get(name).map(str::to_owned).ok_or_else(|| {
            let message = format!("the element lacks the attribute \"{name}\"");
            self.error(element.offset, message, format!("write {name}=\"…\" into it"))
        })
    }
}

/// One graph and the keys of its values.
#[derive(Clone, Debug, Default)]
pub(super) struct Document {
    pub keys: Vec<Element>,
    pub nodes: Vec<Element>,
    pub edges: Vec<Element>,
    /// Whether edges are undirected that do not say so themselves, if the graph tells.
    pub undirected: Option<bool>,
}

/// What an open element is, as far as its children need to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Root,
    Key,
    Graph,
    Node,
    Edge,
    /// `data` or `default` of the element around it.
    Value,
    /// Anything else, such as the drawing instructions of editors; what is in it is skipped.
    Other,
}

/// Reads a document.
pub(super) fn read(file: &TextFile) -> Result<Document, ImportError> {
    let mut parser = Parser { file, document: Document::default(), open: Vec::new(), has_graph: false };
    let mut reader = Reader::new(file);
    while let Some((offset, markup)) = reader.next()? {
        match markup {
            Markup::Start { name, attributes } => parser.start(offset, &name, attributes)?,
            Markup::End => parser.end(),
            Markup::Text(text) => parser.text(&text),
        }
    }
    if parser.has_graph {
        return Ok(parser.document);
    }
    Err(file.error_of_file("the file holds no graph", "write a <graph> into <graphml>"))
}

struct Parser<'a> {
    file: &'a TextFile,
    document: Document,
    open: Vec<Open>,
    has_graph: bool,
}

impl Document {
    /// Adds a key, unless there are as many as are read.
    pub fn declare(&mut self, file: &TextFile, key: Element) -> Result<(), ImportError> {
        if self.keys.len() == MAX_COLUMNS {
            let message = format!("the file declares more than {MAX_COLUMNS} keys, the most that are read");
            return Err(file.error(key.offset, message, "declare fewer keys, or write the features to an npz file"));
        }
        self.keys.push(key);
        Ok(())
    }
}

impl Parser<'_> {
    fn start(&mut self, offset: usize, name: &str, attributes: Vec<(String, String)>) -> Result<(), ImportError> {
        let kind = match (self.open.last(), name) {
            (None, "graphml") => Open::Root,
            (None, _) => {
                let message = format!("the file is no GraphML, but {}", quote(name));
                return Err(self.file.error(offset, message, "name a file whose first element is <graphml>"));
            }
            (Some(Open::Root), "key") => Open::Key,
            (Some(Open::Root), "graph") => self.start_graph(offset, &attributes)?,
            (Some(Open::Graph), "node") => Open::Node,
            (Some(Open::Graph), "edge") => Open::Edge,
            (Some(Open::Node | Open::Edge), "data") | (Some(Open::Key), "default") => Open::Value,
            (Some(Open::Node | Open::Edge), "graph") => {
                return Err(self.file.error(offset, "a graph lies in another", "take nested graphs apart"));
            }
            (Some(Open::Graph), "hyperedge") => {
                let help = "write edges between two nodes each, or a node for it";
                return Err(self.file.error(offset, "the graph has a hyperedge", help));
            }
            _ => Open::Other,
        };
        let document = &mut self.document;
        match kind {
            Open::Key => document.declare(self.file, Element::new(offset, attributes))?,
            Open::Node => document.nodes.push(Element::new(offset, attributes)),
            Open::Edge => document.edges.push(Element::new(offset, attributes)),
            Open::Value => {
                let key = attributes.into_iter().find(|(name, _)| name == "key").map(|(_, value)| value);
                if let Some(element) = self.around() {
                    element.data.push((key.unwrap_or_else(|| "default".to_owned()), String::new()));
                }
            }
            Open::Root | Open::Graph | Open::Other => {}
        }
        self.open.push(kind);
        Ok(())
    }

    fn start_graph(&mut self, offset: usize, attributes: &[(String, String)]) -> Result<Open, ImportError> {
        if std::mem::replace(&mut self.has_graph, true) {
            return Err(self.file.error(offset, "the file holds a second graph", "put each graph into its own file"));
        }
        let direction = attributes.iter().find(|(name, _)| name == "edgedefault").map(|(_, value)| value.as_str());
        self.document.undirected = match direction {
            Some("undirected") => Some(true),
            Some("directed") => Some(false),
            None => None,
            Some(other) => {
                let message = format!("{} does not tell whether edges are directed", quote(other));
                return Err(self.file.error(offset, message, "write edgedefault=\"directed\" or \"undirected\""));
            }
        };
        Ok(Open::Graph)
    }

    fn end(&mut self) {
        self.open.pop();
    }

    /// Texts count directly in a value; editors put elements of their own in there as well.
    fn text(&mut self, text: &str) {
        if self.open.last() == Some(&Open::Value)
            && let Some((_, value)) = self.around().and_then(|element| element.data.last_mut())
        {
            value.push_str(text);
        }
    }

    /// The innermost key, node or edge that is open.
    fn around(&mut self) -> Option<&mut Element> {
        let kind = self.open.iter().rev().find(|kind| matches!(kind, Open::Key | Open::Node | Open::Edge))?;
        match kind {
            Open::Key => self.document.keys.last_mut(),
            Open::Node => self.document.nodes.last_mut(),
            _ => self.document.edges.last_mut(),
        }
    }
}
