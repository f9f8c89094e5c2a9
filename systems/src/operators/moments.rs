//! Mean and standard deviation of aggregated rows.

use super::{
    reduce::reduced_domain,
    relation::{Relation, Uniform},
};
use crate::{
    error::BuildError,
    kernels::gather_rows,
    program::{Cost, Domain, Footprint, Operation, Operator, Program, Shape, Step, Tape, Value, kernel},
};

/// A variance up to this is taken as 0, as in PyTorch Geometric: the root of a smaller one is too steep.
const SMALLEST_VARIANCE: f32 = 1e-5;

/// Aggregates rows to their mean, concatenated with their standard deviation `sqrt(mean of (X - mean)^2)`; `[N, F]` to
/// `[M, 2 F]`, zeros where there are none.
///
/// # Errors
/// If the value is sparse, or not on the rows that the relation aggregates.
pub fn moments(program: &mut Program, input: Value, relation: Relation) -> Result<Value, BuildError> {
    let (input, domains) = (program.dense(input)?, relation.domains(program));
    program.record_one(Moments { relation, domains }, &[input])
}

/// [`moments`].
#[derive(Clone, Copy, Debug, PartialEq)]
struct Moments {
    relation: Relation,
    /// The rows that are aggregated, and those of the result.
    domains: [Domain; 2],
}

impl Operator for Moments {
    fn name(&self) -> &'static str {
        "moments"
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        let domain = reduced_domain(self.relation, self.domains, inputs[0])?;
        Ok(vec![Shape::new(domain, 2 * inputs[0].width())])
    }

    fn footprint(&self, _: usize) -> Footprint {
        self.relation.footprint()
    }

    fn cost(&self, inputs: &[Value], _: &[Value]) -> Cost {
        Cost { per_row: 2 * inputs[0].width(), per_entry: 2 * inputs[0].width() }
    }

    fn run(&self, step: &mut Step<'_>) {
        let relation = self.relation;
        step.write_rows(
            relation.partition(),
            [0],
            #[inline(always)]
            move |topology, [values], rows, output| {
                let width = values.width();
                for (row, output) in rows.zip(output.chunks_exact_mut(2 * width)) {
                    let rows = relation.sources_of(topology, row);
                    let (mean, deviation) = output.split_at_mut(width);
                    let fraction = 1.0 / rows.len().max(1) as f32;
                    gather_rows(row..row + 1, |_| Uniform { rows, coefficient: fraction }, values, false, mean);
                    deviation.fill(0.0);
                    for row in rows {
                        let terms = deviation.iter_mut().zip(mean.iter().zip(values.row(*row as usize)));
                        terms.for_each(|(sum, (mean, value))| *sum += (value - mean) * (value - mean));
                    }
                    for deviation in deviation {
                        let variance = *deviation * fraction;
                        *deviation = if variance > SMALLEST_VARIANCE { variance.sqrt() } else { 0.0 };
                    }
                }
            },
        );
    }

    /// With n rows the gradient with respect to one of them is `g_mean / n + g_deviation (x - mean) / (n deviation)`,
    /// which is `a + c x` with the same `a` and `c` for all. These replace the two gradients.
    fn differentiate(&self, operation: &Operation, gradient: Value, tape: &mut Tape<'_>) -> Result<(), BuildError> {
        let relation = self.relation;
        let (input, output) = (operation.inputs[0], operation.outputs[0]);
        let coefficients = kernel("moments_coefficients", Footprint::Same, move |step: &mut Step<'_>| {
            step.write_rows(
                relation.partition(),
                [0],
                #[inline(always)]
                move |topology, [results], rows, gradient| {
                    let width = results.width() / 2;
                    for (row, gradient) in rows.zip(gradient.chunks_exact_mut(2 * width)) {
                        let fraction = 1.0 / relation.sources_of(topology, row).len().max(1) as f32;
                        let (mean, deviation) = results.row(row).split_at(width);
                        let (constants, slopes) = gradient.split_at_mut(width);
                        let terms = constants.iter_mut().zip(slopes).zip(mean.iter().zip(deviation));
                        for ((constant, slope), (mean, deviation)) in terms {
                            *slope = if *deviation > 0.0 { fraction * *slope / deviation } else { 0.0 };
                            *constant = fraction * *constant - *slope * mean;
                        }
                    }
                },
            );
        });
        let gradient = tape.update(gradient, coefficients, &[output])?;
        let backward = kernel("moments_backward", relation.footprint_back(), move |step: &mut Step<'_>| {
            step.write_rows(
                relation.partition_back(),
                [0, 1],
                #[inline(always)]
                move |topology, [values, gradient], rows, target| {
                    let width = values.width();
                    for (row, target) in rows.zip(target.chunks_exact_mut(width)) {
                        target.fill(0.0);
                        for to in relation.targets_of(topology, row) {
                            let (constants, slopes) = gradient.row(*to as usize).split_at(width);
                            let terms = target.iter_mut().zip(values.row(row)).zip(constants.iter().zip(slopes));
                            for ((target, value), (constant, slope)) in terms {
                                *target += constant + slope * value;
                            }
                        }
                    }
                },
            );
        });
        let cost = Cost { per_row: 0, per_entry: input.width() };
        tape.gradient(input, backward.reading([0], Footprint::Same).with_cost(cost), &[input, gradient])
    }
}
