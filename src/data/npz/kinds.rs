//! Graphs with several kinds of nodes.

use std::path::Path;

use super::archive::Archive;
use super::check::{optional_rows, wrong_shape};
use super::edges::read_weights;
use super::features;
use super::labels::{check_count, class_count, read_class_names, read_labels, read_node_names};
use super::names::{self, CLASSES, DENSE_FEATURES, ENDPOINTS, SPARSE_FEATURES};
use super::splits::{Splits, read_splits};
use crate::data::{GraphData, GraphKinds, NodesOfKind, Problem, RelationEdges, memory};
use crate::suggest::{nearest, quote};

/// The fewest bytes that a node takes once it is in a world.
const LEAST_BYTES: usize = 128;

/// The kinds of nodes and the relations that are to be read of a file.
#[derive(Clone, Debug)]
pub(crate) struct KindRequest<'a> {
    /// The kinds, first that of the task.
    pub kinds: Vec<KindToRead<'a>>,
    pub relations: Vec<RelationToRead<'a>>,
}

/// A kind of nodes that is to be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KindToRead<'a> {
    pub name: &'a str,
    pub with_features: bool,
}

/// A relation that is to be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RelationToRead<'a> {
    pub name: &'a str,
    /// The places of the kinds of its sources and of its targets.
    pub ends: [usize; 2],
    /// What it is called where messages go back.
    pub reverse: Option<&'a str>,
}

/// What a problem is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KindPlace {
    File,
    /// The kind in this place.
    Kind(usize),
    /// The features of this kind.
    Features(usize),
    /// The relation in this place.
    Relation(usize),
}

/// Reads the kinds and relations that are asked for, and what is to be said about the file.
pub(crate) fn graph_with_kinds(
    path: &Path,
    request: &KindRequest,
) -> Result<(GraphData, Vec<String>), (KindPlace, Problem)> {
    let of_file = |problem| (KindPlace::File, problem);
    let mut archive = Archive::open(path).map_err(of_file)?;
    check_parts(&archive, request)?;
    let mut all = Vec::new();
    for (place, kind) in request.kinds.iter().enumerate() {
        if kind.with_features
            && !archive.in_part(kind.name, |archive| Ok(features::are_in(archive))).map_err(of_file)?
        {
            let message = format!("the nodes of the kind {} have no features", quote(kind.name));
            let help = format!("give the file an array x.{}, or write `features: Identity` or `Ones`", kind.name);
            return Err((KindPlace::Features(place), Problem::new(message, help)));
        }
        all.push(archive.in_part(kind.name, |archive| read_nodes(archive, kind.with_features)).map_err(of_file)?);
    }
    let mut relations = Vec::new();
    for relation in &request.relations {
        let ends = relation.ends.map(|end| (request.kinds[end].name, all[end].nodes));
        let read = archive.in_part(relation.name, |archive| read_relation(archive, relation, ends));
        relations.push(read.map_err(of_file)?);
    }
    let mut kinds = request.kinds.iter().map(|kind| kind.name.to_owned()).zip(all);
    let Some((own, data)) = kinds.next() else { return Ok(Default::default()) };
    let others = kinds.map(|(name, nodes)| NodesOfKind { name, nodes }).collect();
    let notes = note_unread(&archive, request).into_iter().collect();
    Ok((GraphData { kinds: Some(Box::new(GraphKinds { own, others, relations })), ..data }, notes))
}

/// Checks that the file has what is asked for.
fn check_parts(archive: &Archive, request: &KindRequest) -> Result<(), (KindPlace, Problem)> {
    let arrays = archive.names();
    let (kinds, relations) = (names::kinds_in(&arrays), names::relations_in(&arrays));
    let known = |what: &str, name: &str, known: &[&str]| {
        let near = nearest(name, known.iter().copied());
        let near = near.map_or_else(String::new, |near| format!("did you mean {}? ", quote(near)));
        format!("{near}the file has the {what} {}", known.join(", "))
    };
    if kinds.is_empty() {
        let help = "write arrays such as x.package, num_nodes.package and edge_index.depends, or remove `kind`, `nodes` and \
                    `relations` from the scene";
        return Err((KindPlace::File, Problem::new("the file has no kinds of nodes", help)));
    }
    if let Some(place) = request.kinds.iter().position(|kind| !kinds.contains(&kind.name)) {
        let name = request.kinds[place].name;
        let message = format!("the file has no nodes of the kind {}", quote(name));
        return Err((KindPlace::Kind(place), Problem::new(message, known("kinds", name, &kinds))));
    }
    if let Some(place) = request.relations.iter().position(|relation| !relations.contains(&relation.name)) {
        let name = request.relations[place].name;
        let message = format!("the file has no edges of the relation {}", quote(name));
        let help = match relations.is_empty() {
            true => format!("write their sources and targets as an array {ENDPOINTS}.{name}"),
            false => known("relations", name, &relations),
        };
        return Err((KindPlace::Relation(place), Problem::new(message, help)));
    }
    Ok(())
}

fn note_unread(archive: &Archive, request: &KindRequest) -> Option<String> {
    let unwanted = request.kinds.iter().filter(|kind| !kind.with_features);
    let unwanted: Vec<String> = unwanted
        .flat_map(|kind| features::names().into_iter().map(move |name| format!("{name}.{}", kind.name)))
        .collect();
    let unread: Vec<&str> =
        archive.unread().into_iter().filter(|name| !unwanted.iter().any(|unwanted| unwanted == name)).collect();
    let kinds = request.kinds.iter().map(|kind| kind.name);
    let read: Vec<&str> = kinds.chain(request.relations.iter().map(|relation| relation.name)).collect();
    names::note_unread(&unread, &read)
}

/// Reads the nodes of a kind. Classes, targets and splits are optional, for most kinds are only read.
fn read_nodes(archive: &mut Archive, with_features: bool) -> Result<GraphData, Problem> {
    let nodes = count_nodes(archive)?;
    let labels = match class_array(archive) {
        Some(array) => read_labels(archive, array, Some(nodes), "node")?,
        None => Vec::new(),
    };
    let classes = class_count(&labels);
    let Splits { first: splits, all: alternative_splits } = read_splits(archive, "", nodes, "node")?;
    let features = if with_features { features::read(archive, nodes)? } else { Default::default() };
    let targets = optional_rows(archive, "node_target", nodes)?;
    let names = read_node_names(archive, nodes)?;
    let class_names = read_class_names(archive, classes)?;
    Ok(GraphData {
        nodes,
        features,
        labels,
        splits,
        alternative_splits,
        classes,
        class_names,
        targets,
        names,
        ..GraphData::default()
    })
}

/// The array with the class of each node, if there is one.
fn class_array(archive: &Archive) -> Option<&'static str> {
    CLASSES.into_iter().chain(["label"]).find(|array| archive.has(array))
}

/// How many nodes there are: by `num_nodes`, or else by the rows of what is known of them.
fn count_nodes(archive: &mut Archive) -> Result<usize, Problem> {
    const COUNT: &str = "num_nodes";
    let sparse = SPARSE_FEATURES.map(|prefix| format!("{prefix}shape"));
    let mut counts = [COUNT].into_iter().chain(sparse.iter().map(String::as_str));
    let Some(array) = counts.find(|array| archive.has(array)) else {
        let rows = DENSE_FEATURES.into_iter().chain(class_array(archive)).chain(["node_target"]);
        let Some(array) = rows.into_iter().find(|array| archive.has(array)) else {
            return Err(archive.missing(COUNT));
        };
        let count = archive.shape(array)?.first().copied().unwrap_or(0);
        return check_count(array, count, "node").map(|()| count);
    };
    let count = archive.read::<i64>(array)?.values.first().and_then(|count| usize::try_from(*count).ok());
    let no_count = || Problem::of(array, "tells no number of nodes", "write how many nodes of this kind there are");
    let count = count.ok_or_else(no_count)?;
    check_count(array, count, "node")?;
    // Nothing else in the file need be as long.
    if count > memory::available() / LEAST_BYTES {
        let message = format!("says that there are {count} nodes, which are too many for this machine");
        return Err(Problem::of(array, message, "use a smaller graph, or check how the file was written"));
    }
    Ok(count)
}

/// Reads the edges of a relation between kinds with these names and numbers of nodes.
fn read_relation(
    archive: &mut Archive,
    relation: &RelationToRead,
    ends: [(&str, usize); 2],
) -> Result<RelationEdges, Problem> {
    let array = archive.read::<i64>(ENDPOINTS)?;
    if array.shape.len() != 2 || array.shape[0] != 2 {
        return Err(wrong_shape(ENDPOINTS, &array.shape, "[2, edges]"));
    }
    let count = array.shape[1];
    let number = |(position, value): (usize, &i64)| {
        let (end, what) = if position < count { (ends[0], "source") } else { (ends[1], "target") };
        u32::try_from(*value).ok().filter(|number| (*number as usize) < end.1).ok_or_else(|| {
            let message = format!("holds {value} at position {position}, outside 0..{}", end.1);
            let help = format!("each {what} must be the number of a node of the kind {}, counted from 0", quote(end.0));
            Problem::of(ENDPOINTS, message, help)
        })
    };
    let numbers = array.values.iter().enumerate().map(number).collect::<Result<Vec<u32>, Problem>>()?;
    let (sources, targets) = numbers.split_at(count);
    Ok(RelationEdges {
        name: relation.name.to_owned(),
        ends: relation.ends,
        reverse: relation.reverse.map(str::to_owned),
        edges: sources.iter().zip(targets).map(|(&source, &target)| [source, target]).collect(),
        weights: read_weights(archive, count)?,
        features: optional_rows(archive, "edge_attr", count)?,
    })
}
