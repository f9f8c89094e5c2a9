//! Products with a learned scalar.

use crate::{
    error::BuildError,
    program::{Footprint, Operation, Operator, Partition, Program, Shape, Step, Tape, Value, Weight, kernel},
};

/// `Y = (offset + p) X` with the scalar parameter `p`.
///
/// # Errors
/// If the value is sparse, or the parameter is not a single number.
pub fn scale_by(program: &mut Program, input: Value, factor: &Weight, offset: f32) -> Result<Value, BuildError> {
    let input = program.dense(input)?;
    program.record_one(ScaleBy { name: "scale_by", offset }, &[input, factor.value()])
}

/// [`scale_by`]; with respect to its input it is its own derivative.
#[derive(Clone, Copy, Debug, PartialEq)]
struct ScaleBy {
    name: &'static str,
    offset: f32,
}

impl Operator for ScaleBy {
    fn name(&self) -> &'static str {
        self.name
    }

    fn footprint(&self, _: usize) -> Footprint {
        Footprint::Same
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        match inputs[1].width() {
            1 => Ok(vec![inputs[0].shape()]),
            width => Err(format!("multiplies by a parameter of {width} values; give a scalar")),
        }
    }

    fn run(&self, step: &mut Step<'_>) {
        let offset = self.offset;
        step.write_rows(
            Partition::Uniform,
            [0, 1],
            #[inline(always)]
            |_, [values, factor], rows, output| {
                let Some([factor]) = factor.rows().next() else { return };
                let factor = offset + factor;
                output.iter_mut().zip(values.slice(rows)).for_each(|(output, value)| *output = factor * value);
            },
        );
    }

    fn differentiate(&self, operation: &Operation, gradient: Value, tape: &mut Tape<'_>) -> Result<(), BuildError> {
        let &[input, factor] = &operation.inputs[..] else { return Ok(()) };
        factor_gradient(factor, [gradient, input], 1.0, tape)?;
        tape.gradient(input, Self { name: "scale_by_backward", ..*self }, &[gradient, factor])
    }
}

/// Records the gradient with respect to a scalar factor of `values`: `scale` times the sum of their products with
/// `gradient`.
pub(super) fn factor_gradient(
    factor: Value,
    [gradient, values]: [Value; 2],
    scale: f32,
    tape: &mut Tape<'_>,
) -> Result<(), BuildError> {
    let sum = kernel("factor_gradient", Footprint::All, move |step: &mut Step<'_>| {
        step.sum_rows(
            [0, 1],
            0..1,
            #[inline(always)]
            |[gradient, values], rows, sum| {
                let terms = gradient.slice(rows.clone()).iter().zip(values.slice(rows));
                // A sum over this many products needs the precision of 64 bits.
                sum.fill(scale * terms.map(|(gradient, value)| f64::from(gradient * value)).sum::<f64>() as f32);
            },
        );
    });
    tape.weight_gradient(factor, 0..1, sum.accumulating(), &[gradient, values])
}
