//! The input graphs of commands on structure.

use connectome::data::DenseRows;
use connectome::import::{Format, ImportOptions, LabeledGraphs, import_labeled};
use connectome::systems::algorithms::LabeledGraph;
use std::{
    borrow::Cow,
    collections::HashMap,
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
}

impl NamedGraph {
    /// The name of a node; its number, counted from 0, if it has none.
    pub fn node_name(&self, node: u32) -> Cow<'_, str> {
        name_of(&self.node_names, node)
    }

    /// The name of a label; its number if it has none.
    pub fn label_name(&self, label: u32) -> Cow<'_, str> {
        name_of(&self.label_names, label)
    }
}

fn name_of(names: &[String], number: u32) -> Cow<'_, str> {
    names.get(number as usize).map_or_else(|| Cow::Owned(number.to_string()), |name| Cow::Borrowed(name.as_str()))
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
}

/// Reads `FILE`, a graph or a set of graphs, or `FILE#INDEX`, one graph of a set counted from 0.
///
/// The same label has the same number in all of them; labels with names are identified by these. Notes on omitted data
/// are printed to standard error.
pub fn read_graphs(paths: &[PathBuf], format: Option<Format>) -> Result<GraphFiles, Box<dyn Error>> {
    let mut files = GraphFiles::default();
    let mut labels = LabelNumbers::default();
    for path in paths {
        let (path, index) = split_index(path);
        let mut read = import_labeled(&path, &ImportOptions { format, ..ImportOptions::default() })?;
        for note in &read.notes {
            // If standard error is closed, nobody reads the note.
            let _ = writeln!(io::stderr(), "note: {}: {note}", path.display());
        }
        labels.unify(&mut read);
        let count = read.graphs.len();
        if let Some(index) = index.filter(|index| *index >= count) {
            let message = format!("{} has no graph {index}; it holds {count}, counted from 0", path.display());
            return Err(message.into());
        }
        files.distances = read.distances.filter(|_| paths.len() == 1 && index.is_none());
        files.counts.push(if index.is_some() { 1 } else { count });
        let node_names: Arc<[String]> = read.node_names.into();
        let wanted = |number: &usize| index.is_none_or(|index| index == *number);
        for (number, graph) in read.graphs.into_iter().enumerate().filter(|(number, _)| wanted(number)) {
            let is_one_of_several = count > 1 || index.is_some();
            let name = path.display().to_string();
            let name = if is_one_of_several { format!("{name}#{number}") } else { name };
            files.graphs.push(NamedGraph { name, graph, node_names: node_names.clone(), label_names: [].into() });
        }
    }
    let label_names: Arc<[String]> = labels.names.into();
    files.graphs.iter_mut().for_each(|graph| graph.label_names = label_names.clone());
    Ok(files)
}

/// Reads the only graph of a path.
pub fn read_graph(path: &Path, format: Option<Format>) -> Result<NamedGraph, Box<dyn Error>> {
    let mut graphs = read_graphs(&[path.to_owned()], format)?.graphs;
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

/// One numbering for the labels of several files.
#[derive(Default)]
struct LabelNumbers {
    numbers: HashMap<String, u32>,
    names: Vec<String>,
}

impl LabelNumbers {
    /// Numbers the labels of a file by their names.
    fn unify(&mut self, read: &mut LabeledGraphs) {
        let mut known = HashMap::new();
        for graph in &mut read.graphs {
            let number = |label| *known.entry(label).or_insert_with(|| self.number(name_of(&read.label_names, label)));
            let labels = graph.labels().iter().copied().map(number).collect();
            *graph = core::mem::take(graph).with_labels(labels);
        }
    }

    fn number(&mut self, name: Cow<str>) -> u32 {
        if let Some(&number) = self.numbers.get(name.as_ref()) {
            return number;
        }
        // There are no more labels than nodes, which have 32-bit numbers.
        let number = self.names.len() as u32;
        self.names.push(name.clone().into_owned());
        self.numbers.insert(name.into_owned(), number);
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn names(graph: &NamedGraph) -> Vec<String> {
        graph.graph.labels().iter().map(|&label| graph.label_name(label).into_owned()).collect()
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
        let files = read_graphs(&paths, None).unwrap_or_else(|error| panic!("{error}"));
        let [one, other] = &files.graphs[..] else { panic!("{files:?}") };
        assert_eq!((names(one), names(other)), (vec!["N".into(), "C".into()], vec!["O".into(), "N".into()]));
        assert_eq!(one.graph.labels()[0], other.graph.labels()[1]);
        assert_eq!(other.node_name(1), "n1");
    }

    #[test]
    fn one_graph_of_a_set_is_named_by_its_number() {
        let paths = ["assets/mutag.npz#187", "assets/mutag.npz"].map(PathBuf::from);
        let files = read_graphs(&paths, None).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((files.graphs.len(), &files.graphs[0].name), (189, &files.graphs[188].name));
        assert_eq!(files.graphs[0].graph, files.graphs[188].graph);
        assert_eq!(read_graph(&paths[0], None).map(|graph| graph.graph).ok().as_ref(), Some(&files.graphs[0].graph));
        let error = |path: &str| read_graph(Path::new(path), None).unwrap_err().to_string();
        assert!(error("assets/mutag.npz#188").contains("holds 188"), "{}", error("assets/mutag.npz#188"));
        assert!(error("assets/mutag.npz").contains("name one of them"), "{}", error("assets/mutag.npz"));
        assert!(error("assets/mutag.npz#").contains("no such file"), "{}", error("assets/mutag.npz#"));
    }
}
