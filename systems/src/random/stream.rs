//! Sequential random integers, for use by one thread, such as shuffling.

use super::{LANES, Philox};

/// Sequential random integers of a stream.
pub struct RandomStream {
    random: Philox,
    /// The counter of the next block.
    next: u64,
    words: [[u32; LANES]; 4],
    /// Number of pairs of words of this block that were used.
    used: usize,
}

impl RandomStream {
    /// The start of the stream.
    pub fn new(random: Philox) -> Self {
        Self::of_row(random, 0)
    }

    /// The stream of one row; those of different rows do not overlap.
    pub fn of_row(random: Philox, row: u32) -> Self {
        Self { random, next: u64::from(row) << 32, words: [[0; LANES]; 4], used: 2 * LANES }
    }

    fn bits(&mut self) -> u64 {
        if self.used == 2 * LANES {
            self.words = self.random.blocks(self.next);
            self.next += LANES as u64;
            self.used = 0;
        }
        let (half, lane) = (self.used / LANES, self.used % LANES);
        self.used += 1;
        u64::from(self.words[2 * half][lane]) << 32 | u64::from(self.words[2 * half + 1][lane])
    }

    /// A random integer in `0..end`. For an `end` below 2^32 probabilities differ by less than a factor of `1 + 2^-32`.
    pub fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(end)) >> 64) as u64
    }

    /// Shuffles `items`; all orders are equally likely.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_uniformly_distributed() {
        let mut random = RandomStream::new(Philox::new(3, 0, 0));
        let mut counts = [0; 7];
        (0..70_000).for_each(|_| counts[random.below(7) as usize] += 1);
        assert!(counts.iter().all(|count| (9_600..10_400).contains(count)), "{counts:?}");
    }

    #[test]
    fn shuffling_keeps_all_items() {
        let mut items: Vec<u32> = (0..1000).collect();
        RandomStream::new(Philox::new(1, 0, 0)).shuffle(&mut items);
        let moved = items.iter().zip(0..).filter(|&(&item, index)| item != index).count();
        assert!(moved > 950, "{moved}");
        items.sort_unstable();
        assert!(items.into_iter().eq(0..1000));
    }
}
