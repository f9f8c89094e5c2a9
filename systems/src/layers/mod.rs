//! Layers: each adds systems to a model's schedules, forward ones and backward ones, by [stages](crate::stages).
//!
//! A layer of your own implements [`Layer`] with the same means as those here; see its example.
//!
//! # Weights of PyTorch Geometric
//!
//! Parameters have the names and, in weight files, the shapes that the classes of PyTorch Geometric and PyTorch give them, so
//! weights go from one to the other as they are. Layer number `n` of a model puts `layers.n.` before them; a layer within a
//! layer puts its own place behind that, such as `layers.0.nn.2.weight`.
//!
//! | layer | class | parameters |
//! | --- | --- | --- |
//! | [`Linear`] | `torch.nn.Linear` | `weight`, `bias` |
//! | [`Mlp`] | `torch.nn.Sequential` | `0.weight`, `0.bias`, `2.weight`, ...; with batch normalisation `1.*`, `3.*`, `4.*`, ... |
//! | [`Embedding`] | `torch.nn.Embedding` | `weight` |
//! | [`BatchNorm`] | `torch.nn.BatchNorm1d` | `weight`, `bias`, `running_mean`, `running_var` |
//! | [`LayerNorm`] | `torch.nn.LayerNorm` | `weight`, `bias` |
//! | [`GraphNorm`] | `GraphNorm` | `weight`, `bias`, `mean_scale` |
//! | [`GcnConv`] | `GCNConv` | `lin.weight`, `bias` |
//! | [`SageConv`] | `SAGEConv` | `lin_l.*`, `lin_r.weight`; with `project` `lin.*` |
//! | [`GinConv`], [`GineConv`] | `GINConv`, `GINEConv` | `eps`, `nn.*`; `lin.*` |
//! | [`GatConv`] | `GATConv` | `lin.weight`, `att_src`, `att_dst`, `bias`; `lin_edge.weight`, `att_edge` |
//! | [`Gatv2Conv`] | `GATv2Conv` | `lin_l.*`, `lin_r.*`, `att`, `bias`; `lin_edge.weight` |
//! | [`TransformerConv`] | `TransformerConv` | `lin_key.*`, `lin_query.*`, `lin_value.*`, `lin_skip.*`, `lin_beta.weight`; `lin_edge.weight` |
//! | [`ResGatedGraphConv`] | `ResGatedGraphConv` | `lin_key.*`, `lin_query.*`, `lin_value.*`, `lin_skip.weight`, `bias` |
//! | [`EdgeConv`] | `EdgeConv` | `nn.*` |
//! | [`NnConv`] | `NNConv` | `nn.*`, `lin.weight`, `bias` |
//! | [`PnaConv`] | `PNAConv` (one tower) | `pre_nns.0.0.*`, `post_nns.0.0.*`, `lin.*`, `aggr_module.avg_deg_lin`, `aggr_module.avg_deg_log` |
//! | [`SgConv`] | `SGConv` | `lin.*` |
//! | [`Appnp`] | `APPNP` | none |
//! | [`Gcn2Conv`] | `GCN2Conv` (shared weights) | `weight1`; in [`Gcnii`] `convs.i.weight1` |
//! | [`GatedGraphConv`] | `GatedGraphConv` | `weight`, `rnn.weight_ih`, `rnn.weight_hh`, `rnn.bias_ih`, `rnn.bias_hh` |
//! | [`AttentionalAggregation`] | `AttentionalAggregation` | `gate_nn.*`, `nn.*` |
//! | [`GraphNetBlock`] | none | `edge.0.*`, `edge.2.*`, `edge.3.*`, `node.0.*`, `node.2.*`, `node.3.*` |
//! | [`EgnnConv`] | none | `phi_e.0.*`, `phi_e.2.*`, `phi_x.0.*`, `phi_x.2.weight`, `phi_h.0.*`, `phi_h.2.*` |
//! | [`Residual`], [`JumpingKnowledge`] | none | those of their layers, after `layers.i.` or `blocks.k.i.` |

mod activation;
mod affine;
mod appnp;
mod attentional_aggregation;
mod backward;
mod batch_norm;
mod builder;
mod convolution;
mod dropout;
mod edge_conv;
mod egnn_conv;
mod embedding;
mod error;
mod gat_conv;
mod gated_graph_conv;
mod gatv2_conv;
mod gcn2_conv;
mod gcn_conv;
mod gcnii;
mod gin_conv;
mod gine_conv;
mod graph_net_block;
mod graph_norm;
mod heads;
mod inner_product_decoder;
mod jumping_knowledge;
mod layer_norm;
mod linear;
mod mean_conv;
mod mlp;
mod nn_conv;
mod parameters;
mod pna_conv;
mod readout;
mod res_gated_graph_conv;
mod residual;
mod sage_conv;
mod sequence;
mod sg_conv;
mod signals;
mod tape;
mod transformer_conv;

pub use appnp::Appnp;
pub use attentional_aggregation::AttentionalAggregation;
pub use batch_norm::BatchNorm;
pub use builder::{LayerBuilder, Mode};
pub(crate) use builder::{ModelParts, Rebuild};
pub use dropout::Dropout;
pub use edge_conv::EdgeConv;
pub use egnn_conv::EgnnConv;
pub use embedding::Embedding;
pub use error::{BuildError, Room};
pub use gat_conv::GatConv;
pub use gated_graph_conv::GatedGraphConv;
pub use gatv2_conv::Gatv2Conv;
pub use gcn_conv::GcnConv;
pub use gcn2_conv::Gcn2Conv;
pub use gcnii::Gcnii;
pub use gin_conv::GinConv;
pub use gine_conv::GineConv;
pub use graph_net_block::GraphNetBlock;
pub use graph_norm::GraphNorm;
pub use inner_product_decoder::InnerProductDecoder;
pub use jumping_knowledge::{JumpingKnowledge, JumpingMode};
pub use layer_norm::LayerNorm;
pub use linear::Linear;
pub use mean_conv::MeanConv;
pub use mlp::{AfterFirst, Mlp};
pub use nn_conv::NnConv;
pub use parameters::Initialization;
pub use pna_conv::PnaConv;
pub use readout::Readout;
pub use res_gated_graph_conv::ResGatedGraphConv;
pub use residual::Residual;
pub use sage_conv::SageConv;
pub use sg_conv::SgConv;
pub(crate) use tape::{Columns, Constant};
pub use transformer_conv::TransformerConv;

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
///         let output = layer.signal(value.domain(), value.width(), input.learns())?;
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

    /// The activation, if the layer is nothing else: the layer before may then apply it in passing, and this one is not
    /// built.
    fn activation(&self) -> Option<crate::kernels::Activation> {
        None
    }
}

impl Layer for Box<dyn Layer> {
    fn build(&self, input: Signal, layer: &mut LayerBuilder) -> Result<Signal, BuildError> {
        (**self).build(input, layer)
    }

    fn activation(&self) -> Option<crate::kernels::Activation> {
        (**self).activation()
    }
}
