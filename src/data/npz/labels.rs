//! Classes, splits and names.

use super::archive::Archive;
use super::check::{END_OF_NUMBERS, indices, list, offsets, optional_rows};
use super::names::CLASSES;
use super::splits::{OF_EDGES, Splits, read_splits};
use crate::data::Problem;
use crate::data::{EdgeLabels, GraphData};

/// Reads how many nodes there are in a single graph, their classes and splits. Nodes with targets need no classes.
pub fn read_nodes(archive: &mut Archive) -> Result<GraphData, Problem> {
    let labels = match archive.has("node_target") && !CLASSES.iter().any(|array| archive.has(array)) {
        true => vec![0; count_targets(archive)?],
        false => read_labels(archive, archive.first_of(&CLASSES), None, "node")?,
    };
    let Splits { first: splits, all: alternative_splits } = read_splits(archive, "", labels.len(), "node")?;
    let (nodes, classes) = (labels.len(), class_count(&labels));
    Ok(GraphData { nodes, classes, labels, splits, alternative_splits, ..GraphData::default() })
}

/// How many nodes have targets.
fn count_targets(archive: &mut Archive) -> Result<usize, Problem> {
    let count = archive.read::<f32>("node_target")?.shape.first().copied().unwrap_or(0);
    check_count("node_target", count, "node")?;
    Ok(count)
}

/// Reads the class of each graph of a set.
pub fn read_graph_classes(archive: &mut Archive) -> Result<Vec<u32>, Problem> {
    read_labels(archive, "y", None, "graph")
}

/// Reads the labels that nodes have beside the class to predict.
pub fn read_node_labels(archive: &mut Archive, nodes: Option<usize>) -> Result<Vec<u32>, Problem> {
    read_labels(archive, "node_label", nodes, "node")
}

/// Reads the class of each node, edge or graph.
pub fn read_labels(archive: &mut Archive, array: &str, count: Option<usize>, what: &str) -> Result<Vec<u32>, Problem> {
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
    let Splits { first: splits, all } = read_splits(archive, OF_EDGES, count, "edge")?;
    if all.len() > 1 {
        let message = format!("holds {} splits of the edges", all.len());
        return Err(Problem::of(
            "edge_train_masks",
            message,
            "keep one of them: only nodes and graphs may have several",
        ));
    }
    Ok(Some(EdgeLabels { classes: class_count(&labels), labels, targets, splits }))
}

/// Checks that so many nodes, edges or graphs can be numbered.
pub fn check_count(array: &str, count: usize, what: &str) -> Result<(), Problem> {
    match u32::try_from(count) {
        Ok(_) => Ok(()),
        Err(_) => Err(Problem::of(array, format!("has more {what}s than can be numbered"), "use a smaller graph")),
    }
}

/// The largest label plus 1.
pub fn class_count(labels: &[u32]) -> usize {
    labels.iter().map(|&label| label as usize + 1).max().unwrap_or(0)
}

/// Reads the names of the nodes; none if there are no such arrays.
pub fn read_node_names(archive: &mut Archive, nodes: usize) -> Result<Vec<String>, Problem> {
    read_names(archive, "node", Some(nodes))
}

/// Reads the names of the classes, which are as many as the classes or more; none if there are no such arrays.
pub fn read_class_names(archive: &mut Archive, classes: usize) -> Result<Vec<String>, Problem> {
    let names = read_names(archive, "class", None)?;
    if names.is_empty() || names.len() >= classes {
        return Ok(names);
    }
    let message = format!("tells the names of {} classes, but there are {classes}", names.len());
    Err(Problem::of("class_name_ptr", message, "name each class, or leave class_name out"))
}

fn read_names(archive: &mut Archive, what: &str, count: Option<usize>) -> Result<Vec<String>, Problem> {
    let [text, starts] = [format!("{what}_name"), format!("{what}_name_ptr")];
    if !archive.has(&text) {
        return Ok(Vec::new());
    }
    let bytes = list(archive.read::<u8>(&text)?, &text, None)?;
    let given = list(archive.read(&starts)?, &starts, count.map(|count| count + 1))?;
    let given =
        offsets(&starts, &given, bytes.len(), "bytes", &format!("it must rise from 0 to the length of {text}"))?;
    let name = |(number, range): (usize, &[usize])| {
        std::str::from_utf8(&bytes[range[0]..range[1]]).map(str::to_owned).map_err(|_| {
            let message = format!("does not hold UTF-8 for {what} {number}");
            Problem::of(&text, message, format!("write names as UTF-8, each from its place in {starts}"))
        })
    };
    given.windows(2).enumerate().map(name).collect()
}
