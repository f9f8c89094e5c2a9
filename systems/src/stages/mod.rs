//! Stages: what layers are made of. Each adds its systems to the forward pass, and on the way back those for its gradients.
//!
//! A layer calls one after the other, as it would write its formula; gradients follow by themselves. Rows are those of
//! nodes, edges or subgraphs: a stage takes them as they come unless it says otherwise.

mod aggregate;
mod concatenate;
mod dropout;
mod elementwise;
mod ends;
mod epilogue;
mod graph_norm;
mod gru;
mod layer_norm;
mod linear;
mod maximum;
mod product;
mod reduce;
mod relation;
mod rows;
mod square_norm;

pub use aggregate::{CoefficientMask, aggregate, aggregate_masked};
pub use concatenate::{columns, concatenate, pad};
pub use dropout::drop_out;
pub use elementwise::{activate, add, scale};
pub use ends::{EdgeTerms, gather_ends};
pub use epilogue::{Blend, Epilogue};
pub use graph_norm::{GraphNormParameters, graph_norm};
pub use gru::gru;
pub use layer_norm::layer_norm;
pub use linear::{Weight, linear};
pub use maximum::maximum;
pub use product::multiply;
pub use reduce::{Reduction, reduce};
pub use relation::Relation;
pub use square_norm::square_norm;

pub(crate) use elementwise::{add_gradient, add_parameter_gradient};
