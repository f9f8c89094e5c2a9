//! `connectome rewrite`: what trained weights make of terms or words.

use clap::Args;
use connectome::{
    Rename, Trainer,
    components::Split,
    data::{RewriteLanguage, RewritePair},
    languages::{OrderedDag, rewriting::InvalidRewrite},
    output::write_file,
};
use std::{error::Error, num::NonZeroU32, path::PathBuf};

use super::{
    SceneArguments,
    graph::{Shown, check_drawn, picture::svg_of_pairs},
    print_line,
};

/// Rewrite terms or words by trained weights.
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
    /// Draw each of them beside its result.
    #[arg(long, value_name = "FILE.svg")]
    picture: Option<PathBuf>,
    /// Terms in infix notation, such as "x*1 + 0", or words with the tags of a form, such as "Haus N;DAT;PL".
    #[arg(required = true, allow_hyphen_values = true)]
    sources: Vec<String>,
}

/// The scene is not one of rewriting.
#[derive(Debug, thiserror::Error)]
#[error("the scene rewrites nothing; give one whose task is Rewriting")]
struct NothingToRewrite;

impl Rewrite {
    pub fn run(self) -> Result<(), Box<dyn Error>> {
        let (scene, data) = self.scene.load()?;
        let rewriting = data.rewriting.ok_or(NothingToRewrite)?;
        let mut language = rewriting.language.clone();
        let sources: Vec<RewritePair> =
            self.sources.iter().map(|text| language.read(text)).collect::<Result<_, _>>()?;
        let mut results: Vec<Result<OrderedDag, InvalidRewrite>> =
            sources.iter().map(|pair| Ok(pair.source.clone())).collect();
        // Those that the last pass has changed.
        let mut open: Vec<usize> = (0..sources.len()).collect();
        for _ in 0..self.repeat.get() {
            let inputs = open.iter().filter_map(|index| {
                let source = results[*index].clone().ok()?;
                Some(RewritePair { source, ..sources[*index].clone() })
            });
            let inputs = rewriting.inputs(language.clone(), inputs.collect());
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
                    Ok(result) => shown(&mut language, result)?,
                    Err(_) => Shown::words("no answer"),
                };
                Ok([shown(&mut language, &source.source)?, after])
            });
            let pairs: Vec<[Shown; 2]> = pairs.collect::<Result<_, Box<dyn Error>>>()?;
            check_drawn(pairs.iter().flatten().map(Shown::nodes).sum())?;
            write_file(path, svg_of_pairs(&pairs).as_bytes())?;
        }
        for result in results {
            match result {
                Ok(result) => print_line(language.write(&result)?)?,
                Err(error) => print_line(format_args!("no answer: {error}"))?,
            }
        }
        Ok(())
    }
}

/// A term or a word as it is drawn.
fn shown(language: &mut RewriteLanguage, dag: &OrderedDag) -> Result<Shown, Box<dyn Error>> {
    Ok(Shown::of_language(&language.graph(dag)?))
}
