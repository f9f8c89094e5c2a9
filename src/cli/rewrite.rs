//! `connectome rewrite`: what trained weights make of terms.

use clap::Args;
use connectome::{
    Rename, Trainer,
    components::Split,
    languages::{OrderedDag, mathematics::Terms, rewriting::InvalidRewrite},
    output::write_file,
};
use std::{error::Error, num::NonZeroU32, path::PathBuf};

use super::{
    SceneArguments,
    graph::{Shown, check_drawn, picture::svg_of_pairs},
    print_line,
};

/// Rewrite terms by trained weights.
#[derive(Args, Debug)]
pub struct Rewrite {
    #[command(flatten)]
    scene: SceneArguments,
    /// The weights, a safetensors file of `train --output`.
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// Rewrite results again, N times in all at most, until nothing changes.
    #[arg(long, value_name = "N", default_value = "1", hide_default_value = true)]
    repeat: NonZeroU32,
    /// Draw each term beside its result.
    #[arg(long, value_name = "FILE.svg")]
    picture: Option<PathBuf>,
    /// The terms in infix notation, such as "x*1 + 0".
    #[arg(required = true, allow_hyphen_values = true)]
    terms: Vec<String>,
}

/// The scene is not one of rewriting.
#[derive(Debug, thiserror::Error)]
#[error("the scene rewrites nothing; give one whose task is Rewriting")]
struct NothingToRewrite;

impl Rewrite {
    pub fn run(self) -> Result<(), Box<dyn Error>> {
        let (scene, data) = self.scene.load()?;
        let rewriting = data.rewriting.ok_or(NothingToRewrite)?;
        let mut terms = rewriting.terms.clone();
        let read = self.terms.iter().map(|text| {
            let term = terms.read_infix(text).map_err(|error| format!("{text}\n{error}"))?;
            Ok(terms.dag(term))
        });
        let sources = read.collect::<Result<Vec<_>, String>>()?;
        let mut results: Vec<Result<OrderedDag, InvalidRewrite>> = sources.iter().cloned().map(Ok).collect();
        // Those that the last pass has changed.
        let mut open: Vec<usize> = (0..sources.len()).collect();
        for _ in 0..self.repeat.get() {
            let inputs = open.iter().filter_map(|index| results[*index].clone().ok());
            let inputs = rewriting.inputs(terms.clone(), inputs.collect());
            let mut trainer = Trainer::for_inference(&scene, inputs, self.scene.workers()?)?;
            trainer.load_weights(&self.weights, &[] as &[Rename])?;
            let rewritten = trainer.rewrite(&[Split::Test])?.0;
            let mut changed = Vec::new();
            for (index, rewritten) in open.into_iter().zip(rewritten) {
                if rewritten.result.is_ok() && rewritten.result != results[index] {
                    changed.push(index);
                }
                results[index] = rewritten.result;
            }
            open = changed;
            if open.is_empty() {
                break;
            }
        }
        if let Some(path) = &self.picture {
            let pairs = sources.iter().zip(&results).map(|(source, result)| {
                let after = match result {
                    Ok(result) => shown(&mut terms, result)?,
                    Err(_) => Shown::words("no answer"),
                };
                Ok([shown(&mut terms, source)?, after])
            });
            let pairs: Vec<[Shown; 2]> = pairs.collect::<Result<_, Box<dyn Error>>>()?;
            check_drawn(pairs.iter().flatten().map(Shown::nodes).sum())?;
            write_file(path, svg_of_pairs(&pairs).as_bytes())?;
        }
        for result in results {
            match result {
                Ok(result) => {
                    let term = terms.of_dag(&result)?;
                    print_line(terms.infix(term)?)?;
                }
                Err(error) => print_line(format_args!("no answer: {error}"))?,
            }
        }
        Ok(())
    }
}

/// A term as it is drawn.
fn shown(terms: &mut Terms, dag: &OrderedDag) -> Result<Shown, Box<dyn Error>> {
    let term = terms.of_dag(dag)?;
    Ok(Shown::of_language(&terms.graph(term)))
}
