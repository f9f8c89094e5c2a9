//! `connectome cliques`.

use clap::Args;
use connectome::import::Format;
use connectome::systems::{
    Workers,
    algorithms::{
        ParallelGraph, SimpleGraph,
        cliques::{CliqueKind, Completeness, Limits, count_cliques, list_cliques, maximum_clique, visit_cliques},
    },
};
use serde_json::{Value, json};
use std::{
    error::Error,
    io::{self, BufWriter, Write},
    ops::ControlFlow,
    path::PathBuf,
    time::{Duration, Instant},
};

use super::{
    PrintError,
    bench::seconds,
    graph_file::{NamedGraph, read_graph},
};

/// Find sets of nodes that are pairwise adjacent.
#[derive(Args, Debug)]
pub struct Cliques {
    /// A graph: DIMACS, an edge list, GraphML, NumPy arrays, a text, a term or a Python program; or FILE#INDEX, one of a set of graphs.
    file: PathBuf,
    #[command(flatten)]
    wanted: Wanted,
    /// Print only the number of cliques.
    #[arg(long, conflicts_with = "maximum")]
    count: bool,
    /// Stop after N cliques: the first ones, in an order that the graph alone determines.
    #[arg(long, value_name = "N", conflicts_with = "maximum")]
    limit: Option<usize>,
    /// Stop after this time.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true)]
    time_limit: Option<Duration>,
    /// Print a JSON object. It is the same for any number of workers.
    #[arg(long)]
    json: bool,
    /// Repeat the search N times and report how long it takes.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    timing: usize,
    /// The format of the file; guessed from its name if not given.
    #[arg(long)]
    format: Option<Format>,
    /// Workers to share the search; all cores if not given. The results are the same for any number.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true, allow_negative_numbers = true)]
    workers: usize,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct Wanted {
    /// All cliques of K nodes.
    #[arg(long, value_name = "K")]
    size: Option<usize>,
    /// All cliques that no larger one contains.
    #[arg(long)]
    maximal: bool,
    /// A largest clique.
    #[arg(long)]
    maximum: bool,
}

impl Cliques {
    pub fn run(self) -> Result<(), Box<dyn Error>> {
        let kind = match self.wanted.size {
            Some(size) => CliqueKind::of_size(size)?,
            None => CliqueKind::maximal(),
        };
        let workers = Workers::new(self.workers)?;
        let graph = read_graph(&self.file, self.format)?;
        let times = self.measure(graph.graph.graph(), kind, &workers);
        let output = BufWriter::new(io::stdout());
        let printer = Printer { json: self.json, lists: !self.count, graph: &graph, output, printed: 0 };
        self.search(printer, kind, &workers, &times).map_err(PrintError)?;
        Ok(())
    }

    fn limits(&self) -> Limits {
        Limits { max_count: self.limit, time: self.time_limit }
    }

    /// Repeats the search, and returns the times in ascending order.
    fn measure(&self, graph: &SimpleGraph, kind: CliqueKind, workers: &Workers) -> Vec<Duration> {
        let search = |_| {
            let begin = Instant::now();
            if self.wanted.maximum {
                maximum_clique(graph, workers, self.time_limit);
            } else if self.count {
                count_cliques(graph, kind, workers, self.limits());
            } else {
                list_cliques(graph, kind, workers, self.limits());
            }
            begin.elapsed()
        };
        let mut times: Vec<Duration> = (0..self.timing).map(search).collect();
        times.sort();
        times
    }

    /// Searches, and prints cliques as they are found.
    fn search(
        &self,
        mut printer: Printer<impl Write + Send>,
        kind: CliqueKind,
        workers: &Workers,
        times: &[Duration],
    ) -> io::Result<()> {
        let graph = printer.graph.graph.graph();
        printer.begin(match self.wanted.size {
            _ if self.wanted.maximum => json!("maximum"),
            Some(size) => json!({ "size": size }),
            None => json!("maximal"),
        })?;
        if self.count {
            let found = count_cliques(graph, kind, workers, self.limits());
            return printer.finish(found.count, found.completeness, times);
        }
        let mut result = Ok(());
        let completeness = if self.wanted.maximum {
            let largest = maximum_clique(graph, workers, self.time_limit);
            if !largest.nodes.is_empty() {
                result = printer.print(&largest.nodes);
            }
            largest.completeness
        } else {
            visit_cliques(graph, kind, workers, self.limits(), |clique| {
                result = printer.print(clique);
                if result.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })
        };
        result?;
        let printed = printer.printed;
        printer.finish(printed, completeness, times)
    }
}

/// Writes cliques as they are found.
struct Printer<'a, W> {
    json: bool,
    /// Whether cliques are printed, or only their number.
    lists: bool,
    graph: &'a NamedGraph,
    output: W,
    printed: u64,
}

impl<W: Write> Printer<'_, W> {
    fn begin(&mut self, question: Value) -> io::Result<()> {
        if !self.json {
            return Ok(());
        }
        let graph = self.graph.graph.graph();
        let (nodes, edges) = (graph.node_count(), graph.edge_count());
        let head = json!({ "file": self.graph.name, "nodes": nodes, "edges": edges, "question": question }).to_string();
        // The object stays open for the cliques.
        let list = if self.lists { ",\"cliques\":[" } else { "" };
        write!(self.output, "{}{list}", &head[..head.len() - 1])
    }

    fn print(&mut self, clique: &[u32]) -> io::Result<()> {
        let names = clique.iter().map(|node| self.graph.node_name(*node));
        if self.json {
            let comma = if self.printed > 0 { "," } else { "" };
            write!(self.output, "{comma}{}", Value::from_iter(names.map(Value::from)))?;
        } else {
            for (place, name) in names.enumerate() {
                write!(self.output, "{}{name}", if place > 0 { " " } else { "" })?;
            }
            writeln!(self.output)?;
        }
        self.printed += 1;
        Ok(())
    }

    /// Closes the object of JSON; or reports on standard error why the search stopped early, and how long it took.
    fn finish(mut self, count: u64, end: Completeness, times: &[Duration]) -> io::Result<()> {
        let stopped = match end {
            Completeness::All => None,
            Completeness::LimitReached => Some(("limit", "raise --limit")),
            Completeness::TimedOut => Some(("time", "raise --time-limit")),
            Completeness::Stopped => Some(("visitor", "visit all of them")),
        };
        let milliseconds = |time: &Duration| 1e3 * time.as_secs_f64();
        let least_and_median = times.first().map(milliseconds).zip(times.get(times.len() / 2).map(milliseconds));
        if self.json {
            let mut tail = json!({ "count": count, "complete": stopped.is_none(), "stop_reason": stopped.map(|(reason, _)| reason) });
            if let Some((least, median)) = least_and_median {
                tail["milliseconds"] = json!({ "least": least, "median": median });
            }
            let list = if self.lists { "]" } else { "" };
            writeln!(self.output, "{list},{}", &tail.to_string()[1..])?;
            return self.output.flush();
        }
        if !self.lists {
            writeln!(self.output, "{count}")?;
        }
        self.output.flush()?;
        // If standard error is closed, nobody reads the note.
        if let Some((_, help)) = stopped {
            let _ = writeln!(io::stderr(), "note: these are not all the cliques; {help} to find more");
        }
        if let Some((least, median)) = least_and_median {
            let _ = writeln!(io::stderr(), "{} searches: least {least:.3} ms, median {median:.3} ms", times.len());
        }
        Ok(())
    }
}
