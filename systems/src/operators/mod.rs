//! Operators: what layers are made of. Each says what it computes and, in the same file, what its derivative is.
//!
//! A layer calls their functions one after another, as it would write its formula; gradients follow by themselves. Rows are
//! those of nodes, edges or subgraphs: an operator takes them as they come unless it says otherwise.

mod aggregate;
mod dropout;
mod elementwise;
mod epilogue;
mod linear;
mod relation;
mod scale_by;

pub use aggregate::{EdgeCoefficients, EdgeDropout, aggregate};
pub use dropout::dropout;
pub use elementwise::{activate, add, add_bias, scale};
pub use linear::{linear, linear_pair};
pub use relation::Relation;
pub use scale_by::scale_by;
