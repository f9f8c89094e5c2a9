//! Epilogues: the operators that are fused into sums and products, applied to a row while it is in the cache.

use core::{any::Any, ops::Range};

use connectome_components::Matrix;

use super::{
    dropout::{Dropout, DropoutMask},
    elementwise::{Activate, Add, AddBias, scaled},
};
use crate::{
    error::BuildError,
    kernels::{Activation, add_rows, vectorize},
    program::{Footprint, Fusion, Mode, Operation, Operator, Step, Tape, Value, kernel},
};

/// What is done to an output row `y` while it is in the cache: `dropout(f(a y + r R + b))`. Values are given by the
/// indices of the operation's inputs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Epilogue {
    /// `R`, with `a` and `r`.
    blend: Option<Blend>,
    /// `b`, added to each row.
    pub(super) bias: Option<usize>,
    /// `f`; in training its derivative is computed from its output.
    pub(super) activation: Activation,
    /// The dropout, in training alone.
    dropout: Option<Dropout>,
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

    /// The same of an operation whose inputs have moved.
    pub(super) fn moved(self, by: usize) -> Self {
        let blend = self.blend.map(|blend| Blend { input: blend.input + by, ..blend });
        Self { blend, bias: self.bias.map(|bias| bias + by), ..self }
    }

    /// This epilogue followed by `next`, if it can be fused: a blend precedes the bias, the bias the activation, and that
    /// the dropout. `next` reads the output of the operation as input number `input`.
    pub(super) fn absorb(self, next: &Operation, input: usize, context: Fusion<'_>) -> Option<Self> {
        if self.dropout.is_some() {
            return None;
        }
        let (operator, inputs): (&dyn Any, _) = (&*next.operator, context.operation.inputs.len());
        if let Some(dropout) = operator.downcast_ref() {
            // Of the activation's output the sign is left, where the gradient is not 0.
            let fits = matches!(self.activation, Activation::Identity | Activation::Relu | Activation::LeakyRelu(_));
            return fits.then_some(Self { dropout: Some(*dropout), ..self });
        }
        if self.activation != Activation::Identity {
            return None;
        }
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

    /// The name of an operator with what this adds to it: `linear + add + bias + relu + dropout`.
    pub(super) fn describe(&self, name: &str) -> String {
        let blend = self.blend.map_or("", |_| " + add");
        let bias = self.bias.map_or("", |_| " + bias");
        let activation = match self.activation {
            Activation::Identity => String::new(),
            activation => format!(" + {}", describe(activation)),
        };
        let dropout = self.dropout.map_or("", |_| " + dropout");
        format!("{name}{blend}{bias}{activation}{dropout}")
    }

    /// The factor `r` of `value`, if it is `R`.
    pub(super) fn factor_of(&self, operation: &Operation, value: Value) -> Option<f32> {
        self.blend.filter(|blend| operation.inputs[blend.input] == value).map(|blend| blend.factor)
    }

    /// What applies it in a step, and the inputs of the bias and of the blend; input 0, which is not read, in place of
    /// missing ones.
    pub(super) fn prepare<'a>(self, step: &Step<'a>) -> (PreparedEpilogue<'a>, [usize; 2]) {
        let prepared = PreparedEpilogue { epilogue: self, mask: self.dropout.map(|dropout| dropout.mask(step)) };
        (prepared, [self.bias.unwrap_or(0), self.blend.map_or(0, |blend| blend.input)])
    }

    /// The gradient with respect to `a y + r R + b`, given that with respect to the output, and `a`; records the gradient
    /// with respect to the bias.
    pub(super) fn backward(
        &self,
        operation: &Operation,
        gradient: Value,
        tape: &mut Tape<'_>,
    ) -> Result<(Value, f32), BuildError> {
        let gradient = self.elementwise_backward(operation.outputs[0], gradient, tape)?;
        if let Some(bias) = self.bias {
            bias_gradient(operation.inputs[bias], gradient, tape)?;
        }
        Ok((gradient, self.blend.map_or(1.0, |blend| blend.scale)))
    }

    /// Turns the gradient with respect to the output into that with respect to `a y + r R + b`, in place.
    fn elementwise_backward(self, output: Value, gradient: Value, tape: &mut Tape<'_>) -> Result<Value, BuildError> {
        let Self { activation, dropout, .. } = self;
        let is_linear = activation == Activation::Identity;
        if is_linear && dropout.is_none() {
            return Ok(gradient);
        }
        let chain = Chain { activation, dropout };
        tape.update(gradient, chain, if is_linear { &[] } else { core::slice::from_ref(&output) })
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

/// Multiplies a gradient by the derivative of `dropout(f(x))`, in place; reads the output, unless `f` is the identity.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chain {
    activation: Activation,
    dropout: Option<Dropout>,
}

impl Chain {
    /// That of an update, and its only input or another one in place of a missing one.
    pub(super) fn of(update: &Operation, inputs: usize) -> Option<(Self, usize)> {
        let operator: &dyn Any = &*update.operator;
        let chain: &Self = operator.downcast_ref()?;
        Some((*chain, if update.inputs.is_empty() { 0 } else { inputs }))
    }

    /// The name of an operator with what this adds to it.
    pub(super) fn describe(chain: Option<(Self, usize)>, name: &str) -> String {
        chain.map_or(name.to_owned(), |(chain, _)| format!("{name} + {}", chain.name()))
    }

    /// What applies it in a step.
    pub(super) fn prepare<'a>(self, step: &Step<'a>) -> PreparedChain<'a> {
        PreparedChain { activation: self.activation, mask: self.dropout.map(|dropout| dropout.mask(step)) }
    }
}

impl Operator for Chain {
    fn name(&self) -> &'static str {
        if self.dropout.is_some() { "dropout_backward" } else { "activation_backward" }
    }

    fn footprint(&self, _: usize) -> Footprint {
        Footprint::Same
    }

    fn run(&self, step: &mut Step<'_>) {
        let (chain, is_linear) = (self.prepare(step), self.activation == Activation::Identity);
        let output = (!is_linear).then(|| step.input(0));
        let cost = 2 + self.dropout.map_or(0, |_| DropoutMask::COST);
        let width = step.output(0).width();
        step.write_blocks(cost * width, |rows, gradient| {
            vectorize(
                #[inline(always)]
                || chain.apply(output.as_ref(), rows, gradient),
            );
        });
    }
}

/// A [`Chain`] with the dropout mask of a step.
#[derive(Clone, Copy, Debug)]
pub(super) struct PreparedChain<'a> {
    activation: Activation,
    mask: Option<DropoutMask<'a>>,
}

impl PreparedChain<'_> {
    /// Multiplies the gradients of some rows, of which these are the outputs if they are read.
    #[inline(always)]
    pub(super) fn apply(&self, outputs: Option<&Matrix>, rows: Range<usize>, gradients: &mut [f32]) {
        if let Some(mask) = &self.mask {
            mask.apply(rows.clone(), gradients);
        }
        if let (Some(outputs), true) = (outputs, self.activation != Activation::Identity) {
            self.activation.chain_from_output(outputs.slice(rows), gradients);
        }
    }
}

/// An epilogue with the dropout mask of a step.
#[derive(Clone, Copy, Debug)]
pub(super) struct PreparedEpilogue<'a> {
    epilogue: Epilogue,
    mask: Option<DropoutMask<'a>>,
}

impl PreparedEpilogue<'_> {
    /// `output[i] = dropout(f(scale * output[i] + factor * blended[i] + bias))`.
    #[inline(always)]
    pub(super) fn apply(&self, [bias, blended]: [&Matrix; 2], rows: Range<usize>, output: &mut [f32], width: usize) {
        let Self { epilogue, mask } = self;
        if let Some(Blend { scale, factor, .. }) = epilogue.blend {
            let terms = output.iter_mut().zip(blended.slice(rows.clone()));
            terms.for_each(|(output, blended)| *output = scale * *output + factor * blended);
        }
        if let (Some(_), Some(bias)) = (epilogue.bias, bias.rows().next()) {
            for row in output.chunks_exact_mut(width) {
                row.iter_mut().zip(bias).for_each(|(value, bias)| *value += bias);
            }
        }
        epilogue.activation.apply(output);
        if let Some(mask) = mask {
            mask.apply(rows, output);
        }
    }
}

/// An activation as a program shows it: `relu`, `elu(1.0)`.
pub(super) fn describe(activation: Activation) -> String {
    format!("{activation:?}").to_lowercase()
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
            |[gradient], rows, sum| {
                sum.fill(0.0);
                add_rows(gradient.slice(rows), sum);
            },
        );
    })
    .accumulating()
}
