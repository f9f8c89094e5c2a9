//! `connectome memory`.

use clap::{Args, Subcommand};
use connectome::{
    data::GraphData,
    import::{Format, LabeledGraphs},
    memory::{GraphMemory, Match, NewGraph, Query, StoredGraph},
    output::write_file,
    systems::{
        Workers,
        algorithms::{LabeledGraph, ParallelGraph, edit_distance::SearchBudget},
    },
};
use serde::Serialize;
use std::{error::Error, path::PathBuf};

use super::{
    distance::Costs,
    graph_file::{NamedGraph, read_graphs_after},
    print_line, print_notes,
};

/// Store graphs in a file, and find copies and similar ones.
#[derive(Args, Debug)]
pub struct Memory {
    /// The file of the memory.
    file: PathBuf,
    #[command(subcommand)]
    action: Action,
    /// Workers to share the work; all cores if not given. The output is the same for any number.
    #[arg(
        long,
        global = true,
        value_name = "N",
        default_value_t = 0,
        hide_default_value = true,
        allow_negative_numbers = true
    )]
    workers: usize,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Store graphs; creates the file if there is none.
    Add(Add),
    /// Find the graphs that are most similar to one, by edit distance.
    Find(Box<Find>),
    /// Show what the memory holds, or one of its graphs.
    Show(Show),
    /// Forget graphs, or the least used beyond a number.
    Forget(Forget),
    /// Merge copies, count them, and give the room that is free back.
    Consolidate,
    /// Check that the file is whole; if not, say what is wrong, with exit code 2.
    Check,
    /// Write all graphs into an `.npz` file that scenes and other commands read.
    Export {
        /// The file to write.
        output: PathBuf,
    },
}

#[derive(Args, Debug)]
struct Add {
    /// Graphs, or sets of graphs: any file that `import` reads; `FILE#NUMBER` is one graph of a set, counted from 0.
    #[arg(required = true, value_name = "GRAPHS")]
    graphs: Vec<PathBuf>,
    /// The format of the files; guessed from their names if not given.
    #[arg(long)]
    format: Option<Format>,
    /// A time to store them with, in a unit of your own.
    #[arg(long, default_value_t = 0)]
    time: u64,
}

#[derive(Args, Debug)]
struct Find {
    /// A graph: any file that `import` reads; `FILE#NUMBER` is one graph of a set, counted from 0.
    graph: PathBuf,
    /// The format of the file; guessed from its name if not given.
    #[arg(long)]
    format: Option<Format>,
    /// Number of graphs to find.
    #[arg(long, value_name = "N", default_value_t = 10)]
    count: usize,
    /// Number of graphs, nearest by their vectors, that are ranked by edit distance; with 0 vectors alone rank.
    #[arg(long, value_name = "N", default_value_t = 80)]
    shortlist: usize,
    /// The most states of the search tree to expand for each comparison; when they are used up, bounds are printed.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    expansions: u64,
    /// Count a use of the graphs that are found: the least used are forgotten first.
    #[arg(long)]
    mark_used: bool,
    /// One JSON object for each graph.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    costs: Costs,
}

#[derive(Args, Debug)]
struct Show {
    /// The graph; the memory as a whole if not given.
    id: Option<u64>,
    /// One JSON object: without a graph, one for each.
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
struct Forget {
    /// The graphs.
    #[arg(value_name = "ID", required_unless_present = "capacity")]
    ids: Vec<u64>,
    /// Keep at most so many graphs, now and from now on; 0 lifts the limit.
    #[arg(long, value_name = "N")]
    capacity: Option<u64>,
}

/// A graph that was found, as JSON.
#[derive(Serialize)]
struct Found<'a> {
    id: u64,
    /// The bounds on the edit distance; null if it was not computed.
    lower: Option<f64>,
    upper: Option<f64>,
    exact: bool,
    vector_distance: u32,
    metadata: &'a connectome::memory::Metadata,
}

/// A stored graph, as JSON.
#[derive(Serialize)]
struct Shown<'a> {
    id: u64,
    nodes: usize,
    edges: usize,
    count: u64,
    uses: u64,
    /// Number and time of each.
    episodes: Vec<[u64; 2]>,
    metadata: &'a connectome::memory::Metadata,
    /// The labels of the nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<Vec<Option<&'a str>>>,
    /// The edges with their labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    labeled_edges: Option<Vec<([u32; 2], Option<&'a str>)>>,
}

/// The labels of a memory that programs filled are numbers; more of them have no names.
const MAX_NUMBERED: u32 = 1 << 20;

/// The graphs that are read at once.
const BATCH: usize = 1024;

impl Memory {
    pub fn run(self) -> Result<(), Box<dyn Error>> {
        let workers = Workers::new(self.workers)?;
        if let Action::Add(add) = &self.action {
            return add.run(GraphMemory::create(&self.file)?.with_workers(workers));
        }
        let mut memory = GraphMemory::open(&self.file)?.with_workers(workers);
        match self.action {
            Action::Add(_) => Ok(()),
            Action::Find(find) => find.run(memory),
            Action::Show(show) => show.run(&memory),
            Action::Forget(forget) => forget.run(memory),
            Action::Consolidate => consolidate(memory),
            Action::Check => {
                let problems = memory.check()?;
                if problems.is_empty() {
                    return Ok(print_line(format_args!("whole: {} graphs", memory.len()))?);
                }
                let (file, problems) = (self.file.display(), problems.join("; "));
                Err(format!("the memory {file} is damaged: {problems}; restore it from a copy").into())
            }
            Action::Export { output } => {
                let mut graphs = Vec::with_capacity(memory.len());
                for ids in memory.ids().chunks(BATCH) {
                    graphs.extend(memory.get_many(ids)?.into_iter().map(|stored| stored.graph));
                }
                write_file(&output, &GraphData::from_labeled(&graphs).to_npz()?)?;
                print_notes(&notes_on_names(&memory));
                Ok(print_line(format_args!("wrote {} graphs to {}", graphs.len(), output.display()))?)
            }
        }
    }
}

impl Add {
    fn run(&self, mut memory: GraphMemory) -> Result<(), Box<dyn Error>> {
        let files = read_graphs_after(names_of(&memory)?, &self.graphs, self.format, true)?;
        memory.set_label_names(files.label_names.to_vec(), files.edge_label_names.to_vec())?;
        let new = files.graphs.into_iter().map(|NamedGraph { name, graph, .. }| NewGraph {
            graph,
            metadata: [("source".to_owned(), name)].into(),
            time: self.time,
            vector: None,
        });
        let change = memory.put_many(new)?;
        let forgotten = match change.forgotten.len() {
            0 => String::new(),
            count => format!(", and forgot {count}"),
        };
        let ids = match change.ids[..] {
            [] => String::new(),
            [id] => format!(" as {id}"),
            [first, .., last] => format!(" as {first} to {last}"),
        };
        let count = change.ids.len();
        Ok(print_line(format_args!("stored {count} graphs{ids}{forgotten}; the memory holds {}", memory.len()))?)
    }
}

impl Find {
    fn run(self, mut memory: GraphMemory) -> Result<(), Box<dyn Error>> {
        let paths = [self.graph.clone()];
        let graphs = read_graphs_after(names_of(&memory)?, &paths, self.format, true)?.graphs;
        let [graph] = &graphs[..] else {
            let (path, count) = (self.graph.display(), graphs.len());
            return Err(format!("{path} holds {count} graphs; name one of them, such as {path}#0").into());
        };
        let budget = SearchBudget { expansions: Some(self.expansions), time: None };
        let (count, shortlist, costs) = (self.count, self.shortlist, self.costs.checked()?);
        let query = Query { count, shortlist, costs, budget, vector: None };
        let answer = memory.find(&graph.graph, &query)?;
        let ids: Vec<u64> = answer.matches.iter().map(|found| found.id).collect();
        for (found, stored) in answer.matches.iter().zip(memory.get_many(&ids)?) {
            self.print(found, &stored)?;
        }
        if self.mark_used {
            memory.mark_used(&ids)?;
        }
        Ok(())
    }

    fn print(&self, found: &Match, stored: &StoredGraph) -> Result<(), Box<dyn Error>> {
        let &Match { id, vector_distance, bounds } = found;
        if self.json {
            let [lower, upper] = [0, 1].map(|side| bounds.map(|bounds| bounds[side]));
            let exact = found.distance().is_some();
            let line = Found { id, lower, upper, exact, vector_distance, metadata: &stored.metadata };
            return Ok(print_line(serde_json::to_string(&line)?)?);
        }
        let distance = match bounds {
            Some([lower, upper]) if lower == upper => format!("distance {upper}"),
            Some([lower, upper]) => format!("distance from {lower} to {upper}"),
            None => format!("distance of vectors {vector_distance}"),
        };
        Ok(print_line(format_args!("{id}\t{distance}{}", metadata(stored)))?)
    }
}

impl Show {
    fn run(&self, memory: &GraphMemory) -> Result<(), Box<dyn Error>> {
        if let Some(id) = self.id {
            let stored = memory.get(id)?;
            print_line(self.line(memory, &stored)?)?;
            return if self.json { Ok(()) } else { print_structure(memory, &stored.graph) };
        }
        if !self.json {
            let capacity = memory.capacity().map_or("no limit".to_owned(), |capacity| format!("at most {capacity}"));
            print_line(format_args!("{} graphs, {capacity}, version {}", memory.len(), memory.version()))?;
        }
        for ids in memory.ids().chunks(BATCH) {
            for stored in memory.get_many(ids)? {
                print_line(self.line(memory, &stored)?)?;
            }
        }
        Ok(())
    }

    fn line(&self, memory: &GraphMemory, stored: &StoredGraph) -> Result<String, Box<dyn Error>> {
        let StoredGraph { id, graph, entry, .. } = stored;
        let (nodes, edges) = (graph.node_count(), graph.graph().edge_count());
        if !self.json {
            let (count, uses) = (entry.count, entry.uses);
            let counts = format!("{nodes} nodes, {edges} edges, stored {count} times, used {uses} times");
            return Ok(format!("{id}\t{counts}{}", metadata(stored)));
        }
        let labels =
            |graph: &LabeledGraph| graph.labels().iter().map(|label| name(memory.label_names(), *label)).collect();
        let labeled_edges = |graph: &LabeledGraph| {
            graph.labeled_edges().map(|(ends, label)| (ends, name(memory.edge_label_names(), label))).collect()
        };
        let shown = Shown {
            id: *id,
            nodes,
            edges,
            count: entry.count,
            uses: entry.uses,
            episodes: entry.episodes.iter().map(|episode| [episode.number, episode.time]).collect(),
            metadata: &stored.metadata,
            labels: self.id.map(|_| labels(graph)),
            labeled_edges: self.id.map(|_| labeled_edges(graph)),
        };
        Ok(serde_json::to_string(&shown)?)
    }
}

impl Forget {
    fn run(&self, mut memory: GraphMemory) -> Result<(), Box<dyn Error>> {
        let before = memory.len();
        memory.forget(&self.ids)?;
        if let Some(capacity) = self.capacity {
            memory.set_capacity((capacity > 0).then_some(capacity))?;
        }
        let after = memory.len();
        Ok(print_line(format_args!("forgot {} graphs; the memory holds {after}", before - after))?)
    }
}

fn consolidate(mut memory: GraphMemory) -> Result<(), Box<dyn Error>> {
    let mut merged = 0;
    loop {
        let step = memory.consolidate(BATCH)?;
        merged += step.merged.len();
        if step.remaining == 0 {
            break;
        }
    }
    memory.compact()?;
    Ok(print_line(format_args!("merged {merged} copies; the memory holds {} graphs", memory.len()))?)
}

/// The structure of a graph, for people.
fn print_structure(memory: &GraphMemory, graph: &LabeledGraph) -> Result<(), Box<dyn Error>> {
    for (node, label) in graph.labels().iter().enumerate() {
        let label = name(memory.label_names(), *label).map_or(String::new(), |label| format!(": {label}"));
        print_line(format_args!("  node {node}{label}"))?;
    }
    for ([one, other], label) in graph.labeled_edges() {
        let label = name(memory.edge_label_names(), label).map_or(String::new(), |label| format!(": {label}"));
        print_line(format_args!("  edge {one} - {other}{label}"))?;
    }
    Ok(())
}

fn name(names: &[String], label: u32) -> Option<&str> {
    names.get(label as usize).map(String::as_str)
}

/// What accompanies a graph, as the end of a line.
fn metadata(stored: &StoredGraph) -> String {
    stored.metadata.iter().map(|(key, value)| format!("\t{key} {value}")).collect()
}

/// The names of the labels of a memory, as a source that others are numbered after.
fn names_of(memory: &GraphMemory) -> Result<LabeledGraphs, Box<dyn Error>> {
    let mut names = [memory.label_names().to_vec(), memory.edge_label_names().to_vec()];
    if names.iter().all(Vec::is_empty) {
        // A program has stored graphs by numbers: those are the names.
        let mut counts = [0; 2];
        for ids in memory.ids().chunks(BATCH) {
            for StoredGraph { graph, .. } in memory.get_many(ids)? {
                let is_label = |label: &u32| *label != LabeledGraph::NO_LABEL;
                let node = graph.labels().iter().copied().filter(is_label).max();
                let edge = graph.labeled_edges().map(|(_, label)| label).filter(is_label).max();
                counts = [
                    counts[0].max(node.map_or(0, |label| label + 1)),
                    counts[1].max(edge.map_or(0, |label| label + 1)),
                ];
            }
        }
        if let Some(count) = counts.into_iter().find(|count| *count > MAX_NUMBERED) {
            let largest = count - 1;
            return Err(format!(
                "the program that filled the memory uses labels up to {largest}, above {MAX_NUMBERED}; ask it there"
            )
            .into());
        }
        names = counts.map(|count| (0..count).map(|label| label.to_string()).collect());
    }
    let [label_names, edge_label_names] = names;
    Ok(LabeledGraphs { label_names, edge_label_names, ..LabeledGraphs::default() })
}

/// What the numbers in an exported file stand for.
fn notes_on_names(memory: &GraphMemory) -> Vec<String> {
    let is_other = |(number, name): (usize, &String)| *name != number.to_string();
    let kinds = [("nodes", memory.label_names()), ("edges", memory.edge_label_names())];
    let named = kinds.into_iter().filter(|(_, names)| names.iter().enumerate().any(is_other));
    named
        .map(|(kind, names)| format!("the labels of {kind} are numbers there, from 0 on: {}", names.join(", ")))
        .collect()
}
