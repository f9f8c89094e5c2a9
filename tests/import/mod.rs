//! Graphs of other programs: what becomes of them, where errors point, and that no file makes the importer fall over.

#![cfg(feature = "import")]

#[cfg(feature = "cli")]
mod command;
mod csv;
mod dimacs;
mod geom_gcn;
mod gexf;
mod graphml;
mod kinds;
mod labeled;
mod mutations;
mod npz;
mod tu_dataset;

use std::fs;
use std::path::PathBuf;

use connectome::Trainer;
use connectome::components::Split;
use connectome::data::GraphData;
use connectome::import::{ImportError, ImportOptions, Imported, import, starting_scene};
use connectome::scene::{Position, SceneFile};
use connectome::systems::Workers;

/// Marks the place in a text where an error is expected.
const MARK: char = '§';

/// A folder with files of these names and texts.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        fs::write(folder.path().join(name), text).expect("the file is written");
    }
    folder
}

/// Imports the first of the files, or the folder if `source` is empty.
fn read(source: &str, files: &[(&str, &str)], options: &ImportOptions) -> Result<Imported, ImportError> {
    let folder = folder(files);
    let path = if source.is_empty() { folder.path().to_owned() } else { folder.path().join(source) };
    let nodes = options.nodes.as_ref().map(|nodes| folder.path().join(nodes));
    import(&path, &ImportOptions { nodes, ..options.clone() })
}

/// Asserts that the data come back equal from the file that is written of them, always the same.
#[track_caller]
fn check_round_trip(data: &GraphData) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("graph.npz");
    let bytes = data.to_npz().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(data.to_npz(), Ok(bytes.clone()));
    fs::write(&path, bytes).expect("the graph is written");
    assert_eq!(GraphData::read_npz(&path).as_ref(), Ok(data));
    let again = import(&path, &ImportOptions::default()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(&again.data, data);
}

/// Asserts that the scene that is written for the data is in order, and gives it with its graph.
#[track_caller]
fn check_scene(name: &str, imported: &Imported) -> (SceneFile, GraphData) {
    let folder = folder(&[("start.ron", &starting_scene(name, "graph.npz", imported))]);
    fs::write(folder.path().join("graph.npz"), imported.data.to_npz().expect("the data fit")).expect("it is written");
    let (scene, data) = SceneFile::load(folder.path().join("start.ron")).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(scene.name, name);
    (scene, data)
}

/// Asserts that the scene that is written for the data trains as it is.
#[track_caller]
fn check_training(imported: &Imported) {
    let (mut scene, data) = check_scene("start", imported);
    scene.training.epochs = 3;
    let mut trainer = Trainer::new(&scene, &data, 0, Workers::single()).unwrap_or_else(|error| panic!("{error}"));
    let summary = trainer.train(|_| ()).unwrap_or_else(|error| panic!("{error}"));
    assert!(summary.get(Split::Train, "loss").unwrap().is_finite());
}

/// Asserts that the files are refused, that the error names `file` and points at the mark in it, if there is one.
#[track_caller]
fn check_error(
    source: &str,
    files: &[(&str, &str)],
    options: &ImportOptions,
    file: &str,
    message: &str,
    help: &str,
) -> ImportError {
    let clean: Vec<(&str, String)> = files.iter().map(|(name, text)| (*name, text.replacen(MARK, "", 1))).collect();
    let clean: Vec<(&str, &str)> = clean.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let error = read(source, &clean, options).expect_err("the source is wrong");
    let marked = files.iter().find(|(name, _)| *name == file).map_or("", |(_, text)| text);
    let position = marked.find(MARK).map(|offset| Position::of(marked, offset));
    assert_eq!(error.position, position, "wrong place:\n{error}");
    assert!(PathBuf::from(&error.file).ends_with(file), "not in {file}:\n{error}");
    assert!(error.message.contains(message), "not about {message:?}:\n{error}");
    assert!(error.help.contains(help), "no help with {help:?}:\n{error}");
    error
}

#[test]
fn an_error_shows_file_place_and_help() {
    let folder = folder(&[("a.csv", "source,target,weight\nAnn,Bob,much\n")]);
    let path = folder.path().join("a.csv");
    let error = import(&path, &ImportOptions::default()).expect_err("the weight is no number");
    let expected = format!(
        "{}:2:9: \"much\" is no number\n  help: write the weight as a finite number, or take the column out",
        path.display()
    );
    assert_eq!(error.to_string(), expected);
}

#[test]
fn sources_must_be_there_and_of_a_known_format() {
    let none = ImportOptions::default();
    check_error("absent.csv", &[], &none, "absent.csv", "cannot be read", "path");
    check_error("absent", &[], &none, "absent", "no such file", "path");
    check_error("graph.gml", &[("graph.gml", "")], &none, "graph.gml", "first bytes tell the format", "graphml");
    check_error("", &[], &none, "", "holds no TUDataset", "NAME_A.txt");
    let directed = ImportOptions { undirected: true, ..none };
    check_error("a.graphml", &[("a.graphml", "")], &directed, "a.graphml", "with an edge list only", "csv");
}
