//! Graphs of other programs: each is read or refused, and what is read can be written and read again.

use std::io::{Cursor, Write};
use std::path::Path;

use connectome::data::GraphData;
use connectome::import::{Format, ImportError, ImportOptions, Imported, import, import_labeled, starting_scene};
use connectome::scene::SceneFile;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use super::files::{Folder, parts};

/// A table of edges. With a file `nodes` in the input its nodes are in a table as well, and with a file `undirected` each
/// edge joins both ways.
pub fn edge_table(bytes: &[u8]) {
    let folder = Folder::new();
    let (mut edges, mut options) = (&[][..], ImportOptions { format: Some(Format::Csv), ..ImportOptions::default() });
    for (name, content) in parts(bytes) {
        match name.as_str() {
            "nodes" => options.nodes = Some(folder.write("nodes", content)),
            "undirected" => options.undirected = true,
            _ => edges = content,
        }
    }
    let imported = check(&folder.write("edges", edges), &options);
    if let (Some(imported), true) = (&imported, options.undirected) {
        check_symmetric(&imported.data);
    }
    check_line_ends(edges, imported.as_ref(), |text| import(&folder.write("edges", text), &options));
}

/// A GraphML document.
pub fn graphml(bytes: &[u8]) {
    check_file(bytes, Format::GraphMl);
}

/// A graph of the DIMACS challenges.
pub fn dimacs(bytes: &[u8]) {
    let imported = check_file(bytes, Format::Dimacs);
    if let Some(imported) = &imported {
        check_symmetric(&imported.data);
    }
    let folder = Folder::new();
    let options = ImportOptions { format: Some(Format::Dimacs), ..ImportOptions::default() };
    check_line_ends(bytes, imported.as_ref(), |text| import(&folder.write("graph", text), &options));
}

/// A folder of TUDataset: the files in the input are called `A`, `graph_indicator` and so on.
pub fn tu_dataset(bytes: &[u8]) {
    let folder = Folder::new();
    for (name, content) in parts(bytes) {
        if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') && name.len() < 64 {
            folder.write(&format!("T_{name}.txt"), content);
        }
    }
    check(&folder.path(), &ImportOptions::default());
}

/// An archive of NumPy arrays. Unless the input is an archive itself, one is made of the files in it, so that checksums and
/// compression hide nothing from the fuzzer. Each of them ends with a line break that is not its own.
pub fn npz(bytes: &[u8]) {
    if bytes.starts_with(b"PK") {
        check_file(bytes, Format::Npz);
        return;
    }
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, content) in parts(bytes) {
        let array = content.strip_suffix(b"\n").unwrap_or(content);
        if archive.start_file(name, options).is_err() || archive.write_all(array).is_err() {
            return;
        }
    }
    if let Ok(archive) = archive.finish() {
        check_file(archive.get_ref(), Format::Npz);
    }
}

pub fn check_file(bytes: &[u8], format: Format) -> Option<Imported> {
    let folder = Folder::new();
    let path = folder.write("graph", bytes);
    check(&path, &ImportOptions { format: Some(format), ..ImportOptions::default() })
}

/// Checks the outcome; returns what was read.
fn check(source: &Path, options: &ImportOptions) -> Option<Imported> {
    let imported = match import(source, options) {
        Ok(imported) => imported,
        Err(error) => {
            assert!(!error.message.is_empty() && !error.help.is_empty(), "{error}");
            return None;
        }
    };
    assert_eq!(import(source, options).as_ref(), Ok(&imported), "read again");
    let data = &imported.data;
    check_indices(data);
    let folder = Folder::new();
    let bytes = data.to_npz().unwrap_or_else(|error| panic!("what was read cannot be written: {error}"));
    let graph = folder.write("graph.npz", &bytes);
    assert_eq!(GraphData::read_npz(&graph).as_ref(), Ok(data), "written and read again");
    let again = import(&graph, &ImportOptions::default()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(&again.data, data, "written and imported again");
    let scene = folder.write("scene.ron", starting_scene("start", "graph.npz", &imported).as_bytes());
    if let Err(error) = SceneFile::load(&scene) {
        assert!(!error.message.is_empty() && !error.help.is_empty(), "{error}");
    }
    // Not every graph has labels that can be compared, but none may panic.
    if let Err(error) = import_labeled(source, options) {
        assert!(!error.message.is_empty() && !error.help.is_empty(), "{error}");
    }
    Some(imported)
}

/// Checks that as many edges of each weight go from a node to another as go back.
fn check_symmetric(data: &GraphData) {
    let weight = |edge: usize| data.weights.as_ref().map_or(1.0, |weights| weights[edge]).to_bits();
    let mut there: Vec<_> = data.edges.iter().enumerate().map(|(edge, [a, b])| (*a, *b, weight(edge))).collect();
    let mut back: Vec<_> = there.iter().map(|(source, target, weight)| (*target, *source, *weight)).collect();
    there.sort_unstable();
    back.sort_unstable();
    assert_eq!(there, back, "the adjacency is not symmetric");
}

/// Checks that lines may end as on Windows. Where they may be a part of a text they are left alone.
fn check_line_ends(text: &[u8], expected: Option<&Imported>, read: impl Fn(&[u8]) -> Result<Imported, ImportError>) {
    // Nor in UTF-16, nor where gzip has packed them.
    if str::from_utf8(text).is_err() || text.iter().any(|byte| [b'"', b'\r', b'\0', 0x1f].contains(byte)) {
        return;
    }
    let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
    assert_eq!(read(&lines.join(&b"\r\n"[..])).ok().as_ref(), expected, "lines that end in another way");
}

/// Checks that each list of the graph is as long as the graph is, and names nothing that is not there.
fn check_indices(data: &GraphData) {
    assert!(data.edges.iter().flatten().all(|node| (*node as usize) < data.nodes), "an edge without a node");
    assert!(data.weights.as_ref().is_none_or(|weights| weights.len() == data.edges.len()), "weights");
    assert!(data.names.is_empty() || data.names.len() == data.nodes, "names");
    assert_eq!((data.labels.len(), data.splits.len()), (data.nodes, data.nodes), "labels and splits");
    assert!(data.labels.iter().all(|label| (*label as usize) < data.classes.max(1)), "a label without a class");
}
