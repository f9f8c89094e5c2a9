//! Sets of small numbers, a bit for each.

/// The numbers below the size it was made for, each in it or not.
///
/// Of a size that is known when the program is built it lies in registers: `[u64; WORDS]` holds `64 * WORDS` numbers. A
/// `Vec` holds any.
pub(super) trait Bits: Clone + Send + Sync {
    /// The set of none of `size` numbers.
    fn empty(size: usize) -> Self;

    fn words(&self) -> &[u64];

    fn words_mut(&mut self) -> &mut [u64];

    /// The set of all numbers below `size`.
    #[inline(always)]
    fn full(size: usize) -> Self {
        let mut set = Self::empty(size);
        for (word, first) in set.words_mut().iter_mut().zip((0..size).step_by(64)) {
            *word = if size - first < 64 { (1 << (size - first)) - 1 } else { u64::MAX };
        }
        set
    }

    #[inline(always)]
    fn insert(&mut self, number: usize) {
        self.words_mut()[number / 64] |= 1 << (number % 64);
    }

    #[inline(always)]
    fn remove(&mut self, number: usize) {
        self.words_mut()[number / 64] &= !(1 << (number % 64));
    }

    #[inline(always)]
    fn contains(&self, number: usize) -> bool {
        self.words()[number / 64] >> (number % 64) & 1 == 1
    }

    #[inline(always)]
    fn is_empty(&self) -> bool {
        self.words().iter().all(|word| *word == 0)
    }

    #[inline(always)]
    fn count(&self) -> usize {
        self.words().iter().map(|word| word.count_ones() as usize).sum()
    }

    /// How many numbers are in both.
    #[inline(always)]
    fn count_common(&self, other: &Self) -> usize {
        self.words().iter().zip(other.words()).map(|(one, other)| (one & other).count_ones() as usize).sum()
    }

    /// Keeps what is in another set too.
    #[inline(always)]
    fn keep(&mut self, other: &Self) {
        self.words_mut().iter_mut().zip(other.words()).for_each(|(one, other)| *one &= other);
    }

    /// Takes out what is in another set.
    #[inline(always)]
    fn subtract(&mut self, other: &Self) {
        self.words_mut().iter_mut().zip(other.words()).for_each(|(one, other)| *one &= !other);
    }

    /// Adds what is in another set.
    #[inline(always)]
    fn add(&mut self, other: &Self) {
        self.words_mut().iter_mut().zip(other.words()).for_each(|(one, other)| *one |= other);
    }

    /// What is in both.
    #[inline(always)]
    fn common(&self, other: &Self) -> Self {
        let mut common = self.clone();
        common.keep(other);
        common
    }

    /// The least number.
    #[inline(always)]
    fn first(&self) -> Option<usize> {
        let (place, word) = self.words().iter().enumerate().find(|(_, word)| **word != 0)?;
        Some(64 * place + word.trailing_zeros() as usize)
    }

    /// Takes out the least number.
    #[inline(always)]
    fn pop_first(&mut self) -> Option<usize> {
        let (place, word) = self.words_mut().iter_mut().enumerate().find(|(_, word)| **word != 0)?;
        let number = 64 * place + word.trailing_zeros() as usize;
        *word &= *word - 1;
        Some(number)
    }

    /// Its numbers in rising order.
    #[inline(always)]
    fn for_each(&self, mut visit: impl FnMut(usize)) {
        for (place, word) in self.words().iter().enumerate() {
            let mut word = *word;
            while word != 0 {
                visit(64 * place + word.trailing_zeros() as usize);
                word &= word - 1;
            }
        }
    }
}

impl<const WORDS: usize> Bits for [u64; WORDS] {
    #[inline(always)]
    fn empty(_: usize) -> Self {
        [0; WORDS]
    }

    #[inline(always)]
    fn words(&self) -> &[u64] {
        self
    }

    #[inline(always)]
    fn words_mut(&mut self) -> &mut [u64] {
        self
    }
}

impl Bits for Vec<u64> {
    #[inline(always)]
    fn empty(size: usize) -> Self {
        vec![0; size.div_ceil(64)]
    }

    #[inline(always)]
    fn words(&self) -> &[u64] {
        self
    }

    #[inline(always)]
    fn words_mut(&mut self) -> &mut [u64] {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn check<B: Bits>(size: usize, one: &BTreeSet<usize>, other: &BTreeSet<usize>) {
        let fill = |numbers: &BTreeSet<usize>| {
            let mut set = B::empty(size);
            numbers.iter().for_each(|number| set.insert(*number));
            set
        };
        let list = |set: &B| {
            let mut numbers = Vec::new();
            set.for_each(|number| numbers.push(number));
            numbers
        };
        let (a, b) = (fill(one), fill(other));
        assert_eq!(list(&a.common(&b)), one.intersection(other).copied().collect::<Vec<_>>());
        assert_eq!(a.count_common(&b), one.intersection(other).count());
        assert_eq!((a.count(), a.is_empty(), a.first()), (one.len(), one.is_empty(), one.first().copied()));
        assert!((0..size).all(|number| a.contains(number) == one.contains(&number)));
        let mut rest = a.clone();
        rest.subtract(&b);
        assert_eq!(list(&rest), one.difference(other).copied().collect::<Vec<_>>());
        rest.add(&b);
        rest.pop_first();
        assert_eq!(list(&rest), one.union(other).skip(1).copied().collect::<Vec<_>>());
        assert_eq!(list(&B::full(size)), (0..size).collect::<Vec<_>>());
    }

    proptest! {
        #[test]
        fn sets_of_bits_are_sets(
            size in 1..=128_usize,
            one in proptest::collection::btree_set(0..128_usize, 0..60),
            other in proptest::collection::btree_set(0..128_usize, 0..60),
        ) {
            let within = |numbers: BTreeSet<usize>| numbers.into_iter().filter(|number| *number < size).collect();
            let (one, other) = (within(one), within(other));
            check::<[u64; 2]>(size, &one, &other);
            check::<Vec<u64>>(size, &one, &other);
        }
    }
}
