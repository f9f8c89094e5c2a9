//! `connectome repair`: the variables that a program may misuse.

use clap::Args;
use connectome::{
    Rename, Trainer,
    data::{MisuseChoice, function_graph, function_graphs},
    languages::{
        code::{CodeGraph, Function, MisuseError, MisuseGraph, Python},
        decode,
    },
    scene::{Position, SceneFile},
};
use std::{error::Error, fs, path::PathBuf};

use super::{SceneArguments, print_line, print_notes};

/// Find variables that a program may misuse, by trained weights.
#[derive(Args, Debug)]
pub struct Repair {
    #[command(flatten)]
    scene: SceneArguments,
    /// The weights, a safetensors file of `train --output`.
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// A program in Python.
    #[arg(value_name = "FILE.py")]
    program: PathBuf,
}

/// The scene finds no misuses.
#[derive(Debug, thiserror::Error)]
#[error("the scene finds no misused variables; give one whose task is VariableMisuse")]
struct NothingToRepair;

/// The most nodes that are computed at once; a single function may have fewer.
const MAX_NODES: usize = 1 << 16;

impl Repair {
    pub fn run(self) -> Result<(), Box<dyn Error>> {
        let scene = SceneFile::load_model(&self.scene.scene)?;
        let task = scene.tasks().iter().find_map(|(_, task)| task.misuse());
        let threshold = task.ok_or(NothingToRepair)?.threshold;
        let file = self.program.display();
        let bytes = fs::read(&self.program)
            .map_err(|error| format!("{file}: the program cannot be read: {error}; check the path"))?;
        let source = decode(&bytes).map_err(|error| format!("{file}: {error}"))?;
        let code = CodeGraph::new(source, &Python).map_err(|error| format!("{file}: {error}"))?;
        let functions = code.functions(&Python);
        let (mut group, mut nodes) = (Group::default(), 0);
        for function in &functions {
            let (graph, choice) = match function_graph(&code, function) {
                Ok(made) => made,
                Err(error @ MisuseError::TooLarge { .. }) => {
                    let line = position(&code, source, function.node).line;
                    print_notes(&[format!("{file}:{line}: {error}")]);
                    continue;
                }
                Err(_) => continue,
            };
            if nodes + choice.nodes > MAX_NODES {
                self.report(&scene, threshold, &code, source, std::mem::take(&mut group))?;
                nodes = 0;
            }
            nodes += choice.nodes;
            group.functions.push(function);
            group.graphs.push((graph, choice));
        }
        self.report(&scene, threshold, &code, source, group)
    }

    /// Prints the misuses of some functions.
    fn report(
        &self,
        scene: &SceneFile,
        threshold: f64,
        code: &CodeGraph,
        source: &str,
        group: Group,
    ) -> Result<(), Box<dyn Error>> {
        if group.functions.is_empty() {
            return Ok(());
        }
        let mut trainer = Trainer::for_inference(scene, function_graphs(&group.graphs), self.scene.workers()?)?;
        trainer.load_weights(&self.weights, &[] as &[Rename])?;
        let (scores, _) = trainer.infer()?;
        let mut rest = &scores[..];
        for (function, (_, choice)) in group.functions.iter().zip(&group.graphs) {
            let (of_graph, after) = rest.split_at(choice.nodes.min(rest.len()));
            rest = after;
            let verdict = choice.verdict(choice.scores(of_graph));
            let (load, candidate) = (verdict.place.0 as usize, verdict.repair.0 as usize);
            let (Some(node), Some(meant)) = (function.loads.get(load), function.candidates.get(candidate)) else {
                continue;
            };
            if verdict.is_misuse(threshold) {
                let Position { line, column } = position(code, source, *node);
                let read = code.graph().spans()[*node as usize].and_then(|span| span.text(source)).unwrap_or_default();
                let percent = 100.0 * verdict.place.1 * verdict.repair.1;
                let file = self.program.display();
                print_line(format_args!(
                    "{file}:{line}:{column}: {read} is read where {meant} may be meant ({percent:.0} %)"
                ))?;
            }
        }
        Ok(())
    }
}

/// Functions that are computed together.
#[derive(Default)]
struct Group<'a> {
    functions: Vec<&'a Function>,
    graphs: Vec<(MisuseGraph, MisuseChoice)>,
}

/// Where a node stands.
fn position(code: &CodeGraph, source: &str, node: u32) -> Position {
    let span = code.graph().spans().get(node as usize).copied().flatten();
    Position::of(source, span.map_or(0, |span| span.start as usize))
}
