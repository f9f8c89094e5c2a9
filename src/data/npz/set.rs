//! Sets of graphs.

use connectome_components::Split;

use super::archive::Archive;
use super::check::{indices, list, offsets, optional_rows, wrong_shape};
use super::labels::{class_count, read_graph_classes, read_node_labels};
use super::splits::{Splits, read_splits};
use crate::data::Problem;
use crate::data::{GraphData, GraphSet};

/// Reads how many nodes and graphs there are, and what is known of them beside edges and features.
pub fn read(archive: &mut Archive) -> Result<GraphData, Problem> {
    let labels = read_node_labels(archive, None)?;
    let nodes = labels.len();
    let starts = list(archive.read::<i64>("node_ptr")?, "node_ptr", None)?;
    let graph_labels = match archive.has("y") || !archive.has("graph_target") {
        true => read_graph_classes(archive)?,
        false => vec![0; starts.len().saturating_sub(1)],
    };
    let count = graph_labels.len();
    if starts.len() != count + 1 {
        return Err(wrong_shape("node_ptr", &[starts.len()], &format!("[{}]", count + 1)));
    }
    let node_offsets =
        offsets("node_ptr", &starts, nodes, "nodes in node_label", "it must rise from 0 to that number")?;
    let Splits { first, all: alternative_splits } = read_splits(archive, "", count, "graph")?;
    let graphs = GraphSet {
        node_offsets,
        edge_offsets: Vec::new(),
        classes: class_count(&graph_labels),
        labels: graph_labels,
        splits: first,
        folds: read_folds(archive, count)?,
        targets: optional_rows(archive, "graph_target", count)?,
    };
    let splits = vec![Split::Unused; nodes];
    let (classes, graphs) = (class_count(&labels), Some(graphs));
    Ok(GraphData { nodes, classes, labels, splits, alternative_splits, graphs, ..GraphData::default() })
}

fn read_folds(archive: &mut Archive, graphs: usize) -> Result<Option<Vec<u8>>, Problem> {
    if !archive.has("fold") {
        return Ok(None);
    }
    let folds = list(archive.read("fold")?, "fold", Some(graphs))?;
    let folds = indices("fold", &folds, u64::from(u8::MAX), "folds are counted from 0")?;
    Ok(Some(folds.into_iter().map(|fold| fold as u8).collect()))
}

/// Where the edges of each graph begin; none may join two graphs, and they must stand graph after graph.
pub fn edge_offsets(archive: &mut Archive, node_offsets: &[usize], edges: &[[u32; 2]]) -> Result<Vec<usize>, Problem> {
    // The graph of a node is the last that begins at or before it: empty graphs begin at the same place.
    let graph_of = |node: u32| node_offsets.partition_point(|&start| start <= node as usize) - 1;
    let mut starts = vec![0];
    for (number, &[source, target]) in edges.iter().enumerate() {
        let (graph, other) = (graph_of(source), graph_of(target));
        if graph != other {
            let message = format!("joins graph {graph} to graph {other} with edge {number}");
            return Err(Problem::of("edge_index", message, "an edge must stay in its graph"));
        }
        if graph + 1 < starts.len() {
            let message = format!("has edge {number} of graph {graph} behind edges of graph {}", starts.len() - 1);
            return Err(Problem::of("edge_index", message, "sort the edges by graph"));
        }
        starts.resize(graph + 1, number);
    }
    starts.resize(node_offsets.len(), edges.len());
    check_edge_ptr(archive, &starts)?;
    Ok(starts)
}

fn check_edge_ptr(archive: &mut Archive, starts: &[usize]) -> Result<(), Problem> {
    if !archive.has("edge_ptr") {
        return Ok(());
    }
    let given = list(archive.read::<i64>("edge_ptr")?, "edge_ptr", Some(starts.len()))?;
    let differs = given.iter().zip(starts).position(|(&given, &start)| usize::try_from(given) != Ok(start));
    differs.map_or(Ok(()), |graph| {
        let message = format!("holds {} at position {graph}, but by edge_index it is {}", given[graph], starts[graph]);
        Err(Problem::of("edge_ptr", message, "it must tell where the edges of each graph begin, or leave it out"))
    })
}
