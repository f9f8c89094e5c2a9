//! Operators: what layers are made of. Each says what it computes and, in the same file, what its derivative is.
//!
//! A layer calls their functions one after another, as it would write its formula; gradients follow by themselves. Rows are
//! those of nodes, edges or subgraphs: an operator takes them as they come unless it says otherwise.

mod aggregate;
mod attend;
mod concatenate;
mod dropout;
mod edge_dot;
mod elementwise;
mod endpoints;
mod epilogue;
mod gru;
mod head_scores;
mod linear;
mod maximum;
mod mean_heads;
mod product;
mod relation;
mod scale_by;
mod self_loops;
mod square_norm;
mod transform;
mod weighted_sum;

pub use aggregate::{EdgeCoefficients, EdgeDropout, aggregate};
pub use attend::{Attention, Scores, attend};
pub use concatenate::{columns, concatenate, pad};
pub use dropout::dropout;
pub use edge_dot::edge_dot;
pub use elementwise::{activate, add, add_bias, scale};
pub use endpoints::{EdgeTerms, gather_endpoints};
pub use gru::gru;
pub use head_scores::head_scores;
pub use linear::{linear, linear_pair};
pub use maximum::maximum;
pub use mean_heads::mean_heads;
pub use product::multiply;
pub use relation::Relation;
pub use scale_by::scale_by;
pub use self_loops::self_loop_mean;
pub use square_norm::square_norm;
pub use transform::transform_along_edges;
pub use weighted_sum::weighted_sum;
