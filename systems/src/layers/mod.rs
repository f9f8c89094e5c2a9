//! Layers: each adds systems to a model's schedules, forward ones and backward ones.
//!
//! A layer of your own implements [`Layer`] with the same means as those here; see its example.

mod activation;
mod builder;
mod convolution;
mod dropout;
mod graph_conv;
mod linear;
mod message_passing;
mod stages;

pub(crate) use builder::ModelParts;
pub use builder::{BuildError, Initialization, LayerBuilder, Mode};
pub use dropout::Dropout;
pub use graph_conv::GraphConv;
pub use linear::Linear;
pub use message_passing::MessagePassing;

use connectome_components::Signal;

/// Something that turns one signal on the nodes into another, forward and backward.
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
///         let (value, gradient) = layer.dense(input)?;
///         let (output, output_gradient) = layer.output(value.width())?;
///         let factor = self.0;
///         let forward = (value.read(), output.write())
///             .build_state(layer.world())
///             .build_system(move |from: Column, to: ColumnMut| scale(from, to, factor));
///         layer.forward(Phase::Update, forward.with_name("scale"));
///         // No gradient is asked for in evaluation, nor by the model's input.
///         if let (Some(gradient), Some(output_gradient)) = (gradient, output_gradient) {
///             let backward = (output_gradient.read(), gradient.write())
///                 .build_state(layer.world())
///                 .build_system(move |from: Column, to: ColumnMut| scale(from, to, factor));
///             layer.backward(backward.with_name("scale backward"));
///         }
///         Ok(Signal::Dense { value: output, gradient: output_gradient })
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
