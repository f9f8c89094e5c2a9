//! Reductions of aggregated rows: sum, mean, maximum and minimum.

use connectome_components::Matrix;
use serde::{Deserialize, Serialize};

use super::relation::{Relation, Uniform};
use crate::{
    error::BuildError,
    kernels::{SparseRow, gather_rows},
    program::{Cost, Domain, Footprint, Operation, Operator, Program, Shape, Step, Tape, Value, kernel},
};

/// How several rows are aggregated to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Reduction {
    /// Their sum.
    Sum,
    /// Their mean.
    Mean,
    /// The largest of each feature.
    Max,
    /// The smallest of each feature.
    Min,
}

/// Aggregates rows by a relation; zeros where there are none.
///
/// The gradient of a maximum or minimum is divided equally among the rows that tie for it, as in PyTorch.
///
/// # Errors
/// If the value is sparse, or not on the rows that the relation aggregates.
pub fn reduce(
    program: &mut Program,
    input: Value,
    relation: Relation,
    reduction: Reduction,
) -> Result<Value, BuildError> {
    let (input, domains) = (program.dense(input)?, relation.domains(program));
    program.record_one(Reduce { relation, reduction, domains }, &[input])
}

/// The domain of the result, if `input` is on the rows that the relation aggregates; `domains` are those of both.
pub(super) fn reduced_domain(relation: Relation, domains: [Domain; 2], input: Value) -> Result<Domain, String> {
    let [from, to] = domains;
    if input.domain() == from {
        Ok(to)
    } else {
        Err(format!("reduces {relation:?}, but its input is on other rows; give a value on {from}"))
    }
}

/// [`reduce`].
#[derive(Clone, Copy, Debug, PartialEq)]
struct Reduce {
    relation: Relation,
    reduction: Reduction,
    /// The rows that are aggregated, and those of the result.
    domains: [Domain; 2],
}

impl Operator for Reduce {
    fn name(&self) -> &'static str {
        "reduce"
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        let domain = reduced_domain(self.relation, self.domains, inputs[0])?;
        Ok(vec![Shape::new(domain, inputs[0].width())])
    }

    fn footprint(&self, _: usize) -> Footprint {
        self.relation.footprint()
    }

    fn cost(&self, inputs: &[Value], _: &[Value]) -> Cost {
        Cost { per_row: 0, per_entry: inputs[0].width() }
    }

    fn run(&self, step: &mut Step<'_>) {
        let Self { relation, reduction, .. } = *self;
        step.write_rows(
            relation.partition(),
            [0],
            #[inline(always)]
            move |topology, [values], rows, output| match reduction {
                Reduction::Sum | Reduction::Mean => {
                    let terms = |row| {
                        let rows = relation.sources_of(topology, row);
                        Uniform { rows, coefficient: reduction.coefficient(rows) }
                    };
                    gather_rows(rows, terms, values, false, output);
                }
                Reduction::Max => {
                    let terms = rows.zip(output.chunks_exact_mut(values.width()));
                    terms.for_each(|(row, output)| {
                        extreme(relation.sources_of(topology, row), values, output, |a, b| a > b);
                    });
                }
                Reduction::Min => {
                    let terms = rows.zip(output.chunks_exact_mut(values.width()));
                    terms.for_each(|(row, output)| {
                        extreme(relation.sources_of(topology, row), values, output, |a, b| a < b);
                    });
                }
            },
        );
    }

    fn differentiate(&self, operation: &Operation, gradient: Value, tape: &mut Tape<'_>) -> Result<(), BuildError> {
        match self.reduction {
            Reduction::Sum | Reduction::Mean => self.sum_gradient(operation, gradient, tape),
            Reduction::Max | Reduction::Min => self.extreme_gradient(operation, gradient, tape),
        }
    }
}

impl Reduce {
    fn sum_gradient(self, operation: &Operation, gradient: Value, tape: &mut Tape<'_>) -> Result<(), BuildError> {
        let (input, Self { relation, reduction, .. }) = (operation.inputs[0], self);
        let backward = kernel("reduce_backward", relation.footprint_back(), move |step: &mut Step<'_>| {
            let adds = step.accumulates();
            step.write_rows(
                relation.partition_back(),
                [0],
                #[inline(always)]
                move |topology, [gradient], rows, target| {
                    let coefficient = |row| reduction.coefficient(relation.sources_of(topology, row));
                    let terms = |row| Weighted { targets: relation.targets_of(topology, row), coefficient };
                    gather_rows(rows, terms, gradient, adds, target);
                },
            );
        });
        let cost = Cost { per_row: 0, per_entry: input.width() };
        tape.gradient(input, backward.accumulating().with_cost(cost), &[gradient])
    }

    fn extreme_gradient(self, operation: &Operation, gradient: Value, tape: &mut Tape<'_>) -> Result<(), BuildError> {
        let (input, output, relation) = (operation.inputs[0], operation.outputs[0], self.relation);
        let cost = Cost { per_row: 0, per_entry: input.width() };
        let divide = kernel("divide_among_ties", relation.footprint(), move |step: &mut Step<'_>| {
            step.write_rows(
                relation.partition(),
                [0, 1],
                #[inline(always)]
                move |topology, [values, results], rows, gradient| {
                    for (row, gradient) in rows.zip(gradient.chunks_exact_mut(values.width())) {
                        divide_among_ties(relation.sources_of(topology, row), values, results.row(row), gradient);
                    }
                },
            );
        });
        let divide = divide.reading([1], Footprint::Same).with_cost(cost);
        let gradient = tape.update(gradient, divide, &[input, output])?;
        let backward = kernel("reduce_backward", relation.footprint_back(), move |step: &mut Step<'_>| {
            step.write_rows(
                relation.partition_back(),
                [0, 1, 2],
                #[inline(always)]
                move |topology, [values, results, gradient], rows, target| {
                    for (row, target) in rows.zip(target.chunks_exact_mut(values.width())) {
                        target.fill(0.0);
                        for to in relation.targets_of(topology, row) {
                            let (result, gradient) = (results.row(*to as usize), gradient.row(*to as usize));
                            let terms = values.row(row).iter().zip(result).zip(gradient);
                            for (target, ((value, result), gradient)) in target.iter_mut().zip(terms) {
                                *target += if value == result { *gradient } else { 0.0 };
                            }
                        }
                    }
                },
            );
        });
        let backward = backward.reading([0], Footprint::Same).with_cost(cost);
        tape.gradient(input, backward, &[input, output, gradient])
    }
}

impl Reduction {
    /// The coefficient of each row in a sum or mean of these.
    #[inline(always)]
    fn coefficient(self, rows: &[u32]) -> f32 {
        if self == Self::Mean { 1.0 / rows.len().max(1) as f32 } else { 1.0 }
    }
}

/// The rows to which a row is aggregated, with its coefficient in each.
struct Weighted<'a, F> {
    targets: &'a [u32],
    coefficient: F,
}

impl<F: Fn(usize) -> f32> SparseRow for Weighted<'_, F> {
    #[inline(always)]
    fn for_each_ahead(&self, mut add: impl FnMut(usize, f32, usize)) {
        for target in self.targets {
            add(*target as usize, (self.coefficient)(*target as usize), *target as usize);
        }
    }
}

#[inline(always)]
fn extreme(rows: &[u32], values: &Matrix, output: &mut [f32], beyond: impl Fn(f32, f32) -> bool) {
    let Some((first, rest)) = rows.split_first() else {
        output.fill(0.0);
        return;
    };
    output.copy_from_slice(values.row(*first as usize));
    for row in rest {
        for (best, value) in output.iter_mut().zip(values.row(*row as usize)) {
            // NaN stays NaN, in whatever order.
            *best = if beyond(*value, *best) || value.is_nan() { *value } else { *best };
        }
    }
}

#[inline(always)]
fn divide_among_ties(rows: &[u32], values: &Matrix, results: &[f32], gradient: &mut [f32]) {
    for (feature, (gradient, result)) in gradient.iter_mut().zip(results).enumerate() {
        let ties = rows.iter().filter(|row| values.row(**row as usize)[feature] == *result).count();
        *gradient /= ties.max(1) as f32;
    }
}
