//! Features of nodes.

use super::archive::Archive;
use super::check::{END_OF_NUMBERS, finite, indices, list, offsets, wrong_shape};
use super::labels::{class_count, read_node_labels};
use super::names::{self, DENSE_FEATURES, SPARSE_FEATURES};
use crate::data::Features;
use crate::data::Problem;

/// What the names of compressed sparse rows end with.
const PARTS: [&str; 4] = ["data", "indices", "indptr", "shape"];

/// Whether there is an array that has features.
pub fn are_in(archive: &Archive) -> bool {
    sparse_prefix(archive).is_some() || DENSE_FEATURES.iter().chain(&["node_label"]).any(|array| archive.has(array))
}

fn sparse_prefix(archive: &Archive) -> Option<&'static str> {
    SPARSE_FEATURES.into_iter().find(|prefix| archive.has(&format!("{prefix}data")))
}

/// Names of all arrays that have features, whether the file has them or not.
pub fn names() -> Vec<String> {
    let sparse = SPARSE_FEATURES.iter().flat_map(|prefix| PARTS.map(|part| format!("{prefix}{part}")));
    DENSE_FEATURES.iter().chain(&["node_label"]).map(|&name| name.to_owned()).chain(sparse).collect()
}

/// Reads the features from the first array that has some.
pub fn read(archive: &mut Archive, nodes: usize) -> Result<Features, Problem> {
    if let Some(prefix) = sparse_prefix(archive) {
        return read_sparse(archive, prefix, nodes);
    }
    if DENSE_FEATURES.iter().any(|array| archive.has(array)) {
        return read_dense(archive, nodes);
    }
    if archive.has("node_label") {
        let labels = read_node_labels(archive, Some(nodes))?;
        let differ = labels.windows(2).any(|pair| pair[0] != pair[1]);
        // A label that all nodes have tells nothing; the scene has to say what they get instead.
        return Ok(if differ { one_hot(labels) } else { Features::default() });
    }
    let rename = names::others("x").find(|other| archive.has(other));
    let rename = rename.map_or_else(String::new, |other| format!("write \"{other}\" as \"x\", "));
    let held = archive.names().join(", ");
    let help = format!("{rename}or write `features: Identity` in the scene; the file holds {held}");
    Err(Problem::new("arrays \"x_data\" and \"x\" are missing, there are no features", help))
}

fn read_dense(archive: &mut Archive, nodes: usize) -> Result<Features, Problem> {
    let name = archive.first_of(&DENSE_FEATURES);
    let matrix = archive.read::<f32>(name)?;
    match matrix.shape[..] {
        [rows, width] if rows == nodes => Ok(Features::Dense { width, values: finite(name, matrix.values)? }),
        _ => Err(wrong_shape(name, &matrix.shape, &format!("[{nodes}, any]"))),
    }
}

fn one_hot(labels: Vec<u32>) -> Features {
    let width = class_count(&labels);
    Features::one_hot(labels, width)
}

/// Reads compressed sparse rows, one for each node, from arrays whose names begin with `prefix`.
pub fn read_sparse(archive: &mut Archive, prefix: &str, nodes: usize) -> Result<Features, Problem> {
    let [data, column_indices, row_starts, shape] = PARTS.map(|part| format!("{prefix}{part}"));
    let given = list(archive.read::<i64>(&shape)?, &shape, Some(2))?;
    let width = match given[..] {
        [_, width] if width > END_OF_NUMBERS as i64 => {
            let message = format!("is {given:?}, but columns are numbered with 32 bits");
            return Err(Problem::of(&shape, message, "its second number must be that of the features"));
        }
        [rows, width] if usize::try_from(rows) == Ok(nodes) && width >= 0 => width,
        _ => {
            let message = format!("is {given:?}, but there are {nodes} nodes");
            return Err(Problem::of(&shape, message, "it must hold the number of nodes and of features"));
        }
    };
    let values = finite(&data, list(archive.read(&data)?, &data, None)?)?;
    let columns = list(archive.read(&column_indices)?, &column_indices, Some(values.len()))?;
    let columns = indices(&column_indices, &columns, width as u64, "each must be a column of the matrix")?;
    let rows = list(archive.read(&row_starts)?, &row_starts, Some(nodes + 1))?;
    let help = format!("it must rise from 0 to the length of {data}");
    let rows = offsets(&row_starts, &rows, values.len(), "values", &help)?;
    Ok(Features::Sparse { width: width as usize, offsets: rows, indices: columns, values })
}
