//! Passes over the examples of a scene, to train or to measure.

use bevy_ecs::{entity::Entity, world::World};

use super::{
    TrainError, Trainer,
    averages::Averaging,
    corpus::{Examples, Step},
    experts::{ExpertUse, sharpen},
};
use crate::components::{GradientAccumulation, HeadMetrics, Metrics, Split};
use crate::systems::{Evaluate, Train, run};

impl Trainer {
    /// Trains on the first batches of the present epoch, and does not evaluate; returns the number of examples in them. A
    /// graph that is computed as a whole is one example of each step. No epoch is counted.
    ///
    /// # Errors
    /// Those of [`Trainer::epoch`].
    pub fn train_batches(&mut self, count: usize) -> Result<usize, TrainError> {
        if self.corpus.is_none() {
            return (0..count).map(|_| self.train_pass(Examples::All)).sum();
        }
        self.train_pass(Examples::Batches { epoch: self.progress.epochs, count })
    }

    /// Trains on examples once; returns their number.
    pub(super) fn train_pass(&mut self, examples: Examples) -> Result<usize, TrainError> {
        self.draw_functions()?;
        let (graph, model) = (self.entities.graph, self.entities.model);
        let Self { world, corpus, merged, experts, parameters, progress, .. } = self;
        experts.iter_mut().for_each(ExpertUse::clear);
        sharpen(world, model, &self.scene, progress.epochs);
        let decay = self.scene.training.averaging;
        let mut averaging = Averaging::new(decay, (world, model), parameters, &mut progress.averages);
        let Some(corpus) = corpus else {
            run(world, Train(model))?;
            averaging.add(world);
            experts.iter_mut().for_each(|experts| experts.add(world, model, usize::MAX));
            return Ok(1);
        };
        let accumulate = |world: &mut World, passes: usize| {
            if let Some(mut accumulation) = world.get_mut::<GradientAccumulation>(model) {
                accumulation.micro_batches = u32::try_from(passes).unwrap_or(u32::MAX);
            }
        };
        // A training step leaves those of other splits as they were.
        if let Some(mut metrics) = world.get_mut::<Metrics>(model) {
            metrics.heads.iter_mut().for_each(HeadMetrics::clear);
        }
        merged.heads.iter_mut().for_each(HeadMetrics::clear);
        let (passes, mut count) = (self.scene.training.accumulation_steps, 0);
        corpus.pass(
            world,
            graph,
            Train(model),
            examples,
            // An epoch ends in a step: no gradient is left over for the next one.
            |world, step| accumulate(world, if step.is_last { 1 } else { passes }),
            |world, _, step| {
                merge(merged, world, model);
                experts.iter_mut().for_each(|experts| experts.add(world, model, step.counted()));
                averaging.add(world);
                count += step.examples;
            },
        )?;
        Ok(count)
    }

    /// Measures loss and metrics on these splits; on all splits for a single graph.
    pub(super) fn measure(&mut self, splits: &[Split]) -> Result<(), TrainError> {
        if self.misuse.is_some() {
            return self.measure_misuses(splits);
        }
        let (graph, model) = (self.entities.graph, self.entities.model);
        let Self { world, corpus, merged, experts, .. } = self;
        experts.iter_mut().for_each(ExpertUse::clear);
        let Some(corpus) = corpus else {
            run(world, Evaluate(model))?;
            experts.iter_mut().for_each(|experts| experts.add(world, model, usize::MAX));
            return Ok(());
        };
        merged.heads.iter_mut().for_each(HeadMetrics::clear);
        let show = |world: &World, _: &_, step: Step| {
            merge(merged, world, model);
            experts.iter_mut().for_each(|experts| experts.add(world, model, step.counted()));
        };
        corpus.pass(world, graph, Evaluate(model), Examples::Of(splits), |_, _| {}, show)?;
        // Once for all measures of all splits.
        merged.heads.iter_mut().for_each(|head| head.ranking.sort());
        Ok(())
    }
}

/// Merges the metrics of a batch.
fn merge(merged: &mut Metrics, world: &World, model: Entity) {
    if let Some(metrics) = world.get::<Metrics>(model) {
        merged.merge(metrics);
    }
}
