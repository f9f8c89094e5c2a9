//! Layers: each adds systems to a model's schedules, forward ones and backward ones, by [stages](crate::stages).
//!
//! A layer of your own implements [`Layer`] with the same means as those here; see its example.

mod activation;
mod appnp;
mod batch_norm;
mod builder;
mod convolution;
mod dropout;
mod embedding;
mod gat_conv;
mod gcn2_conv;
mod gcnii;
mod gin_conv;
mod gine_conv;
mod graph_conv;
mod heads;
mod inner_product;
mod jumping_knowledge;
mod linear;
mod message_passing;
mod mlp;
mod readout;
mod residual;
mod sage_conv;
mod sequence;
mod sg_conv;
mod tape;

pub use appnp::Appnp;
pub use batch_norm::BatchNorm;
pub use builder::{BuildError, Initialization, LayerBuilder, Mode, Room};
pub(crate) use builder::{ModelParts, Rebuild};
pub use dropout::Dropout;
pub use embedding::Embedding;
pub use gat_conv::GatConv;
pub use gcn2_conv::Gcn2Conv;
pub use gcnii::Gcnii;
pub use gin_conv::GinConv;
pub use gine_conv::GineConv;
pub use graph_conv::GraphConv;
pub use inner_product::InnerProduct;
pub use jumping_knowledge::{JumpingKnowledge, JumpingMode};
pub use linear::Linear;
pub use message_passing::MessagePassing;
pub use mlp::{AfterFirst, Mlp};
pub use readout::Readout;
pub use residual::Residual;
pub use sage_conv::SageConv;
pub use sg_conv::SgConv;
pub(crate) use tape::Columns;

use connectome_components::Signal;

/// Something that turns one signal into another, forward and backward.
///
/// [`Layer::build`] is called once for each schedule of a model: for training, for evaluation, for inference. It asks the
/// [`LayerBuilder`] for fields and parameters, which are the same ones each time, and adds systems.
///
/// ```
/// use bevy_ecs::{prelude::*, system::SystemParamBuilder};
/// use connectome_components::{Column, ColumnMut, Signal};
/// use connectome_systems::{Phase, layers::{BuildError, Layer, LayerBuilder}};
///
/// /// Multiplies the signal by a constant.
/// #[derive(Debug)]
/// struct Scale(f32);
///
/// fn scale(from: Column, mut to: ColumnMut, factor: f32) {
///     for (to, from) in to.matrix().rows_mut().zip(from.matrix().rows()) {
///         for (to, from) in to.iter_mut().zip(from) {
///             *to = factor * from;
///         }
///     }
/// }
///
/// impl Layer for Scale {
///     fn build(&self, input: Signal, layer: &mut LayerBuilder) -> Result<Signal, BuildError> {
///         let value = layer.dense(input)?;
///         let output = layer.signal(value.on(), value.width(), input.learns())?;
///         let factor = self.0;
///         let forward = (value.read(), output.value().write())
///             .build_state(layer.world())
///             .build_system(move |from: Column, to: ColumnMut| scale(from, to, factor));
///         layer.forward(Phase::Update, forward.with_name("scale"));
///         // Done in training only, and only if something before it learns.
///         layer.on_backward(output, &[], move |layer, gradient| {
///             let Some(target) = layer.gradient_of(input)? else { return Ok(()) };
///             let backward = (gradient.read(), target.write())
///                 .build_state(layer.world())
///                 .build_system(move |from: Column, to: ColumnMut| scale(from, to, factor));
///             layer.backward(backward.with_name("scale backward"));
///             Ok(())
///         });
///         Ok(output)
///     }
/// }
/// ```
pub trait Layer: Send + Sync {
    /// Adds the systems that compute the output from the input, and the gradients backward; returns the output.
    ///
    /// # Errors
    /// If a field cannot be registered, or the layer cannot take such an input.
    fn build(&self, input: Signal, layer: &mut LayerBuilder) -> Result<Signal, BuildError>;
}

impl Layer for Box<dyn Layer> {
    fn build(&self, input: Signal, layer: &mut LayerBuilder) -> Result<Signal, BuildError> {
        (**self).build(input, layer)
    }
}
