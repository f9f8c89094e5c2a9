//! Classes, splits and names.

use connectome_components::Split;

use super::archive::Archive;
use super::check::{END_OF_NUMBERS, indices, list, offsets, optional_rows};
use crate::data::Problem;
use crate::data::{EdgeLabels, GraphData};

/// The arrays that list the members of each split.
pub const SPLITS: [(&str, Split); 3] = [("train", Split::Train), ("val", Split::Validation), ("test", Split::Test)];

/// What stands before the names of these arrays where they are about edges.
pub const OF_EDGES: &str = "edge_";

/// Reads how many nodes there are in a single graph, their classes and splits. Nodes with targets need no classes.
pub fn read_nodes(archive: &mut Archive) -> Result<GraphData, Problem> {
    let labels = match archive.has("node_target") && !archive.has("y") {
        true => vec![0; count_targets(archive)?],
        false => read_classes(archive, "node")?,
    };
    let splits = read_splits(archive, "", labels.len(), "node")?;
    Ok(GraphData { nodes: labels.len(), classes: class_count(&labels), labels, splits, ..GraphData::default() })
}

/// How many nodes have targets.
fn count_targets(archive: &mut Archive) -> Result<usize, Problem> {
    let count = archive.read::<f32>("node_target")?.shape.first().copied().unwrap_or(0);
    check_count("node_target", count, "node")?;
    Ok(count)
}

/// Reads the class of each `what`.
pub fn read_classes(archive: &mut Archive, what: &str) -> Result<Vec<u32>, Problem> {
    read_labels(archive, "y", None, what)
}

/// Reads the labels that nodes have beside the class to predict.
pub fn read_node_labels(archive: &mut Archive, nodes: Option<usize>) -> Result<Vec<u32>, Problem> {
    read_labels(archive, "node_label", nodes, "node")
}

fn read_labels(archive: &mut Archive, array: &str, count: Option<usize>, what: &str) -> Result<Vec<u32>, Problem> {
    // Two classes may be written as truth values.
    let labels = match archive.is_bool(array)? {
        true => list(archive.read::<bool>(array)?, array, count)?.into_iter().map(i64::from).collect(),
        false => list(archive.read(array)?, array, count)?,
    };
    check_count(array, labels.len(), what)?;
    indices(array, &labels, END_OF_NUMBERS, "classes are counted from 0")
}

/// Reads what is to be predicted of `count` edges, if the file has something.
pub fn read_edge_labels(archive: &mut Archive, count: usize) -> Result<Option<EdgeLabels>, Problem> {
    let targets = optional_rows(archive, "edge_target", count)?;
    let labels = match archive.has("edge_label") {
        true => read_labels(archive, "edge_label", Some(count), "edge")?,
        false if targets.is_some() => vec![0; count],
        false => return Ok(None),
    };
    let splits = read_splits(archive, OF_EDGES, count, "edge")?;
    Ok(Some(EdgeLabels { classes: class_count(&labels), labels, targets, splits }))
}

fn check_count(array: &str, count: usize, what: &str) -> Result<(), Problem> {
    match u32::try_from(count) {
        Ok(_) => Ok(()),
        Err(_) => Err(Problem::of(array, format!("has more {what}s than can be numbered"), "use a smaller graph")),
    }
}

/// The largest label plus 1.
pub fn class_count(labels: &[u32]) -> usize {
    labels.iter().map(|&label| label as usize + 1).max().unwrap_or(0)
}

/// Reads the split of each of `count` nodes, edges or graphs from arrays whose names begin with `prefix`; none is in a split
/// if the file has no such arrays. Each array lists the members of a split, or is a mask: truth values for all. Zeros and ones
/// for all in all three are masks, too, for as lists they would overlap.
pub fn read_splits(archive: &mut Archive, prefix: &str, count: usize, what: &str) -> Result<Vec<Split>, Problem> {
    let mut splits = vec![Split::Unused; count];
    let arrays = SPLITS.map(|(array, split)| (format!("{prefix}{array}"), split));
    if arrays.iter().all(|(array, _)| !archive.has(array)) {
        return Ok(splits);
    }
    let members = arrays.iter().map(|(array, _)| read_members(archive, array, count, what));
    let mut members = members.collect::<Result<Vec<_>, Problem>>()?;
    if count > 1 && members.iter().all(|members| members.len() == count && members.iter().all(|&member| member < 2)) {
        members.iter_mut().for_each(|members| *members = selected(members.iter().map(|&member| member == 1)));
    }
    for ((array, split), members) in arrays.iter().zip(members) {
        for member in members {
            let place = &mut splits[member as usize];
            if *place != Split::Unused {
                let message = format!("lists {what} {member}, which is in the split {place:?} already");
                return Err(Problem::of(array, message, format!("a {what} is in one split at most, and once")));
            }
            *place = *split;
        }
    }
    if prefix.is_empty() && archive.has("unlabeled") {
        check_unlabeled(&read_members(archive, "unlabeled", count, what)?, &splits, what)?;
    }
    Ok(splits)
}

/// The indices of the nodes, edges or graphs that an array lists, or selects as a mask.
fn read_members(archive: &mut Archive, array: &str, count: usize, what: &str) -> Result<Vec<u32>, Problem> {
    if archive.is_bool(array)? {
        return Ok(selected(list(archive.read::<bool>(array)?, array, Some(count))?));
    }
    let members = list(archive.read(array)?, array, None)?;
    indices(array, &members, count as u64, &format!("each must be the number of a {what}"))
}

/// Where a mask is true.
fn selected(mask: impl IntoIterator<Item = bool>) -> Vec<u32> {
    (0..).zip(mask).filter_map(|(member, selects)| selects.then_some(member)).collect()
}

fn check_unlabeled(members: &[u32], splits: &[Split], what: &str) -> Result<(), Problem> {
    match members.iter().find(|&&member| splits[member as usize] != Split::Unused) {
        None => Ok(()),
        Some(&member) => {
            let message = format!("lists {what} {member}, which is in the split {:?}", splits[member as usize]);
            let help = format!("take {what}s without a label out of the splits");
            Err(Problem::of("unlabeled", message, help))
        }
    }
}

/// Reads the names of the nodes; none if there are no such arrays.
pub fn read_names(archive: &mut Archive, nodes: usize) -> Result<Vec<String>, Problem> {
    if !archive.has("node_name") {
        return Ok(Vec::new());
    }
    let bytes = list(archive.read::<u8>("node_name")?, "node_name", None)?;
    let starts = list(archive.read("node_name_ptr")?, "node_name_ptr", Some(nodes + 1))?;
    let help = "it must rise from 0 to the length of node_name";
    let starts = offsets("node_name_ptr", &starts, bytes.len(), "bytes", help)?;
    let name = |(node, range): (usize, &[usize])| {
        std::str::from_utf8(&bytes[range[0]..range[1]]).map(str::to_owned).map_err(|_| {
            let message = format!("does not hold UTF-8 for node {node}");
            Problem::of("node_name", message, "write names as UTF-8, each from its place in node_name_ptr")
        })
    };
    starts.windows(2).enumerate().map(name).collect()
}
