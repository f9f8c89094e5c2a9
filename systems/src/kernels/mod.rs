//! Kernels: plain functions over slices and blocks of rows, without a world.

use pulp::{Arch, Scalar128b, WithSimd};

mod activation;
mod attention;
mod dot;
mod dropout;
mod exponential;
mod gather;
mod gru;
mod heads;
mod lanes;
mod logarithm;
mod matmul;
mod moments;
mod normal;
mod prefetch;

pub use activation::Activation;
pub use dot::dot;

pub(crate) use activation::{sigmoid, tanh};
pub use attention::{Attending, Link, MAX_HEADS, Score, TargetStates, Tile};
pub use dropout::dropout;
pub use exponential::{exp, exp_m1};
pub(crate) use gather::for_each_ahead;
pub use gather::{SparseRow, gather_rows};
pub(crate) use gru::GruUnit;
pub use gru::{gru_cell, gru_cell_backward};
pub use heads::{HeadTerms, Part, add_heads, multiply_heads};
pub use logarithm::{ln, ln_1p};
pub use matmul::{Operand, Upcoming, matmul, matmul_ahead, matmul_onto, matmul_transposed};
pub use moments::{moments, sum};
pub use prefetch::prefetch;

/// Runs `work` with the widest vector instructions of this processor; with debug assertions, at most with those of AVX2, and in
/// the tests of this crate's own modules with none: each is one more copy of all kernels to compile.
///
/// Vectorization never reorders sums, so every processor computes the same bits. `work` and the functions it calls must
/// be `#[inline(always)]`: a function that is not inlined is compiled for the baseline processor.
#[inline(always)]
pub(crate) fn vectorize<R>(work: impl FnOnce() -> R) -> R {
    if cfg!(test) {
        return work();
    }
    #[cfg(all(debug_assertions, target_arch = "x86_64"))]
    return match pulp::x86::V3::try_new() {
        Some(processor) => processor.vectorize(work),
        None => work(),
    };
    #[cfg(not(all(debug_assertions, target_arch = "x86_64")))]
    Arch::new().dispatch(work)
}

/// Runs `work` with the widest vectors of this processor, or with the 4 lanes that every processor has.
#[inline(always)]
pub(crate) fn dispatch<W: WithSimd>(work: W) -> W::Output {
    match Arch::new() {
        Arch::Scalar => work.with_simd(Scalar128b),
        arch => arch.dispatch(work),
    }
}

/// `sums[j] += rows[i][j]` over all rows, in order.
pub fn add_rows(rows: &[f32], sums: &mut [f32]) {
    vectorize(
        #[inline(always)]
        || {
            for row in rows.chunks_exact(sums.len()) {
                for (sum, value) in sums.iter_mut().zip(row) {
                    *sum += value;
                }
            }
        },
    );
}
