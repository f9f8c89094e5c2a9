//! Epilogues: the operators that are fused into sums and products, applied to a row while it is in the cache.

use core::{any::Any, ops::Range};

use connectome_components::Matrix;

use super::elementwise::{Activate, Add, AddBias, scaled};
use crate::{
    error::BuildError,
    kernels::{Activation, add_rows},
    program::{Footprint, Fusion, Mode, Operation, Operator, Partition, Step, Tape, Value, kernel},
};

/// What is done to an output row `y` while it is in the cache: `f(a y + r R + b)`. Values are given by the indices of
/// the operation's inputs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Epilogue {
    /// `R`, with `a` and `r`.
    blend: Option<Blend>,
    /// `b`, added to each row.
    pub(super) bias: Option<usize>,
    /// `f`; in training its derivative is computed from its output.
    pub(super) activation: Activation,
}

/// `scale * y + factor * R`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Blend {
    scale: f32,
    input: usize,
    factor: f32,
}

impl Epilogue {
    /// An epilogue that adds this input as the bias.
    pub(super) fn bias(bias: Option<usize>) -> Self {
        Self { bias, ..Self::default() }
    }

    /// This epilogue followed by `next`, if it can be fused: a blend precedes the bias, and the bias the activation.
    /// `next` reads the output of the operation as input number `input`.
    pub(super) fn absorb(self, next: &Operation, input: usize, context: Fusion<'_>) -> Option<Self> {
        if self.activation != Activation::Identity {
            return None;
        }
        let (operator, inputs): (&dyn Any, _) = (&*next.operator, context.operation.inputs.len());
        if let Some(Activate(activation)) = operator.downcast_ref() {
            let fits = context.mode == Mode::Inference || activation.derivative_from_output();
            return fits.then_some(Self { activation: *activation, ..self });
        }
        if operator.is::<AddBias>() {
            return (self.bias.is_none() && input == 0).then_some(Self { bias: Some(inputs), ..self });
        }
        let Add(factors) = operator.downcast_ref()?;
        let blend = Blend { scale: factors[input], input: inputs, factor: factors[1 - input] };
        (self.bias.is_none() && self.blend.is_none()).then_some(Self { blend: Some(blend), ..self })
    }

    /// The name of an operator with what this adds to it: `linear + add + bias + relu`.
    pub(super) fn describe(&self, name: &str) -> String {
        let blend = self.blend.map_or("", |_| " + add");
        let bias = self.bias.map_or("", |_| " + bias");
        let activation = match self.activation {
            Activation::Identity => String::new(),
            activation => format!(" + {}", describe(activation)),
        };
        format!("{name}{blend}{bias}{activation}")
    }

    /// The factor `r` of `value`, if it is `R`.
    pub(super) fn factor_of(&self, operation: &Operation, value: Value) -> Option<f32> {
        self.blend.filter(|blend| operation.inputs[blend.input] == value).map(|blend| blend.factor)
    }

    /// The inputs of the bias and of the blend; input 0, which is not read, in place of missing ones.
    pub(super) fn inputs(&self) -> [usize; 2] {
        [self.bias.unwrap_or(0), self.blend.map_or(0, |blend| blend.input)]
    }

    /// `output[i] = f(scale * output[i] + factor * blended[i] + bias)`.
    #[inline(always)]
    pub(super) fn apply(self, [bias, blended]: [&Matrix; 2], rows: Range<usize>, output: &mut [f32], width: usize) {
        if let Some(Blend { scale, factor, .. }) = self.blend {
            let terms = output.iter_mut().zip(blended.slice(rows));
            terms.for_each(|(output, blended)| *output = scale * *output + factor * blended);
        }
        if let (Some(_), Some(bias)) = (self.bias, bias.rows().next()) {
            for row in output.chunks_exact_mut(width) {
                row.iter_mut().zip(bias).for_each(|(value, bias)| *value += bias);
            }
        }
        self.activation.apply(output);
    }

    /// The gradient with respect to `a y + r R + b`, given that with respect to the output, and `a`; records the gradient
    /// with respect to the bias.
    pub(super) fn backward(
        &self,
        operation: &Operation,
        gradient: Value,
        tape: &mut Tape<'_>,
    ) -> Result<(Value, f32), BuildError> {
        let gradient = activation_backward(self.activation, operation.outputs[0], gradient, tape)?;
        if let Some(bias) = self.bias {
            bias_gradient(operation.inputs[bias], gradient, tape)?;
        }
        Ok((gradient, self.blend.map_or(1.0, |blend| blend.scale)))
    }

    /// Records the gradient with respect to `R`, unless it is `but`, whose gradient the operation records itself.
    pub(super) fn backward_blend(
        &self,
        operation: &Operation,
        but: Option<Value>,
        gradient: Value,
        tape: &mut Tape<'_>,
    ) -> Result<(), BuildError> {
        let Some(Blend { input, factor, .. }) = self.blend else { return Ok(()) };
        let blended = operation.inputs[input];
        if Some(blended) == but {
            return Ok(());
        }
        tape.gradient(blended, scaled("blend_backward", factor), &[gradient])
    }
}

/// An activation as a program shows it: `relu`, `elu(1.0)`.
pub(super) fn describe(activation: Activation) -> String {
    format!("{activation:?}").to_lowercase()
}

/// Turns the gradient with respect to `f(y)` into that with respect to `y`, in place, from the output.
pub(super) fn activation_backward(
    activation: Activation,
    output: Value,
    gradient: Value,
    tape: &mut Tape<'_>,
) -> Result<Value, BuildError> {
    if activation == Activation::Identity {
        return Ok(gradient);
    }
    let chain = kernel("activation_backward", Footprint::Same, move |step: &mut Step<'_>| {
        step.write_rows(
            Partition::Uniform,
            [0],
            #[inline(always)]
            move |_, [output], rows, gradient| {
                activation.chain_from_output(output.slice(rows), gradient);
            },
        );
    });
    tape.update(gradient, chain, &[output])
}

/// `values[i] *= factor`.
#[inline(always)]
pub(super) fn scale(factor: f32, values: &mut [f32]) {
    if factor != 1.0 {
        values.iter_mut().for_each(|value| *value *= factor);
    }
}

/// Records the gradient with respect to a bias: the sum of the rows of `gradient`.
pub(super) fn bias_gradient(bias: Value, gradient: Value, tape: &mut Tape<'_>) -> Result<(), BuildError> {
    let width = bias.width();
    tape.weight_gradient(bias, 0..width, sum_of_rows("bias_gradient", width), &[gradient])
}

fn sum_of_rows(name: &'static str, width: usize) -> impl Operator {
    kernel(name, Footprint::All, move |step: &mut Step<'_>| {
        step.sum_rows(
            [0],
            0..width,
            #[inline(always)]
            |_, [gradient], rows, sum| {
                sum.fill(0.0);
                add_rows(gradient.slice(rows), sum);
            },
        );
    })
    .accumulating()
}
