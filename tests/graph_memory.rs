//! A memory of graphs as a person meets it, and how many of the most similar molecules it finds.

use connectome::{
    data::GraphData,
    import::{ImportOptions, LabeledGraphs, import_labeled},
    memory::{GraphMemory, Query},
    systems::{Workers, algorithms::LabeledGraph},
};
use serde_json::Value;
use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

const MOLECULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/aids700nef.npz");

fn connectome(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_connectome"));
    command.current_dir(folder).args(["memory", "memory"]).args(arguments).output().unwrap()
}

/// What a command that succeeds prints.
fn printed(folder: &Path, arguments: &[&str]) -> String {
    let output = connectome(folder, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What a command that fails prints to standard error.
fn error(folder: &Path, arguments: &[&str]) -> String {
    let output = connectome(folder, arguments);
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr).unwrap()
}

fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A chain of three atoms as GraphML, with its labels by name.
fn chain(folder: &Path, name: &str, atoms: [&str; 3]) {
    let node = |(node, atom): (usize, &&str)| format!("<node id='n{node}'><data key='l'>{atom}</data></node>");
    let nodes: String = atoms.iter().enumerate().map(node).collect();
    let edges = "<edge source='n0' target='n1'/><edge source='n1' target='n2'/>";
    let key = "<key id='l' for='node' attr.name='label' attr.type='string'/>";
    let text = format!("<graphml>{key}<graph edgedefault='undirected'>{nodes}{edges}</graph></graphml>");
    fs::write(folder.join(name), text).unwrap();
}

#[test]
fn graphs_are_stored_found_merged_and_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    chain(folder, "a.graphml", ["N", "C", "O"]);
    chain(folder, "b.graphml", ["C", "C", "O"]);
    chain(folder, "c.graphml", ["O", "C", "N"]);
    assert_eq!(printed(folder, &["add", "a.graphml"]), "stored 1 graphs as 0; the memory holds 1\n");
    // Labels have one number in all files, whenever they were read: `b` begins with another one than `a`.
    let added = printed(folder, &["add", "b.graphml", "c.graphml", "--time", "5"]);
    assert_eq!(added, "stored 2 graphs as 1 to 2; the memory holds 3\n");
    let found = printed(folder, &["find", "c.graphml", "--count", "3"]);
    let lines =
        ["0\tdistance 0\tsource a.graphml", "2\tdistance 0\tsource c.graphml", "1\tdistance 1\tsource b.graphml"];
    assert_eq!(found.lines().collect::<Vec<_>>(), lines);
    let found = json_lines(&printed(folder, &["find", "b.graphml", "--json", "--count", "1", "--mark-used"]));
    assert_eq!((&found[0]["id"], &found[0]["upper"], &found[0]["exact"]), (&1.into(), &0.0.into(), &true.into()));
    assert_eq!(found[0]["metadata"]["source"], "b.graphml");
    assert_eq!(printed(folder, &["consolidate"]), "merged 1 copies; the memory holds 2 graphs\n");
    let shown = json_lines(&printed(folder, &["show", "--json"]));
    assert_eq!((&shown[0]["count"], &shown[1]["uses"]), (&2.into(), &1.into()));
    assert_eq!(shown[0]["episodes"], serde_json::from_str::<Value>("[[0,0],[2,5]]").unwrap());
    let shown = printed(folder, &["show", "1"]);
    assert!(shown.contains("stored 1 times, used 1 times\tsource b.graphml"), "{shown}");
    assert!(shown.contains("node 0: C\n") && shown.contains("edge 1 - 2"), "{shown}");
    assert_eq!(printed(folder, &["forget", "--capacity", "1"]), "forgot 1 graphs; the memory holds 1\n");
    assert_eq!(printed(folder, &["check"]), "whole: 1 graphs\n");
    assert!(error(folder, &["forget", "0"]).contains("holds no graph 0"));
    assert!(error(folder, &["show", "7"]).contains("holds no graph 7"));
}

#[test]
fn exported_graphs_are_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let range: Vec<String> = (0..20).map(|number| format!("{MOLECULES}#{number}")).collect();
    let molecules: Vec<&str> = range.iter().map(String::as_str).collect();
    printed(folder, &[&["add"], &molecules[..]].concat());
    let output = connectome(folder, &["export", "all.npz"]);
    let notes = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && notes.contains("labels of nodes are numbers"), "{notes}");
    let read = import_labeled(&folder.join("all.npz"), &ImportOptions::default()).unwrap();
    assert_eq!(read.graphs.len(), 20);
    let memory = GraphMemory::open(&folder.join("memory")).unwrap();
    for (graph, id) in read.graphs.iter().zip(0..) {
        assert!(memory.find_copies(graph).unwrap().contains(&id), "{id}");
    }
    // A batch is data, and what was exported a corpus to train on.
    let batch = memory.get_many(&memory.sample(0, 0, 8)).unwrap();
    let graphs: Vec<LabeledGraph> = batch.into_iter().map(|stored| stored.graph).collect();
    let data = GraphData::from_labeled(&graphs);
    assert_eq!((data.graphs.unwrap().len(), data.features.width()), (8, data.classes));
    let scene = "(name: \"replay\", graph: Npz(\"all.npz\"), features: Given, task: GraphClassification, \
         model: [GinConv(nn: (widths: [16])), Readout(Sum), Linear(width: 1)], optimizer: Adam(learning_rate: 0.01), \
         training: (epochs: 2, batch_size: 5, steps_per_epoch: 4, keep: Last, seed: 0))";
    fs::write(folder.join("replay.ron"), scene).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_connectome"));
    let output = command.current_dir(folder).args(["train", "replay.ron"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn what_is_wrong_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for action in ["check", "show", "consolidate"] {
        assert!(error(folder, &[action]).contains("there is no memory memory"), "{action}");
    }
    assert!(!folder.join("memory").exists());
    fs::write(folder.join("memory"), "my diary").unwrap();
    chain(folder, "a.graphml", ["N", "C", "O"]);
    for arguments in [&["check"][..], &["add", "a.graphml"], &["export", "a.npz"]] {
        assert!(error(folder, arguments).contains("memory is no memory of graphs"), "{arguments:?}");
    }
    assert_eq!(fs::read(folder.join("memory")).unwrap(), b"my diary");
    fs::remove_file(folder.join("memory")).unwrap();
    printed(folder, &["add", "a.graphml"]);
    let memory = GraphMemory::open(&folder.join("memory")).unwrap();
    assert!(error(folder, &["find", "a.graphml"]).contains("is open elsewhere"));
    drop(memory);
    assert!(error(folder, &["find", MOLECULES]).contains("name one of them"));
    assert!(error(folder, &["find", "a.graphml", "--node-insertion", "-1"]).contains("costs -1"));
}

/// A file that may not grow stands for a disk that is full.
#[cfg(unix)]
#[test]
fn a_full_disk_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    chain(folder, "a.graphml", ["N", "C", "O"]);
    printed(folder, &["add", "a.graphml"]);
    let size = fs::metadata(folder.join("memory")).unwrap().len();
    // In units of 512 or 1,024 bytes, as the shell has it.
    let command = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" memory memory add \"$1\"", size / 1024 + 4);
    let arguments = ["-c", &command, env!("CARGO_BIN_EXE_connectome"), MOLECULES];
    let output = Command::new("sh").current_dir(folder).args(arguments).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.contains("cannot read or write the memory memory"), "{message}");
    assert_eq!(printed(folder, &["check"]), "whole: 1 graphs\n");
    assert_eq!(printed(folder, &["add", MOLECULES]), "stored 560 graphs as 1 to 560; the memory holds 561\n");
}

/// The fraction of the ten nearest that are found among 560 molecules, for every `step`th as the query, by the shortlist
/// and without one. Any graph at the distance of the tenth counts.
fn recall(step: usize) -> [f64; 2] {
    let read = import_labeled(Path::new(MOLECULES), &ImportOptions::default()).unwrap();
    let LabeledGraphs { graphs, distances: Some(known), .. } = read else { panic!("no distances") };
    let folder = tempfile::tempdir().unwrap();
    let mut memory = GraphMemory::create(&folder.path().join("memory")).unwrap().with_workers(Workers::new(2).unwrap());
    memory.put_many(graphs.iter().cloned().map(Into::into)).unwrap();
    let mut found = [0; 2];
    let queries: Vec<usize> = (0..graphs.len()).step_by(step).collect();
    for &query in &queries {
        let distance = |other: usize| known.values[query * known.width + other];
        let mut others: Vec<f32> = (0..graphs.len()).filter(|other| *other != query).map(distance).collect();
        others.sort_by(f32::total_cmp);
        for (found, shortlist) in found.iter_mut().zip([81, 0]) {
            // Itself is found, too.
            let query_of = Query { count: 11, shortlist, ..Query::default() };
            let answer = memory.find(&graphs[query], &query_of).unwrap().matches;
            let near = answer.iter().filter(|found| found.id != query as u64).take(10);
            *found += near.filter(|found| distance(found.id as usize) <= others[9]).count();
            for found in answer {
                assert!(
                    found
                        .bounds
                        .is_none_or(|[lower, upper]| (lower..=upper).contains(&distance(found.id as usize).into()))
                );
            }
        }
    }
    found.map(|found| found as f64 / (10 * queries.len()) as f64)
}

#[test]
fn most_of_the_nearest_molecules_are_found() {
    let [refined, vectors] = recall(10);
    assert!(refined >= 0.93 && vectors >= 0.45, "{refined} {vectors}");
}

/// The figures of the documentation.
#[test]
#[ignore = "takes half a minute"]
fn recall_of_all_molecules() {
    let [refined, vectors] = recall(1);
    println!("recall@10: {refined:.4} with a shortlist of 80, {vectors:.4} without");
    assert!(refined >= 0.93 && vectors >= 0.5, "{refined} {vectors}");
}
