//! Optimal transport: how to move masses at rows to masses at columns, at the least cost.
//!
//! A [`Problem`] has a cost `C` `[n, m]` and masses `p` `[n]` and `q` `[m]`. A *plan* `T` `[n, m]` says how much goes
//! from a row to a column. Its value is `<C, T>`.
//!
//! | function | marginals of the plan | method |
//! | --- | --- | --- |
//! | [`exact`] | `p` and `q` | network simplex |
//! | [`exact_partial`] | at most `p` and `q`, of a given total | network simplex |
//! | [`Sinkhorn`] | `p` and `q`, or near them | entropy, log domain; gradients through all rounds |
//! | [`entropic_partial`] | at most `p` and `q`, of a given total | entropy, log domain |
//!
//! [`FusedGromovWasserstein`] and [`MaskedGromovWasserstein`] compare two graphs by the plan that fits nodes and edges
//! best.
//!
//! Costs, masses and plans are `f32`, as columns are. Masses that decide which plan is optimal are whole numbers, and
//! potentials are `f64`. The result has the same bits for any number of workers.

mod error;
mod exact;
mod half_round;
mod partial;
mod problem;
mod sinkhorn;
mod sinkhorn_gradient;
mod structure;
mod tree;

pub use error::TransportError;
pub use exact::{Exact, exact};
pub use partial::{entropic_partial, exact_partial};
pub use problem::Problem;
pub use sinkhorn::{Entropic, Marginals, Sinkhorn};
pub use structure::{
    FusedGromovWasserstein, MOTIFS, MaskedGradient, MaskedGraph, MaskedGromovWasserstein, Matching, Search, SoftGraph,
    StructuralGradient, motifs, motifs_gradient,
};

use exact::NetworkSimplex;
