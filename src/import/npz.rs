//! NumPy arrays.

use std::path::Path;

use super::Imported;
use super::draft::Draft;
use super::error::ImportError;
use crate::scene::GraphData;
use crate::scene::npz::{Archive, Problem, check};

/// Arrays that list edges where there is no `edge_index`, and whether those go both ways.
const BARE: [(&str, bool); 3] = [("edges_undirected", true), ("edges_directed", false), ("edges", false)];

/// Reads a graph in the layout of scenes, or a bare list of edges `[2, E]` among `n` nodes.
pub(super) fn read(path: &Path) -> Result<Imported, ImportError> {
    let mut archive = Archive::open(path).map_err(|problem| problem.of_file(path.display()))?;
    let bare =
        BARE.into_iter().find(|(name, _)| archive.has(name)).filter(|_| archive.has("n") && !archive.has("edge_index"));
    match bare {
        Some((name, undirected)) => {
            let draft = read_bare(&mut archive, name, undirected).map_err(|problem| problem.of_file(path.display()))?;
            let unread: Vec<&str> =
                archive.names().into_iter().filter(|other| *other != name && *other != "n").collect();
            let note = format!("arrays that are not read: {}", unread.join(", "));
            Ok(draft.finish(if unread.is_empty() { Vec::new() } else { vec![note] }))
        }
        None => Ok(Imported { data: GraphData::read_npz(path)?, class_names: Vec::new(), notes: Vec::new() }),
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
    let ends = check::indices(name, &array.values, u64::from(nodes), "each must be the number of a node")?;
    super::text::fits(nodes as usize, 16)
        .map_err(|message| Problem::of("n", format!("is {nodes}: {message}"), "use a smaller graph"))?;
    let (sources, targets) = ends.split_at(ends.len() / 2);
    let mut draft = Draft {
        names: (0..nodes).map(|node| node.to_string()).collect(),
        edges: sources.iter().zip(targets).map(|(&source, &target)| [source, target]).collect(),
        ..Draft::default()
    };
    draft.add_ways_back(|_| undirected);
    Ok(draft)
}
