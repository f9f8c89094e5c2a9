//! `connectome kernel`.

use clap::Args;
use connectome::{
    import::Format,
    systems::{
        Workers,
        algorithms::{
            LabeledGraph,
            weisfeiler_leman::{Difference, GramMatrix, refute_isomorphism, subtree_kernels},
        },
    },
};
use serde::Serialize;
use std::{error::Error, path::PathBuf};

use super::{
    graph_file::{NamedGraph, read_graphs},
    print_line,
};

/// The most graphs that are compared with each other: their matrix takes 3 GB.
const MAX_GRAPHS: usize = 20_000;

/// Compare graphs by the Weisfeiler-Leman subtree kernel, or find which are not isomorphic.
#[derive(Args, Debug)]
pub struct Kernel {
    /// Graphs, or sets of graphs: any file that `import` reads; `FILE#NUMBER` is one graph of a set, counted from 0.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Number of rounds of color refinement.
    #[arg(long, value_name = "H", default_value_t = 3, conflicts_with = "refute")]
    iterations: usize,
    /// Normalize kernels so that each graph has 1 with itself.
    #[arg(long, alias = "normalise", alias = "normalised", alias = "normalized", conflicts_with = "refute")]
    normalize: bool,
    /// Instead of kernels report, for each pair of graphs, why they are not isomorphic, if refinement shows it.
    #[arg(long)]
    refute: bool,
    /// Print a line of JSON, or with --refute one for each pair of graphs.
    #[arg(long)]
    json: bool,
    /// The format of the files; guessed from their names if not given.
    #[arg(long)]
    format: Option<Format>,
    /// Workers to share the work; all cores if not given. The output is the same for any number.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true, allow_negative_numbers = true)]
    workers: usize,
}

/// The line of JSON about kernels.
#[derive(Serialize)]
struct Kernels<'a> {
    graphs: Vec<&'a str>,
    iterations: usize,
    normalized: bool,
    kernels: Vec<&'a [f64]>,
}

/// The line of JSON about two graphs.
#[derive(Serialize)]
struct Verdict<'a> {
    graphs: [&'a str; 2],
    refuted: bool,
    reason: Option<String>,
}

impl Kernel {
    pub fn run(self) -> Result<(), Box<dyn Error>> {
        let workers = Workers::new(self.workers)?;
        let graphs = read_graphs(&self.files, self.format, true)?.graphs;
        if graphs.len() > MAX_GRAPHS {
            let count = graphs.len();
            return Err(format!("{count} graphs are too many to compare all pairs; give at most {MAX_GRAPHS}").into());
        }
        if self.refute { self.print_verdicts(&graphs, &workers) } else { self.print_kernels(&graphs, &workers) }
    }

    fn print_kernels(&self, graphs: &[NamedGraph], workers: &Workers) -> Result<(), Box<dyn Error>> {
        let plain: Vec<&LabeledGraph> = graphs.iter().map(|graph| &graph.graph).collect();
        let gram = subtree_kernels(&plain, self.iterations, workers);
        let gram = if self.normalize { gram.normalized() } else { gram };
        if self.json {
            return Ok(print_line(self.json_of(graphs, &gram)?)?);
        }
        for (number, graph) in graphs.iter().enumerate() {
            let write = |value: &f64| if self.normalize { format!("{value:.6}") } else { value.to_string() };
            let values: Vec<String> = gram.row(number).iter().map(write).collect();
            print_line(format_args!("{}\t{}", graph.name, values.join("\t")))?;
        }
        Ok(())
    }

    fn json_of(&self, graphs: &[NamedGraph], gram: &GramMatrix) -> serde_json::Result<String> {
        serde_json::to_string(&Kernels {
            graphs: graphs.iter().map(|graph| graph.name.as_str()).collect(),
            iterations: self.iterations,
            normalized: self.normalize,
            kernels: (0..gram.size()).map(|graph| gram.row(graph)).collect(),
        })
    }

    fn print_verdicts(&self, graphs: &[NamedGraph], workers: &Workers) -> Result<(), Box<dyn Error>> {
        for (number, one) in graphs.iter().enumerate() {
            let others = &graphs[number + 1..];
            // Pairs are divided among the workers; each pair is computed by one.
            let refute = |other: usize| refute_isomorphism(&one.graph, &others[other].graph, &Workers::single());
            for (other, difference) in others.iter().zip(workers.map(others.len(), refute)) {
                let reason = difference.map(|difference| reason(difference, one));
                let graphs = [one.name.as_str(), other.name.as_str()];
                let line = match &reason {
                    _ if self.json => serde_json::to_string(&Verdict { graphs, refuted: reason.is_some(), reason })?,
                    Some(reason) => format!("{} and {} are not isomorphic: {reason}", graphs[0], graphs[1]),
                    None => format!("{} and {} are not distinguished", graphs[0], graphs[1]),
                };
                print_line(line)?;
            }
        }
        Ok(())
    }
}

/// Why a graph is not isomorphic to another, with the names of labels.
fn reason(difference: Difference, graph: &NamedGraph) -> String {
    let (things, label, [one, other]) = match difference {
        Difference::NodeLabel { label, counts } => ("nodes", graph.label_name(label), counts),
        Difference::EdgeLabel { label, counts } => ("edges", graph.edge_label_name(label), counts),
        _ => return difference.to_string(),
    };
    match label {
        Some(label) => format!("they have {one} and {other} {things} with the label {label}"),
        None => difference.to_string(),
    }
}
