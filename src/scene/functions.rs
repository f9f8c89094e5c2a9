//! Functions in which variables may be misused.

use connectome_components::Split;
use connectome_languages::{
    Records,
    code::{CodeGraph, MisuseError, MisuseExample, MisuseGraph, Python},
};
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use std::{collections::HashSet, path::Path};

use super::error::Fault;
use super::locate::Step::{self, Field, Index};
use crate::data::{GraphData, MisuseChoice, PlantedFunctions, misuse_graph};
use crate::suggest::quote;

/// The functions of a scene's files as graphs, and notes on what is left out.
pub(super) fn graphs(
    folder: &Path,
    [train, validation, test]: [&[String]; 3],
    per_epoch: usize,
    seed: u64,
) -> Result<(GraphData, Vec<String>), Fault> {
    if per_epoch == 0 {
        return Err(Fault::new(field("per_epoch"), "an epoch has no functions", "write how many, such as 1000"));
    }
    let mut notes = Vec::new();
    let (mut learned, mut functions) = (HashSet::new(), Vec::new());
    for read in examples(folder, "train", train)? {
        let mut left_out = LeftOut::default();
        let kept = read.into_iter().filter_map(|Example { example, hash, graph }| {
            learned.extend(hash);
            match graph {
                Ok(_) => left_out.total += 1,
                Err(error) => {
                    left_out.add(&example.id, error.to_string());
                    return None;
                }
            }
            Some(example.repaired())
        });
        functions.push(kept.collect::<Vec<_>>());
        notes.extend(left_out.note("train"));
    }
    if functions.iter().all(Vec::is_empty) {
        let help = "give functions with two variables and a place where one of them is read";
        return Err(Fault::new(field("train"), "there is no function to learn from", help));
    }
    let mut measured = Vec::new();
    for (split, name, files) in [(Split::Validation, "validation", validation), (Split::Test, "test", test)] {
        let mut left_out = LeftOut::default();
        for Example { example, hash, graph } in examples(folder, name, files)?.into_iter().flatten() {
            match graph {
                _ if hash.is_some_and(|hash| learned.contains(&hash)) => {
                    left_out.add(&example.id, "the function is one of `train` up to names".to_owned());
                }
                Err(error) => left_out.add(&example.id, error.to_string()),
                Ok((graph, choice)) => {
                    left_out.total += 1;
                    measured.push((graph, choice, split));
                }
            }
        }
        notes.extend(left_out.note(name));
    }
    Ok((PlantedFunctions::new(functions, per_epoch, measured).into_graphs(seed), notes))
}

fn field(name: &'static str) -> Vec<Step<'static>> {
    vec![Field("graph"), Field(name)]
}

/// An example of a file.
struct Example {
    example: MisuseExample,
    /// Equal for functions that are the same up to names, without their misuses; none of what is no program.
    hash: Option<u128>,
    graph: Result<(MisuseGraph, MisuseChoice), MisuseError>,
}

/// The examples of each file.
fn examples(folder: &Path, name: &'static str, files: &[String]) -> Result<Vec<Vec<Example>>, Fault> {
    let read = |(number, file): (usize, &String)| {
        let records = Records::open(&folder.join(file)).and_then(|records| records.of().collect());
        let records: Vec<MisuseExample> = records.map_err(|error| {
            let path = [field(name), vec![Index(number)]].concat();
            Fault::new(path, error.to_string(), "mend or remove the line, or give another file")
        })?;
        let example = |example: MisuseExample| {
            let code = CodeGraph::new(&example.repaired().code, &Python);
            let hash = code.ok().map(|code| code.hash_up_to_names());
            Example { hash, graph: misuse_graph(&example), example }
        };
        Ok(records.into_par_iter().map(example).collect())
    };
    files.iter().enumerate().map(read).collect()
}

/// Examples that are left out.
#[derive(Default)]
struct LeftOut {
    count: usize,
    total: usize,
    /// One of them, and why.
    first: Option<(String, String)>,
}

impl LeftOut {
    fn add(&mut self, id: &str, reason: String) {
        self.count += 1;
        self.total += 1;
        self.first.get_or_insert_with(|| (id.to_owned(), reason));
    }

    fn note(self, name: &str) -> Option<String> {
        let Self { count, total, first } = self;
        let (id, reason) = first?;
        Some(format!("{count} of {total} examples of `{name}` are left out, such as {}: {reason}", quote(&id)))
    }
}
