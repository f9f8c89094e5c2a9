//! `connectome graph`.

mod layout;
pub(super) mod picture;

use clap::Args;
use connectome::{
    import::{Format, import_language},
    languages::{
        LanguageGraph,
        text::{TextOptions, TextUnit},
    },
    output::write_file,
    systems::algorithms::{LabeledGraph, ParallelGraph},
};
use serde_json::{Map, json};
use std::{error::Error, fmt::Write, path::PathBuf};

use super::{
    graph_file::{NamedGraph, read_graph},
    print_line, print_notes,
};

/// The most nodes of a picture: more are no longer told apart.
const MAX_DRAWN: usize = 4_000;

/// Show how many nodes, edges of each relation, and labels a graph has, or draw it.
#[derive(Args, Debug)]
pub struct Graph {
    /// A text (.txt), a term (.infix, .math, .prefix), a Python program (.py), or a graph that `import` reads; FILE#INDEX is one graph of a set, counted from 0.
    file: PathBuf,
    /// The format of the file; guessed from its name and its first lines if not given.
    #[arg(long)]
    format: Option<Format>,
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
    /// Draw the graph.
    #[arg(long, value_name = "FILE.svg")]
    picture: Option<PathBuf>,
    /// The characters of a text are grapheme clusters, such as letters with their accents, in the place of scalar values.
    #[arg(long)]
    graphemes: bool,
    /// Join each character of a text with the N before and the N after it.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    window: usize,
    /// A tag: a node that is joined with each character of a text. May be given several times.
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
}

/// A graph as it is shown.
pub(super) struct Shown {
    /// The label of each node; empty without one.
    labels: Vec<String>,
    /// Number of different labels.
    label_count: usize,
    relations: Vec<ShownRelation>,
    edges: Vec<ShownEdge>,
}

struct ShownRelation {
    name: String,
    /// Whether its edges lead from children to their parents.
    is_tree: bool,
    is_directed: bool,
}

#[derive(Clone, Copy)]
struct ShownEdge {
    ends: [u32; 2],
    relation: usize,
}

/// Checks that a picture has not too many nodes.
pub(super) fn check_drawn(nodes: usize) -> Result<(), String> {
    if nodes > MAX_DRAWN {
        return Err(format!("the graph has {nodes} nodes, and at most {MAX_DRAWN} are drawn; take a part of it"));
    }
    Ok(())
}

impl Graph {
    pub fn run(self) -> Result<(), Box<dyn Error>> {
        let unit = if self.graphemes { TextUnit::GraphemeCluster } else { TextUnit::ScalarValue };
        let options = TextOptions { unit, window: self.window, tags: self.tags.clone() };
        // `FILE#INDEX` is not the name of a file.
        let language = match self.format.is_some() || self.file.exists() {
            true => import_language(&self.file, self.format, &options)?,
            false => None,
        };
        let shown = match language {
            Some(read) => {
                print_notes(&read.notes);
                Shown::of_language(&read.graph)
            }
            None if options != TextOptions::default() => {
                return Err(
                    format!("{} is no text; leave --graphemes, --window and --tag out", self.file.display()).into()
                );
            }
            None => Shown::of_file(&read_graph(&self.file, self.format)?),
        };
        if let Some(path) = &self.picture {
            check_drawn(shown.nodes())?;
            write_file(path, picture::svg(&shown).as_bytes())?;
        }
        let text = if self.json { shown.json(&self.file.display().to_string()) } else { shown.summary() };
        Ok(print_line(text)?)
    }
}

impl Shown {
    /// Number of nodes.
    pub(super) fn nodes(&self) -> usize {
        self.labels.len()
    }

    /// Words in the place of a graph.
    pub(super) fn words(words: &str) -> Self {
        Self { labels: vec![words.to_owned()], label_count: 1, relations: Vec::new(), edges: Vec::new() }
    }

    pub(super) fn of_language(graph: &LanguageGraph) -> Self {
        // Syntax leads one way through the order of nodes, from the leaves up or from the root down, and so has no cycles.
        let is_one_way = |relation: usize| {
            let edges = graph.language_edges().iter().filter(|edge| edge.relation as usize == relation);
            let mut ways = edges.map(|edge| edge.source.cmp(&edge.target));
            ways.next().is_none_or(|first| ways.all(|way| way == first))
        };
        let relations = graph.relations().iter().enumerate().map(|(number, relation)| ShownRelation {
            name: relation.name.to_owned(),
            is_tree: relation.is_ordered && is_one_way(number),
            is_directed: true,
        });
        let edges = graph.language_edges().iter();
        Self {
            labels: graph.nodes().map(|node| graph.label(node).unwrap_or_default().to_owned()).collect(),
            label_count: graph.vocabulary().len(),
            relations: relations.collect(),
            edges: edges
                .map(|edge| ShownEdge { ends: [edge.source, edge.target], relation: edge.relation as usize })
                .collect(),
        }
    }

    fn of_file(read: &NamedGraph) -> Self {
        let mut kinds: Vec<u32> = read.graph.labeled_edges().map(|(_, label)| label).collect();
        let edges = read.graph.labeled_edges();
        let edges: Vec<([u32; 2], u32)> = edges.collect();
        kinds.sort_unstable();
        kinds.dedup();
        let name = |kind: &u32| read.edge_label_name(*kind).unwrap_or("edge").to_owned();
        let mut labels = read.graph.labels().to_vec();
        labels.sort_unstable();
        labels.dedup();
        let label = |node: u32| {
            let label = read.graph.labels()[node as usize];
            read.label_name(label).map_or_else(|| read.node_name(node).into_owned(), str::to_owned)
        };
        Self {
            labels: read.graph.nodes().map(label).collect(),
            label_count: labels.into_iter().filter(|label| *label != LabeledGraph::NO_LABEL).count(),
            relations: kinds
                .iter()
                .map(|kind| ShownRelation { name: name(kind), is_tree: false, is_directed: false })
                .collect(),
            edges: edges
                .into_iter()
                .map(|(ends, label)| ShownEdge { ends, relation: kinds.partition_point(|kind| *kind < label) })
                .collect(),
        }
    }

    /// The relations that have edges, and how many.
    fn counts(&self) -> Vec<(&str, usize)> {
        let mut counts = vec![0; self.relations.len()];
        self.edges.iter().for_each(|edge| counts[edge.relation] += 1);
        self.relations
            .iter()
            .map(|relation| relation.name.as_str())
            .zip(counts)
            .filter(|(_, count)| *count > 0)
            .collect()
    }

    fn summary(&self) -> String {
        let mut text = format!("nodes: {}\nedges: {}", self.labels.len(), self.edges.len());
        for (name, count) in self.counts() {
            _ = write!(text, "\n  {name}: {count}");
        }
        text + &format!("\nlabels: {}", self.label_count)
    }

    fn json(&self, file: &str) -> String {
        let relations: Map<String, _> =
            self.counts().into_iter().map(|(name, count)| (name.to_owned(), json!(count))).collect();
        let (nodes, edges) = (self.labels.len(), self.edges.len());
        json!({ "file": file, "nodes": nodes, "edges": edges, "relations": relations, "labels": self.label_count })
            .to_string()
    }
}
