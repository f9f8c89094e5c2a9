//! The mean of heads.

use std::sync::Arc;

use super::{epilogue::Epilogue, weighted_sum::check_heads};
use crate::{
    error::BuildError,
    program::{Cost, Footprint, Fusion, Operation, Operator, Partition, Program, Shape, Step, Tape, Value, kernel},
};

/// `Y[i, c] = 1/H sum over h of X[i, h c]`: `X` is `[N, H C]`, the result `[N, C]`.
///
/// # Errors
/// If the value is sparse, or its width is not a multiple of the heads.
pub fn mean_heads(program: &mut Program, input: Value, heads: usize) -> Result<Value, BuildError> {
    let input = program.dense(input)?;
    program.record_one(MeanHeads { heads, epilogue: Epilogue::default() }, &[input])
}

/// [`mean_heads`]: reads the values, and then the inputs of the epilogue.
#[derive(Clone, Copy, Debug)]
struct MeanHeads {
    heads: usize,
    epilogue: Epilogue,
}

impl Operator for MeanHeads {
    fn name(&self) -> &'static str {
        "mean_heads"
    }

    fn footprint(&self, _: usize) -> Footprint {
        Footprint::Same
    }

    fn describe(&self) -> String {
        self.epilogue.describe(self.name())
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        check_heads(inputs[0].width(), self.heads)?;
        Ok(vec![Shape::new(inputs[0].domain(), inputs[0].width() / self.heads)])
    }

    fn cost(&self, inputs: &[Value], _: &[Value]) -> Cost {
        Cost { per_row: inputs[0].width(), per_entry: 0 }
    }

    fn run(&self, step: &mut Step<'_>) {
        let (features, fraction) = (step.output(0).width(), 1.0 / self.heads as f32);
        let (epilogue, [bias, blended]) = self.epilogue.prepare(step);
        step.write_rows(
            Partition::Uniform,
            [0, bias, blended],
            #[inline(always)]
            move |_, [values, bias, blended], rows, output| {
                for (row, output) in rows.clone().zip(output.chunks_exact_mut(features)) {
                    output.fill(0.0);
                    for head in values.row(row).chunks_exact(features) {
                        output.iter_mut().zip(head).for_each(|(sum, value)| *sum += value);
                    }
                    output.iter_mut().for_each(|sum| *sum *= fraction);
                }
                epilogue.apply([bias, blended], rows, output, features);
            },
        );
    }

    fn differentiate(&self, operation: &Operation, gradient: Value, tape: &mut Tape<'_>) -> Result<(), BuildError> {
        let (gradient, factor) = self.epilogue.backward(operation, gradient, tape)?;
        let fraction = factor / self.heads as f32;
        let (features, width) = (gradient.width(), operation.inputs[0].width());
        let backward = kernel("mean_heads_backward", Footprint::Same, move |step: &mut Step<'_>| {
            step.write_rows(
                Partition::Uniform,
                [0],
                #[inline(always)]
                move |_, [gradient], rows, target| {
                    for (row, target) in rows.zip(target.chunks_exact_mut(width)) {
                        for head in target.chunks_exact_mut(features) {
                            let terms = head.iter_mut().zip(gradient.row(row));
                            terms.for_each(|(target, gradient)| *target = fraction * gradient);
                        }
                    }
                },
            );
        });
        tape.gradient(operation.inputs[0], backward, &[gradient])?;
        self.epilogue.backward_blend(operation, None, gradient, tape)
    }

    fn fuse(&self, next: &Operation, input: usize, context: Fusion<'_>) -> Option<Arc<dyn Operator>> {
        let epilogue = self.epilogue.absorb(next, input, context)?;
        Some(Arc::new(Self { epilogue, ..*self }))
    }
}
