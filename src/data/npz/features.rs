//! Features of nodes.

use super::archive::Archive;
use super::check::{END_OF_NUMBERS, finite, indices, list, offsets, wrong_shape};
use super::labels::{class_count, read_node_labels};
use crate::data::Features;
use crate::data::Problem;

/// Whether there is an array that has features.
pub fn are_in(archive: &Archive) -> bool {
    ["x_data", "x", "node_label"].iter().any(|array| archive.has(array))
}

/// Reads the features from the first array that has some.
pub fn read(archive: &mut Archive, nodes: usize) -> Result<Features, Problem> {
    if archive.has("x_data") {
        return read_sparse(archive, nodes);
    }
    if archive.has("x") {
        return read_dense(archive, nodes);
    }
    if archive.has("node_label") {
        let labels = read_node_labels(archive, Some(nodes))?;
        let differ = labels.windows(2).any(|pair| pair[0] != pair[1]);
        // A label that all nodes have tells nothing; the scene has to say what they get instead.
        return Ok(if differ { one_hot(labels) } else { Features::default() });
    }
    let others = ["features", "node_features", "feat", "attr", "attr_data", "X"];
    let rename = others.into_iter().find(|other| archive.has(other));
    let rename = rename.map_or_else(String::new, |other| format!("write \"{other}\" as \"x\", "));
    let held = archive.names().join(", ");
    let help = format!("{rename}or write `features: Identity` in the scene; the file holds {held}");
    Err(Problem::new("arrays \"x_data\" and \"x\" are missing, there are no features", help))
}

fn read_dense(archive: &mut Archive, nodes: usize) -> Result<Features, Problem> {
    let matrix = archive.read::<f32>("x")?;
    match matrix.shape[..] {
        [rows, width] if rows == nodes => Ok(Features::Dense { width, values: finite("x", matrix.values)? }),
        _ => Err(wrong_shape("x", &matrix.shape, &format!("[{nodes}, any]"))),
    }
}

fn one_hot(labels: Vec<u32>) -> Features {
    let width = class_count(&labels);
    Features::one_hot(labels, width)
}

fn read_sparse(archive: &mut Archive, nodes: usize) -> Result<Features, Problem> {
    let shape = list(archive.read::<i64>("x_shape")?, "x_shape", Some(2))?;
    let width = match shape[..] {
        [_, width] if width > END_OF_NUMBERS as i64 => {
            let message = format!("is {shape:?}, but columns are numbered with 32 bits");
            return Err(Problem::of("x_shape", message, "its second number must be that of the features"));
        }
        [rows, width] if usize::try_from(rows) == Ok(nodes) && width >= 0 => width,
        _ => {
            let message = format!("is {shape:?}, but \"y\" has {nodes} nodes");
            return Err(Problem::of("x_shape", message, "it must hold the number of nodes and of features"));
        }
    };
    let values = finite("x_data", list(archive.read("x_data")?, "x_data", None)?)?;
    let columns = list(archive.read("x_indices")?, "x_indices", Some(values.len()))?;
    let columns = indices("x_indices", &columns, width as u64, "each must be a column of the features")?;
    let rows = list(archive.read("x_indptr")?, "x_indptr", Some(nodes + 1))?;
    let help = "it must rise from 0 to the length of x_data";
    let rows = offsets("x_indptr", &rows, values.len(), "values", help)?;
    Ok(Features::Sparse { width: width as usize, offsets: rows, indices: columns, values })
}
