//! The commands and their arguments.

mod bench;
mod cliques;
mod distance;
mod generate;
mod graph;
mod graph_file;
mod import;
mod infer;
mod inspect;
mod kernel;
#[cfg(feature = "memory")]
mod memory;
mod output;
mod progress;
mod repair;
mod rewrite;
mod signals;
mod statistics;
mod train;

use clap::{Args, Parser, Subcommand};
use connectome::{
    Trainer,
    data::GraphData,
    scene::SceneFile,
    systems::{Workers, WorkersError},
};
use std::{
    borrow::Cow,
    error::Error,
    fmt,
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Graph neural networks in an ECS world.
#[derive(Parser, Debug)]
#[command(version, arg_required_else_help = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Train the model of a scene, and report its accuracy, or its error for regression.
    Train(train::Train),
    /// Evaluate trained weights on the scene's splits.
    Evaluate(infer::Evaluate),
    /// Write the output of trained weights for every node.
    Infer(infer::Infer),
    /// Rewrite terms by trained weights, in one pass each.
    Rewrite(rewrite::Rewrite),
    /// Find variables that a program in Python may misuse, by trained weights.
    ///
    /// Prints for each function, also of classes, the place where another variable is likely to be meant, if there is one.
    Repair(repair::Repair),
    /// Show the contents of a scene, its memory and its schedule.
    Inspect(inspect::Inspect),
    /// Measure how long a forward pass and a training step take, and each system in them.
    ///
    /// A forward pass is one run of the model's inference schedule, on a changed input; a step is forward with dropout,
    /// loss, backward and optimizer, on a changed input too, and on the same one as the step before, of which sums over
    /// neighbors are kept. All run on the whole graph; for a set of graphs, or a graph with sampled neighbors, on the
    /// first batch of an epoch, without the time to extract it. After a warm-up they are repeated at least five times. The
    /// systems are measured afterwards, for the timings between them take time; those of the step are on the same input.
    Bench(bench::Bench),
    /// Find cliques in a graph: all of a size, all maximal ones, or a largest one.
    Cliques(cliques::Cliques),
    /// Convert graphs of other programs into graph files for scenes.
    Import(import::Import),
    /// Show the graph of a text, a term, a program, or a graph file.
    Graph(graph::Graph),
    /// Generate pairs of terms to learn from: before, and after a transformation by rules.
    ///
    /// `simplify` computes small numbers, drops what adds 0 or multiplies by 1, and puts numbers first; `derive` gives the
    /// derivative by x. All terms before are distinct.
    Generate(generate::Generate),
    /// Compute the graph edit distance of two graphs, or bounds on it.
    ///
    /// With two files each graph of the first is compared with each graph of the second; with one file, each graph with
    /// all after it. An edit path inserts, deletes and relabels nodes and edges; the distance is the cost of the
    /// cheapest path. Directions, self-loops and parallel edges are ignored.
    Distance(distance::Distance),
    /// Compare graphs by the Weisfeiler-Leman subtree kernel, or find which are not isomorphic.
    Kernel(kernel::Kernel),
    /// Store graphs in a file, and find copies and similar ones.
    ///
    /// Similar graphs are those with the nearest vectors of Weisfeiler-Leman features, ranked by exact or bounded edit
    /// distance. Directions, self-loops and parallel edges are ignored.
    #[cfg(feature = "memory")]
    Memory(memory::Memory),
}

impl Arguments {
    /// Runs the command.
    pub fn run(self) -> Result<(), Box<dyn Error>> {
        match self.command {
            Command::Train(command) => command.run(),
            Command::Evaluate(command) => command.run(),
            Command::Infer(command) => command.run(),
            Command::Rewrite(command) => command.run(),
            Command::Repair(command) => command.run(),
            Command::Inspect(command) => command.run(),
            Command::Bench(command) => command.run(),
            Command::Cliques(command) => command.run(),
            Command::Import(command) => command.run(),
            Command::Graph(command) => command.run(),
            Command::Generate(command) => command.run(),
            Command::Distance(command) => command.run(),
            Command::Kernel(command) => command.run(),
            #[cfg(feature = "memory")]
            Command::Memory(command) => command.run(),
        }
    }
}

/// The scene and the number of workers.
#[derive(Args, Debug)]
struct SceneArguments {
    /// The scene, a RON file.
    scene: PathBuf,
    /// Number of workers; all cores if not given. The results have the same bits for any number.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true, allow_negative_numbers = true)]
    workers: usize,
}

impl SceneArguments {
    /// Reads the scene and checks that it fits into memory.
    fn load(&self) -> Result<(SceneFile, GraphData), Box<dyn Error>> {
        let (scene, data, notes) = SceneFile::load_with_notes(&self.scene)?;
        print_notes(&notes);
        Ok((scene, data))
    }

    /// As `load`, with other data of the same format.
    fn load_with(&self, file: &Path) -> Result<(SceneFile, GraphData), Box<dyn Error>> {
        let (scene, data, notes) = SceneFile::load_with_data(&self.scene, file)?;
        print_notes(&notes);
        Ok((scene, data))
    }

    fn trainer<'a>(
        &self,
        scene: &SceneFile,
        data: impl Into<Cow<'a, GraphData>>,
        seed: u64,
    ) -> Result<Trainer, Box<dyn Error>> {
        Ok(Trainer::new(scene, data, seed, self.workers()?)?)
    }

    fn workers(&self) -> Result<Workers, WorkersError> {
        Workers::new(self.workers)
    }
}

/// The exit code of a command that a signal has stopped, by the customs of shells.
pub fn stopped_by(error: &(dyn Error + 'static)) -> Option<u8> {
    let stopped = error.downcast_ref::<signals::Stopped>()?;
    u8::try_from(128 + stopped.signal).ok()
}

/// Standard output could not be written to.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output: {0}; check where it is sent")]
struct PrintError(io::Error);

/// Writes one line to standard output, where `println!` would panic when nobody reads it.
fn print_line(line: impl fmt::Display) -> Result<(), PrintError> {
    writeln!(io::stdout(), "{line}").map_err(PrintError)
}

/// Writes notes on a file to standard error. If that is closed, nobody reads them.
fn print_notes(notes: &[String]) {
    for note in notes {
        let _ = writeln!(io::stderr(), "note: {note}");
    }
}

/// Whether the command ended because the reader of its output went away, as `head` does; that is no failure.
pub fn is_closed_pipe(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<PrintError>().is_some_and(|error| error.0.kind() == io::ErrorKind::BrokenPipe)
}
