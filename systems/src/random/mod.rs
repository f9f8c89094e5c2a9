//! Counter-based random numbers.

mod stream;

pub use stream::RandomStream;

/// Philox 4x32 with 10 rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
///
/// A stream is keyed by the seed and a stream id; the counter consists of the step and an index, such as that of a row.
/// So random numbers can be drawn again, in any order, by any worker.
#[derive(Clone, Copy, Debug)]
pub struct Philox {
    key: [u32; 2],
    /// The upper half of the counter: the step, and the upper half of the seed.
    counter: [u32; 2],
}

impl Philox {
    /// The random numbers of a stream (of an operation or a parameter) in one step. No two seeds give the same numbers, nor do
    /// two of the first 2^32 steps.
    pub fn new(seed: u64, stream: u32, step: u64) -> Self {
        let later = ((step >> 32) as u32).wrapping_mul(0x9E37_79B9);
        Self { key: [seed as u32 ^ later, stream], counter: [step as u32, (seed >> 32) as u32] }
    }

    /// Four random words for each of the `LANES` counters from `first` on; `[word][lane]`.
    #[inline(always)]
    pub fn blocks(&self, first: u64) -> [[u32; LANES]; 4] {
        let mut counter = [[0; LANES]; 4];
        [counter[2], counter[3]] = self.counter.map(|word| [word; LANES]);
        let [low, high, ..] = &mut counter;
        for (index, (low, high)) in (first..).zip(low.iter_mut().zip(high)) {
            *low = index as u32;
            *high = (index >> 32) as u32;
        }
        philox(counter, self.key)
    }

    /// Fills `values` with uniform random numbers in `[0, 1)`, of 24 random bits.
    pub fn fill_uniform(&self, values: &mut [f32]) {
        for (batch, values) in values.chunks_mut(4 * LANES).enumerate() {
            let words = self.blocks((batch * LANES) as u64);
            for (value, word) in values.iter_mut().zip(words.iter().flatten()) {
                *value = (word >> 8) as f32 * (1.0 / (1 << 24) as f32);
            }
        }
    }
}

/// Number of counters that are computed together, that of the lanes of the widest vectors.
pub const LANES: usize = 16;

#[inline(always)]
fn philox<const LANES: usize>(mut counter: [[u32; LANES]; 4], mut key: [u32; 2]) -> [[u32; LANES]; 4] {
    for _ in 0..10 {
        let [a, b, c, d] = counter;
        for lane in 0..LANES {
            let first = u64::from(a[lane]) * 0xD251_1F53;
            let second = u64::from(c[lane]) * 0xCD9E_8D57;
            counter[0][lane] = (second >> 32) as u32 ^ b[lane] ^ key[0];
            counter[1][lane] = second as u32;
            counter[2][lane] = (first >> 32) as u32 ^ d[lane] ^ key[1];
            counter[3][lane] = first as u32;
        }
        key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
    }
    counter
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers of the authors' Random123 library.
    #[test]
    fn philox_agrees_with_the_published_answers() {
        let one = |counter: [u32; 4], key| philox(counter.map(|word| [word]), key).map(|[word]| word);
        assert_eq!(one([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(one([u32::MAX; 4], [u32::MAX; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        assert_eq!(
            one([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn uniform_numbers_fill_the_unit_interval() {
        let mut numbers = [f32::NAN; 10_001];
        Philox::new(1, 2, 3).fill_uniform(&mut numbers);
        assert!(numbers.iter().all(|number| (0.0..1.0).contains(number)));
        let mean = numbers.iter().map(|number| f64::from(*number)).sum::<f64>() / 10_001.0;
        assert!((mean - 0.5).abs() < 0.01, "{mean}");
    }

    #[test]
    fn seeds_streams_and_steps_give_different_numbers() {
        let first = |seed, stream, step| Philox::new(seed, stream, step).blocks(0);
        assert_ne!(first(0, 0, 0), first(1, 0, 0));
        assert_ne!(first(0, 0, 0), first(1 << 32, 0, 0));
        assert_ne!(first(0, 0, 0), first(0x9E37_79B9 | 1 << 32, 0, 0));
        assert_ne!(first(0, 0, 0), first(0, 1, 0));
        assert_ne!(first(0, 0, 0), first(0, 0, 1));
    }
}
