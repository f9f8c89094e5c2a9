//! Attention to the rows of several relations as if they were one.

use super::PartialAttention;
use crate::{
    error::BuildError,
    kernels::{dot, exp, ln},
    program::{Cost, Footprint, Operation, Operator, Partition, Program, Shape, Step, Tape, Value, kernel},
};

/// The attention of rows to what they attend to in either part, with one softmax over both: for each head
/// `Y = w1 Y1 + w2 Y2` with `wk = exp(lk - l)` and `l = ln(exp(l1) + exp(l2))`.
///
/// Costs `M H` exponentials and `2 M H C` multiplications. A row without sources in both parts is 0.
///
/// # Errors
/// If the parts are on different rows, or of different width.
pub fn merge_attention(program: &mut Program, parts: [PartialAttention; 2]) -> Result<PartialAttention, BuildError> {
    let inputs = parts.map(|part| [part.output, part.logarithms]).concat();
    match program.record(MergeAttention, &inputs)?[..] {
        [output, logarithms] => Ok(PartialAttention { output, logarithms }),
        _ => Err(program.error("merges attention to other than two values; report this as a bug")),
    }
}

/// [`merge_attention`].
#[derive(Clone, Copy, Debug, PartialEq)]
struct MergeAttention;

impl Operator for MergeAttention {
    fn name(&self) -> &'static str {
        "merge_attention"
    }

    fn footprint(&self, _: usize) -> Footprint {
        Footprint::Same
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        let [output, logarithms] = [inputs[0].shape(), inputs[1].shape()];
        if [inputs[2].shape(), inputs[3].shape()] == [output, logarithms] {
            return Ok(vec![output, logarithms]);
        }
        let found = inputs[2].shape();
        Err(format!("merges attention of shape {output} with {found}; give both one width, on the same rows"))
    }

    fn cost(&self, inputs: &[Value], _: &[Value]) -> Cost {
        Cost { per_row: 2 * inputs[0].width(), per_entry: 0 }
    }

    fn run(&self, step: &mut Step<'_>) {
        step.write_row_groups(
            Partition::Uniform,
            [0, 1, 2, 3],
            #[inline(always)]
            |_, [first, first_logarithms, second, second_logarithms], rows, [output, logarithms]| {
                let (width, heads) = (first.width(), first_logarithms.width());
                let features = width / heads;
                let rows = rows.zip(output.chunks_exact_mut(width)).zip(logarithms.chunks_exact_mut(heads));
                for ((row, output), logarithms) in rows {
                    let parts = first_logarithms.row(row).iter().zip(second_logarithms.row(row));
                    for (head, (logarithm, (one, other))) in logarithms.iter_mut().zip(parts).enumerate() {
                        let range = head * features..(head + 1) * features;
                        let output = &mut output[range.clone()];
                        let most = one.max(*other);
                        if most == f32::NEG_INFINITY {
                            output.fill(0.0);
                            *logarithm = most;
                            continue;
                        }
                        let [one, other] = [exp(one - most), exp(other - most)];
                        let total = one + other;
                        let [one, other] = [one / total, other / total];
                        let terms = first.row(row)[range.clone()].iter().zip(&second.row(row)[range]);
                        let terms = output.iter_mut().zip(terms);
                        terms.for_each(|(output, (first, second))| *output = one * first + other * second);
                        *logarithm = most + ln(total);
                    }
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
        let (&[output, logarithms], &[Some(gradient), by_logarithms]) = (&operation.outputs[..], gradients) else {
            return Err(tape.error("cannot learn by the logarithms of attention alone; merge it with its output"));
        };
        for part in operation.inputs.chunks(2) {
            let inputs: Vec<Value> =
                part.iter().copied().chain([output, logarithms, gradient]).chain(by_logarithms).collect();
            tape.gradients_of(part, part_gradient(by_logarithms.is_some()), &inputs)?;
        }
        Ok(())
    }
}

/// The gradients with respect to a part, `w g` and `w (g_l + g . (Y_k - Y))` for each head with its weight `w`. Reads the
/// part, the output, its logarithms, the gradient `g` with respect to the output and, if it is needed, that to the logarithms.
fn part_gradient(has_by_logarithms: bool) -> impl Operator {
    kernel("merge_attention_backward", Footprint::Same, move |step: &mut Step<'_>| {
        step.write_row_groups(
            Partition::Uniform,
            [0, 1, 2, 3, 4, if has_by_logarithms { 5 } else { 4 }],
            #[inline(always)]
            move |_, [part, parts, output, logarithms, gradient, by_logarithms], rows, [target, targets]| {
                let (width, heads) = (output.width(), logarithms.width());
                let features = width / heads;
                let rows = rows.zip(target.chunks_exact_mut(width)).zip(targets.chunks_exact_mut(heads));
                for ((row, target), targets) in rows {
                    for (head, by_logarithm) in targets.iter_mut().enumerate() {
                        let range = head * features..(head + 1) * features;
                        let logarithm = parts.row(row)[head];
                        let weight = match logarithm == f32::NEG_INFINITY {
                            true => 0.0,
                            false => exp(logarithm - logarithms.row(row)[head]),
                        };
                        let gradient = &gradient.row(row)[range.clone()];
                        let terms = target[range.clone()].iter_mut().zip(gradient);
                        terms.for_each(|(target, gradient)| *target = weight * gradient);
                        let mut change = dot(gradient, &part.row(row)[range.clone()]);
                        change -= dot(gradient, &output.row(row)[range]);
                        if has_by_logarithms {
                            change += by_logarithms.row(row)[head];
                        }
                        *by_logarithm = weight * change;
                    }
                }
            },
        );
    })
}
