//! Graphs out of files of other programs.
//!
//! | format | what is read |
//! | --- | --- |
//! | [`Format::TuDataset`] | a folder with `NAME_A.txt`, `NAME_graph_indicator.txt` and their companions: a set of graphs |
//! | [`Format::Csv`] | an edge list with columns source, target and maybe weight; its nodes maybe in a second table |
//! | [`Format::GraphMl`] | GraphML: nodes and edges with the values of their keys |
//! | [`Format::Gexf`] | GEXF, the format of Gephi: nodes and edges with the values of their attributes |
//! | [`Format::GeomGcn`] | a folder with the node table and the edges of a graph of Geom-GCN |
//! | [`Format::Dimacs`] | a graph of the DIMACS challenges: `p edge N M`, then `e I J` for each edge |
//! | [`Format::Npz`] | NumPy arrays, in the layout of [`scene`](crate::scene) or as bare lists of edges |
//! | `Format::Text` | a text, as a chain of its characters |
//! | `Format::Infix` | a term such as `-x^2 + sin(y)`, of which equal parts are one node |
//! | `Format::Prefix` | the same as words, operators first |
//! | `Format::Python` | a Python program, as its syntax tree with its variables and calls |
//!
//! A text that gzip has packed (`.csv.gz`, `.clq.gz`) is unpacked while it is read.
//!
//! Splits may lie in files of their own, as those of Geom-GCN: [`ImportOptions::splits`].
//!
//! What comes out is [`GraphData`], which [`GraphData::to_npz`] turns into a file that scenes read; [`starting_scene`]
//! writes such a scene. [`import_labeled`] keeps only what algorithms on graphs look at.
//!
//! An *undirected* edge becomes two directed ones, whatever the format: one in either direction with the same weight and
//! features, as often as the file lists it, so that the adjacency is symmetric. A self-loop stays one edge.
//!
//! With [`ImportOptions::kinds`] the nodes of a table are of kinds and its edges of relations, each with columns of its own.
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
mod geom_gcn;
mod graphml;
mod kinds;
mod labeled;
mod languages;
mod matrix;
mod node_kinds;
mod node_list;
mod npz;
mod scene;
mod splits;
mod table;
mod targets;
mod text;
mod tu_dataset;

use std::path::{Path, PathBuf};

pub use self::error::ImportError;
pub use self::labeled::{LabeledGraphs, import_labeled, labeled, unify_labels};
pub use self::languages::{LanguageSource, import_language};
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
    /// The XML dialect of Gephi.
    Gexf,
    /// A folder with `out1_node_feature_label.txt` and `out1_graph_edges.txt`, as <https://github.com/graphdml-uiuc-jlu/geom-gcn>
    /// has them.
    GeomGcn,
    /// Lines of the DIMACS challenges on cliques and colorings.
    Dimacs,
    /// A zip of NumPy arrays.
    Npz,
    /// A text: a chain of its characters.
    Text,
    /// A term in infix notation: its operators, functions, symbols and numbers.
    Infix,
    /// A term in prefix notation.
    Prefix,
    /// A Python program: its syntax tree, variables and calls.
    Python,
}

impl Format {
    /// The format of a source: folders are TUDatasets or graphs of Geom-GCN by the files in them, the name of a file ends with
    /// it, or else its first bytes show it.
    ///
    /// A file `.txt` is a table of edges if its first two lines look like edges, else a text.
    pub fn guess(path: &Path) -> Option<Self> {
        if path.is_dir() {
            return Some(if geom_gcn::is_in(path) { Self::GeomGcn } else { Self::TuDataset });
        }
        let name = path.file_name()?.to_string_lossy().to_lowercase();
        let name = Path::new(name.strip_suffix(".gz").unwrap_or(&name));
        match name.extension().and_then(|ending| ending.to_str()) {
            Some("txt") if text::is_prose(path) => Some(Self::Text),
            Some("text") => Some(Self::Text),
            Some("infix" | "math") => Some(Self::Infix),
            Some("prefix") => Some(Self::Prefix),
            Some("py" | "pyi") => Some(Self::Python),
            Some("csv" | "tsv" | "txt" | "edges" | "edgelist") => Some(Self::Csv),
            Some("graphml" | "xml") => Some(Self::GraphMl),
            Some("gexf") => Some(Self::Gexf),
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
    /// Whether the columns `kind` of the nodes and `relation` or `kind` of the edges of an edge list are kinds of nodes and relations;
    /// else they are features.
    pub kinds: bool,
    /// Whether each line of an edge list, or of a graph of Geom-GCN, is an edge in both directions. GraphML and GEXF tell that
    /// themselves.
    pub undirected: bool,
    /// `.npz` files with the splits of the nodes, or of the graphs of a set, in the place of those that the source has: masks
    /// `train_mask`, `val_mask` and `test_mask` as in Geom-GCN, or any other form of [`GraphData::read_npz`]. The first is taken,
    /// and all are kept.
    pub splits: Vec<PathBuf>,
}

/// What was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// The graph, or the set of graphs.
    pub data: GraphData,
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
    if format != Format::Csv && options.nodes.is_some() {
        let message = "a table of nodes can be asked for with an edge list only";
        return Err(ImportError::new(source, message, "leave it out, or name the format csv"));
    }
    if options.kinds && (options.nodes.is_none() || !options.splits.is_empty()) {
        let message = "kinds of nodes are read from a table of nodes, with the splits that are there";
        return Err(ImportError::new(source, message, "name that table, and no files of splits"));
    }
    if ![Format::Csv, Format::GeomGcn].contains(&format) && options.undirected {
        let message = "undirected edges can be asked for with an edge list only";
        return Err(ImportError::new(source, message, "leave that out, or name the format csv"));
    }
    let mut imported = match format {
        Format::TuDataset => tu_dataset::read(source),
        Format::Csv if options.kinds => {
            let nodes = options.nodes.as_deref().unwrap_or(Path::new(""));
            node_kinds::read(source, nodes, options.undirected)
        }
        Format::Csv => edge_list::read(source, options.nodes.as_deref(), options.undirected),
        Format::GraphMl => graphml::read(source),
        Format::Gexf => graphml::read_gexf(source),
        Format::GeomGcn => geom_gcn::read(source, options.undirected),
        Format::Dimacs => dimacs::read(source),
        Format::Npz => npz::read(source),
        Format::Text | Format::Infix | Format::Prefix | Format::Python => languages::read(source, format),
    }?;
    if format == Format::Text && options.format.is_none() {
        let note = "the file is read as a text; where its lines are edges, name the format csv";
        imported.notes.push(note.to_owned());
    }
    if !options.splits.is_empty() {
        splits::replace(&mut imported, &options.splits)?;
    }
    Ok(imported)
}

fn unknown(source: &Path) -> ImportError {
    if source.exists() {
        let help =
            "name the format: tu-dataset, csv, graphml, gexf, geom-gcn, dimacs, npz, text, infix, prefix or python";
        return ImportError::new(source, "neither its name nor its first bytes tell the format", help);
    }
    ImportError::new(source, "there is no such file or folder", "check the path")
}
