//! Principal neighbourhood aggregation.

use connectome_components::{Parameter, Signal};
use serde::{Deserialize, Serialize};

use super::{BuildError, Initialization, Layer, LayerBuilder, mlp::torch_linear};
use crate::stages::{
    DegreeScaler, EdgeTerms, Epilogue, Reduction, Relation, Weight, add, columns, concatenate, degree_factors,
    gather_ends, linear, measure_degrees, moments, multiply, reduce,
};

/// `Y[i] = W_3^T (W_2^T [X[i], S_1[i] A[i], S_2[i] A[i], S_3[i] A[i]] + b_2) + b_3` (Corso et al., "Principal neighbourhood
/// aggregation for graph nets", NeurIPS 2020, eq. 7 and 8), where `A[i]` is the mean, minimum, maximum and standard
/// deviation of `H[ji] = W_1^T [X[i], X[j]] + b_1` over the edges `j -> i`, side by side, and the scalers are 1,
/// `ln(d + 1) / m` and `m / ln(d + 1)` with the number `d` of these edges and the mean `m` of `ln(d + 1)`.
///
/// `X` is `[N, F]`, dense or sparse, `W_1` `[2 F, F]`, `W_2` `[13 F, width]`, `W_3` `[width, width]`. What a node itself adds to
/// `H` only moves mean, minimum and maximum, so all is done on nodes: costs `N (2 F F + 13 F width + width width)` and
/// `4 E F`. With `edge_features`, `H[e] = W_1^T [X[i], X[j], W_e^T E[e] + b_e] + b_1` with `W_1` `[3 F, F]`, and what edges add is
/// `[E, F]`.
///
/// Border: a node without incoming edges has zeros for `A[i]`. A variance up to 1e-5 counts as 0.
///
/// Parameters are called as in PyTorch Geometric with one tower: `pre_nns.0.0.*`, `post_nns.0.0.*`, `lin.*`,
/// `edge_encoder.*`; and, not learned, `aggr_module.avg_deg_log`, which is `m`, and `aggr_module.avg_deg_lin`, the mean of `d`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PnaConv {
    /// Output width.
    pub width: usize,
    /// `m`, the mean of `ln(d + 1)` over the nodes of all graphs to learn from. If it is 0, neither given nor read from a
    /// weight file, it is that of the graph of the first step, and stays so.
    #[serde(default)]
    pub average_log_degree: f32,
    /// Whether features of edges are read.
    #[serde(default)]
    pub edge_features: bool,
    /// Decay of this layer's parameters; the optimizer's if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f32>,
}

impl PnaConv {
    /// A layer of so many outputs, with the degrees of the first graph that it meets.
    pub fn new(width: usize) -> Self {
        Self { width, average_log_degree: 0.0, edge_features: false, weight_decay: None }
    }

    /// Mean, minimum, maximum and standard deviation of what meets at each node, `[N, 4 F]`.
    fn aggregate(&self, layer: &mut LayerBuilder, input: Signal, degree: &Parameter) -> Result<Signal, BuildError> {
        let width = input.width();
        let parts = if self.edge_features { 3 } else { 2 };
        let (weight, bias) = torch_linear(layer, "pre_nns.0.0", [parts * width, width], self.weight_decay)?;
        layer.messages();
        let own = linear(layer, input, Weight::rows(&weight, 0..width), Epilogue::bias(&bias))?;
        let mut sent = linear(layer, input, Weight::rows(&weight, width..2 * width), Epilogue::default())?;
        let mut relation = Relation::Neighbours;
        if self.edge_features {
            let nodes = sent;
            sent = self.meet(layer, nodes, &weight)?;
            layer.release(nodes);
            relation = Relation::Edges;
        }
        let moments = moments(layer, sent, relation)?;
        let smallest = reduce(layer, sent, relation, Reduction::Min)?;
        let largest = reduce(layer, sent, relation, Reduction::Max)?;
        layer.release(sent);
        let presence = degree_factors(layer, DegreeScaler::Presence, degree)?;
        let shift = multiply(layer, own, presence)?;
        layer.release(own);
        layer.release(presence);
        let mean = columns(layer, moments, 0..width)?;
        let deviation = columns(layer, moments, width..2 * width)?;
        layer.release(moments);
        let mut aggregated = Vec::new();
        for part in [mean, smallest, largest] {
            aggregated.push(add(layer, [(part, 1.0), (shift, 1.0)])?);
            layer.release(part);
        }
        layer.release(shift);
        aggregated.push(deviation);
        let output = concatenate(layer, &aggregated)?;
        aggregated.into_iter().for_each(|part| layer.release(part));
        Ok(output)
    }

    /// What comes from sources and edges, on the edges.
    fn meet(&self, layer: &mut LayerBuilder, sent: Signal, weight: &Parameter) -> Result<Signal, BuildError> {
        let (features, width) = (layer.edges()?, sent.width());
        let (encoder, bias) = torch_linear(layer, "edge_encoder", [features.width(), width], self.weight_decay)?;
        let encoded = linear(layer, features, &encoder, Epilogue::bias(&bias))?;
        let mapped = linear(layer, encoded, Weight::rows(weight, 2 * width..3 * width), Epilogue::default())?;
        layer.release(encoded);
        let terms = EdgeTerms { source: Some((sent, 1.0)), edge: Some((mapped, 1.0)), ..EdgeTerms::default() };
        let met = gather_ends(layer, terms)?;
        layer.release(mapped);
        Ok(met)
    }
}

impl Layer for PnaConv {
    fn build(&self, input: Signal, layer: &mut LayerBuilder) -> Result<Signal, BuildError> {
        let degree = self.average_log_degree;
        if !(degree >= 0.0 && degree.is_finite()) {
            let reason =
                format!("has {degree} for the mean of ln(degree + 1); give it, or 0 for that of the first graph");
            return Err(layer.refuse(reason));
        }
        let linear_degree = layer.statistics("aggr_module.avg_deg_lin", 1, Initialization::ZEROS)?;
        let degree = layer.statistics("aggr_module.avg_deg_log", 1, Initialization::Constant(degree))?;
        measure_degrees(layer, &linear_degree, &degree);
        let aggregated = self.aggregate(layer, input, &degree)?;
        let (from, part) = (input.width(), 4 * input.width());
        let (weight, bias) = torch_linear(layer, "post_nns.0.0", [from + 3 * part, self.width], self.weight_decay)?;
        let mut total = linear(layer, input, Weight::rows(&weight, 0..from), Epilogue::bias(&bias))?;
        layer.release(input);
        let scalers = [None, Some(DegreeScaler::Amplification), Some(DegreeScaler::Attenuation)];
        for (place, scaler) in scalers.into_iter().enumerate() {
            let start = from + place * part;
            let mut term = linear(layer, aggregated, Weight::rows(&weight, start..start + part), Epilogue::default())?;
            if let Some(scaler) = scaler {
                // A row times its factor is mapped to the mapped row times the factor, which is narrower.
                let (factors, plain) = (degree_factors(layer, scaler, &degree)?, term);
                term = multiply(layer, plain, factors)?;
                layer.release(factors);
                layer.release(plain);
            }
            let before = total;
            total = add(layer, [(before, 1.0), (term, 1.0)])?;
            layer.release(before);
            layer.release(term);
        }
        layer.release(aggregated);
        let (weight, bias) = torch_linear(layer, "lin", [self.width; 2], self.weight_decay)?;
        layer.last_stage();
        linear(layer, total, &weight, Epilogue::bias(&bias))
    }
}
