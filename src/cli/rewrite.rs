//! `connectome rewrite`: what trained weights make of terms.

use clap::Args;
use connectome::{Rename, Trainer, components::Split};
use std::{error::Error, path::PathBuf};

use super::{SceneArguments, print_line};

/// Rewrite terms by trained weights.
#[derive(Args, Debug)]
pub struct Rewrite {
    #[command(flatten)]
    scene: SceneArguments,
    /// The weights, a safetensors file of `train --output`.
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
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
        let inputs = rewriting.inputs(terms.clone(), sources);
        let mut trainer = Trainer::for_inference(&scene, inputs, self.scene.workers()?)?;
        trainer.load_weights(&self.weights, &[] as &[Rename])?;
        for rewritten in trainer.rewrite(&[Split::Test])?.0 {
            match rewritten.result {
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
