//! The edges of published collections, each of which has a layout of its own.

use std::collections::HashSet;

use super::archive::Archive;
use super::check::{indices, wrong_shape};
use super::features::read_sparse;
use crate::data::{Features, Problem};

/// Reads the array `edges` `[E, 2]` of heterophilous-graphs: undirected edges of a simple graph, each listed once, or in both
/// directions. Each becomes two directed ones, as in the loaders of the collection; a self-loop stays one.
pub fn read_edge_list(archive: &mut Archive, nodes: usize, notes: &mut Vec<String>) -> Result<Vec<[u32; 2]>, Problem> {
    let array = archive.read("edges")?;
    if array.shape.len() != 2 || array.shape[1] != 2 {
        let mut problem = wrong_shape("edges", &array.shape, "[edges, 2]");
        problem.help += "; call it edge_index if it has sources, then targets, [2, edges]";
        return Err(problem);
    }
    let endpoints = indices("edges", &array.values, nodes as u64, "each must be the number of a node")?;
    let mut edges = endpoints.as_chunks::<2>().0.to_vec();
    let listed = edges.len();
    let mut known = HashSet::new();
    edges.retain(|&[one, other]| known.insert([one.min(other), one.max(other)]));
    let count = edges.len();
    let again = if count < listed { format!("; {} list one again", listed - count) } else { String::new() };
    notes.push(format!("edges is read as undirected: {count} edges, each in either direction{again}"));
    add_reverse(&mut edges, |_| true);
    Ok(edges)
}

/// Edges, and their weights if they have any.
type WeightedEdges = (Vec<[u32; 2]>, Option<Vec<f32>>);

/// Reads the adjacency matrix of gnn-benchmark, whose entry in row `i` and column `j` is the weight of the edge from `i` to `j`.
/// An edge without one in the other direction gets it, with its weight, as in the loaders of the collection. Without weights
/// other than 1 there are none.
pub fn read_adjacency(
    archive: &mut Archive,
    prefix: &str,
    nodes: usize,
    notes: &mut Vec<String>,
) -> Result<WeightedEdges, Problem> {
    let Features::Sparse { width, offsets, indices, values: mut weights } = read_sparse(archive, prefix, nodes)? else {
        return Err(archive.missing("edge_index"));
    };
    if width != nodes {
        let message = format!("is [{nodes}, {width}], but an adjacency matrix has as many columns as rows");
        return Err(Problem::of(&format!("{prefix}shape"), message, "write the edges between nodes of one kind"));
    }
    let row = |row: usize| indices[offsets[row]..offsets[row + 1]].iter().map(move |&target| [row as u32, target]);
    let mut edges: Vec<[u32; 2]> = (0..nodes).flat_map(row).collect();
    let known: HashSet<[u32; 2]> = edges.iter().copied().collect();
    let listed = edges.len();
    let alone = |&[source, target]: &[u32; 2]| !known.contains(&[target, source]);
    let single: Vec<usize> = (0..listed).filter(|&edge| alone(&edges[edge])).collect();
    for &edge in &single {
        weights.push(weights[edge]);
    }
    add_reverse(&mut edges, |edge| alone(&edge));
    if !single.is_empty() {
        notes.push(format!(
            "{prefix}data is read as undirected: {} of {listed} edges had none in the other direction, which is added",
            single.len()
        ));
    }
    let is_weighted = weights.iter().any(|&weight| weight != 1.0);
    Ok((edges, is_weighted.then_some(weights)))
}

/// Adds the reverse of each edge that is to have one; self-loops are their own.
fn add_reverse(edges: &mut Vec<[u32; 2]>, wants: impl Fn([u32; 2]) -> bool) {
    for place in 0..edges.len() {
        let [source, target] = edges[place];
        if source != target && wants([source, target]) {
            edges.push([target, source]);
        }
    }
}
