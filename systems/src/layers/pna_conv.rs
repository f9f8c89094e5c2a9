//! Principal neighborhood aggregation.

use serde::{Deserialize, Serialize};

use super::{Initialization, Layer, mlp::torch_linear};
use crate::{
    error::BuildError,
    operators::{
        DegreeScaler, EdgeTerms, Reduction, Relation, add, columns, concatenate, degree_factors, gather_endpoints,
        linear, measure_degrees, moments, multiply, reduce,
    },
    program::{Program, Value, Weight},
};

/// `Y[i] = W_3^T (W_2^T [X[i], S_1[i] A[i], S_2[i] A[i], S_3[i] A[i]] + b_2) + b_3` (Corso et al., "Principal
/// neighbourhood aggregation for graph nets", NeurIPS 2020, eq. 7 and 8), where `A[i]` is the mean, minimum, maximum
/// and standard deviation of `H[ji] = W_1^T [X[i], X[j]] + b_1` over the edges `j -> i`, concatenated, and the scalers
/// are 1, `ln(d + 1) / m` and `m / ln(d + 1)` with the number `d` of these edges and the mean `m` of `ln(d + 1)` over
/// nodes.
///
/// `X` is `[N, F]`, dense or sparse, `W_1` `[2 F, F]`, `W_2` `[13 F, width]`, `W_3` `[width, width]`. The term of
/// `X[i]` in `H` only shifts mean, minimum and maximum, so both terms are computed on nodes: costs
/// `N (2 F F + 13 F width + width width)` and `4 E F`. With `edge_features`,
/// `H[e] = W_1^T [X[i], X[j], W_e^T E[e] + b_e] + b_1` with `W_1` `[3 F, F]`, and the term of the edges is `[E, F]`.
///
/// Border: for a node without incoming edges `A[i]` is 0. A variance of up to 1e-5 counts as 0.
///
/// Parameters are called as in PyTorch Geometric with one tower: `pre_nns.0.0.*`, `post_nns.0.0.*`, `lin.*`,
/// `edge_encoder.*`; and the buffers `aggr_module.avg_deg_log`, which is `m`, and `aggr_module.avg_deg_lin`, the mean
/// of `d`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PnaConv {
    /// Output width.
    pub width: usize,
    /// `m`, the mean of `ln(d + 1)` over the nodes of the training graphs. If it is 0 and not loaded from a weight
    /// file, it is measured on the graph of the first step; a scene that is trained by batches measures it on all
    /// training graphs before.
    #[serde(default)]
    pub average_log_degree: f32,
    /// Whether edge features are read.
    #[serde(default)]
    pub edge_features: bool,
    /// Weight decay of this layer's parameters; the optimizer's if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f32>,
}

impl PnaConv {
    /// A layer with this output width that measures `m` on the graph of the first step.
    pub fn new(width: usize) -> Self {
        Self { width, average_log_degree: 0.0, edge_features: false, weight_decay: None }
    }

    /// Mean, minimum, maximum and standard deviation of the messages to each node, `[N, 4 F]`.
    fn aggregate(&self, program: &mut Program, input: Value, degree: &Weight) -> Result<Value, BuildError> {
        let width = input.width();
        let inputs = if self.edge_features { 3 } else { 2 };
        let (weight, bias) = torch_linear(program, "pre_nns.0.0", [inputs * width, width], self.weight_decay)?;
        let target = linear(program, input, &weight.rows(0..width), Some(&bias))?;
        let mut messages = linear(program, input, &weight.rows(width..2 * width), None)?;
        let mut relation = Relation::Neighbors;
        if self.edge_features {
            messages = self.edge_messages(program, messages, &weight)?;
            relation = Relation::Edges;
        }
        let moments = moments(program, messages, relation)?;
        let smallest = reduce(program, messages, relation, Reduction::Min)?;
        let largest = reduce(program, messages, relation, Reduction::Max)?;
        let presence = degree_factors(program, DegreeScaler::Presence, degree)?;
        let shift = multiply(program, target, presence)?;
        let mean = columns(program, moments, 0..width)?;
        let deviation = columns(program, moments, width..2 * width)?;
        let mut aggregated = Vec::new();
        for value in [mean, smallest, largest] {
            aggregated.push(add(program, [(value, 1.0), (shift, 1.0)])?);
        }
        aggregated.push(deviation);
        concatenate(program, &aggregated)
    }

    /// The sum of the terms of source and edge, on the edges.
    fn edge_messages(&self, program: &mut Program, sources: Value, weight: &Weight) -> Result<Value, BuildError> {
        let (features, width) = (program.edge_features()?, sources.width());
        let (encoder, bias) = torch_linear(program, "edge_encoder", [features.width(), width], self.weight_decay)?;
        let encoded = linear(program, features, &encoder, Some(&bias))?;
        let mapped = linear(program, encoded, &weight.rows(2 * width..3 * width), None)?;
        let [source, edge] = [sources, mapped].map(|value| Some((value, 1.0)));
        gather_endpoints(program, EdgeTerms { source, target: None, edge })
    }
}

impl Layer for PnaConv {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        let degree = self.average_log_degree;
        if !(degree >= 0.0 && degree.is_finite()) {
            let reason = format!(
                "has an `average_log_degree` of {degree}; give a positive one, or 0 to measure it on the first graph"
            );
            return Err(program.error(reason));
        }
        let linear_degree = program.buffer("aggr_module.avg_deg_lin", 1, Initialization::ZEROS)?;
        let degree = program.buffer("aggr_module.avg_deg_log", 1, Initialization::Constant(degree))?;
        let [_, degree] = measure_degrees(program, linear_degree, degree)?;
        let aggregated = self.aggregate(program, input, &degree)?;
        let (width, scaled) = (input.width(), 4 * input.width());
        let (weight, bias) =
            torch_linear(program, "post_nns.0.0", [width + 3 * scaled, self.width], self.weight_decay)?;
        let mut total = linear(program, input, &weight.rows(0..width), Some(&bias))?;
        let scalers = [None, Some(DegreeScaler::Amplification), Some(DegreeScaler::Attenuation)];
        for (index, scaler) in scalers.into_iter().enumerate() {
            let start = width + index * scaled;
            let mut term = linear(program, aggregated, &weight.rows(start..start + scaled), None)?;
            if let Some(scaler) = scaler {
                // The factor commutes with the map, and the mapped row is narrower.
                let factors = degree_factors(program, scaler, &degree)?;
                term = multiply(program, term, factors)?;
            }
            total = add(program, [(total, 1.0), (term, 1.0)])?;
        }
        let (weight, bias) = torch_linear(program, "lin", [self.width; 2], self.weight_decay)?;
        linear(program, total, &weight, Some(&bias))
    }
}
