//! Color refinement (1-WL), and what it implies for whole graphs.
//!
//! Color refinement, the one-dimensional algorithm of B. Weisfeiler and A. Leman (*The reduction of a graph to
//! canonical form and the algebra which appears therein*, 1968), starts with the labels of the nodes. In each round two
//! nodes keep a common color if they have equally many neighbors of each color over edges of each label. It is stable
//! when a round splits no color. Isomorphic graphs have equally many nodes of each color; the converse fails for some
//! graphs, such as regular ones of the same degree.
//!
//! - [`refine`] colors several graphs consistently,
//! - [`subtree_kernels`] compares graphs by their counts of colors in each round,
//! - [`refute_isomorphism`] finds a reason why two graphs are not isomorphic,
//! - [`refine_colors`] updates the colors of a graph of the world.
//!
//! Results depend on the structure alone: neither on the order of the nodes nor on the number of workers. Neighborhoods
//! are sorted by a hash, but compared by value, so collisions do not change the result.

mod disjoint_union;
mod kernel;
mod refine;
mod refiner;
mod refute;
mod signature;
mod system;

pub use kernel::{GramMatrix, subtree_kernel, subtree_kernels};
pub use refine::{ColorRefinement, refine};
pub use refute::{Difference, refute_isomorphism};
pub use system::{RefineScratch, refine_colors};
