//! Reductions of the rows that meet: sums, means and extremes.

use connectome_components::{Matrix, Signal};
use serde::{Deserialize, Serialize};

use super::{
    relation::{Relation, Uniform},
    rows::write_rows,
};
use crate::{
    Phase,
    kernels::{SparseRow, gather_rows},
    layers::{BuildError, LayerBuilder},
};

/// How rows that meet become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Reduction {
    /// Their sum.
    Sum,
    /// Their mean.
    Mean,
    /// The largest of each column.
    Max,
    /// The smallest of each column.
    Min,
}

/// One row from those that meet in it; zeros where none do.
///
/// The gradient by an extreme goes in equal parts to all that reach it, as in PyTorch.
///
/// # Errors
/// If the signal is sparse, or not on the rows that meet.
pub fn reduce(
    layer: &mut LayerBuilder,
    input: Signal,
    relation: Relation,
    reduction: Reduction,
) -> Result<Signal, BuildError> {
    let values = layer.dense(input)?;
    let [from, to] = relation.domains(layer.rows());
    if values.domain() != from {
        return Err(layer.refuse(format!("reduces {relation:?}, but its input is on other rows")));
    }
    let output = layer.signal(to, values.width(), input.learns())?;
    let results = output.value();
    let forward = write_rows(
        layer,
        "reduce",
        relation.cut(),
        [values],
        results,
        #[inline(always)]
        move |topology, [values], rows, output| match reduction {
            Reduction::Sum | Reduction::Mean => {
                let terms = |row| {
                    let rows = relation.meeting(topology, row);
                    Uniform { rows, coefficient: reduction.share(rows) }
                };
                gather_rows(rows, terms, values, false, output);
            }
            Reduction::Max => {
                let terms = rows.zip(output.chunks_exact_mut(values.width()));
                terms.for_each(|(row, output)| extreme(relation.meeting(topology, row), values, output, |a, b| a > b));
            }
            Reduction::Min => {
                let terms = rows.zip(output.chunks_exact_mut(values.width()));
                terms.for_each(|(row, output)| extreme(relation.meeting(topology, row), values, output, |a, b| a < b));
            }
        },
    );
    layer.forward(Phase::Aggregate, forward);
    let is_extreme = matches!(reduction, Reduction::Max | Reduction::Min);
    let keeps: &[Signal] = if is_extreme { &[input, output] } else { &[] };
    layer.on_backward(output, keeps, move |layer, gradient| {
        if is_extreme {
            let Some(target) = layer.gradient_of(input)? else { return Ok(()) };
            let divide = write_rows(
                layer,
                "divide_among_ties",
                relation.cut(),
                [values, results],
                gradient,
                #[inline(always)]
                move |topology, [values, results], rows, gradient| {
                    for (row, gradient) in rows.zip(gradient.chunks_exact_mut(values.width())) {
                        divide_among_ties(relation.meeting(topology, row), values, results.row(row), gradient);
                    }
                },
            );
            layer.backward(divide);
            let backward = write_rows(
                layer,
                "reduce_backward",
                relation.cut_back(),
                [values, results, gradient],
                target,
                #[inline(always)]
                move |topology, [values, results, gradient], rows, target| {
                    for (row, target) in rows.zip(target.chunks_exact_mut(values.width())) {
                        target.fill(0.0);
                        for point in relation.meeting_points(topology, row) {
                            let (result, gradient) = (results.row(*point as usize), gradient.row(*point as usize));
                            let terms = values.row(row).iter().zip(result).zip(gradient);
                            for (target, ((value, result), gradient)) in target.iter_mut().zip(terms) {
                                *target += if value == result { *gradient } else { 0.0 };
                            }
                        }
                    }
                },
            );
            layer.backward(backward);
            return Ok(());
        }
        let Some((target, adds)) = layer.gradient_onto(input)? else { return Ok(()) };
        let backward = write_rows(
            layer,
            "reduce_backward",
            relation.cut_back(),
            [gradient],
            target,
            #[inline(always)]
            move |topology, [gradient], rows, target| {
                let share = |point| reduction.share(relation.meeting(topology, point));
                let terms = |row| Shares { points: relation.meeting_points(topology, row), share };
                gather_rows(rows, terms, gradient, adds, target);
            },
        );
        layer.backward(backward);
        Ok(())
    });
    Ok(output)
}

impl Reduction {
    /// What each of some rows is multiplied by in their sum or mean.
    #[inline(always)]
    fn share(self, rows: &[u32]) -> f32 {
        if self == Self::Mean { 1.0 / rows.len().max(1) as f32 } else { 1.0 }
    }
}

/// The rows in which a row meets others, with its share in each.
struct Shares<'a, F> {
    points: &'a [u32],
    share: F,
}

impl<F: Fn(usize) -> f32> SparseRow for Shares<'_, F> {
    #[inline(always)]
    fn for_each_ahead(&self, mut add: impl FnMut(usize, f32, usize)) {
        for point in self.points {
            add(*point as usize, (self.share)(*point as usize), *point as usize);
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
            // A number that is none stays, wherever it stands.
            *best = if beyond(*value, *best) || value.is_nan() { *value } else { *best };
        }
    }
}

#[inline(always)]
fn divide_among_ties(rows: &[u32], values: &Matrix, results: &[f32], gradient: &mut [f32]) {
    for (column, (gradient, result)) in gradient.iter_mut().zip(results).enumerate() {
        let ties = rows.iter().filter(|row| values.row(**row as usize)[column] == *result).count();
        *gradient /= ties.max(1) as f32;
    }
}
