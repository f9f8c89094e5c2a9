//! Graphs out of `.npz` files.
//!
//! | array | shape | meaning |
//! | --- | --- | --- |
//! | `x_data`, `x_indices`, `x_indptr`, `x_shape` | \[K\], \[K\], \[N + 1\], \[2\] | features as compressed sparse rows |
//! | `x` | \[N, F\] | instead of these: features as a dense matrix |
//! | `y` | \[N\] | class of each node, counted from 0 |
//! | `edge_index` | \[2, E\] | sources, then targets |
//! | `edge_weight` | \[E\] | optional |
//! | `train`, `val`, `test` | any length | nodes of each split |
//! | `unlabelled` | any length | optional: nodes that may be in no split |

mod archive;
mod problem;

use std::path::Path;

use connectome_components::Split;

pub(super) use self::archive::open_file;
use self::archive::{Archive, Array};
pub(super) use self::problem::Problem;
use super::data::{Features, GraphData};

/// Reads the graph in the file at `path`, and its features if they are wanted.
pub(super) fn graph(path: &Path, with_features: bool) -> Result<GraphData, Problem> {
    let mut archive = Archive::open(path)?;
    let labels = read_labels(&mut archive)?;
    let nodes = labels.len();
    let edges = read_edges(&mut archive, nodes)?;
    Ok(GraphData {
        nodes,
        features: if with_features { read_features(&mut archive, nodes)? } else { Features::identity(0) },
        splits: read_splits(&mut archive, nodes)?,
        classes: labels.iter().map(|&label| label as usize + 1).max().unwrap_or(0),
        weights: read_weights(&mut archive, edges.len())?,
        labels,
        edges,
        names: Vec::new(),
    })
}

fn read_labels(archive: &mut Archive) -> Result<Vec<u32>, Problem> {
    let labels = list(archive.read("y")?, "y", None)?;
    if u32::try_from(labels.len()).is_err() {
        return Err(Problem::of("y", "has more nodes than can be numbered", "use a smaller graph"));
    }
    indices("y", &labels, 1 << 32, "classes are counted from 0")
}

fn read_features(archive: &mut Archive, nodes: usize) -> Result<Features, Problem> {
    if archive.has("x_data") {
        return read_sparse(archive, nodes);
    }
    if !archive.has("x") {
        let help = format!("or write `features: Identity` in the scene; the file holds {}", archive.names().join(", "));
        return Err(Problem::new("arrays \"x_data\" and \"x\" are missing, there are no features", help));
    }
    let matrix = archive.read::<f32>("x")?;
    match matrix.shape[..] {
        [rows, width] if rows == nodes => {
            let values = finite("x", matrix.values)?;
            Ok(Features::Dense { width, values })
        }
        _ => Err(wrong_shape("x", &matrix.shape, &format!("[{nodes}, any]"))),
    }
}

fn read_sparse(archive: &mut Archive, nodes: usize) -> Result<Features, Problem> {
    let shape = list(archive.read::<i64>("x_shape")?, "x_shape", Some(2))?;
    // Columns are numbered with 32 bits.
    let width = match shape[..] {
        [rows, width] if usize::try_from(rows) == Ok(nodes) && (0..=1 << 32).contains(&width) => width as usize,
        _ => {
            let message = format!("is {shape:?}, but \"y\" has {nodes} nodes");
            return Err(Problem::of("x_shape", message, "it must hold the number of nodes and of features"));
        }
    };
    let values = finite("x_data", list(archive.read("x_data")?, "x_data", None)?)?;
    let columns = list(archive.read("x_indices")?, "x_indices", Some(values.len()))?;
    let columns = indices("x_indices", &columns, width as u64, "each must be a column of the features")?;
    let offsets = list(archive.read("x_indptr")?, "x_indptr", Some(nodes + 1))?;
    let offsets = row_offsets(&offsets, values.len())?;
    Ok(Features::Sparse { width, offsets, indices: columns, values })
}

/// Checks that rows begin at 0, follow each other and end with the last of `stored` values.
fn row_offsets(offsets: &[i64], stored: usize) -> Result<Vec<usize>, Problem> {
    let help = "it must rise from 0 to the length of x_data";
    let fault = |message: String| Problem::of("x_indptr", message, help);
    if let Some(row) = offsets.windows(2).position(|pair| pair[0] > pair[1]) {
        return Err(fault(format!("falls from {} to {} at row {row}", offsets[row], offsets[row + 1])));
    }
    let (first, last) = (offsets.first().copied(), offsets.last().copied());
    if first != Some(0) || last.map(usize::try_from) != Some(Ok(stored)) {
        let ends = format!("{} to {}", first.unwrap_or(0), last.unwrap_or(0));
        return Err(fault(format!("goes from {ends}, but there are {stored} values")));
    }
    // They rise from 0 to a `usize`.
    Ok(offsets.iter().map(|&offset| offset as usize).collect())
}

fn read_edges(archive: &mut Archive, nodes: usize) -> Result<Vec<[u32; 2]>, Problem> {
    let array = archive.read("edge_index")?;
    if array.shape.len() != 2 || array.shape[0] != 2 {
        return Err(wrong_shape("edge_index", &array.shape, "[2, edges]"));
    }
    let ends = indices("edge_index", &array.values, nodes as u64, "each must be the number of a node")?;
    let (sources, targets) = ends.split_at(ends.len() / 2);
    Ok(sources.iter().zip(targets).map(|(&source, &target)| [source, target]).collect())
}

fn read_weights(archive: &mut Archive, edges: usize) -> Result<Option<Vec<f32>>, Problem> {
    if !archive.has("edge_weight") {
        return Ok(None);
    }
    let weights = list(archive.read("edge_weight")?, "edge_weight", Some(edges))?;
    finite("edge_weight", weights).map(Some)
}

fn read_splits(archive: &mut Archive, nodes: usize) -> Result<Vec<Split>, Problem> {
    let mut splits = vec![Split::Unused; nodes];
    for (array, split) in [("train", Split::Train), ("val", Split::Validation), ("test", Split::Test)] {
        for node in read_members(archive, array, nodes)? {
            let place = &mut splits[node as usize];
            if *place != Split::Unused {
                let message = format!("lists node {node}, which is in the split {place:?} already");
                return Err(Problem::of(array, message, "a node is in one split at most, and once"));
            }
            *place = split;
        }
    }
    if archive.has("unlabelled") {
        check_unlabelled(&read_members(archive, "unlabelled", nodes)?, &splits)?;
    }
    Ok(splits)
}

fn read_members(archive: &mut Archive, array: &str, nodes: usize) -> Result<Vec<u32>, Problem> {
    let members = list(archive.read(array)?, array, None)?;
    indices(array, &members, nodes as u64, "each must be the number of a node")
}

fn check_unlabelled(nodes: &[u32], splits: &[Split]) -> Result<(), Problem> {
    match nodes.iter().find(|&&node| splits[node as usize] != Split::Unused) {
        None => Ok(()),
        Some(&node) => {
            let message = format!("lists node {node}, which is in the split {:?}", splits[node as usize]);
            Err(Problem::of("unlabelled", message, "take nodes without a label out of the splits"))
        }
    }
}

/// The values of an array that must have one axis, of `length` if that is known.
fn list<T>(array: Array<T>, name: &str, length: Option<usize>) -> Result<Vec<T>, Problem> {
    match array.shape[..] {
        [given] if length.is_none_or(|length| length == given) => Ok(array.values),
        _ => {
            let expected = length.map_or_else(|| "[any]".to_owned(), |length| format!("[{length}]"));
            Err(wrong_shape(name, &array.shape, &expected))
        }
    }
}

fn wrong_shape(array: &str, shape: &[usize], expected: &str) -> Problem {
    Problem::of(array, format!("has the shape {shape:?}"), format!("it must have the shape {expected}"))
}

/// Values that must lie from 0 to below `end`, which is at most 2^32.
fn indices(array: &str, values: &[i64], end: u64, help: &str) -> Result<Vec<u32>, Problem> {
    let check = |(position, &value): (usize, &i64)| {
        u32::try_from(value).ok().filter(|&index| u64::from(index) < end).ok_or_else(|| {
            let message = format!("holds {value} at position {position}, outside 0..{end}");
            Problem::of(array, message, help)
        })
    };
    values.iter().enumerate().map(check).collect()
}

fn finite(array: &str, values: Vec<f32>) -> Result<Vec<f32>, Problem> {
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(values),
        Some(position) => {
            let message = format!("holds {} at position {position}", values[position]);
            Err(Problem::of(array, message, "every number must be finite, as an f32"))
        }
    }
}
