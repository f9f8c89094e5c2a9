//! Prefetching of rows into the cache.

/// Number of elements of a cache line.
pub(super) const LINE: usize = 16;

/// Prefetches the cache lines of a row, on processors that can.
///
/// Gathered rows are scattered in memory, so the processor cannot predict them.
#[inline(always)]
pub fn prefetch(row: &[f32]) {
    for line in row.chunks(LINE) {
        fetch(line.as_ptr());
    }
    // Only rows that are a multiple of a cache line are known to start at one; others may end in one more.
    if let (false, Some(last)) = (row.len().is_multiple_of(LINE), row.last()) {
        fetch(last);
    }
}

/// Prefetches `VECTORS` vectors of `lanes` elements from `start` on. An index beyond the slice is harmless.
#[inline(always)]
pub(crate) fn prefetch_at<const VECTORS: usize>(values: &[f32], start: usize, lanes: usize) {
    for line in 0..(VECTORS * lanes).div_ceil(LINE) {
        fetch(values.as_ptr().wrapping_add(start + line * LINE));
    }
}

/// Prefetches the line at `index` into the caches beyond the first, for later. An index beyond the slice is harmless.
#[inline(always)]
pub(super) fn prefetch_far(values: &[f32], index: usize) {
    #[cfg(target_arch = "x86_64")]
    if let Some(processor) = pulp::core_arch::x86::Sse::try_new() {
        const INTO_FAR_CACHES: i32 = 2;
        processor._mm_prefetch::<INTO_FAR_CACHES>(values.as_ptr().wrapping_add(index).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (values, index);
}

#[inline(always)]
fn fetch(address: *const f32) {
    #[cfg(target_arch = "x86_64")]
    if let Some(processor) = pulp::core_arch::x86::Sse::try_new() {
        const INTO_EVERY_CACHE: i32 = 3;
        processor._mm_prefetch::<INTO_EVERY_CACHE>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}
