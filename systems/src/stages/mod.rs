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
mod linear;
mod maximum;
mod product;
mod reduce;
mod relation;
mod rows;

pub use aggregate::{aggregate, aggregate_with_dropout};
pub use concatenate::{columns, concatenate};
pub use dropout::drop_out;
pub use elementwise::{activate, add, scale};
pub use ends::{EdgeTerms, gather_ends};
pub use epilogue::{Blend, Epilogue};
pub use linear::{Weight, linear};
pub use maximum::maximum;
pub use product::multiply;
pub use reduce::{Reduction, reduce};
pub use relation::Relation;

pub(crate) use elementwise::{add_gradient, add_parameter_gradient};
