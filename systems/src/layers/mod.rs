//! Layers: each records its formula into a [`Program`](crate::program::Program) with [operators](crate::operators).
//!
//! A layer defines no buffers, gradients or schedules: the planner derives them from the program. Custom layers
//! implement [`Layer`] with the same operators; see its example.
//!
//! # Weights of PyTorch Geometric
//!
//! Parameters have the names and, in weight files, the shapes of the classes of PyTorch Geometric and PyTorch, so
//! weights can be exchanged without conversion. Names in layer `n` of a model start with `layers.n.`, and nested layers
//! add their name or index: `layers.0.nn.2.weight`. Those of a second pass in the opposite direction end with `_reverse`, as in
//! `weight_ih_reverse` and `0_reverse.weight`.
//!
//! | layer | class | parameters |
//! | --- | --- | --- |
//! | [`Linear`] | `torch.nn.Linear` | `weight`, `bias` |
//! | [`Mlp`] | `torch.nn.Sequential` | `0.weight`, `0.bias`, `2.weight`, ...; with batch normalization `1.*`, `3.*`, `4.*`, ... |
//! | [`Embedding`] | `torch.nn.Embedding` | `weight` |
//! | [`BatchNorm`] | `torch.nn.BatchNorm1d` | `weight`, `bias`, `running_mean`, `running_var` |
//! | [`LayerNorm`] | `torch.nn.LayerNorm` | `weight`, `bias` |
//! | [`GraphNorm`] | `GraphNorm` | `weight`, `bias`, `mean_scale` |
//! | [`GcnConv`] | `GCNConv` | `lin.weight`, `bias` |
//! | [`GraphConv`] | `GraphConv` | `lin_rel.weight`, `lin_rel.bias`, `lin_root.weight` |
//! | [`SageConv`] | `SAGEConv` | `lin_l.*`, `lin_r.weight`; with `project` `lin.*` |
//! | [`GinConv`], [`GineConv`] | `GINConv`, `GINEConv` | `eps`, `nn.*`; `lin.*` |
//! | [`GatConv`] | `GATConv` | `lin.weight`, `att_src`, `att_dst`, `bias`; `lin_edge.weight`, `att_edge` |
//! | [`Gatv2Conv`] | `GATv2Conv` | `lin_l.*`, `lin_r.*`, `att`, `bias`; `lin_edge.weight` |
//! | [`TransformerConv`] | `TransformerConv` | `lin_key.*`, `lin_query.*`, `lin_value.*`, `lin_skip.*`, `lin_beta.weight`; `lin_edge.weight` |
//! | [`ResGatedGraphConv`] | `ResGatedGraphConv` | `lin_key.*`, `lin_query.*`, `lin_value.*`, `lin_skip.weight`, `bias` |
//! | [`EdgeConv`] | `EdgeConv` | `nn.*` |
//! | [`EdgeDecoder`] | `EdgeDecoder` of its examples | `nn.*` |
//! | [`NnConv`] | `NNConv` | `nn.*`, `lin.weight`, `bias` |
//! | [`PnaConv`] | `PNAConv` (one tower) | `pre_nns.0.0.*`, `post_nns.0.0.*`, `lin.*`, `aggr_module.avg_deg_lin`, `aggr_module.avg_deg_log` |
//! | [`SgConv`] | `SGConv` | `lin.*` |
//! | [`Appnp`] | `APPNP` | none |
//! | [`Gcn2Conv`] | `GCN2Conv` (shared weights) | `weight1`; in [`Gcnii`] `convs.i.weight1` |
//! | [`GatedGraphConv`] | `GatedGraphConv` | `weight`, `rnn.weight_ih`, `rnn.weight_hh`, `rnn.bias_ih`, `rnn.bias_hh` |
//! | [`AttentionalAggregation`] | `AttentionalAggregation` | `gate_nn.*`, `nn.*` |
//! | [`BiaffinePointer`] | none | `query`, `key`, `bilinear`, `row`, `column` |
//! | [`Set2Set`] | `Set2Set` (one layer) | `lstm.weight_ih_l0`, `lstm.weight_hh_l0`, `lstm.bias_ih_l0`, `lstm.bias_hh_l0` |
//! | [`DiffPool`], [`TopKPooling`] | none | `weight` |
//! | [`QueryPool`] | none | `query` |
//! | [`GraphNetBlock`] | none | `edge.0.*`, `edge.2.*`, `edge.3.*`, `node.0.*`, `node.2.*`, `node.3.*` |
//! | [`EgnnConv`] | none | `phi_e.0.*`, `phi_e.2.*`, `phi_x.0.*`, `phi_x.2.weight`, `phi_h.0.*`, `phi_h.2.*` |
//! | [`DagNetwork`] | none | none |
//! | [`DagGru`] | `torch.nn.GRUCell` | `weight_ih`, `weight_hh`, `bias_ih`, `bias_hh`; `gate.*`, `map.weight`; `key` |
//! | [`TreeLevels`] | `torch.nn.Sequential` | `0.weight`, `0.bias`, `2.weight`, ...; `none` |
//! | [`HeteroConv`] | `HeteroConv` | those of its convolutions, after `convolutions.RELATION.`; `attention.KIND.*` |
//! | [`RgcnConv`] | `RGCNConv` | `weight`, `comp`, `root`, `bias` |
//! | [`HgtConv`] | `HGTConv` | `kqv_lin.KIND.*`, `out_lin.KIND.*`, `skip.KIND`, `k_rel.RELATION`, `v_rel.RELATION`, `p_rel.RELATION` |
//! | [`Residual`], [`JumpingKnowledge`] | none | those of their layers, after `layers.i.` or `blocks.k.i.` |

mod activation;
mod affine;
mod appnp;
mod attentional_aggregation;
mod batch_norm;
mod biaffine_pointer;
mod convolution;
mod dag_gru;
mod dag_network;
mod diff_pool;
mod directions;
mod dropout;
mod edge_conv;
mod edge_decoder;
mod egnn_conv;
mod embedding;
mod gat_conv;
mod gated_graph_conv;
mod gatv2_conv;
mod gcn2_conv;
mod gcn_conv;
mod gcnii;
mod gin_conv;
mod gine_conv;
mod graph_conv;
mod graph_net_block;
mod graph_norm;
mod heads;
mod hetero_conv;
mod hgt_conv;
mod inner_product_decoder;
mod jumping_knowledge;
mod layer_norm;
mod linear;
mod mean_conv;
mod mlp;
mod nn_conv;
mod pna_conv;
mod query_pool;
mod readout;
mod res_gated_graph_conv;
mod residual;
mod rgcn_conv;
mod sage_conv;
mod sequence;
mod set2set;
mod sg_conv;
mod top_k_pooling;
mod transformer_conv;
mod tree_levels;

pub use crate::{
    error::BuildError,
    program::{Initialization, layer::Layer},
};
pub use appnp::Appnp;
pub use attentional_aggregation::AttentionalAggregation;
pub use batch_norm::BatchNorm;
pub use biaffine_pointer::BiaffinePointer;
pub use dag_gru::{DagAggregation, DagGru};
pub use dag_network::DagNetwork;
pub use diff_pool::{DiffPool, coarsen};
pub use dropout::Dropout;
pub use edge_conv::EdgeConv;
pub use edge_decoder::EdgeDecoder;
pub use egnn_conv::EgnnConv;
pub use embedding::Embedding;
pub use gat_conv::GatConv;
pub use gated_graph_conv::GatedGraphConv;
pub use gatv2_conv::Gatv2Conv;
pub use gcn_conv::GcnConv;
pub use gcn2_conv::Gcn2Conv;
pub use gcnii::Gcnii;
pub use gin_conv::GinConv;
pub use gine_conv::GineConv;
pub use graph_conv::GraphConv;
pub use graph_net_block::GraphNetBlock;
pub use graph_norm::GraphNorm;
pub use hetero_conv::{HeteroConv, RelationAggregation};
pub use hgt_conv::HgtConv;
pub use inner_product_decoder::InnerProductDecoder;
pub use jumping_knowledge::{JumpingKnowledge, JumpingMode};
pub use layer_norm::LayerNorm;
pub use linear::Linear;
pub use mean_conv::MeanConv;
pub use mlp::Mlp;
pub use nn_conv::NnConv;
pub use pna_conv::PnaConv;
pub use query_pool::QueryPool;
pub use readout::Readout;
pub use res_gated_graph_conv::ResGatedGraphConv;
pub use residual::Residual;
pub use rgcn_conv::RgcnConv;
pub use sage_conv::SageConv;
pub use set2set::Set2Set;
pub use sg_conv::SgConv;
pub use top_k_pooling::TopKPooling;
pub use transformer_conv::TransformerConv;
pub use tree_levels::TreeLevels;
