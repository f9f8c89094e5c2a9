//! Sums over the nodes of each subgraph.

use super::{check_widths, vectors};
use crate::program::{Cost, Domain, Footprint, Operator, Partition, Shape, Step, Value, kernel};

/// For each subgraph the mean of each feature, then `1 / sqrt(mean C^2 + epsilon)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct MeasureSubgraphs {
    pub(super) subgraphs: Domain,
    pub(super) epsilon: f32,
}

impl Operator for MeasureSubgraphs {
    fn name(&self) -> &'static str {
        "measure_subgraphs"
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        let [values, mean_scale] = [inputs[0], inputs[1]];
        if !matches!(values.domain(), Domain::Nodes(_)) {
            return Err(
                "normalizes over the nodes of subgraphs, but its input is on other rows; give a value on nodes"
                    .to_owned(),
            );
        }
        check_widths(values, &[mean_scale])?;
        Ok(vec![Shape::new(self.subgraphs, 2 * values.width())])
    }

    fn footprint(&self, input: usize) -> Footprint {
        if input == 0 { Footprint::Members } else { Footprint::Same }
    }

    fn cost(&self, inputs: &[Value], _: &[Value]) -> Cost {
        Cost { per_row: 0, per_entry: 2 * inputs[0].width() }
    }

    fn run(&self, step: &mut Step<'_>) {
        let epsilon = self.epsilon;
        step.write_rows(
            Partition::Members,
            [0, 1],
            #[inline(always)]
            move |topology, [values, scale], rows, moments| {
                let (Some([scale]), width) = (vectors([scale]), values.width()) else { return };
                for (row, moments) in rows.zip(moments.chunks_exact_mut(2 * width)) {
                    let members = &topology.members.neighbors[topology.members.entries(row)];
                    let fraction = 1.0 / members.len().max(1) as f32;
                    moments.fill(0.0);
                    let (mean, reciprocal) = moments.split_at_mut(width);
                    for node in members {
                        mean.iter_mut().zip(values.row(*node as usize)).for_each(|(mean, value)| *mean += value);
                    }
                    mean.iter_mut().for_each(|mean| *mean *= fraction);
                    for node in members {
                        let values = values.row(*node as usize);
                        for (index, square) in reciprocal.iter_mut().enumerate() {
                            let centered = values[index] - scale[index] * mean[index];
                            *square += centered * centered;
                        }
                    }
                    reciprocal.iter_mut().for_each(|square| *square = 1.0 / (fraction * *square + epsilon).sqrt());
                }
            },
        );
    }
}

/// For each subgraph and feature the sum of the gradient, then that of the gradient times
/// `C / sqrt(mean C^2 + epsilon)`.
pub(super) fn gradient_sums(width: usize) -> impl Operator {
    kernel("graph_norm_sums", Footprint::Members, move |step: &mut Step<'_>| {
        step.write_rows(
            Partition::Members,
            [0, 1, 2, 3],
            #[inline(always)]
            |topology, [gradient, values, moments, scale], rows, sums| {
                let Some([scale]) = vectors([scale]) else { return };
                for (row, sums) in rows.zip(sums.chunks_exact_mut(2 * width)) {
                    sums.fill(0.0);
                    let (plain, normal) = sums.split_at_mut(width);
                    let (mean, reciprocal) = moments.row(row).split_at(width);
                    for node in &topology.members.neighbors[topology.members.entries(row)] {
                        let (gradient, values) = (gradient.row(*node as usize), values.row(*node as usize));
                        for index in 0..width {
                            let centered = values[index] - scale[index] * mean[index];
                            plain[index] += gradient[index];
                            normal[index] += gradient[index] * centered * reciprocal[index];
                        }
                    }
                }
            },
        );
    })
    .with_cost(Cost { per_row: 0, per_entry: 3 * width })
}
