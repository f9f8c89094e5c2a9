//! Operators, from which layers are composed: each file has the forward pass of one and its derivative.
//!
//! A layer calls these functions as it would write its formula; gradients follow from the operators' derivatives. An
//! operator takes rows of nodes, edges or subgraphs alike unless it says otherwise.

mod aggregate;
mod attend;
mod batch_norm;
mod concatenate;
mod dag;
mod degrees;
mod dropout;
mod edge_dot;
mod elementwise;
mod endpoints;
mod epilogue;
mod graph_norm;
mod gru;
mod head_scores;
mod layer_norm;
mod linear;
mod maximum;
mod mean_heads;
mod moments;
mod normalize_rows;
mod product;
mod reduce;
mod relation;
mod scale_by;
mod self_loops;
mod set_cross_entropy;
mod square_norm;
mod transform;
mod weighted_sum;

pub use aggregate::{EdgeCoefficients, EdgeDropout, aggregate};
pub use attend::{Attention, Scores, attend};
pub use batch_norm::{BatchNormalizer, batch_norm};
pub use concatenate::{columns, concatenate, pad};
pub use dag::{DagGruCell, Messages, TreeCell, dag_gru, dag_network, tree_levels};
pub use degrees::{DegreeScaler, degree_factors, measure_degrees};
pub use dropout::dropout;
pub use edge_dot::edge_dot;
pub(crate) use elementwise::copy;
pub use elementwise::{activate, add, add_bias, scale};
pub use endpoints::{EdgeTerms, gather_endpoints};
pub use graph_norm::{GraphNormParameters, graph_norm};
pub use gru::gru;
pub use head_scores::head_scores;
pub use layer_norm::layer_norm;
pub use linear::{linear, linear_pair};
pub use maximum::maximum;
pub use mean_heads::mean_heads;
pub use moments::moments;
pub use normalize_rows::normalize_rows;
pub use product::multiply;
pub use reduce::{Reduction, reduce};
pub use relation::Relation;
pub use scale_by::scale_by;
pub use self_loops::self_loop_mean;
pub use set_cross_entropy::SetCrossEntropy;
pub use square_norm::square_norm;
pub use transform::transform_along_edges;
pub use weighted_sum::weighted_sum;
