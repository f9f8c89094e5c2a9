//! Graphs for algorithms: only who is joined to whom, and of which kind nodes and edges are.

use std::ops::Range;
use std::path::Path;

use connectome_systems::algorithms::LabeledGraph;

use super::{Format, ImportError, ImportOptions, import, npz};
use crate::data::{DenseRows, GraphData};

/// Graphs with labels, and how far apart they are known to be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LabeledGraphs {
    /// The graphs, in the order of the file.
    pub graphs: Vec<LabeledGraph>,
    /// What the file calls the nodes of its only graph; empty if they have only numbers, counted from 0.
    pub node_names: Vec<String>,
    /// What the file calls the label of each number; empty if labels have only numbers.
    pub label_names: Vec<String>,
    /// Known distances between the graphs, `[G, G]`: the array `ged` of an `.npz` file.
    pub distances: Option<DenseRows>,
    /// What was left out or made up, for people to read.
    pub notes: Vec<String>,
}

/// Reads a graph, or a set of graphs, as [`import`] does, and keeps what [`labeled`] does.
///
/// # Errors
///
/// If the source cannot be read or is malformed; the error shows where.
pub fn import_labeled(source: &Path, options: &ImportOptions) -> Result<LabeledGraphs, ImportError> {
    let imported = import(source, options)?;
    let graphs = labeled(&imported.data);
    let is_npz = options.format.or_else(|| Format::guess(source)) == Some(Format::Npz);
    let distances = if is_npz { npz::read_distances(source, graphs.len())? } else { None };
    let label_names = if imported.data.graphs.is_none() { imported.class_names } else { Vec::new() };
    Ok(LabeledGraphs { graphs, node_names: imported.data.names, label_names, distances, notes: imported.notes })
}

/// The graphs of the data without directions, self-loops and repeated edges; one, if they are no set.
///
/// The label of a node is its class. That of an edge comes of its features: the number, if that is a single whole one not
/// below 0; the place of the 1, if they are a one-hot code; else, and without features, 0.
pub fn labeled(data: &GraphData) -> Vec<LabeledGraph> {
    let kinds = data.edge_features.as_ref().and_then(kinds);
    let part = |nodes: Range<usize>, edges: Range<usize>| {
        let first = nodes.start as u32;
        let edge = |edge: usize| {
            let endpoints = data.edges[edge].map(|end| end - first);
            (endpoints, kinds.as_ref().map_or(0, |kinds| kinds[edge]))
        };
        LabeledGraph::new(data.labels[nodes].to_vec(), edges.map(edge))
    };
    match &data.graphs {
        Some(graphs) => (0..graphs.len()).map(|graph| part(graphs.nodes(graph), graphs.edges(graph))).collect(),
        None => vec![part(0..data.nodes, 0..data.edges.len())],
    }
}

/// The kind of each edge, if its features tell one.
fn kinds(features: &DenseRows) -> Option<Vec<u32>> {
    // Every whole number up to there is an f32.
    const END: f32 = (1_u32 << 24) as f32;
    let kind = |row: &[f32]| match row {
        [number] => (number.fract() == 0.0 && (0.0..=END).contains(number)).then_some(*number as u32),
        code => {
            let place = code.iter().position(|&number| number == 1.0)?;
            let others = code.iter().enumerate().all(|(other, &number)| other == place || number == 0.0);
            others.then_some(place as u32)
        }
    };
    if features.width == 0 { None } else { features.values.chunks_exact(features.width).map(kind).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds_of(width: usize, values: &[f32]) -> Option<Vec<u32>> {
        kinds(&DenseRows { width, values: values.to_vec() })
    }

    #[test]
    fn numbers_and_codes_are_kinds() {
        assert_eq!(kinds_of(1, &[2.0, 0.0]), Some(vec![2, 0]));
        assert_eq!(kinds_of(2, &[0.0, 1.0, 1.0, 0.0]), Some(vec![1, 0]));
        for numbers in [[0.5, 1.0], [-1.0, 0.0], [0.0, 2e9]] {
            assert_eq!(kinds_of(1, &numbers), None);
        }
        assert_eq!(kinds_of(2, &[1.0, 1.0]), None);
        assert_eq!(kinds_of(2, &[0.0, 0.0]), None);
        assert_eq!(kinds_of(0, &[]), None);
    }
}
