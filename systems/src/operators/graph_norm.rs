//! Columns brought to variance 1 over the nodes of each subgraph.

use connectome_components::{Field, Matrix, Parameter, Signal, Topology};

use super::{
    epilogue::bias_gradient,
    rows::{Cut, sum_rows, write_rows},
};
use crate::{
    Phase,
    layers::{BuildError, LayerBuilder},
};

/// What a graph normalisation learns, each `[F]`.
#[derive(Clone, Debug)]
pub struct GraphNormParameters {
    /// What the normalised numbers are multiplied by.
    pub weight: Parameter,
    /// What is added to them.
    pub bias: Parameter,
    /// How much of the mean is taken away.
    pub mean_scale: Parameter,
}

/// `C[i] = X[i] - mean_scale * mean X` and `Y[i] = weight * C[i] / sqrt(mean C^2 + epsilon) + bias`, column by column, with
/// means over the nodes of the subgraph that node `i` belongs to. A node that belongs to none is given the bias.
///
/// Two numbers for each subgraph and column are kept, beside the input.
///
/// # Errors
/// If the signal is sparse or not on nodes, or a parameter is not as wide.
pub fn graph_norm(
    layer: &mut LayerBuilder,
    input: Signal,
    parameters: &GraphNormParameters,
    epsilon: f32,
) -> Result<Signal, BuildError> {
    let values = layer.dense(input)?;
    let (rows, width) = (layer.rows(), values.width());
    if values.domain() != rows.nodes {
        return Err(layer.refuse("normalises over the nodes of subgraphs, so its input is to be on nodes"));
    }
    let GraphNormParameters { weight, bias, mean_scale } = parameters.clone();
    if [&weight, &bias, &mean_scale].iter().any(|parameter| parameter.shape != [1, width]) {
        return Err(layer.refuse(format!("normalises rows {width} wide; give its parameters that width")));
    }
    let moments = layer.signal(rows.subgraphs, 2 * width, false)?;
    measure(layer, values, mean_scale.value, epsilon, moments.value());
    let output = layer.signal(rows.nodes, width, true)?;
    let forward = write_rows(
        layer,
        "graph_norm",
        Cut::Even,
        [values, moments.value(), weight.value, bias.value, mean_scale.value],
        output.value(),
        #[inline(always)]
        move |topology, [values, moments, weight, bias, scale], rows, output| {
            let Some([weight, bias, scale]) = vectors([weight, bias, scale]) else { return };
            for (row, output) in rows.zip(output.chunks_exact_mut(width)) {
                output.copy_from_slice(bias);
                let Some(subgraph) = subgraph_of(topology, row) else { continue };
                let (mean, reciprocal) = moments.row(subgraph).split_at(width);
                let values = values.row(row);
                for (place, output) in output.iter_mut().enumerate() {
                    let centred = values[place] - scale[place] * mean[place];
                    *output += weight[place] * centred * reciprocal[place];
                }
            }
        },
    );
    layer.forward(Phase::Update, forward);
    layer.on_backward(output, &[input, moments], move |layer, gradient| {
        bias_gradient(layer, gradient, &bias)?;
        // For each subgraph the sums of the gradient, and of the gradient times what was normalised.
        let sums = layer.signal(rows.subgraphs, 2 * width, false)?;
        let [moments, sums_field] = [moments.value(), sums.value()];
        sum_gradients(layer, [gradient, values, moments, mean_scale.value], sums_field);
        if let Some(total) = layer.gradient_of_parameter(&weight, 0..1)? {
            let system = sum_rows(
                layer,
                "graph_norm_weight_gradient",
                [sums_field],
                total,
                0..width,
                #[inline(always)]
                move |[sums], rows, total| {
                    total.fill(0.0);
                    for row in rows {
                        total.iter_mut().zip(&sums.row(row)[width..]).for_each(|(total, sum)| *total += sum);
                    }
                },
            );
            layer.backward(system);
        }
        let fields = [sums_field, moments, weight.value, mean_scale.value];
        if let Some(total) = layer.gradient_of_parameter(&mean_scale, 0..1)? {
            let system = sum_rows(
                layer,
                "graph_norm_scale_gradient",
                fields,
                total,
                0..width,
                #[inline(always)]
                move |[sums, moments, weight, scale], rows, total| {
                    let Some([weight, scale]) = vectors([weight, scale]) else { return };
                    total.fill(0.0);
                    for row in rows {
                        let (sums, moments) = (sums.row(row), moments.row(row));
                        for (place, total) in total.iter_mut().enumerate() {
                            let column = Column::of(place, sums, moments, weight, scale);
                            *total -= column.mean * column.centred_sum();
                        }
                    }
                },
            );
            layer.backward(system);
        }
        if let Some(target) = layer.gradient_of(input)? {
            input_gradient(layer, gradient, values, fields, target);
        }
        layer.release(sums);
        Ok(())
    });
    Ok(output)
}

/// The subgraph that a node belongs to.
#[inline(always)]
fn subgraph_of(topology: &Topology, node: usize) -> Option<usize> {
    topology.membership.neighbors[topology.membership.entries(node)].first().map(|subgraph| *subgraph as usize)
}

/// The only rows of parameters; none if one of them is gone.
#[inline(always)]
fn vectors<'a, const K: usize>(parameters: [&Matrix<'a>; K]) -> Option<[&'a [f32]; K]> {
    let mut rows = [&[][..]; K];
    for (row, parameter) in rows.iter_mut().zip(parameters) {
        *row = parameter.rows().next()?;
    }
    Some(rows)
}

/// For each subgraph the mean of each column, then `1 / sqrt(mean C^2 + epsilon)`.
fn measure(layer: &mut LayerBuilder, values: Field, mean_scale: Field, epsilon: f32, moments: Field) {
    let forward = write_rows(
        layer,
        "measure_subgraphs",
        Cut::Members,
        [values, mean_scale],
        moments,
        #[inline(always)]
        move |topology, [values, scale], rows, moments| {
            let (Some([scale]), width) = (vectors([scale]), values.width()) else { return };
            for (row, moments) in rows.zip(moments.chunks_exact_mut(2 * width)) {
                let members = &topology.members.neighbors[topology.members.entries(row)];
                let share = 1.0 / members.len().max(1) as f32;
                moments.fill(0.0);
                let (mean, reciprocal) = moments.split_at_mut(width);
                for node in members {
                    mean.iter_mut().zip(values.row(*node as usize)).for_each(|(mean, value)| *mean += value);
                }
                mean.iter_mut().for_each(|mean| *mean *= share);
                for node in members {
                    let values = values.row(*node as usize);
                    for (place, square) in reciprocal.iter_mut().enumerate() {
                        let centred = values[place] - scale[place] * mean[place];
                        *square += centred * centred;
                    }
                }
                reciprocal.iter_mut().for_each(|square| *square = 1.0 / (share * *square + epsilon).sqrt());
            }
        },
    );
    layer.forward(Phase::Aggregate, forward);
}

/// For each subgraph and column the sum of the gradient, then that of the gradient times `C / sqrt(mean C^2 + epsilon)`.
fn sum_gradients(layer: &mut LayerBuilder, fields: [Field; 4], sums: Field) {
    let system = write_rows(
        layer,
        "graph_norm_sums",
        Cut::Members,
        fields,
        sums,
        #[inline(always)]
        move |topology, [gradient, values, moments, scale], rows, sums| {
            let (Some([scale]), width) = (vectors([scale]), values.width()) else { return };
            for (row, sums) in rows.zip(sums.chunks_exact_mut(2 * width)) {
                sums.fill(0.0);
                let (plain, normal) = sums.split_at_mut(width);
                let (mean, reciprocal) = moments.row(row).split_at(width);
                for node in &topology.members.neighbors[topology.members.entries(row)] {
                    let (gradient, values) = (gradient.row(*node as usize), values.row(*node as usize));
                    for place in 0..width {
                        let centred = values[place] - scale[place] * mean[place];
                        plain[place] += gradient[place];
                        normal[place] += gradient[place] * centred * reciprocal[place];
                    }
                }
            }
        },
    );
    layer.backward(system);
}

/// With `n = C r` and `d = gradient * weight`, the gradient by `C` is `c = r (d - n mean(d n))`, and that by the input
/// `c - mean_scale * mean c`.
fn input_gradient(layer: &mut LayerBuilder, gradient: Field, values: Field, fields: [Field; 4], target: Field) {
    let [sums, moments, weight, scale] = fields;
    let system = write_rows(
        layer,
        "graph_norm_backward",
        Cut::Even,
        [gradient, values, sums, moments, weight, scale],
        target,
        #[inline(always)]
        move |topology, [gradient, values, sums, moments, weight, scale], rows, target| {
            let Some([weight, scale]) = vectors([weight, scale]) else { return };
            for (row, target) in rows.zip(target.chunks_exact_mut(values.width())) {
                target.fill(0.0);
                let Some(subgraph) = subgraph_of(topology, row) else { continue };
                let members = topology.members.entries(subgraph).len();
                let share = 1.0 / members.max(1) as f32;
                let (sums, moments) = (sums.row(subgraph), moments.row(subgraph));
                let (gradient, values) = (gradient.row(row), values.row(row));
                for (place, target) in target.iter_mut().enumerate() {
                    let column = Column::of(place, sums, moments, weight, scale);
                    let normal = (values[place] - column.scale * column.mean) * column.reciprocal;
                    let centred = gradient[place] * column.weight - normal * share * column.normal_sum;
                    *target = column.reciprocal * centred - column.scale * share * column.centred_sum();
                }
            }
        },
    );
    layer.backward(system);
}

/// One column of one subgraph on the way back.
struct Column {
    mean: f32,
    reciprocal: f32,
    weight: f32,
    scale: f32,
    /// Sums of the gradient times the weight, plainly and times what was normalised.
    plain_sum: f32,
    normal_sum: f32,
}

impl Column {
    #[inline(always)]
    fn of(place: usize, sums: &[f32], moments: &[f32], weight: &[f32], scale: &[f32]) -> Self {
        let width = weight.len();
        let [weight, scale] = [weight[place], scale[place]];
        Self {
            mean: moments[place],
            reciprocal: moments[width + place],
            weight,
            scale,
            plain_sum: weight * sums[place],
            normal_sum: weight * sums[width + place],
        }
    }

    /// The sum of the gradient by the centred numbers.
    #[inline(always)]
    fn centred_sum(&self) -> f32 {
        let mean_of_normal = (self.mean - self.scale * self.mean) * self.reciprocal;
        self.reciprocal * (self.plain_sum - mean_of_normal * self.normal_sum)
    }
}
