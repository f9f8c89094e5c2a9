//! Experts that compete for rows.

use bevy_ecs::{entity::Entity, world::World};
use connectome_components::{Field, Model, Split, SplitMetrics};

use super::{builder::unfit_model, gating::Gating, member::Member};
use crate::{
    error::BuildError,
    losses::{LossByRow, loss_by_row},
    model::{Head, HeadLoss, ModelBuilder},
};

/// The loss by which experts compete.
///
/// Of a row of the gate with the weights `w`, `-ln sum over e of w_e exp(-c L_e)` with `L_e`, the sum of the losses of what
/// expert `e` predicts for it. Its derivative with respect to `L_e` is `c` times the posterior `r_e`, in proportion to `w_e exp(-c
/// L_e)`, and with respect to the logits `w - r`.
pub(super) struct Competition {
    loss: Box<dyn LossByRow>,
    splits: Field<Split>,
    /// The weight of the head.
    weight: f32,
    /// The sums of the losses of each expert `[R, E]`, and then the posteriors.
    posteriors: Vec<f64>,
    /// The terms of each row `[R]`.
    terms: Vec<f64>,
}

impl Competition {
    /// By the loss of a model that was built.
    ///
    /// # Errors
    /// If the model has layers, or not one head with a built-in loss whose terms all weigh the same.
    pub(super) fn new(world: &mut World, builder: &ModelBuilder, model: Entity) -> Result<Self, BuildError> {
        let refuse = |reason: &str| Err(unfit_model(reason));
        let [head] = builder.heads() else {
            return refuse("has several heads, for which experts cannot compete; give it one");
        };
        let Head { loss: HeadLoss::Given(loss), .. } = head else {
            return refuse("has no built-in loss by which experts could compete; give it one");
        };
        if !builder.layers.is_empty() || !head.layers.is_empty() {
            return refuse("has layers, so experts predict nothing by themselves; move its layers into the experts");
        }
        if head.row_weights.is_some() || !head.class_weights.is_empty() {
            return refuse("has weights of rows or classes, which are not counted where experts compete; remove them");
        }
        let heads = &world.get::<Model>(model).ok_or(BuildError::NoModel(model))?.heads;
        let Some(fields) = heads.first().cloned() else { return Err(BuildError::NoModel(model)) };
        let targets = head.targets_of(world, &fields, *loss)?;
        let loss = loss_by_row(world, *loss, targets, fields.output)
            .map_err(|error| BuildError::Head { head: head.name.clone(), reason: format!("cannot learn: {error}") })?;
        let splits = targets.splits();
        Ok(Self { loss, splits, weight: head.weight, posteriors: Vec::new(), terms: Vec::new() })
    }

    /// Finds the posteriors, and writes the gradients with respect to the logits of the gate `[R, E]`: of the mean over the rows
    /// that have something to learn from.
    pub(super) fn compete(
        &mut self,
        world: &World,
        sharpness: f32,
        (gating, members): (&Gating, &[Member]),
        slopes: &mut [f32],
    ) {
        let experts = members.len();
        let splits = self.splits.matrix(world);
        self.posteriors.clear();
        self.posteriors.resize(slopes.len(), 0.0);
        self.terms.clear();
        self.terms.resize(gating.row_count(), 0.0);
        for (expert, member) in members.iter().enumerate() {
            let Some(output) = member.output() else { continue };
            let is_train = |row: u32| splits.row(row as usize)[0] == Split::Train;
            let trained = || member.outputs.iter().zip(output.rows()).filter(|(rows, _)| is_train(rows[0]));
            let mut chosen = trained().map(|(rows, _)| rows[1] as usize);
            let mut add = |sums: &SplitMetrics| {
                let Some(row) = chosen.next() else { return };
                self.posteriors[row * experts + expert] += sums.loss_sum;
                if expert == 0 {
                    self.terms[row] += sums.weight;
                }
            };
            self.loss.measure(world, &mut trained().map(|(rows, output)| (rows[0], output)), &mut add);
        }
        let count = self.terms.iter().filter(|terms| **terms > 0.0).count().max(1) as f64;
        for (row, terms) in self.terms.iter().enumerate() {
            let range = row * experts..(row + 1) * experts;
            let (posteriors, slopes) = (&mut self.posteriors[range.clone()], &mut slopes[range]);
            if *terms == 0.0 {
                slopes.fill(0.0);
                continue;
            }
            let least = posteriors.iter().copied().fold(f64::INFINITY, f64::min);
            let weight = |expert: usize| f64::from(gating.weight(row, expert));
            let mut sum = 0.0;
            for (expert, posterior) in posteriors.iter_mut().enumerate() {
                *posterior = weight(expert) * (-f64::from(sharpness) * (*posterior - least)).exp();
                sum += *posterior;
            }
            for (expert, (posterior, slope)) in posteriors.iter_mut().zip(slopes).enumerate() {
                *posterior /= sum;
                *slope = ((weight(expert) - *posterior) / count) as f32;
            }
        }
    }

    /// Writes the gradients with respect to the outputs of an expert: those of its own loss, times its posteriors, over the terms
    /// of all rows.
    pub(super) fn differentiate(
        &self,
        world: &World,
        (expert, experts): (usize, usize),
        member: &Member,
        gradients: &mut Vec<f32>,
    ) {
        let Some(output) = member.output() else { return };
        let splits = self.splits.matrix(world);
        let terms = self.terms.iter().sum::<f64>().max(1.0);
        let scale = |row: u32, chosen: u32| match splits.row(row as usize)[0] {
            Split::Train => f64::from(self.weight) * self.posteriors[chosen as usize * experts + expert] / terms,
            _ => 0.0,
        };
        let rows = member.outputs.iter().zip(output.rows());
        let mut rows = rows.map(|([row, chosen], output)| (*row, scale(*row, *chosen) as f32, output));
        self.loss.differentiate(world, &mut rows, gradients);
    }
}
