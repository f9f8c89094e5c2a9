//! Rows fetched into the cache before they are needed.

/// Asks for the cache lines of a row that will be read soon, on processors where that can be asked for.
///
/// Gathered rows lie anywhere; without it the processor would find out only when it needs them.
#[inline(always)]
pub fn prefetch(row: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    if let Some(processor) = pulp::core_arch::x86::Sse::try_new() {
        const NUMBERS_IN_A_LINE: usize = 16;
        const INTO_EVERY_CACHE: i32 = 3;
        let fetch = |number: &f32| processor._mm_prefetch::<INTO_EVERY_CACHE>(core::ptr::from_ref(number).cast());
        for line in row.chunks(NUMBERS_IN_A_LINE) {
            fetch(&line[0]);
        }
        // Only rows that are a multiple of lines are known to begin where one does.
        if let (false, Some(last)) = (row.len().is_multiple_of(NUMBERS_IN_A_LINE), row.last()) {
            fetch(last);
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = row;
}
