//! `connectome import`.

use clap::Args;
use connectome::import::{Format, ImportOptions, Imported, import, starting_scene};
use connectome::output::write_file;
use connectome::scene::SceneFile;
use std::{
    error::Error,
    io,
    path::{Path, PathBuf},
};

use super::{print_line, print_notes};

/// Convert graphs of other programs into graph files for scenes.
#[derive(Args, Debug)]
pub struct Import {
    /// A folder of TUDataset or Geom-GCN, an edge list (CSV), a GraphML, GEXF or DIMACS file, a text (.txt), a term or a Python program
    /// (these may be .gz), or NumPy arrays (.npz).
    source: PathBuf,
    /// The graph file to write.
    #[arg(long, value_name = "FILE.npz")]
    output: PathBuf,
    /// A scene to write as a starting point.
    #[arg(long, value_name = "FILE.ron")]
    scene: Option<PathBuf>,
    /// The format of the source; guessed from its name if not given.
    #[arg(long)]
    format: Option<Format>,
    /// The nodes of an edge list: a CSV with a column `name`, maybe `label` and `split`, and columns of features.
    #[arg(long, value_name = "FILE.csv")]
    nodes: Option<PathBuf>,
    /// Read the columns `kind` of the nodes and `relation` or `kind` of the edges of an edge list as kinds of nodes and relations.
    #[arg(long, requires = "nodes", conflicts_with = "splits")]
    kinds: bool,
    /// Read each line of an edge list as an edge in both directions.
    #[arg(long)]
    undirected: bool,
    /// Splits of the nodes, or of the graphs of a set: files with train_mask, val_mask and test_mask, as Geom-GCN has them.
    #[arg(long, value_name = "FILE.npz", num_args = 1..)]
    splits: Vec<PathBuf>,
}

impl Import {
    pub fn run(self) -> Result<(), Box<dyn Error>> {
        let options = ImportOptions {
            format: self.format,
            nodes: self.nodes,
            kinds: self.kinds,
            undirected: self.undirected,
            splits: self.splits,
        };
        let imported = import(&self.source, &options)?;
        write_file(&self.output, &imported.data.to_npz()?)?;
        print_line(format_args!("wrote {} to {}", counts(&imported), self.output.display()))?;
        print_notes(&imported.notes);
        let Some(path) = self.scene else { return Ok(()) };
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or("imported");
        let text = starting_scene(name, &graph_path(&path, &self.output)?, &imported);
        write_file(&path, text.as_bytes())?;
        // A graph may be too small or too dense for the task; report that now.
        SceneFile::load(&path)?;
        print_line(format_args!("wrote a scene to start from to {}", path.display()))?;
        Ok(())
    }
}

fn counts(imported: &Imported) -> String {
    let data = &imported.data;
    let kinds = data.kinds.as_ref();
    let nodes = kinds.map_or(0, |kinds| kinds.others.iter().map(|kind| kind.nodes.nodes).sum::<usize>());
    let edges = kinds.map_or(0, |kinds| kinds.relations.iter().map(|relation| relation.edges.len()).sum::<usize>());
    let parts = format!("{} nodes, {} directed edges", data.nodes + nodes, data.edges.len() + edges);
    let classes = if imported.data.class_names.len() > 1 {
        format!(", {} classes", imported.data.class_names.len())
    } else {
        String::new()
    };
    match &data.graphs {
        Some(graphs) => format!("{} graphs with {parts}{classes}", graphs.len()),
        None => format!("{parts}{classes}"),
    }
}

/// The path of the graph file in the scene: relative if it is in the scene's folder, else absolute.
fn graph_path(scene: &Path, graph: &Path) -> io::Result<String> {
    let folder = match scene.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let graph = graph.canonicalize()?;
    let path = graph.strip_prefix(folder.canonicalize()?).unwrap_or(&graph);
    path.to_str().map(str::to_owned).ok_or_else(|| {
        let message = format!("the path {} is not UTF-8 and cannot stand in a scene; rename it", path.display());
        io::Error::new(io::ErrorKind::InvalidInput, message)
    })
}
