//! Rows fetched into the cache before they are needed.

/// Numbers that are fetched together: a line of the cache.
const LINE: usize = 16;

/// Asks for the cache lines of a row that will be read soon, on processors where that can be asked for.
///
/// Gathered rows lie anywhere; without it the processor would find out only when it needs them.
#[inline(always)]
pub fn prefetch(row: &[f32]) {
    for line in row.chunks(LINE) {
        fetch(line.as_ptr());
    }
    // Only rows that are a multiple of lines are known to begin where one does.
    if let (false, Some(last)) = (row.len().is_multiple_of(LINE), row.last()) {
        fetch(last);
    }
}

/// The same for so many vectors of `lanes` numbers from `start` on. A place beyond the numbers does no harm.
#[inline(always)]
pub(crate) fn prefetch_at<const VECTORS: usize>(numbers: &[f32], start: usize, lanes: usize) {
    for line in 0..(VECTORS * lanes).div_ceil(LINE) {
        fetch(numbers.as_ptr().wrapping_add(start + line * LINE));
    }
}

#[inline(always)]
fn fetch(number: *const f32) {
    #[cfg(target_arch = "x86_64")]
    if let Some(processor) = pulp::core_arch::x86::Sse::try_new() {
        const INTO_EVERY_CACHE: i32 = 3;
        processor._mm_prefetch::<INTO_EVERY_CACHE>(number.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = number;
}
