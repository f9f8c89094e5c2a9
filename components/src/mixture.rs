//! Mixtures of experts.

use bevy_ecs::{component::Component, entity::Entity};
use serde::{Deserialize, Serialize};

use crate::Field;

/// A mixture of experts, a component of the model that reads what the experts together predict.
///
/// For each row, a node or a subgraph, `y = sum over e of weight_e expert_e(x)`, in the order of the experts (Jacobs et
/// al., "Adaptive mixtures of local experts", Neural Computation 1991; Shazeer et al., "Outrageously large neural
/// networks", ICLR 2017). The settings may be changed between two steps; what a step has found is written into the rest.
#[derive(Component, Clone, Debug)]
#[component(clone_behavior = Ignore)]
pub struct MixtureOfExperts {
    /// The model with a logit for each expert.
    pub gate: Entity,
    /// How many experts compute each row, those with the largest logits; all of them if none. Their weights are the
    /// softmax over them or, of a single one, its probability among all.
    pub top_k: Option<usize>,
    /// How the outputs of experts are summed.
    pub mixing: Mixing,
    /// What the auxiliary losses of the gate weigh; 0 by default.
    pub loss_weights: GateLosses,
    /// In training, experts are chosen by `logit + noise * g` with `g` of the standard Gumbel distribution, drawn by seed, step and
    /// row, so that experts which are not the best ones learn, too; 0 by default. Weights are made of the logits alone. With noise
    /// 1 experts are drawn by their probabilities, without replacement (Kool et al., "Stochastic beams and where to find them",
    /// ICML 2019). It changes nothing where all experts compute all rows.
    pub noise: f32,
    /// If it is given, experts compete: in training all of them compute all rows, and gate and experts minimize the mean of `-ln sum
    /// over e of weight_e exp(-competition L_e)` with `L_e`, the sum of the losses of what expert `e` alone predicts for a row (Jacobs
    /// et al. 1991, eq. 1.3). An expert learns a row the more, the better it is at it beside the others, so that each finds a
    /// part of the data that is its own; without it they learn together what their sum gets wrong. For a loss that is a
    /// negative log-likelihood, as that of classes, 1 is right; for squares of errors one half by their variance. The larger, the sooner
    /// experts part. The metrics are those of the sum.
    pub competition: Option<f32>,
    /// Whether experts are computed side by side, each by one worker; otherwise one after another, each by all workers.
    /// Experts of which fewer than half as many have rows as there are workers are computed one after another.
    pub side_by_side: bool,
    /// The experts.
    pub experts: Vec<Expert>,
    /// The weight of each expert `[R, E]`, written in all schedules; 0 where it was not chosen.
    pub weights: Field,
    /// The auxiliary losses of the last training step, without their weights.
    pub losses: GateLosses,
}

/// How the outputs of experts are summed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Mixing {
    /// `sum over e of weight_e y_e`.
    #[default]
    Values,
    /// `ln sum over e of weight_e softmax(y_e)`: logits of the mean of the classes' probabilities. Below 1e-30 a mean counts
    /// as that. From a loss of classes a gate that chooses a single expert learns nothing by it.
    Probabilities,
}

/// One of the experts of a [`MixtureOfExperts`].
#[derive(Clone, Debug, PartialEq)]
pub struct Expert {
    /// The name of its model.
    pub name: String,
    /// Whether it is used, but not trained. It computes as in inference, without dropout.
    pub is_frozen: bool,
    /// The number of rows that it has computed in the last step.
    pub rows: usize,
    /// The mean of its weight over all rows.
    pub weight: f32,
}

/// The auxiliary losses of a gate, or their weights in its objective. They are taken over the training rows, or over all
/// rows if none has that [`Split`](crate::Split), from `P`, the mean of the softmax `p` of the logits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GateLosses {
    /// `E sum over e of f_e P_e` with the share `f_e` of rows whose largest logit is that of `e`, through which no gradient
    /// flows; 1 if all are used alike (Fedus et al., "Switch Transformers", JMLR 2022, eq. 4).
    pub balance: f32,
    /// `var(P) / mean(P)^2`, the square of the coefficient of variation (Shazeer et al. 2017, eq. 7).
    pub importance: f32,
    /// The mean of `logsumexp(logits)^2`, which keeps logits small (Zoph et al., "ST-MoE", 2022, eq. 5).
    pub z: f32,
}
