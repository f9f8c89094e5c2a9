//! Texts, terms and programs as graphs.

use std::path::Path;

use connectome_languages::{
    LanguageGraph,
    code::{CodeGraph, Python},
    mathematics::{Term, Terms},
    text::{TextGraph, TextOptions},
};

use super::draft::split;
use super::kinds::{Kinds, sort_by_value};
use super::labeled::SourceLabels;
use super::text::TextFile;
use super::{Format, ImportError, Imported, unknown};
use crate::data::{DenseRows, Features, GraphData};

/// What a file in a language was read as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LanguageSource {
    /// The graph.
    pub graph: LanguageGraph,
    /// What is odd about the source, for people to read.
    pub notes: Vec<String>,
}

/// Reads a text, a term or a program as a graph, with all that [`import`](super::import) leaves out: the relations of edges, and where
/// nodes stand.
///
/// `options` are for texts. Nothing is returned for a source in a format that is no language.
///
/// # Errors
///
/// If the source cannot be read; the error shows where.
pub fn import_language(
    source: &Path,
    format: Option<Format>,
    options: &TextOptions,
) -> Result<Option<LanguageSource>, ImportError> {
    let format = format.or_else(|| Format::guess(source)).ok_or_else(|| unknown(source))?;
    let text = || TextFile::read_verbatim(source);
    let error = |error: &dyn std::fmt::Display| ImportError::new(source, error.to_string(), "read a shorter file");
    let (graph, notes) = match format {
        Format::Text => {
            let graph = TextGraph::new(&text()?.text, options).map_err(|one| error(&one))?;
            (graph.into_graph(), Vec::new())
        }
        Format::Infix | Format::Prefix => (read_term(source, format)?, Vec::new()),
        Format::Python => {
            let code = CodeGraph::new(&text()?.text, &Python).map_err(|one| error(&one))?;
            let errors = code.error_count();
            let note = format!("the program has {errors} errors of syntax, which are nodes as well");
            (code.into_graph(), if errors > 0 { vec![note] } else { Vec::new() })
        }
        _ => return Ok(None),
    };
    Ok(Some(LanguageSource { graph, notes }))
}

/// Reads a term in infix or prefix notation.
fn read_term(source: &Path, format: Format) -> Result<LanguageGraph, ImportError> {
    let (file, mut terms) = (TextFile::read_verbatim(source)?, Terms::default());
    let read = if format == Format::Prefix { Terms::read_prefix } else { Terms::read_infix };
    let term: Term = read(&mut terms, &file.text).map_err(|error| {
        let message = format!("found {}, expected {}", error.found, error.expected);
        file.error(error.offset, message, error.help)
    })?;
    Ok(terms.graph(term))
}

/// Reads a graph as those of other programs: nodes have their labels as classes, edges a number of relation and position.
pub(super) fn read(source: &Path, format: Format) -> Result<Imported, ImportError> {
    let read = import_language(source, Some(format), &TextOptions::default())?.ok_or_else(|| unknown(source))?;
    Ok(imported(&read.graph, read.notes))
}

fn imported(graph: &LanguageGraph, notes: Vec<String>) -> Imported {
    let mut names: Vec<String> = graph.vocabulary().names().map(str::to_owned).collect();
    let places = sort_by_value(&mut names);
    let labels: Vec<u32> = graph.labels().iter().map(|label| places[*label as usize] as u32).collect();
    let edge_labels: Vec<u32> = graph.language_edges().iter().map(|edge| graph.edge_label(edge)).collect();
    let mut kinds = edge_labels.clone();
    kinds.sort_unstable();
    kinds.dedup();
    let indices = edge_labels.iter().map(|label| kinds.partition_point(|kind| kind < label) as u32).collect();
    let edge_kinds = kinds.iter().map(|kind| graph.edge_label_name(*kind)).collect();
    let data = GraphData {
        nodes: labels.len(),
        features: Features::Dense { width: 0, values: Vec::new() },
        splits: split(&labels, labels.len()),
        classes: names.len(),
        class_names: names.clone(),
        edges: graph.language_edges().iter().map(|edge| [edge.source, edge.target]).collect(),
        edge_features: edge_features(&edge_labels),
        labels: labels.clone(),
        ..GraphData::default()
    };
    let labels = SourceLabels {
        nodes: Kinds { indices: labels, names },
        edges: Some(Kinds { indices, names: edge_kinds }),
        unlabeled: Vec::new(),
    };
    Imported { data, notes, labels: Some(labels) }
}

/// The labels of edges as their only feature, if all of them are numbers that an `f32` can be.
fn edge_features(labels: &[u32]) -> Option<DenseRows> {
    const END: u32 = 1 << 24;
    let values = labels.iter().map(|label| (*label <= END).then_some(*label as f32)).collect::<Option<Vec<f32>>>()?;
    (!values.is_empty()).then_some(DenseRows { width: 1, values })
}
