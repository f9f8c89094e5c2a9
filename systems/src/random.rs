//! Random numbers that depend on what they are for and on nothing else.

/// Philox 4x32 with 10 rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
///
/// A stream is keyed by the seed and a purpose; the counter is made of the step, the row and the place in it. So a
/// number can be drawn again, in any order, by any worker.
#[derive(Clone, Copy, Debug)]
pub struct Random {
    key: [u32; 2],
    step: u32,
}

impl Random {
    /// The stream of one purpose (a layer, a parameter) in one step. Seeds that differ beyond 32 bits differ still.
    pub fn new(seed: u64, purpose: u32, step: u64) -> Self {
        let high = (seed >> 32) as u32 ^ (step >> 32) as u32;
        Self { key: [seed as u32 ^ high.wrapping_mul(0x9E37_79B9), purpose], step: step as u32 }
    }

    /// Four numbers: block `block` of `row`.
    #[inline(always)]
    pub fn block(&self, row: u32, block: u32) -> [u32; 4] {
        philox([row, block, self.step, 0], self.key)
    }

    /// A number in `[0, 1)` with 24 random bits.
    pub fn uniform(&self, row: u32, column: u32) -> f32 {
        (self.block(row, column / 4)[column as usize % 4] >> 8) as f32 * (1.0 / (1 << 24) as f32)
    }
}

#[inline(always)]
fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let first = u64::from(counter[0]) * 0xD251_1F53;
        let second = u64::from(counter[2]) * 0xCD9E_8D57;
        counter = [
            (second >> 32) as u32 ^ counter[1] ^ key[0],
            second as u32,
            (first >> 32) as u32 ^ counter[3] ^ key[1],
            first as u32,
        ];
        key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
    }
    counter
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers of the authors' Random123 library.
    #[test]
    fn philox_gives_the_published_numbers() {
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox([u32::MAX; 4], [u32::MAX; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        assert_eq!(
            philox([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn uniform_numbers_fill_the_unit_interval() {
        let random = Random::new(1, 2, 3);
        let mean = (0..10_000).map(|row| f64::from(random.uniform(row, row % 7))).sum::<f64>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.01, "{mean}");
    }

    #[test]
    fn seeds_purposes_and_steps_give_different_streams() {
        let first = |seed, purpose, step| Random::new(seed, purpose, step).block(0, 0);
        assert_ne!(first(0, 0, 0), first(1, 0, 0));
        assert_ne!(first(0, 0, 0), first(1 << 32, 0, 0));
        assert_ne!(first(0, 0, 0), first(0, 1, 0));
        assert_ne!(first(0, 0, 0), first(0, 0, 1));
    }
}
