//! How well misused variables are found, and the functions of each epoch.

use bevy_ecs::world::World;
use std::sync::Arc;

use super::{TrainError, Trainer, corpus::Examples};
use crate::components::{HeadMetrics, Model, Split, SplitMetrics};
use crate::data::{GraphData, MisuseChoice, MisuseData};
use crate::systems::{Infer, batch::Batch};

/// The functions of a run.
pub(super) struct Functions {
    data: Arc<MisuseData>,
    /// The epoch whose functions are in the corpus.
    drawn: Option<u64>,
}

impl Functions {
    /// Those beside some graphs, which are of the first epoch if they have the seed of the run.
    pub(super) fn of(graphs: &GraphData, have_seed: bool) -> Option<Self> {
        graphs.misuse.clone().map(|data| Self { data, drawn: have_seed.then_some(0) })
    }
}

impl Trainer {
    /// Draws the functions of the epoch that begins, if they are drawn.
    pub(super) fn draw_functions(&mut self) -> Result<(), TrainError> {
        let epoch = self.progress.epochs;
        let (Some(functions), Some(corpus)) = (&mut self.misuse, &mut self.corpus) else { return Ok(()) };
        if functions.drawn == Some(epoch) {
            return Ok(());
        }
        corpus.replace(&mut self.world, &self.scene, functions.data.source.graphs(self.seed, epoch))?;
        functions.drawn = Some(epoch);
        Ok(())
    }

    /// Measures those functions of some splits that are known to have a misuse or none.
    pub(super) fn measure_misuses(&mut self, splits: &[Split]) -> Result<(), TrainError> {
        let (Some(functions), Some(corpus)) = (&self.misuse, &mut self.corpus) else { return Ok(()) };
        let (graph, model) = (self.entities.graph, self.entities.model);
        let threshold = self.scene.tasks().iter().find_map(|(_, task)| task.misuse()).unwrap_or_default().threshold;
        self.merged.heads.iter_mut().for_each(HeadMetrics::clear);
        let merged = self.merged.head_mut(0);
        for split in splits.iter().copied().filter(|split| *split != Split::Train) {
            let mut choices = functions.data.measured.iter().filter(|(_, of)| *of == split).map(|(choice, _)| choice);
            let show = |world: &World, batch: &Batch, _| {
                let Some(head) = world.get::<Model>(model).and_then(|model| model.heads.first()) else { return };
                let scores: Vec<f32> = head.output.matrix(world).rows().flatten().copied().collect();
                let mut rest = &scores[..];
                // The graphs of a batch, and their nodes, are in the order of the data.
                while !rest.is_empty() {
                    let Some(choice) = choices.next() else { return };
                    let (of_graph, after) = rest.split_at(choice.nodes.min(rest.len()));
                    add(merged, split, choice, choice.scores(of_graph), threshold);
                    rest = after;
                }
                debug_assert_eq!(scores.len(), batch.nodes().len());
            };
            corpus.pass(&mut self.world, graph, Infer(model), Examples::Of(&[split]), |_, _| {}, show)?;
        }
        Ok(())
    }
}

/// Adds the metrics of one function.
///
/// A function is right if it has no misuse and none is found, or if place and repair of its misuse are found.
fn add(metrics: &mut HeadMetrics, split: Split, choice: &MisuseChoice, scores: &[f32], threshold: f64) {
    let verdict = choice.verdict(scores);
    let (found, share) = (verdict.is_misuse(threshold), |is_right: bool| f64::from(u8::from(is_right)));
    let right = choice.right.map(|right| choice.hypotheses[right]);
    let is_right = match right {
        None => !found,
        Some([place, repair]) => found && (verdict.place.0, verdict.repair.0) == (place, repair),
    };
    let loss_sum = choice.loss(scores);
    let correct = u64::from(is_right);
    let term = SplitMetrics { count: 1, weight: 1.0, loss_sum, classified: 1, correct, ..SplitMetrics::default() };
    metrics.splits[split as usize].merge(&term);
    match right {
        None => metrics.add("clean_kept", split, share(!found), 1.0),
        Some([place, _]) => {
            metrics.add("joint_accuracy", split, share(is_right), 1.0);
            metrics.add("localization_accuracy", split, share(found && verdict.place.0 == place), 1.0);
            let repairs = choice.repairs_right_place(scores).unwrap_or(false);
            metrics.add("repair_accuracy", split, share(repairs), 1.0);
        }
    }
    metrics.add("classification_accuracy", split, share(found == right.is_some()), 1.0);
}
