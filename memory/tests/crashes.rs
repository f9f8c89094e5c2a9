//! Nothing that was acknowledged is lost when the process is killed.

use connectome_memory::{GraphMemory, are_isomorphic};
use connectome_systems::{
    algorithms::LabeledGraph,
    random::{Philox, RandomStream},
};
use std::{
    collections::BTreeMap,
    env,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use crate::common::{folder, graph, renumbered};

/// The path of the memory, for a process that was started to be killed.
const PATH: &str = "CONNECTOME_KILLED_MEMORY";

/// The graph of a seed: each is a copy of another one.
fn stored(seed: u64) -> LabeledGraph {
    renumbered(&graph(seed / 2, 9, 3), seed)
}

/// The part of a process that was started to be killed: it stores, merges and forgets, and prints what is stored.
#[test]
fn killed() {
    let Ok(path) = env::var(PATH) else { return };
    let mut memory = GraphMemory::create(Path::new(&path)).unwrap();
    loop {
        let first = memory.version() * 5;
        let change = memory.put_many((first..first + 5).map(|seed| stored(seed).into())).unwrap();
        println!("stored {first} {}", change.ids[0]);
        if change.version.is_multiple_of(11) {
            println!("forgets {}", change.ids[0]);
            memory.forget(&change.ids[..1]).unwrap();
        }
        if change.version.is_multiple_of(7) {
            memory.consolidate(9).unwrap();
        }
    }
}

#[test]
fn a_killed_process_loses_nothing_that_it_has_stored() {
    let rounds = env::var("CONNECTOME_KILLS").map_or(6, |rounds| rounds.parse().unwrap());
    let (_folder, path) = folder();
    let mut random = RandomStream::new(Philox::new(7, 0, 0));
    let mut count = 0;
    let name = concat!(module_path!(), "::killed").split_once("::").unwrap().1;
    for round in 0..rounds {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", name, "--nocapture"]).env(PATH, &path).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        thread::sleep(Duration::from_micros(2_000 + random.below(120_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        let lines: Vec<String> = output.lines().map_while(Result::ok).collect();
        if !path.exists() {
            continue;
        }
        let mut memory = GraphMemory::create(&path).unwrap();
        assert_eq!(memory.check().unwrap(), Vec::<String>::new(), "round {round}");
        let numbers = |line: &str, word: &str| -> Option<Vec<u64>> {
            line.split_once(word)?.1.split_whitespace().map(|number| number.parse().ok()).collect()
        };
        let mut forgotten: Vec<u64> = Vec::new();
        lines.iter().filter_map(|line| numbers(line, "forgets ")).for_each(|ids| forgotten.extend(ids));
        let episodes: BTreeMap<u64, u64> =
            memory.episodes().iter().map(|(episode, id)| (episode.number, *id)).collect();
        for line in lines.iter().filter_map(|line| numbers(line, "stored ")) {
            let [seed, id] = line[..] else { continue };
            for offset in (0..5).filter(|offset| !forgotten.contains(&(id + offset))) {
                let graph = episodes.get(&(id + offset)).and_then(|graph| memory.get(*graph).ok());
                let Some(graph) = graph else { panic!("round {round}: graph {} is lost", id + offset) };
                assert_eq!(are_isomorphic(&graph.graph, &stored(seed + offset)), Some(true), "round {round}");
                count += 1;
            }
        }
    }
    println!("{count} graphs were stored before {rounds} kills");
    assert!(count > 0);
}
