//! Stages: what layers are made of. Each adds its systems to the forward pass, and on the way back those for its gradients.
//!
//! A layer calls one after the other, as it would write its formula; gradients follow by themselves. Rows are those of
//! nodes, edges or subgraphs: a stage takes them as they come unless it says otherwise.

mod aggregate;
mod attend;
mod batch_norm;
mod concatenate;
mod degrees;
mod dot_ends;
mod dropout;
mod elementwise;
mod ends;
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
mod rows;
mod scale_by;
mod self_loops;
mod square_norm;
mod transform;
mod weighted_sum;

pub use aggregate::{CoefficientMask, NeighbourCoefficients, aggregate, aggregate_and_map};
pub use attend::{Attention, Scores, attend};
pub use batch_norm::{BatchNormalizer, batch_norm};
pub use concatenate::{columns, concatenate, pad};
pub use degrees::{DegreeScaler, degree_factors, measure_degrees};
pub use dot_ends::dot_ends;
pub use dropout::drop_out;
pub use elementwise::{activate, add, scale};
pub(crate) use elementwise::{add_gradient, add_parameter_gradient};
pub use ends::{EdgeTerms, gather_ends};
pub use epilogue::{Blend, Epilogue};
pub use graph_norm::{GraphNormParameters, graph_norm};
pub use gru::gru;
pub use head_scores::head_scores;
pub use layer_norm::layer_norm;
pub use linear::{Weight, linear, linear_of_two};
pub use maximum::maximum;
pub use mean_heads::mean_heads;
pub use moments::moments;
pub use normalize_rows::normalize_rows;
pub use product::multiply;
pub use reduce::{Reduction, reduce};
pub use relation::Relation;
pub use rows::partial_sums;
pub use scale_by::scale_by;
pub use self_loops::mean_from_others;
pub use square_norm::square_norm;
pub use transform::transform_along_edges;
pub use weighted_sum::weighted_sum;
