//! The input graphs of commands on structure.

use connectome::data::DenseRows;
use connectome::import::{Format, ImportOptions, LabeledGraphs, import_labeled, unify_labels};
use connectome::systems::algorithms::LabeledGraph;
use std::{
    borrow::Cow,
    error::Error,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

/// A graph from a file, with its name and those of its nodes and labels.
#[derive(Clone, Debug)]
pub struct NamedGraph {
    /// The file, and `#` and the index for one of several graphs in it.
    pub name: String,
    pub graph: LabeledGraph,
    /// The names of the nodes; empty if they have none.
    node_names: Arc<[String]>,
    label_names: Arc<[String]>,
    edge_label_names: Arc<[String]>,
}

impl NamedGraph {
    /// The name of a node; its number, counted from 0, if it has none.
    pub fn node_name(&self, node: u32) -> Cow<'_, str> {
        let name = self.node_names.get(node as usize);
        name.map_or_else(|| Cow::Owned(node.to_string()), |name| Cow::Borrowed(name.as_str()))
    }

    /// What the files call a label of nodes; none if it stands for the lack of one.
    pub fn label_name(&self, label: u32) -> Option<&str> {
        self.label_names.get(label as usize).map(String::as_str)
    }

    /// What the files call a label of edges; none if it stands for the lack of one.
    pub fn edge_label_name(&self, label: u32) -> Option<&str> {
        self.edge_label_names.get(label as usize).map(String::as_str)
    }
}

/// The graphs of all files of a command.
#[derive(Clone, Debug, Default)]
pub struct GraphFiles {
    /// In the order of the files, and within them.
    pub graphs: Vec<NamedGraph>,
    /// The number of graphs in each file.
    pub counts: Vec<usize>,
    /// Known distances between all of them, if they are one whole file that has some.
    pub distances: Option<DenseRows>,
    /// What the labels of nodes are called, and those of edges.
    pub label_names: Arc<[String]>,
    pub edge_label_names: Arc<[String]>,
}

/// Reads `FILE`, a graph or a set of graphs, or `FILE#INDEX`, one graph of a set counted from 0.
///
/// The same label has the same number in all of them. Notes on omitted data are printed to standard error, and if graphs
/// are compared, those on what is not compared.
pub fn read_graphs(paths: &[PathBuf], format: Option<Format>, compared: bool) -> Result<GraphFiles, Box<dyn Error>> {
    read_graphs_after(LabeledGraphs::default(), paths, format, compared)
}

/// As [`read_graphs`]; labels that `known` has names for get its numbers, others the numbers after those.
pub fn read_graphs_after(
    known: LabeledGraphs,
    paths: &[PathBuf],
    format: Option<Format>,
    compared: bool,
) -> Result<GraphFiles, Box<dyn Error>> {
    let (mut sources, mut indices) = (Vec::new(), Vec::new());
    for path in paths {
        let (path, index) = split_index(path);
        let read = import_labeled(&path, &ImportOptions { format, ..ImportOptions::default() })?;
        let not_compared = read.not_compared.iter().filter(|_| compared);
        for note in read.notes.iter().chain(not_compared) {
            // If standard error is closed, nobody reads the note.
            let _ = writeln!(io::stderr(), "note: {}: {note}", path.display());
        }
        let count = read.graphs.len();
        if let Some(index) = index.filter(|index| *index >= count) {
            let message = format!("{} has no graph {index}; it holds {count}, counted from 0", path.display());
            return Err(message.into());
        }
        sources.push(read);
        indices.push((path, index));
    }
    let is_one_file = indices.windows(2).all(|pair| pair[0].0 == pair[1].0);
    for (read, (path, _)) in sources.iter().zip(&indices).filter(|_| compared && !is_one_file) {
        let has_labels = |graph: &LabeledGraph| graph.labels().iter().any(|&label| label != LabeledGraph::NO_LABEL);
        if read.label_names.is_empty() && read.graphs.iter().any(has_labels) {
            let note = "labels are numbers; where import has numbered them, compare the files that it has read";
            let _ = writeln!(io::stderr(), "note: {}: {note}", path.display());
        }
    }
    sources.insert(0, known);
    unify_labels(&mut sources);
    let known = sources.remove(0);
    let (label_names, edge_label_names): (Arc<[String]>, Arc<[String]>) =
        (known.label_names.into(), known.edge_label_names.into());
    let mut files = GraphFiles {
        label_names: label_names.clone(),
        edge_label_names: edge_label_names.clone(),
        ..GraphFiles::default()
    };
    for (read, (path, index)) in sources.into_iter().zip(indices) {
        let count = read.graphs.len();
        files.distances = read.distances.filter(|_| paths.len() == 1 && index.is_none());
        files.counts.push(if index.is_some() { 1 } else { count });
        let node_names: Arc<[String]> = read.node_names.into();
        let wanted = |number: &usize| index.is_none_or(|index| index == *number);
        for (number, graph) in read.graphs.into_iter().enumerate().filter(|(number, _)| wanted(number)) {
            let is_one_of_several = count > 1 || index.is_some();
            let name = path.display().to_string();
            let name = if is_one_of_several { format!("{name}#{number}") } else { name };
            let (label_names, edge_label_names) = (label_names.clone(), edge_label_names.clone());
            files.graphs.push(NamedGraph {
                name,
                graph,
                node_names: node_names.clone(),
                label_names,
                edge_label_names,
            });
        }
    }
    Ok(files)
}

/// Reads the only graph of a path.
pub fn read_graph(path: &Path, format: Option<Format>) -> Result<NamedGraph, Box<dyn Error>> {
    let mut graphs = read_graphs(&[path.to_owned()], format, false)?.graphs;
    match (graphs.pop(), graphs.len()) {
        (Some(graph), 0) => Ok(graph),
        (None, _) => Err(format!("{} holds no graph", path.display()).into()),
        (_, others) => {
            let path = path.display();
            Err(format!("{path} holds {} graphs; name one of them, such as {path}#0", others + 1).into())
        }
    }
}

/// Splits a path at the last `#` before an index, unless there is a file of the whole name.
fn split_index(path: &Path) -> (PathBuf, Option<usize>) {
    let parts = path.to_str().and_then(|text| text.rsplit_once('#'));
    match parts.and_then(|(file, index)| Some((file, index.parse().ok()?))) {
        Some((file, index)) if !path.exists() => (file.into(), Some(index)),
        _ => (path.to_owned(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn names(graph: &NamedGraph) -> Vec<String> {
        graph.graph.labels().iter().map(|&label| graph.label_name(label).unwrap_or("none").to_owned()).collect()
    }

    #[test]
    fn labels_are_told_apart_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let graph = |name: &str, labels: [&str; 2]| {
            let nodes = labels
                .iter()
                .enumerate()
                .map(|(node, label)| format!("<node id='n{node}'><data key='l'>{label}</data></node>"));
            let keys = "<key id='l' for='node' attr.name='label' attr.type='string'/>";
            let edge = "<edge source='n0' target='n1'/>";
            let text = format!(
                "<graphml>{keys}<graph edgedefault='undirected'>{}{edge}</graph></graphml>",
                nodes.collect::<String>()
            );
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let paths = [graph("a.graphml", ["N", "C"]), graph("b#1.graphml", ["O", "N"])];
        let files = read_graphs(&paths, None, true).unwrap_or_else(|error| panic!("{error}"));
        let [one, other] = &files.graphs[..] else { panic!("{files:?}") };
        assert_eq!((names(one), names(other)), (vec!["N".into(), "C".into()], vec!["O".into(), "N".into()]));
        assert_eq!(one.graph.labels()[0], other.graph.labels()[1]);
        assert_eq!(other.node_name(1), "n1");
    }

    #[test]
    fn one_graph_of_a_set_is_named_by_its_number() {
        let paths = ["assets/mutag.npz#187", "assets/mutag.npz"].map(PathBuf::from);
        let files = read_graphs(&paths, None, true).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((files.graphs.len(), &files.graphs[0].name), (189, &files.graphs[188].name));
        assert_eq!(files.graphs[0].graph, files.graphs[188].graph);
        assert_eq!(read_graph(&paths[0], None).map(|graph| graph.graph).ok().as_ref(), Some(&files.graphs[0].graph));
        let error = |path: &str| read_graph(Path::new(path), None).unwrap_err().to_string();
        assert!(error("assets/mutag.npz#188").contains("holds 188"), "{}", error("assets/mutag.npz#188"));
        assert!(error("assets/mutag.npz").contains("name one of them"), "{}", error("assets/mutag.npz"));
        assert!(error("assets/mutag.npz#").contains("no such file"), "{}", error("assets/mutag.npz#"));
    }
}
