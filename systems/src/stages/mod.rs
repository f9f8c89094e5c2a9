//! Stages: what layers are made of. Each adds its systems to the forward pass, and on the way back those for its gradients.
//!
//! A layer calls one after the other, as it would write its formula; gradients follow by themselves. Rows are those of
//! nodes, edges or subgraphs: a stage takes them as they come unless it says otherwise.

mod aggregate;
mod attend;
mod concatenate;
mod dropout;
mod elementwise;
mod ends;
mod head_scores;
mod heads;
mod linear;
mod mean_heads;
mod product;
mod reduce;
mod relation;
mod rows;
mod self_loops;
mod softmax;

pub use aggregate::aggregate;
pub use attend::{Attention, attend};
pub use concatenate::{columns, concatenate};
pub use dropout::drop_out;
pub use elementwise::{activate, add, scale};
pub use ends::{EdgeTerms, gather_ends};
pub use head_scores::{head_scores, score_links};
pub use linear::{Epilogue, Weight, linear};
pub use mean_heads::mean_heads;
pub use product::multiply;
pub use reduce::{Reduction, reduce};
pub use relation::Relation;
pub use self_loops::mean_from_others;
pub use softmax::softmax;

pub(crate) use elementwise::{add_gradient, add_parameter_gradient};
