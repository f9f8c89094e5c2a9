//! Asking for memory before it is read.

/// Asks for the cache lines that hold `numbers`. It changes no result, and does nothing on processors other than x86-64.
#[inline(always)]
pub(crate) fn prefetch(numbers: &[f32]) {
    /// `f32`s of a cache line.
    #[cfg(target_arch = "x86_64")]
    const LINE: usize = 16;
    #[cfg(target_arch = "x86_64")]
    for line in numbers.chunks(LINE) {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        #[expect(unsafe_code, reason = "the instruction has no safe wrapper")]
        // SAFETY: the address is that of a number that is borrowed, and nothing is read or written. Every x86-64 has it.
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = numbers;
}
