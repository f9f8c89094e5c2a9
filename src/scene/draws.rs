//! Numbers drawn one after another, for what is shuffled once while a scene is loaded.

use connectome_systems::random::{LANES, Random};

/// What the streams here are for; the layers of a model count their purposes from 0.
pub(super) const FOLDS: u32 = 0xF01D_0000;
pub(super) const HIDDEN_EDGES: u32 = 0xED6E_0000;

/// Whole numbers from a stream that depends on the seed and the purpose alone.
pub(super) struct Draws {
    random: Random,
    /// The counter of the next block.
    next: u64,
    words: [[u32; LANES]; 4],
    /// How many pairs of words were handed out of this block.
    used: usize,
}

impl Draws {
    /// The start of the stream.
    pub fn new(seed: u64, purpose: u32) -> Self {
        let random = Random::new(seed, purpose, 0);
        Self { random, next: LANES as u64, words: random.blocks(0), used: 0 }
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

    /// A number from 0 to below `end`. For an `end` below 2^32 some come more often than others by less than 2^-32.
    pub fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(end)) >> 64) as u64
    }

    /// Puts `items` into any order, each as likely as the others.
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
    fn every_number_below_the_end_comes_about_as_often() {
        let mut draws = Draws::new(3, FOLDS);
        let mut counts = [0; 7];
        (0..70_000).for_each(|_| counts[draws.below(7) as usize] += 1);
        assert!(counts.iter().all(|count| (9_600..10_400).contains(count)), "{counts:?}");
    }

    #[test]
    fn shuffling_keeps_what_there_is() {
        let mut items: Vec<u32> = (0..1000).collect();
        Draws::new(1, FOLDS).shuffle(&mut items);
        let moved = items.iter().zip(0..).filter(|&(&item, place)| item != place).count();
        assert!(moved > 950, "{moved}");
        items.sort_unstable();
        assert!(items.into_iter().eq(0..1000));
    }
}
