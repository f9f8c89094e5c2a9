//! The sum of what experts predict, and its derivatives.

use bevy_ecs::world::World;
use connectome_components::Mixing;

use super::step::Mixture;
use crate::kernels::{dot, exp, ln};

impl Mixture {
    /// Sums what the experts predict, in their order.
    pub(super) fn mix(&mut self, world: &mut World, mixing: Mixing) {
        let width = self.mixed.width();
        self.values.clear();
        self.values.resize(self.mixed.matrix(world).row_count() * width, 0.0);
        for (expert, member) in self.members.iter().enumerate().filter(|(_, member)| !member.rows.is_empty()) {
            let Some(output) = member.output() else { continue };
            for (rows, output) in member.outputs.iter().zip(output.rows()) {
                let [row, chosen] = rows.map(|row| row as usize);
                let weight = self.gating.weight(chosen, expert);
                let output = shares(mixing, output, &mut self.shares);
                let sum = &mut self.values[row * width..(row + 1) * width];
                sum.iter_mut().zip(output).for_each(|(sum, value)| *sum += weight * value);
            }
        }
        if mixing == Mixing::Probabilities {
            // A NaN stays one, so that the loss reports it.
            self.values.iter_mut().for_each(|value| *value = ln(if *value < SMALLEST { SMALLEST } else { *value }));
        }
        for (to, from) in self.mixed.matrix_mut(world).rows_mut().zip(self.values.chunks_exact(width)) {
            to.copy_from_slice(from);
        }
    }

    /// Writes the gradients with respect to the outputs of the experts, and those with respect to the weights into the slopes.
    pub(super) fn differentiate(&mut self, world: &World, mixing: Mixing) {
        let (width, experts) = (self.mixed.width(), self.members.len());
        let Some(gradient) = self.gradient else { return };
        self.values.clear();
        gradient.matrix(world).rows().for_each(|row| self.values.extend_from_slice(row));
        if mixing == Mixing::Probabilities {
            let sums = self.mixed.matrix(world);
            let sums = sums.rows().flatten();
            self.values.iter_mut().zip(sums).for_each(|(value, sum)| *value /= exp(*sum));
        }
        for (expert, member) in self.members.iter_mut().enumerate().filter(|(_, member)| !member.rows.is_empty()) {
            let Some(output) = member.output() else { continue };
            self.gradients.clear();
            for (rows, output) in member.outputs.iter().zip(output.rows()) {
                let [row, chosen] = rows.map(|row| row as usize);
                let (weight, gradient) =
                    (self.gating.weight(chosen, expert), &self.values[row * width..(row + 1) * width]);
                let output = shares(mixing, output, &mut self.shares);
                let slope = dot(gradient, output);
                self.slopes[chosen * experts + expert] += slope;
                match mixing {
                    Mixing::Values => self.gradients.extend(gradient.iter().map(|gradient| weight * gradient)),
                    Mixing::Probabilities => {
                        let terms = gradient.iter().zip(output);
                        self.gradients.extend(terms.map(|(gradient, share)| weight * share * (gradient - slope)));
                    }
                }
            }
            if member.has_run {
                member.write_gradient(&self.gradients);
            }
        }
    }
}

/// A smaller mean of probabilities counts as this.
const SMALLEST: f32 = 1e-30;

/// What is summed of an output: itself, or its softmax.
fn shares<'a>(mixing: Mixing, output: &'a [f32], shares: &'a mut Vec<f32>) -> &'a [f32] {
    if mixing == Mixing::Values {
        return output;
    }
    let most = output.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    shares.clear();
    shares.extend(output.iter().map(|value| exp(value - most)));
    let sum: f32 = shares.iter().sum();
    shares.iter_mut().for_each(|share| *share /= sum);
    shares
}
