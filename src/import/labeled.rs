//! Graphs for algorithms: only which nodes are adjacent, and what nodes and edges are labeled with.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use connectome_systems::algorithms::LabeledGraph;

use super::kinds::{Kinds, MAX_KINDS};
use super::{Format, ImportError, ImportOptions, Imported, import, npz};
use crate::data::{DenseRows, GraphData};

/// Graphs with labels, and how far apart they are known to be.
///
/// Nodes and edges without a label have [`LabeledGraph::NO_LABEL`]. [`unify_labels`] makes the labels of several sources
/// comparable.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LabeledGraphs {
    /// The graphs, in the order of the file.
    pub graphs: Vec<LabeledGraph>,
    /// What the file calls the nodes of its only graph; empty if they have only numbers, counted from 0.
    pub node_names: Vec<String>,
    /// The name that the file has for each label, by its index; empty if labels are indices already.
    pub label_names: Vec<String>,
    /// The same for the labels of edges.
    pub edge_label_names: Vec<String>,
    /// Known distances between the graphs, `[G, G]`: the array `ged` of an `.npz` file.
    pub distances: Option<DenseRows>,
    /// What was left out or made up while reading, for people to read.
    pub notes: Vec<String>,
    /// What the source says of nodes and edges that is no part of their labels, for people to read.
    pub not_compared: Vec<String>,
}

/// What a source says of nodes and edges beside the data to learn from.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct SourceLabels {
    pub nodes: Kinds,
    /// None if there are too many kinds.
    pub edges: Option<Kinds>,
    /// Names of what else is known of nodes or edges.
    pub unlabeled: Vec<String>,
}

/// Reads a graph, or a set of graphs, as [`import`] does, and keeps only structure and labels.
///
/// The label of a node is its class, or all its labels if it has several; that of an edge is all that is known of it but
/// its weight and measurements. Directions, self-loops and repeated edges are left out.
///
/// # Errors
///
/// If the source cannot be read or is malformed; the error shows where.
pub fn import_labeled(source: &Path, options: &ImportOptions) -> Result<LabeledGraphs, ImportError> {
    let Imported { data, notes, labels, .. } = import(source, options)?;
    let labels = labels.unwrap_or_else(|| labels_of(&data));
    let mut read = label(&data, labels);
    if options.format.or_else(|| Format::guess(source)) == Some(Format::Npz) {
        read.distances = npz::read_distances(source, read.graphs.len())?;
    }
    Ok(LabeledGraphs { node_names: data.names, notes, ..read })
}

/// The graphs of the data without directions, self-loops and repeated edges; one, if they are no set.
///
/// The label of a node is its class. That of an edge is its features: the number, if that is a single whole one not
/// below 0 for each edge; else the index of its values in `edge_label_names`.
pub fn labeled(data: &GraphData) -> LabeledGraphs {
    LabeledGraphs { node_names: data.names.clone(), ..label(data, labels_of(data)) }
}

/// Gives the labels of all sources one numbering, so that equal labels have equal numbers, whatever file they are from.
///
/// ```
/// use connectome::import::{ImportOptions, import_labeled, unify_labels};
///
/// let folder = tempfile::tempdir()?;
/// let mut read = Vec::new();
/// for (name, kinds) in [("one.csv", ["single", "double"]), ("two.csv", ["double", "triple"])] {
///     let path = folder.path().join(name);
///     std::fs::write(&path, format!("source,target,bond\na,b,{}\nb,c,{}\n", kinds[0], kinds[1]))?;
///     read.push(import_labeled(&path, &ImportOptions::default())?);
/// }
/// unify_labels(&mut read);
/// let labels = |graph: usize| read[graph].graphs[0].labeled_edges().map(|(_, label)| label).collect::<Vec<_>>();
/// assert_eq!((labels(0), labels(1)), (vec![1, 0], vec![0, 2]));
/// assert_eq!(read[0].edge_label_names, ["double", "single", "triple"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn unify_labels(sources: &mut [LabeledGraphs]) {
    let (mut of_nodes, mut of_edges) = (Numbering::default(), Numbering::default());
    for source in &mut *sources {
        let (mut nodes, mut edges) = (of_nodes.of(&source.label_names), of_edges.of(&source.edge_label_names));
        for graph in &mut source.graphs {
            *graph = std::mem::take(graph).map_labels(&mut nodes, &mut edges);
        }
    }
    for source in sources {
        source.label_names.clone_from(&of_nodes.names);
        source.edge_label_names.clone_from(&of_edges.names);
    }
}

/// One numbering for the labels of several sources.
#[derive(Default)]
struct Numbering {
    numbers: HashMap<String, u32>,
    names: Vec<String>,
}

impl Numbering {
    /// The new number of each label of a source that calls its labels so, in the order in which they are asked for.
    fn of<'a>(&'a mut self, names: &'a [String]) -> impl FnMut(u32) -> u32 + 'a {
        // In the order of the names, so that the numbering does not depend on which nodes come first.
        let mut known: HashMap<u32, u32> = (0..).zip(names.iter().map(|name| self.number(name))).collect();
        move |label| match known.get(&label) {
            _ if label == Kinds::NONE => label,
            Some(&number) => number,
            None => {
                let number = self.number(&label.to_string());
                known.insert(label, number);
                number
            }
        }
    }

    fn number(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        // There are no more labels than nodes or edges that are in memory, and far fewer kinds than 2^32.
        let number = self.names.len() as u32;
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }
}

/// What the data alone say: classes of nodes, and features of edges.
fn labels_of(data: &GraphData) -> SourceLabels {
    let edges = match &data.edge_features {
        None => Some(Kinds::default()),
        Some(features) => numbers(features).or_else(|| rows(features)),
    };
    let unlabeled = if data.features.width() > 0 { vec!["features".to_owned()] } else { Vec::new() };
    let has_labels = data.classes > 1 || data.graphs.is_some();
    let nodes = if has_labels { Kinds { indices: data.labels.clone(), names: Vec::new() } } else { Kinds::default() };
    SourceLabels { nodes, edges, unlabeled }
}

/// Labels of edges whose only feature is a whole number.
fn numbers(features: &DenseRows) -> Option<Kinds> {
    // Every whole number up to there is an f32.
    const END: f32 = (1_u32 << 24) as f32;
    let label = |number: &f32| (number.fract() == 0.0 && (0.0..=END).contains(number)).then_some(*number as u32);
    if features.width != 1 {
        return None;
    }
    let indices = features.values.iter().map(label).collect::<Option<Vec<u32>>>()?;
    Some(Kinds { indices, names: Vec::new() })
}

/// Labels of edges by all their features; none if those are too many.
fn rows(features: &DenseRows) -> Option<Kinds> {
    let text = |row: &[f32]| Some(row.iter().map(f32::to_string).collect::<Vec<_>>().join(", "));
    match features.width {
        0 => Some(Kinds::default()),
        width => Kinds::of(features.values.chunks_exact(width).map(text), MAX_KINDS),
    }
}

fn label(data: &GraphData, labels: SourceLabels) -> LabeledGraphs {
    let mut not_compared = Vec::new();
    if !labels.unlabeled.is_empty() {
        not_compared.push(format!("beside labels there is what is not compared: {}", labels.unlabeled.join(", ")));
    }
    let edges = labels.edges.unwrap_or_else(|| {
        let most = format!("the features of edges are not compared: they tell more than {MAX_KINDS} kinds apart");
        not_compared.push(most);
        Kinds::default()
    });
    if data.weights.is_some() {
        not_compared.push("weights of edges are not compared".to_owned());
    }
    let label = |kinds: &Kinds, index: usize| kinds.indices.get(index).copied().unwrap_or(Kinds::NONE);
    let part = |nodes: Range<usize>, range: Range<usize>| {
        let first = nodes.start as u32;
        let edge = |edge: usize| (data.edges[edge].map(|end| end - first), label(&edges, edge));
        LabeledGraph::new(nodes.map(|node| label(&labels.nodes, node)).collect(), range.map(edge))
    };
    let graphs = match &data.graphs {
        Some(graphs) => (0..graphs.len()).map(|graph| part(graphs.nodes(graph), graphs.edges(graph))).collect(),
        None => vec![part(0..data.nodes, 0..data.edges.len())],
    };
    not_compared.extend(skipped(data, |edge| label(&edges, edge)));
    LabeledGraphs {
        graphs,
        label_names: labels.nodes.names,
        edge_label_names: edges.names,
        not_compared,
        ..LabeledGraphs::default()
    }
}

/// Notes on edges of the data that are not in its graphs for algorithms, although they say something.
fn skipped(data: &GraphData, label: impl Fn(usize) -> u32) -> Vec<String> {
    let loops = data.edges.iter().filter(|[source, target]| source == target).count();
    let ascending = |&[source, target]: &[u32; 2]| [source.min(target), source.max(target)];
    let mut edges: Vec<([u32; 2], u32)> = data.edges.iter().map(ascending).zip((0..).map(label)).collect();
    edges.sort_unstable();
    edges.dedup();
    let others = edges.windows(2).filter(|pair| pair[0].0 == pair[1].0).count();
    let mut notes = Vec::new();
    if loops > 0 {
        notes.push(format!("{loops} self-loops are left out"));
    }
    if others > 0 {
        notes
            .push(format!("{others} edges have another label than the first between the same nodes, and are left out"));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds_of(width: usize, values: &[f32]) -> (Vec<u32>, Vec<String>) {
        let data = GraphData {
            edges: vec![[0, 0]; values.len() / width],
            edge_features: Some(DenseRows { width, values: values.to_vec() }),
            ..GraphData::default()
        };
        let Some(kinds) = labels_of(&data).edges else { panic!("too many kinds") };
        (kinds.indices, kinds.names)
    }

    #[test]
    fn features_of_edges_are_kinds_by_value() {
        assert_eq!(kinds_of(1, &[2.0, 0.0]), (vec![2, 0], vec![]));
        assert_eq!(kinds_of(1, &[-1.0, 0.5, -1.0]), (vec![0, 1, 0], vec!["-1".into(), "0.5".into()]));
        assert_eq!(kinds_of(2, &[0.0, 1.0, 1.0, 1.0]), (vec![0, 1], vec!["0, 1".into(), "1, 1".into()]));
        let features = DenseRows { width: 1, values: (0..2 * MAX_KINDS).map(|value| value as f32 + 0.5).collect() };
        assert_eq!(rows(&features), None);
    }

    #[test]
    fn what_is_left_out_is_said() {
        let data = GraphData {
            nodes: 2,
            labels: vec![0; 2],
            classes: 1,
            edges: vec![[0, 1], [1, 0], [1, 1], [0, 1]],
            edge_features: Some(DenseRows { width: 1, values: vec![1.0, 2.0, 3.0, 1.0] }),
            weights: Some(vec![0.5; 4]),
            ..GraphData::default()
        };
        let read = labeled(&data);
        let unlabeled = LabeledGraph::NO_LABEL;
        assert_eq!(read.graphs, [LabeledGraph::new(vec![unlabeled; 2], [([0, 1], 1)])]);
        assert_eq!(
            read.not_compared,
            [
                "weights of edges are not compared",
                "1 self-loops are left out",
                "1 edges have another label than the first between the same nodes, and are left out"
            ]
        );
    }
}
