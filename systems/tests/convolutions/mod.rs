//! Convolutions, their parts and readouts compute what their formulas say, forward and backward, on any graph.
//!
//! As in `gradients.rs` each formula is written here a second time, dense and in 64-bit floats, and differentiated by
//! central differences. Half of the graphs have a dangling edge, which is to carry nothing.

use crate::common;

mod dense;
mod layers;
mod parts;
mod stacks;
