//! Dot products of rows with learned vectors, for each head.

use core::ops::Range;

use crate::{
    error::BuildError,
    kernels::multiply_heads,
    program::{Cost, Footprint, Operation, Operator, Partition, Program, Shape, Step, Tape, Value, Weight, kernel},
};

/// `s[i, h] = sum over c of X[i, h c] a[h, c]` for one set of vectors `a`, or for two in one pass over the rows: `X` is
/// `[N, H C]`, the vectors are `[H, C]` each, the scores `[N, H]`. Costs `N H C` multiplications for each.
///
/// # Errors
/// If the value is sparse, or not as wide as the vectors of a set together.
pub fn head_scores<const K: usize>(
    program: &mut Program,
    input: Value,
    vectors: [&Weight; K],
) -> Result<[Value; K], BuildError> {
    const { assert!(K == 1 || K == 2) }
    let input = program.dense(input)?;
    let inputs: Vec<Value> = core::iter::once(input).chain(vectors.map(Weight::value)).collect();
    let outputs = program.record(HeadScores { vectors: vectors.map(|vectors| *vectors) }, &inputs)?;
    let mut scores = [input; K];
    scores.iter_mut().zip(outputs).for_each(|(scores, output)| *scores = output);
    Ok(scores)
}

/// [`head_scores`]: reads the values, and then each set of vectors.
#[derive(Clone, Copy, Debug)]
struct HeadScores<const K: usize> {
    vectors: [Weight; K],
}

impl<const K: usize> Operator for HeadScores<K> {
    fn name(&self) -> &'static str {
        "head_scores"
    }

    fn footprint(&self, _: usize) -> Footprint {
        Footprint::Same
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        let (shape, width) = (self.vectors[0].shape(), inputs[0].width());
        let [heads, features] = shape;
        if width != heads * features || self.vectors.iter().any(|vectors| vectors.shape() != shape) {
            return Err(format!(
                "scores {width} features by {heads} vectors of {features}; give vectors that are as wide together"
            ));
        }
        Ok(vec![Shape::new(inputs[0].domain(), heads); K])
    }

    fn cost(&self, inputs: &[Value], _: &[Value]) -> Cost {
        Cost { per_row: K * inputs[0].width(), per_entry: 0 }
    }

    fn run(&self, step: &mut Step<'_>) {
        let [heads, _] = self.vectors[0].shape();
        let ranges = [&self.vectors[0], &self.vectors[K - 1]].map(Weight::range);
        if K == 1 {
            return step.write_rows(
                Partition::Uniform,
                [0, 1],
                #[inline(always)]
                |_, [values, vectors], rows, scores| {
                    let Some(vectors) = vectors.rows().next() else { return };
                    let vectors = &vectors[ranges[0].clone()];
                    for (row, scores) in rows.zip(scores.chunks_exact_mut(heads)) {
                        multiply_heads(values.row(row), vectors, scores);
                    }
                },
            );
        }
        step.write_row_groups(
            Partition::Uniform,
            [0, 1, 2],
            #[inline(always)]
            |_, [values, first, last], rows, [first_scores, last_scores]| {
                let (Some(first), Some(last)) = (first.rows().next(), last.rows().next()) else { return };
                let (first, last) = (&first[ranges[0].clone()], &last[ranges[1].clone()]);
                let scores = first_scores.chunks_exact_mut(heads).zip(last_scores.chunks_exact_mut(heads));
                for (row, (first_scores, last_scores)) in rows.zip(scores) {
                    multiply_heads(values.row(row), first, first_scores);
                    multiply_heads(values.row(row), last, last_scores);
                }
            },
        );
    }

    fn differentiate_outputs(
        &self,
        operation: &Operation,
        gradients: &[Option<Value>],
        tape: &mut Tape<'_>,
    ) -> Result<(), BuildError> {
        let [input, vectors @ ..] = &operation.inputs[..] else { return Ok(()) };
        let (mut read, mut sets) = (Vec::new(), Vec::new());
        for ((value, weight), gradient) in vectors.iter().zip(&self.vectors).zip(gradients) {
            let Some(gradient) = *gradient else { continue };
            tape.weight_gradient(*value, weight.range(), vectors_gradient(weight), &[*input, gradient])?;
            read.extend([*value, gradient]);
            sets.push(weight.range());
        }
        let (Some(first), Some(last)) = (sets.first(), sets.last()) else { return Ok(()) };
        tape.gradient(*input, input_gradient([first.clone(), last.clone()], sets.len()), &read)
    }
}

/// The gradient with respect to a set of vectors.
fn vectors_gradient(vectors: &Weight) -> impl Operator + use<> {
    let ([_, features], range) = (vectors.shape(), vectors.range());
    let cost = Cost { per_row: range.len(), per_entry: 0 };
    kernel("vectors_gradient", Footprint::All, move |step: &mut Step<'_>| {
        step.sum_rows(
            [0, 1],
            range.clone(),
            #[inline(always)]
            |[values, gradient], rows, sum| {
                sum.fill(0.0);
                for row in rows {
                    let heads = sum.chunks_exact_mut(features).zip(values.row(row).chunks_exact(features));
                    for ((sum, values), gradient) in heads.zip(gradient.row(row)) {
                        sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += gradient * value);
                    }
                }
            },
        );
    })
    .accumulating()
    .with_cost(cost)
}

/// The gradient with respect to the rows: the vectors times the gradients with respect to their scores, for one set or
/// two. Reads each set, which is a range of its parameter, and that gradient.
fn input_gradient(ranges: [Range<usize>; 2], sets: usize) -> impl Operator {
    let cost = Cost { per_row: sets * ranges[0].len(), per_entry: 0 };
    let last_set = 2 * (sets - 1);
    kernel("head_scores_backward", Footprint::Same, move |step: &mut Step<'_>| {
        let adds = step.accumulates();
        step.write_rows(
            Partition::Uniform,
            [0, last_set, 1, last_set + 1],
            #[inline(always)]
            |_, [first, last, first_gradient, last_gradient], rows, target| {
                let (Some(first), Some(last)) = (first.rows().next(), last.rows().next()) else { return };
                let (first, last) = (&first[ranges[0].clone()], &last[ranges[1].clone()]);
                if !adds {
                    target.fill(0.0);
                }
                let features = first.len() / first_gradient.width();
                for (row, target) in rows.zip(target.chunks_exact_mut(first.len())) {
                    add_vectors(first, first_gradient.row(row), features, target);
                    if sets == 2 {
                        add_vectors(last, last_gradient.row(row), features, target);
                    }
                }
            },
        );
    })
    .accumulating()
    .with_cost(cost)
}

/// `target[h, c] += gradient[h] * vectors[h, c]`.
#[inline(always)]
fn add_vectors(vectors: &[f32], gradient: &[f32], features: usize, target: &mut [f32]) {
    let heads = target.chunks_exact_mut(features).zip(vectors.chunks_exact(features));
    for ((target, vector), gradient) in heads.zip(gradient) {
        for (target, value) in target.iter_mut().zip(vector) {
            *target += gradient * value;
        }
    }
}
