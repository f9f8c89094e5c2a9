//! Edges and what they carry.

use super::archive::Archive;
use super::check::{finite, indices, list, optional_rows, wrong_shape};
use super::labels::read_edge_labels;
use super::names::ADJACENCY;
use super::published;
use crate::data::GraphData;
use crate::data::Problem;

/// Reads the edges of the nodes in `data`, their weights and their features; what is made up is added to the notes.
pub fn read(archive: &mut Archive, data: &mut GraphData, notes: &mut Vec<String>) -> Result<(), Problem> {
    if !archive.has("edge_index") {
        if archive.has("edges") {
            data.edges = published::read_edge_list(archive, data.nodes, notes)?;
            return Ok(());
        }
        if let Some(prefix) = ADJACENCY.into_iter().find(|prefix| archive.has(&format!("{prefix}indptr"))) {
            (data.edges, data.weights) = published::read_adjacency(archive, prefix, data.nodes, notes)?;
            return Ok(());
        }
    }
    let array = archive.read("edge_index")?;
    if array.shape.len() != 2 || array.shape[0] != 2 {
        return Err(wrong_shape("edge_index", &array.shape, "[2, edges]"));
    }
    let endpoints = indices("edge_index", &array.values, data.nodes as u64, "each must be the number of a node")?;
    let (sources, targets) = endpoints.split_at(endpoints.len() / 2);
    data.edges = sources.iter().zip(targets).map(|(&source, &target)| [source, target]).collect();
    data.weights = read_weights(archive, data.edges.len())?;
    data.edge_features = optional_rows(archive, "edge_attr", data.edges.len())?;
    data.edge_labels = read_edge_labels(archive, data.edges.len())?;
    Ok(())
}

/// Reads the weight of each edge, if the edges have weights.
pub fn read_weights(archive: &mut Archive, edges: usize) -> Result<Option<Vec<f32>>, Problem> {
    if !archive.has("edge_weight") {
        return Ok(None);
    }
    let weights = list(archive.read("edge_weight")?, "edge_weight", Some(edges))?;
    finite("edge_weight", weights).map(Some)
}
