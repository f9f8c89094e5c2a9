//! Colors that tell nodes apart by what is around them, and what follows from them for whole graphs.
//!
//! NodeColor refinement, the one-dimensional algorithm of B. Weisfeiler and A. Leman (*The reduction of a graph to canonical
//! form and the algebra which appears therein*, 1968), begins with the labels of the nodes. In each round two nodes keep a
//! common color if they have as many neighbors of each color by edges of each label. It ends when a round tells no more
//! nodes apart. Isomorphic graphs get the same colors equally often; the converse fails for some graphs, such as regular
//! ones of the same degree.
//!
//! - [`refine`] colors graphs, all of them alike,
//! - [`subtree_kernels`] compares graphs by how often they have which color in each round,
//! - [`refute_isomorphism`] tells why two graphs are not the same,
//! - [`refine_colors`] keeps the colors of a graph of the world up to date.
//!
//! Whatever is told depends on the structure alone: neither on how nodes are numbered nor on how many workers there are.
//! Digests of neighborhoods only put them in order, and whether two are equal is decided by comparing them.

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
