//! NumPy arrays.

use std::path::Path;

use connectome_components::Split;

use super::Imported;
use super::draft::{Draft, split};
use super::error::ImportError;
use super::text::fits;
use crate::data::npz::{Archive, DISTANCES, check, note_unread, read_as_is};
use crate::data::{DenseRows, GraphData, GraphSet, Problem};

/// Arrays that list edges where there is no `edge_index`, and whether those go both ways.
const BARE: [(&str, bool); 3] = [("edges_undirected", true), ("edges_directed", false), ("edges", false)];

/// Reads a graph in the layout of scenes, which is that of published collections as well, or one of the bare ones:
///
/// - edges `[2, E]` among `n` nodes
/// - a set of graphs with `node_ptr`, `edge_ptr`, `node_label` and undirected `edges` `[E, 2]`, whose nodes are counted
///   within each graph
pub(super) fn read(path: &Path) -> Result<Imported, ImportError> {
    let of_file = |problem: Problem| problem.of_file(path.display());
    let mut archive = Archive::open(path).map_err(of_file)?;
    if archive.has("edge_index") {
        return as_scenes_do(path);
    }
    if archive.has("node_ptr") && archive.has("edges") {
        let data = read_set(&mut archive).map_err(of_file)?;
        let notes = note_unread(&archive, &[DISTANCES]).into_iter().collect();
        return Ok(Imported { data, notes, labels: None });
    }
    match BARE.into_iter().find(|(name, _)| archive.has(name)).filter(|_| archive.has("n")) {
        Some((name, undirected)) => {
            let mut draft = read_bare(&mut archive, name, undirected).map_err(of_file)?;
            draft.notes.extend(note_unread(&archive, &[]));
            Ok(draft.finish())
        }
        None => {
            let mut imported = as_scenes_do(path)?;
            split_classes(&mut imported);
            Ok(imported)
        }
    }
}

/// Reads the known distances between so many graphs, if the file has some.
pub(super) fn read_distances(path: &Path, graphs: usize) -> Result<Option<DenseRows>, ImportError> {
    let read = || {
        let distances = check::optional_rows(&mut Archive::open(path)?, DISTANCES, graphs)?;
        match distances {
            Some(rows) if rows.width != graphs => {
                Err(check::wrong_shape(DISTANCES, &[graphs, rows.width], &format!("[{graphs}, {graphs}]")))
            }
            other => Ok(other),
        }
    };
    Ok(read().map_err(|problem: Problem| problem.of_file(path.display()))?)
}

fn as_scenes_do(path: &Path) -> Result<Imported, ImportError> {
    let (data, notes) = read_as_is(path).map_err(|problem| problem.of_file(path.display()))?;
    Ok(Imported { data, notes, labels: None })
}

/// Splits the nodes of a published graph that has classes but no splits, as those of gnn-benchmark.
fn split_classes(Imported { data, notes, .. }: &mut Imported) {
    if data.graphs.is_none() && data.classes > 1 && data.count(Split::Unused) == data.nodes {
        data.splits = split(&data.labels, data.nodes);
        notes
            .push("the nodes have no splits: three fifths are to train, one to validate and one to test on".to_owned());
    }
}

fn read_bare(archive: &mut Archive, name: &str, undirected: bool) -> Result<Draft, Problem> {
    let nodes = match archive.read::<i64>("n")?.values[..] {
        // Each node gets a name, so there may not be many more than the edges could reach.
        [nodes] => check::indices("n", &[nodes], check::END_OF_NUMBERS, "it must be the number of nodes")?[0],
        _ => return Err(Problem::of("n", "is no single number", "it must be the number of nodes")),
    };
    let array = archive.read::<i64>(name)?;
    if array.shape.len() != 2 || array.shape[0] != 2 {
        return Err(check::wrong_shape(name, &array.shape, "[2, edges]"));
    }
    let endpoints = check::indices(name, &array.values, u64::from(nodes), "each must be the number of a node")?;
    fits(nodes as usize, 16)
        .map_err(|message| Problem::of("n", format!("is {nodes}: {message}"), "use a smaller graph"))?;
    let (sources, targets) = endpoints.split_at(endpoints.len() / 2);
    let mut draft = Draft {
        names: (0..nodes).map(|node| node.to_string()).collect(),
        edges: sources.iter().zip(targets).map(|(&source, &target)| [source, target]).collect(),
        ..Draft::default()
    };
    draft.add_reverse_edges(|_| undirected);
    Ok(draft)
}

fn read_set(archive: &mut Archive) -> Result<GraphData, Problem> {
    let labels = check::list(archive.read("node_label")?, "node_label", None)?;
    let labels = check::indices("node_label", &labels, check::END_OF_NUMBERS, "labels are counted from 0")?;
    let array = archive.read::<i64>("edges")?;
    if array.shape.len() != 2 || array.shape[1] != 2 {
        return Err(check::wrong_shape("edges", &array.shape, "[edges, 2]"));
    }
    let help = "it must rise from 0 to that number";
    let starts = check::list(archive.read("node_ptr")?, "node_ptr", None)?;
    let node_offsets = check::offsets("node_ptr", &starts, labels.len(), "nodes in node_label", help)?;
    let starts = check::list(archive.read("edge_ptr")?, "edge_ptr", Some(node_offsets.len()))?;
    let starts = check::offsets("edge_ptr", &starts, array.shape[0], "edges", help)?;
    let (mut edges, mut edge_offsets) = (Vec::new(), vec![0]);
    for (nodes, rows) in node_offsets.windows(2).zip(starts.windows(2)) {
        let endpoints = &array.values[2 * rows[0]..2 * rows[1]];
        let help = "nodes are counted from 0 within each graph";
        let endpoints = check::indices("edges", endpoints, (nodes[1] - nodes[0]) as u64, help)?;
        let mut draft = Draft { edges: endpoints.as_chunks().0.to_vec(), ..Draft::default() };
        draft.add_reverse_edges(|_| true);
        // Nodes can be numbered, as they have labels in memory, so this does not overflow but for more than 2^32 of them.
        let first = u32::try_from(nodes[0])
            .map_err(|_| Problem::of("node_label", "has more nodes than can be numbered", "use a smaller set"))?;
        edges.extend(draft.edges.into_iter().map(|endpoints| endpoints.map(|end| first + end)));
        edge_offsets.push(edges.len());
    }
    let count = node_offsets.len() - 1;
    let graphs = GraphSet {
        node_offsets,
        edge_offsets,
        labels: vec![0; count],
        classes: count.min(1),
        splits: vec![Split::Unused; count],
        ..GraphSet::default()
    };
    let classes = labels.iter().map(|&label| label as usize + 1).max().unwrap_or(0);
    let (nodes, splits) = (labels.len(), vec![Split::Unused; labels.len()]);
    Ok(GraphData { nodes, classes, labels, splits, edges, graphs: Some(graphs), ..GraphData::default() })
}
