//! Graphs out of files of other programs.
//!
//! | format | what is read |
//! | --- | --- |
//! | [`Format::TuDataset`] | a folder with `NAME_A.txt`, `NAME_graph_indicator.txt` and their companions: a set of graphs |
//! | [`Format::Csv`] | an edge list with columns source, target and maybe weight; its nodes maybe in a second table |
//! | [`Format::GraphMl`] | GraphML: nodes and edges with the values of their keys |
//! | [`Format::Dimacs`] | a graph of the DIMACS challenges: `p edge N M`, then `e I J` for each edge |
//! | [`Format::Npz`] | NumPy arrays, in the layout of [`scene`](crate::scene) or as bare lists of edges |
//!
//! A text that gzip has packed (`.csv.gz`, `.clq.gz`) is unpacked while it is read.
//!
//! What comes out is [`GraphData`], which [`GraphData::to_npz`] turns into a file that scenes read; [`starting_scene`]
//! writes such a scene. [`import_labeled`] keeps only what algorithms on graphs look at.
//!
//! An *undirected* edge becomes two directed ones, whatever the format: one in either direction with the same weight and
//! features, as often as the file lists it, so that the adjacency is symmetric. A self-loop stays one edge.
//!
//! In tables and GraphML, values that are missing (`NA`, `NaN`, `null`, nothing) are read as 0; columns of words become
//! one-hot codes. [`Imported::notes`] say what was guessed, filled in or left out.
//!
//! ```
//! use connectome::import::{ImportOptions, import};
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("friends.csv");
//! std::fs::write(&path, "source,target\nAnn,Bob\nBob,Cid\n")?;
//! let options = ImportOptions { undirected: true, ..ImportOptions::default() };
//! let data = import(&path, &options)?.data;
//! assert_eq!(data.names, ["Ann", "Bob", "Cid"]);
//! assert_eq!(data.edges, [[0, 1], [1, 2], [1, 0], [2, 1]]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! No file makes importing panic, and none makes it take more memory than the machine has available.

mod columns;
mod dictionary;
mod dimacs;
mod draft;
mod edge_list;
mod error;
mod graphml;
mod kinds;
mod labeled;
mod matrix;
mod node_list;
mod npz;
mod scene;
mod table;
mod targets;
mod text;
mod tu_dataset;

use std::path::{Path, PathBuf};

pub use self::error::ImportError;
pub use self::labeled::{LabeledGraphs, import_labeled, labeled, unify_labels};
pub use self::scene::starting_scene;
use crate::data::GraphData;

/// How a source is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Format {
    /// A folder of text files, as <https://chrsmrrs.github.io/datasets/> has them.
    TuDataset,
    /// A table of edges.
    Csv,
    /// An XML dialect for graphs.
    #[cfg_attr(feature = "cli", value(name = "graphml"))]
    GraphMl,
    /// Lines of the DIMACS challenges on cliques and colorings.
    Dimacs,
    /// A zip of NumPy arrays.
    Npz,
}

impl Format {
    /// The format of a source: folders are TUDatasets, the name of a file ends with it, or else its first bytes show it.
    pub fn guess(path: &Path) -> Option<Self> {
        if path.is_dir() {
            return Some(Self::TuDataset);
        }
        let name = path.file_name()?.to_string_lossy().to_lowercase();
        let name = Path::new(name.strip_suffix(".gz").unwrap_or(&name));
        match name.extension().and_then(|ending| ending.to_str()) {
            Some("csv" | "tsv" | "txt" | "edges" | "edgelist") => Some(Self::Csv),
            Some("graphml" | "xml") => Some(Self::GraphMl),
            Some("clq" | "col" | "dimacs") => Some(Self::Dimacs),
            Some("npz") => Some(Self::Npz),
            _ => text::guess_format(path),
        }
    }
}

/// How a source is to be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// The format; guessed from the path if not given.
    pub format: Option<Format>,
    /// A table of the nodes of an edge list.
    pub nodes: Option<PathBuf>,
    /// Whether each line of an edge list is an edge in both directions. GraphML tells that itself.
    pub undirected: bool,
}

/// What was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// The graph, or the set of graphs.
    pub data: GraphData,
    /// What the source calls each class that is to be told; empty if there are none.
    pub class_names: Vec<String>,
    /// What was left out or made up, for people to read.
    pub notes: Vec<String>,
    /// What nodes and edges are labeled with; none if the data say it all.
    labels: Option<labeled::SourceLabels>,
}

/// Reads a graph, or a set of graphs.
///
/// # Errors
///
/// If the source cannot be read or is malformed; the error shows where.
pub fn import(source: &Path, options: &ImportOptions) -> Result<Imported, ImportError> {
    let format = match options.format.or_else(|| Format::guess(source)) {
        Some(format) => format,
        None => return Err(unknown(source)),
    };
    if format != Format::Csv && (options.nodes.is_some() || options.undirected) {
        let message = "a table of nodes and undirected edges can be asked for with an edge list only";
        return Err(ImportError::new(source, message, "leave these options out, or name the format csv"));
    }
    match format {
        Format::TuDataset => tu_dataset::read(source),
        Format::Csv => edge_list::read(source, options.nodes.as_deref(), options.undirected),
        Format::GraphMl => graphml::read(source),
        Format::Dimacs => dimacs::read(source),
        Format::Npz => npz::read(source),
    }
}

fn unknown(source: &Path) -> ImportError {
    if source.exists() {
        let help = "name the format: tu-dataset, csv, graphml, dimacs or npz";
        return ImportError::new(source, "neither its name nor its first bytes tell the format", help);
    }
    ImportError::new(source, "there is no such file or folder", "check the path")
}
