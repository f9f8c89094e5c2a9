//! What sums and products are given in passing, while a row is still in the cache.

use bevy_ecs::component::ComponentId;
use connectome_components::{Field, Matrix, Parameter, Signal};
use core::ops::Range;

use super::{
    elementwise::scaled,
    rows::{Cut, sum_rows, write_rows},
};
use crate::{
    kernels::{Activation, add_rows},
    layers::{BuildError, LayerBuilder},
};

/// What is done to an output row while it is still in the cache: `f(y + b)`, or `f(a y + r R + b)` with a blend.
#[derive(Clone, Debug, Default)]
pub struct Epilogue {
    /// Added to each row.
    pub bias: Option<Parameter>,
    /// Applied to each number; its derivative is told from its output.
    pub activation: Activation,
    /// Another signal that is added, as a residual connection is.
    pub blend: Option<Blend>,
}

/// `own * y + factor * R`: a sum or a product `y`, and another signal `R` on the same rows, as wide.
#[derive(Clone, Copy, Debug)]
pub struct Blend {
    /// What the sum or the product is multiplied by.
    pub own: f32,
    /// What is added.
    pub signal: Signal,
    /// What that is multiplied by.
    pub factor: f32,
}

impl Epilogue {
    /// Adds a bias.
    pub fn bias(bias: &Parameter) -> Self {
        Self { bias: Some(bias.clone()), ..Self::default() }
    }

    /// Adds another signal: `own * y + factor * signal`.
    pub fn blend(own: f32, signal: Signal, factor: f32) -> Self {
        Self { blend: Some(Blend { own, signal, factor }), ..Self::default() }
    }

    /// Whether it fits to rows of so many numbers.
    pub(super) fn check(&self, layer: &LayerBuilder, on: ComponentId, width: usize) -> Result<(), BuildError> {
        let Some(Blend { signal, .. }) = &self.blend else { return Ok(()) };
        let field = layer.dense(*signal)?;
        if (field.domain(), field.width()) == (on, width) {
            return Ok(());
        }
        let found = field.width();
        Err(layer
            .refuse(format!("adds a signal {found} wide to one {width} wide; give both one width, on the same rows")))
    }

    /// Whether it leaves everything as it is.
    pub(super) fn does_nothing(&self) -> bool {
        self.bias.is_none() && self.blend.is_none() && self.activation == Activation::Identity
    }

    /// Whether it has a gradient of its own.
    pub(super) fn learns(&self) -> bool {
        self.bias.is_some() || self.blend.is_some_and(|blend| blend.signal.learns())
    }

    /// What the sum or the product is multiplied by.
    pub(super) fn own_factor(&self) -> f32 {
        self.blend.map_or(1.0, |blend| blend.own)
    }

    /// What `signal` is multiplied by before it is added, if it is the one that is.
    pub(super) fn factor_of(&self, signal: Signal) -> Option<f32> {
        self.blend.filter(|blend| blend.signal == signal).map(|blend| blend.factor)
    }

    /// The fields of the bias and of the blend; in place of missing ones those given, which are not looked at.
    pub(super) fn fields(&self, no_bias: Field, no_blend: Field) -> [Field; 2] {
        let bias = self.bias.as_ref().map_or(no_bias, |bias| bias.value);
        [bias, self.blend.map_or(no_blend, |blend| blend.signal.value())]
    }

    /// What the systems of the forward pass apply.
    pub(super) fn finish(&self) -> Finish {
        let factors = self.blend.map(|blend| [blend.own, blend.factor]);
        Finish { has_bias: self.bias.is_some(), factors, activation: self.activation }
    }

    /// What its way back reads.
    pub(super) fn keeps(&self, output: Signal) -> Vec<Signal> {
        if self.activation == Activation::Identity { Vec::new() } else { vec![output] }
    }

    /// Makes the gradient by `f(y)` that by `y`, in place, and takes the gradient of the bias.
    pub(super) fn backward(&self, layer: &mut LayerBuilder, output: Field, gradient: Field) -> Result<(), BuildError> {
        let activation = self.activation;
        if activation != Activation::Identity {
            let system = write_rows(
                layer,
                "activation_backward",
                Cut::Even,
                [output],
                gradient,
                #[inline(always)]
                move |_, [output], rows, gradient| {
                    activation.chain_from_output(output.slice(rows), gradient);
                },
            );
            layer.backward(system);
        }
        match &self.bias {
            Some(bias) => bias_gradient(layer, gradient, bias),
            None => Ok(()),
        }
    }

    /// Takes the gradient of what is blended in, unless that is `but`, whose stage has seen to it.
    pub(super) fn backward_blend(
        &self,
        layer: &mut LayerBuilder,
        but: Option<Signal>,
        gradient: Field,
    ) -> Result<(), BuildError> {
        let Some(Blend { signal, factor, .. }) = self.blend.filter(|blend| Some(blend.signal) != but) else {
            return Ok(());
        };
        let Some(target) = layer.gradient_onto(signal)? else { return Ok(()) };
        let backward = scaled(layer, "blend_backward", gradient, factor, target);
        layer.backward(backward);
        Ok(())
    }
}

/// An epilogue as systems apply it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Finish {
    has_bias: bool,
    factors: Option<[f32; 2]>,
    activation: Activation,
}

impl Finish {
    /// `output[i] = f(own * output[i] + factor * blended[i] + bias)`.
    #[inline(always)]
    pub(super) fn apply(self, fields: [&Matrix; 2], rows: Range<usize>, output: &mut [f32], width: usize) {
        let [bias, blended] = fields;
        if let Some([own, factor]) = self.factors {
            let terms = output.iter_mut().zip(blended.slice(rows));
            terms.for_each(|(output, blended)| *output = own * *output + factor * blended);
        }
        if let (true, Some(bias)) = (self.has_bias, bias.rows().next()) {
            for row in output.chunks_exact_mut(width) {
                row.iter_mut().zip(bias).for_each(|(value, bias)| *value += bias);
            }
        }
        self.activation.apply(output);
    }
}

/// `numbers[i] *= factor`.
#[inline(always)]
pub(super) fn scale(factor: f32, numbers: &mut [f32]) {
    if factor != 1.0 {
        numbers.iter_mut().for_each(|number| *number *= factor);
    }
}

/// The gradient of a bias: the sum of the rows of `gradient`.
pub(super) fn bias_gradient(layer: &mut LayerBuilder, gradient: Field, bias: &Parameter) -> Result<(), BuildError> {
    let Some(total) = layer.gradient_of_parameter(bias, 0..1)? else { return Ok(()) };
    let system = sum_rows(
        layer,
        "bias_gradient",
        [gradient],
        total,
        0..bias.shape[1],
        #[inline(always)]
        |[gradient], rows, sum| {
            sum.fill(0.0);
            add_rows(gradient.slice(rows), sum);
        },
    );
    layer.backward(system);
    Ok(())
}
