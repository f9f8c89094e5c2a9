//! Transport between the nodes of two graphs that keeps their edges.
//!
//! `motifs` counts what nodes take part in, `quadratic` is the objective of all that follow, `conditional_gradient`
//! finds a plan, and `fused` and `masked` are two losses: between graphs with masses, and between a predicted graph and
//! one that is part of as many slots.

mod conditional_gradient;
mod fused;
mod masked;
mod motifs;
mod quadratic;

pub use conditional_gradient::{Matching, Search};
pub use fused::{FusedGromovWasserstein, SoftGraph, StructuralGradient};
pub use masked::{MaskedGradient, MaskedGraph, MaskedGromovWasserstein};
pub use motifs::{MOTIFS, motifs, motifs_gradient};
