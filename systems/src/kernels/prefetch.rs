//! Asking for memory before it is read.

/// Asks for the cache lines of so many vectors of `lanes` numbers, from `start` on. It changes no result, and does nothing
/// on processors other than x86-64; a place beyond the numbers does no harm.
#[inline(always)]
pub(crate) fn prefetch<const VECTORS: usize>(numbers: &[f32], start: usize, lanes: usize) {
    /// Numbers that are fetched together.
    const LINE: usize = 16;
    let lines = (VECTORS * lanes).div_ceil(LINE);
    for line in 0..lines {
        let place = numbers.as_ptr().wrapping_add(start + line * LINE);
        #[cfg(target_arch = "x86_64")]
        {
            use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            #[expect(unsafe_code, reason = "the instruction has no safe wrapper")]
            // SAFETY: nothing is read or written, and an address that cannot be read is passed over. Every x86-64 has it.
            unsafe {
                _mm_prefetch::<_MM_HINT_T0>(place.cast());
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = place;
    }
}
