//! Graph normalization: variance 1 for each feature over the nodes of a subgraph, or of a whole graph without subgraphs.

mod subgraphs;
mod whole;

use connectome_components::{Matrix, Topology};

use self::{
    subgraphs::{MeasureSubgraphs, gradient_sums},
    whole::{MeasureMean, MeasureWhole, whole_gradient_sums},
};
use super::epilogue::bias_gradient;
use crate::{
    error::BuildError,
    program::{Cost, Footprint, Operation, Operator, Partition, Program, Shape, Step, Tape, Value, Weight, kernel},
};

/// The parameters of a graph normalization, each `[F]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GraphNormParameters {
    /// The scale of the normalized features.
    pub weight: Weight,
    /// The shift of the normalized features.
    pub bias: Weight,
    /// The fraction of the mean that is subtracted.
    pub mean_scale: Weight,
}

/// `C[i] = X[i] - mean_scale * mean X` and `Y[i] = weight * C[i] / sqrt(mean C^2 + epsilon) + bias`, feature by
/// feature, with means over the nodes of the subgraph that node `i` belongs to. Where the graph has no subgraphs, they are
/// taken over all its nodes; where it has some, the output of a node in none is the bias.
///
/// Saves two values for each subgraph and feature for the backward pass, beside the input.
///
/// # Errors
/// If the value is sparse or not on nodes, or a parameter has another width.
pub fn graph_norm(
    program: &mut Program,
    input: Value,
    parameters: &GraphNormParameters,
    epsilon: f32,
) -> Result<Value, BuildError> {
    let input = program.dense(input)?;
    let GraphNormParameters { weight, bias, mean_scale } = parameters;
    let measure = MeasureSubgraphs { subgraphs: program.subgraphs(), epsilon };
    // The derivative of the whole covers the gradients through the moments.
    let [values, scale] = [input, mean_scale.value()].map(Value::detached);
    let moments = program.record_one(measure, &[values, scale])?;
    let mean = program.record_one(MeasureMean, &[values])?;
    let whole = program.record_one(MeasureWhole { epsilon }, &[values, mean, scale])?;
    program.record_one(GraphNorm, &[input, moments, whole, weight.value(), bias.value(), mean_scale.value()])
}

/// [`graph_norm`], from the moments of [`MeasureSubgraphs`] and [`MeasureWhole`].
#[derive(Clone, Copy, Debug, PartialEq)]
struct GraphNorm;

impl Operator for GraphNorm {
    fn name(&self) -> &'static str {
        "graph_norm"
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        check_widths(inputs[0], &inputs[3..])?;
        Ok(vec![inputs[0].shape()])
    }

    fn footprint(&self, input: usize) -> Footprint {
        if input == 1 { Footprint::Membership } else { Footprint::Same }
    }

    fn cost(&self, inputs: &[Value], _: &[Value]) -> Cost {
        Cost { per_row: 3 * inputs[0].width(), per_entry: 0 }
    }

    fn run(&self, step: &mut Step<'_>) {
        step.write_rows(
            Partition::Uniform,
            [0, 1, 2, 3, 4, 5],
            #[inline(always)]
            |topology, [values, moments, whole, weight, bias, scale], rows, output| {
                let Some([weight, bias, scale]) = vectors([weight, bias, scale]) else { return };
                let width = values.width();
                for (row, output) in rows.zip(output.chunks_exact_mut(width)) {
                    output.copy_from_slice(bias);
                    let Some((moments, _)) = segment_of(topology, row, [moments, whole]) else { continue };
                    let (mean, reciprocal) = moments.split_at(width);
                    let values = values.row(row);
                    for (index, output) in output.iter_mut().enumerate() {
                        let centered = values[index] - scale[index] * mean[index];
                        *output += weight[index] * centered * reciprocal[index];
                    }
                }
            },
        );
    }

    fn differentiate(&self, operation: &Operation, gradient: Value, tape: &mut Tape<'_>) -> Result<(), BuildError> {
        let &[input, moments, whole, weight, bias, scale] = &operation.inputs[..] else { return Ok(()) };
        let width = input.width();
        bias_gradient(bias, gradient, tape)?;
        let sums = tape.compute(gradient_sums(width), &[gradient, input, moments, scale], moments.shape())?;
        let whole_sums = tape.compute(whole_gradient_sums(width), &[gradient, input, whole, scale], whole.shape())?;
        // One of the two is 0: a graph has subgraphs or it has none.
        for (sums, moments) in [(sums, moments), (whole_sums, whole)] {
            tape.weight_gradient(weight, 0..width, weight_gradient(width), &[sums])?;
            tape.weight_gradient(scale, 0..width, scale_gradient(width), &[sums, moments, weight, scale])?;
        }
        tape.gradient(input, input_gradient(width), &[gradient, input, sums, moments, whole_sums, whole, weight, scale])
    }
}

fn check_widths(values: Value, parameters: &[Value]) -> Result<(), String> {
    let width = values.width();
    if parameters.iter().all(|parameter| parameter.width() == width) {
        Ok(())
    } else {
        Err(format!("normalizes rows {width} wide; give its parameters that width"))
    }
}

/// The subgraph that a node belongs to.
#[inline(always)]
fn subgraph_of(topology: &Topology, node: usize) -> Option<usize> {
    topology.membership.neighbors[topology.membership.entries(node)].first().map(|subgraph| *subgraph as usize)
}

/// The values of the subgraph that a node belongs to, of matrices of subgraphs and of the whole graph; and how many nodes belong
/// to it.
#[inline(always)]
fn segment_of<'a>(
    topology: &Topology,
    node: usize,
    [subgraphs, whole]: [&Matrix<'a>; 2],
) -> Option<(&'a [f32], usize)> {
    if topology.subgraphs.is_empty() {
        return Some((whole.rows().next()?, topology.nodes.len()));
    }
    let subgraph = subgraph_of(topology, node)?;
    Some((subgraphs.row(subgraph), topology.members.entries(subgraph).len()))
}

/// The only rows of parameters; none if one is missing.
#[inline(always)]
fn vectors<'a, const K: usize>(parameters: [&Matrix<'a>; K]) -> Option<[&'a [f32]; K]> {
    let mut rows = [&[][..]; K];
    for (row, parameter) in rows.iter_mut().zip(parameters) {
        *row = parameter.rows().next()?;
    }
    Some(rows)
}

/// From sums of subgraphs, or of the whole graph, which has one row.
fn weight_gradient(width: usize) -> impl Operator {
    kernel("graph_norm_weight_gradient", Footprint::All, move |step: &mut Step<'_>| {
        step.sum_rows(
            [0],
            0..width,
            #[inline(always)]
            |[sums], rows, total| {
                total.fill(0.0);
                for row in rows {
                    total.iter_mut().zip(&sums.row(row)[width..]).for_each(|(total, sum)| *total += sum);
                }
            },
        );
    })
    .accumulating()
}

fn scale_gradient(width: usize) -> impl Operator {
    kernel("graph_norm_scale_gradient", Footprint::All, move |step: &mut Step<'_>| {
        step.sum_rows(
            [0, 1, 2, 3],
            0..width,
            #[inline(always)]
            |[sums, moments, weight, scale], rows, total| {
                let Some([weight, scale]) = vectors([weight, scale]) else { return };
                total.fill(0.0);
                for row in rows {
                    let (sums, moments) = (sums.row(row), moments.row(row));
                    for (index, total) in total.iter_mut().enumerate() {
                        let feature = Feature::of(index, sums, moments, weight, scale);
                        *total -= feature.mean * feature.centered_sum();
                    }
                }
            },
        );
    })
    .accumulating()
}

/// With `n = C r` and `d = gradient * weight`, the gradient with respect to `C` is `c = r (d - n mean(d n))`, and that
/// with respect to the input `c - mean_scale * mean c`.
fn input_gradient(width: usize) -> impl Operator {
    kernel("graph_norm_backward", Footprint::Membership, move |step: &mut Step<'_>| {
        step.write_rows(
            Partition::Uniform,
            [0, 1, 2, 3, 4, 5, 6, 7],
            #[inline(always)]
            |topology, [gradient, values, sums, moments, whole_sums, whole, weight, scale], rows, target| {
                let Some([weight, scale]) = vectors([weight, scale]) else { return };
                for (row, target) in rows.zip(target.chunks_exact_mut(width)) {
                    target.fill(0.0);
                    let Some((sums, members)) = segment_of(topology, row, [sums, whole_sums]) else { continue };
                    let Some((moments, _)) = segment_of(topology, row, [moments, whole]) else { continue };
                    let fraction = 1.0 / members.max(1) as f32;
                    let (gradient, values) = (gradient.row(row), values.row(row));
                    for (index, target) in target.iter_mut().enumerate() {
                        let feature = Feature::of(index, sums, moments, weight, scale);
                        let normal = (values[index] - feature.scale * feature.mean) * feature.reciprocal;
                        let centered = gradient[index] * feature.weight - normal * fraction * feature.normal_sum;
                        *target = feature.reciprocal * centered - feature.scale * fraction * feature.centered_sum();
                    }
                }
            },
        );
    })
    .with_cost(Cost { per_row: 8 * width, per_entry: 0 })
}

/// One feature of one subgraph in the backward pass.
struct Feature {
    mean: f32,
    reciprocal: f32,
    weight: f32,
    scale: f32,
    /// Sums of the gradient times the weight, without and with the normalized feature as a factor.
    plain_sum: f32,
    normal_sum: f32,
}

impl Feature {
    #[inline(always)]
    fn of(index: usize, sums: &[f32], moments: &[f32], weight: &[f32], scale: &[f32]) -> Self {
        let width = weight.len();
        let [weight, scale] = [weight[index], scale[index]];
        Self {
            mean: moments[index],
            reciprocal: moments[width + index],
            weight,
            scale,
            plain_sum: weight * sums[index],
            normal_sum: weight * sums[width + index],
        }
    }

    /// The sum of the gradient with respect to the centered features.
    #[inline(always)]
    fn centered_sum(&self) -> f32 {
        let mean_of_normal = (self.mean - self.scale * self.mean) * self.reciprocal;
        self.reciprocal * (self.plain_sum - mean_of_normal * self.normal_sum)
    }
}
