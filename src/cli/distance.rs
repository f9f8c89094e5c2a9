//! `connectome distance`.

use clap::Args;
use connectome::data::DenseRows;
use connectome::import::Format;
use connectome::systems::{
    Workers,
    algorithms::{
        LabeledGraph,
        edit_distance::{
            EditComparison, EditCosts, EditError, EditOperation, OperationCosts, SearchBudget, StopReason,
            edit_distances, edit_path,
        },
    },
};
use serde::Serialize;
use std::{error::Error, fmt::Write as _, io::Write as _, path::PathBuf, time::Duration, time::Instant};

use super::graph_file::{GraphFiles, NamedGraph, read_graphs};
use super::print_line;

/// The default number of states of the search tree to expand for each pair.
const EXPANSIONS: u64 = 1_000_000;

/// Compute the graph edit distance of two graphs, or bounds on it.
#[derive(Args, Debug)]
pub struct Distance {
    /// A graph, or a set of graphs: any file that `import` reads; FILE#INDEX is one graph of a set, counted from 0.
    first: PathBuf,
    /// Compare each graph of FIRST with each graph of this file; if not given, with all graphs after it in FIRST.
    second: Option<PathBuf>,
    /// The format of the files; guessed from their names if not given.
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Search until each distance is exact, however long that takes.
    #[arg(long, conflicts_with_all = ["expansions", "time_limit"])]
    exact: bool,
    /// States of the search tree to expand for each pair; 0 for the bounds at its root alone. A million if neither this
    /// nor
    /// --time-limit is given. When they are used up, the bounds found so far are printed.
    #[arg(long, value_name = "N")]
    expansions: Option<u64>,
    /// Seconds to search for each pair. Results of a search that ran out of time may differ from run to run.
    #[arg(long, value_name = "S")]
    time_limit: Option<f64>,
    /// Print the edit operations as well.
    #[arg(long)]
    path: bool,
    #[command(flatten)]
    costs: Costs,
    /// One JSON object for each pair.
    #[arg(long)]
    json: bool,
    /// Report the time of all comparisons on standard error, without reading the files.
    #[arg(long)]
    timing: bool,
    /// Workers to share the pairs, or the search tree of a single one; all cores if not given. The results are the same
    /// for any number.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true, allow_negative_numbers = true)]
    workers: usize,
}

/// The costs of edit operations.
#[derive(Args, Debug)]
#[command(next_help_heading = "Costs")]
pub(super) struct Costs {
    /// Cost of inserting a node.
    #[arg(long, value_name = "COST", default_value_t = 1.0, allow_negative_numbers = true)]
    node_insertion: f64,
    /// Cost of deleting a node.
    #[arg(long, value_name = "COST", default_value_t = 1.0, allow_negative_numbers = true)]
    node_deletion: f64,
    /// Cost of relabeling a node.
    #[arg(long, value_name = "COST", default_value_t = 1.0, allow_negative_numbers = true)]
    node_substitution: f64,
    /// Cost of inserting an edge.
    #[arg(long, value_name = "COST", default_value_t = 1.0, allow_negative_numbers = true)]
    edge_insertion: f64,
    /// Cost of deleting an edge.
    #[arg(long, value_name = "COST", default_value_t = 1.0, allow_negative_numbers = true)]
    edge_deletion: f64,
    /// Cost of relabeling an edge.
    #[arg(long, value_name = "COST", default_value_t = 1.0, allow_negative_numbers = true)]
    edge_substitution: f64,
}

impl Costs {
    pub(super) fn checked(&self) -> Result<EditCosts, EditError> {
        let uniform = |[insertion, deletion, substitution]: [f64; 3]| OperationCosts::Uniform {
            insertion,
            deletion,
            substitution,
        };
        EditCosts::new(
            uniform([self.node_insertion, self.node_deletion, self.node_substitution]),
            uniform([self.edge_insertion, self.edge_deletion, self.edge_substitution]),
        )
    }
}

/// One pair, as JSON.
#[derive(Serialize)]
struct Line<'a> {
    first: &'a str,
    second: &'a str,
    lower: f64,
    upper: f64,
    exact: bool,
    expansions: u64,
    /// Why the search stopped before the distance was exact.
    stop_reason: Option<&'static str>,
    /// For each node of the first graph the node of the second that it becomes; null if it is deleted.
    mapping: &'a [Option<u32>],
    /// The distance given in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    known: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<Vec<Step>>,
}

/// One operation, as JSON.
#[derive(Serialize)]
struct Step {
    operation: &'static str,
    /// The node or the two endpoints in the first graph.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    from: Vec<u32>,
    /// The same in the second graph.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    to: Vec<u32>,
    cost: f64,
}

impl Step {
    fn new(operation: EditOperation, cost: f64) -> Self {
        let (operation, from, to) = match operation {
            EditOperation::DeleteEdge { endpoints } => ("delete edge", endpoints.to_vec(), vec![]),
            EditOperation::DeleteNode { node } => ("delete node", vec![node], vec![]),
            EditOperation::SubstituteNode { node, with } => ("substitute node", vec![node], vec![with]),
            EditOperation::SubstituteEdge { endpoints, with } => ("substitute edge", endpoints.to_vec(), with.to_vec()),
            EditOperation::InsertNode { node } => ("insert node", vec![], vec![node]),
            EditOperation::InsertEdge { endpoints } => ("insert edge", vec![], endpoints.to_vec()),
        };
        Self { operation, from, to, cost }
    }

    /// As a line of text, with the names of nodes and their labels.
    fn sentence(&self, first: &NamedGraph, second: &NamedGraph) -> String {
        let named = |graph: &NamedGraph, nodes: &[u32]| match nodes {
            [node] => match graph.label_name(graph.graph.labels()[*node as usize]) {
                Some(label) => format!("{} ({label})", graph.node_name(*node)),
                None => graph.node_name(*node).into_owned(),
            },
            nodes => nodes.iter().map(|node| graph.node_name(*node)).collect::<Vec<_>>().join(" - "),
        };
        let nodes = match (&self.from[..], &self.to[..]) {
            (from, []) => named(first, from),
            ([], to) => named(second, to),
            (from, to) => format!("{} by {}", named(first, from), named(second, to)),
        };
        format!("  {} {nodes}: {}", self.operation, self.cost)
    }
}

impl Distance {
    pub fn run(self) -> Result<(), Box<dyn Error>> {
        let (costs, budget) = (self.costs.checked()?, self.budget()?);
        let workers = Workers::new(self.workers)?;
        let paths: Vec<PathBuf> = [&self.first].into_iter().chain(&self.second).cloned().collect();
        let GraphFiles { graphs, counts, distances: known, .. } = read_graphs(&paths, self.format, true)?;
        let begin = self.second.is_some().then(|| counts[0]);
        if self.second.is_none() && graphs.len() < 2 {
            let (file, held) = (self.first.display(), if graphs.is_empty() { "no graph" } else { "one graph" });
            return Err(format!("{file} holds {held}, so there is nothing to compare; name a second file").into());
        }
        // Without a second file each graph is compared with those after it.
        let others = |first: usize| begin.unwrap_or(first + 1)..graphs.len();
        let plain: Vec<LabeledGraph> = graphs.iter().map(|graph| graph.graph.clone()).collect();
        let (mut count, mut time) = (0, Duration::ZERO);
        for first in 0..begin.unwrap_or(graphs.len()) {
            let start = Instant::now();
            let found = edit_distances(&plain[first], &plain[others(first)], &costs, budget, &workers)?;
            time += start.elapsed();
            count += found.len();
            for (found, second) in found.iter().zip(others(first)) {
                let known = known.as_ref().map(|known| known_distance(known, first, second));
                self.print(&graphs[first], &graphs[second], &costs, found, known)?;
            }
        }
        if self.timing {
            let _ = writeln!(std::io::stderr(), "pairs compared: {count}, in {} ms", 1e3 * time.as_secs_f64());
        }
        Ok(())
    }

    fn budget(&self) -> Result<SearchBudget, Box<dyn Error>> {
        let time = match self.time_limit {
            Some(seconds) => Some(
                Duration::try_from_secs_f64(seconds)
                    .map_err(|_| format!("the time limit is {seconds} seconds; give a number of at least 0"))?,
            ),
            None => None,
        };
        let is_free = self.exact || time.is_some();
        Ok(SearchBudget { expansions: self.expansions.or((!is_free).then_some(EXPANSIONS)), time })
    }

    fn print(
        &self,
        first: &NamedGraph,
        second: &NamedGraph,
        costs: &EditCosts,
        found: &EditComparison,
        known: Option<f64>,
    ) -> Result<(), Box<dyn Error>> {
        let path = if self.path {
            let path = edit_path(&first.graph, &second.graph, costs, &found.mapping)?;
            Some(path.into_iter().map(|(operation, cost)| Step::new(operation, cost)).collect())
        } else {
            None
        };
        let stop_reason = found.stop_reason.map(|reason| match reason {
            StopReason::Expansions => ("expansions", "expansions used up"),
            StopReason::Time => ("time", "time used up"),
            StopReason::Size => ("size", "too large to search"),
        });
        let &EditComparison { lower, upper, expansions, ref mapping, .. } = found;
        if self.json {
            let exact = found.distance().is_some();
            let (first, second) = (&first.name, &second.name);
            let stop_reason = stop_reason.map(|(name, _)| name);
            let line = Line { first, second, lower, upper, exact, expansions, stop_reason, mapping, known, path };
            return Ok(print_line(serde_json::to_string(&line)?)?);
        }
        let mut text = format!("{} and {}: ", first.name, second.name);
        match stop_reason {
            None => write!(text, "{upper}")?,
            Some((_, reason)) => write!(text, "from {lower} to {upper}, {reason}")?,
        }
        if let Some(known) = known.filter(|known| *known < lower || *known > upper) {
            write!(text, ", but the file gives {known}")?;
        }
        for step in path.iter().flatten() {
            write!(text, "\n{}", step.sentence(first, second))?;
        }
        Ok(print_line(text)?)
    }
}

/// The distance of two graphs given in their file.
fn known_distance(known: &DenseRows, first: usize, second: usize) -> f64 {
    f64::from(known.values[first * known.width + second])
}
