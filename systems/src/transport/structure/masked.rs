//! Partially masked fused Gromov-Wasserstein: the loss of a predicted graph of any size.

use super::{
    super::{
        TransportError,
        problem::{check_length, check_matrix},
    },
    conditional_gradient::{Matching, Search, minimize},
    fused::pushed,
    quadratic::{Quadratic, Square, symmetric_sum},
};
use crate::{
    kernels::{exp, ln_1p, sigmoid},
    parallel::Workers,
};

/// A graph of at most `M` nodes in as many slots: predicted, as logits, or the target, as probabilities.
#[derive(Clone, Copy, Debug)]
pub struct MaskedGraph<'a> {
    /// Whether a slot has a node, `[M]`.
    pub presence: &'a [f32],
    /// What node it is, `[M, C]`.
    pub labels: &'a [f32],
    /// Whether there is an edge, `[M, M]`.
    pub edges: &'a [f32],
}

/// Partially masked fused Gromov-Wasserstein (Krzakala et al., "Any2Graph", NeurIPS 2024). With `m` nodes in the
/// target, whose presence `h*` masks the rest, and a plan `T` `[M, M]` whose rows and columns sum to 1,
///
/// `presence / M sum T_ij bce(h_i, h*_j) + labels / m sum T_ij h*_j ce(x_i, y_j)
///  + edges / m^2 sum T_ij T_kl h*_j h*_l bce(A_ik, B_jl)`
///
/// with the cross-entropies of logits. Costs `2 M^3` multiplications for a step or a gradient. A target without nodes
/// has the first term alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MaskedGromovWasserstein {
    /// The weight of presence.
    pub presence: f32,
    /// The weight of labels.
    pub labels: f32,
    /// The weight of edges.
    pub edges: f32,
}

impl Default for MaskedGromovWasserstein {
    fn default() -> Self {
        Self { presence: 1.0, labels: 1.0, edges: 1.0 }
    }
}

/// The derivative with respect to the logits, while the plan is held fixed.
#[derive(Clone, Debug, PartialEq)]
pub struct MaskedGradient {
    /// The value of the plan.
    pub value: f64,
    /// With respect to the presence, `[M]`.
    pub presence: Vec<f32>,
    /// With respect to the labels, `[M, C]`.
    pub labels: Vec<f32>,
    /// With respect to the edges, `[M, M]`.
    pub edges: Vec<f32>,
}

impl MaskedGromovWasserstein {
    /// A plan that is a local minimum.
    ///
    /// # Errors
    /// If arrays do not fit, an element is not finite, there are no slots, or a setting is out of range. That it has
    /// not converged is no error, see [`Matching::is_converged`].
    pub fn plan(
        &self,
        graph: MaskedGraph,
        target: MaskedGraph,
        search: &Search,
        workers: &Workers,
    ) -> Result<Matching, TransportError> {
        let objective = self.objective(&graph, &target)?;
        let ones = vec![1.0; graph.presence.len()];
        minimize(&objective, [&ones, &ones], search, workers)
    }

    /// The value of a plan, and the gradient with respect to the logits while the plan is held fixed.
    ///
    /// # Errors
    /// As [`MaskedGromovWasserstein::plan`], and if the plan does not fit or is not finite.
    pub fn gradient(
        &self,
        graph: MaskedGraph,
        target: MaskedGraph,
        plan: &[f32],
        workers: &Workers,
    ) -> Result<MaskedGradient, TransportError> {
        let objective = self.objective(&graph, &target)?;
        let slots = graph.presence.len();
        check_matrix("the plan", plan, [slots, slots])?;
        let value = objective.value(&objective.at(plan.iter().map(|mass| f64::from(*mass)).collect(), workers));
        let width = graph.labels.len() / slots;
        let by_presence = self.presence / slots as f32;
        let by_label = (f64::from(self.labels) * share(target.presence, 1)) as f32;
        // What rows send to slots with a node.
        let masked: Vec<f32> = (0..plan.len()).map(|index| plan[index] * target.presence[index % slots]).collect();
        let mut gradient =
            MaskedGradient { value, presence: vec![0.0; slots], labels: vec![0.0; slots * width], edges: Vec::new() };
        let mut sums = vec![0.0; slots];
        for row in 0..slots {
            let [plan, masked] = [plan, &masked].map(|plan| &plan[row * slots..][..slots]);
            let (mass, present): (f32, f32) = (plan.iter().sum(), masked.iter().sum());
            sums[row] = present;
            gradient.presence[row] = by_presence * (mass * sigmoid(graph.presence[row]) - present);
            let logits = &graph.labels[row * width..][..width];
            let labels = &mut gradient.labels[row * width..][..width];
            let mut total = 0.0;
            for (mass, targets) in masked.iter().zip(target.labels.chunks_exact(width.max(1))) {
                total += mass * targets.iter().sum::<f32>();
                labels.iter_mut().zip(targets).for_each(|(label, target)| *label -= mass * target);
            }
            let log_sum = log_sum_exp(logits) as f32;
            let labels = labels.iter_mut().zip(logits);
            labels.for_each(|(label, logit)| *label = by_label * (*label + total * exp(logit - log_sum)));
        }
        let by_edge = (f64::from(self.edges) * share(target.presence, 2)) as f32;
        gradient.edges = pushed(target.edges, &masked, [slots, slots], workers);
        for (index, (gradient, logit)) in gradient.edges.iter_mut().zip(graph.edges).enumerate() {
            let [from, to] = [index / slots, index % slots].map(|slot| sums[slot]);
            *gradient = by_edge * (from * to * sigmoid(*logit) - *gradient);
        }
        Ok(gradient)
    }

    fn objective<'a>(
        &self,
        graph: &MaskedGraph<'a>,
        target: &MaskedGraph<'a>,
    ) -> Result<Quadratic<'a>, TransportError> {
        let width = self.check(graph, target)?;
        let slots = graph.presence.len();
        let by_presence = f64::from(self.presence) / slots as f64;
        let by_label = f64::from(self.labels) * share(target.presence, 1);
        let mut linear = Vec::with_capacity(slots * slots);
        for (row, presence) in graph.presence.iter().enumerate() {
            let logits = &graph.labels[row * width..][..width];
            let (positive, log_sum) = (softplus(*presence), log_sum_exp(logits));
            for (column, mask) in target.presence.iter().enumerate() {
                let targets = target.labels[column * width..][..width].iter().zip(logits);
                let entropy: f64 =
                    targets.map(|(target, logit)| f64::from(*target) * (log_sum - f64::from(*logit))).sum();
                let mask = f64::from(*mask);
                linear.push(by_presence * (positive - f64::from(*presence) * mask) + by_label * mask * entropy);
            }
        }
        Ok(Quadratic {
            shape: [slots, slots],
            linear,
            weight: f64::from(self.edges) * share(target.presence, 2),
            cross: 1.0,
            first: symmetric_sum(graph.edges, slots, softplus),
            second: Vec::new(),
            left: Square::new(graph.edges, slots),
            right: Square::new(target.edges, slots),
            mask: target.presence,
        })
    }

    /// Checks everything; returns the width of the labels.
    fn check(&self, graph: &MaskedGraph, target: &MaskedGraph) -> Result<usize, TransportError> {
        let settings = [("presence", self.presence), ("labels", self.labels), ("edges", self.edges)];
        if let Some((setting, value)) = settings.into_iter().find(|(_, value)| !(value.is_finite() && *value >= 0.0)) {
            let expected = "a finite number that is not negative";
            return Err(TransportError::Setting { setting, value: value.into(), expected });
        }
        let slots = graph.presence.len();
        if slots == 0 {
            return Err(TransportError::Empty { rows: 0, columns: target.presence.len() });
        }
        check_length("the presence of the target", target.presence.len(), slots)?;
        let width = graph.labels.len() / slots;
        for (name, values, width) in [
            ("the presence", graph.presence, 1),
            ("the presence of the target", target.presence, 1),
            ("the labels", graph.labels, width),
            ("the labels of the target", target.labels, width),
            ("the edges", graph.edges, slots),
            ("the edges of the target", target.edges, slots),
        ] {
            check_matrix(name, values, [slots, width])?;
        }
        Ok(width)
    }
}

/// One over this power of the number of nodes; 0 if there are none.
fn share(presence: &[f32], power: i32) -> f64 {
    let count: f64 = presence.iter().map(|presence| f64::from(*presence)).sum();
    if count > 0.0 { count.powi(-power) } else { 0.0 }
}

/// `ln(1 + exp(x))`.
fn softplus(x: f32) -> f64 {
    f64::from(x.max(0.0)) + f64::from(ln_1p(exp(-x.abs())))
}

/// `ln sum exp(x)`; 0 of nothing.
fn log_sum_exp(logits: &[f32]) -> f64 {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = logits.iter().map(|logit| exp(logit - most)).sum();
    if logits.is_empty() { 0.0 } else { f64::from(most) + f64::from(crate::kernels::ln(sum)) }
}
