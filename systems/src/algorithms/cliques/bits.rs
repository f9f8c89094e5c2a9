//! Bit sets.

/// A set of integers below some size, one bit each.
///
/// `[u64; WORDS]` holds integers below `64 * WORDS` and stays in registers; a `Vec` holds any.
pub(super) trait Bits: Clone + Send + Sync {
    /// The empty set, with room for integers below `size`.
    fn empty(size: usize) -> Self;

    fn words(&self) -> &[u64];

    fn words_mut(&mut self) -> &mut [u64];

    /// The set of all integers below `size`.
    #[inline(always)]
    fn full(size: usize) -> Self {
        let mut set = Self::empty(size);
        for (word, first) in set.words_mut().iter_mut().zip((0..size).step_by(64)) {
            *word = if size - first < 64 { (1 << (size - first)) - 1 } else { u64::MAX };
        }
        set
    }

    #[inline(always)]
    fn insert(&mut self, index: usize) {
        self.words_mut()[index / 64] |= 1 << (index % 64);
    }

    #[inline(always)]
    fn remove(&mut self, index: usize) {
        self.words_mut()[index / 64] &= !(1 << (index % 64));
    }

    #[inline(always)]
    fn contains(&self, index: usize) -> bool {
        self.words()[index / 64] >> (index % 64) & 1 == 1
    }

    #[inline(always)]
    fn is_empty(&self) -> bool {
        self.words().iter().fold(0, |all, word| all | word) == 0
    }

    #[inline(always)]
    fn count(&self) -> usize {
        self.words().iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The size of the intersection.
    #[inline(always)]
    fn intersection_count(&self, other: &Self) -> usize {
        self.words().iter().zip(other.words()).map(|(one, other)| (one & other).count_ones() as usize).sum()
    }

    /// Removes the elements of another set.
    #[inline(always)]
    fn subtract(&mut self, other: &Self) {
        self.words_mut().iter_mut().zip(other.words()).for_each(|(one, other)| *one &= !other);
    }

    /// Adds the elements of another set.
    #[inline(always)]
    fn add(&mut self, other: &Self) {
        self.words_mut().iter_mut().zip(other.words()).for_each(|(one, other)| *one |= other);
    }

    /// The intersection.
    #[inline(always)]
    fn intersection(&self, other: &Self) -> Self {
        let mut intersection = self.clone();
        intersection.words_mut().iter_mut().zip(other.words()).for_each(|(one, other)| *one &= other);
        intersection
    }

    /// The least element.
    #[inline(always)]
    fn first(&self) -> Option<usize> {
        let (index, word) = self.words().iter().enumerate().find(|(_, word)| **word != 0)?;
        Some(64 * index + word.trailing_zeros() as usize)
    }

    /// Whether no element is in both sets.
    #[inline(always)]
    fn is_disjoint(&self, other: &Self) -> bool {
        self.words().iter().zip(other.words()).fold(0, |common, (one, other)| common | (one & other)) == 0
    }

    /// Removes and returns the least element.
    #[inline(always)]
    fn pop_first(&mut self) -> Option<usize> {
        let (index, word) = self.words_mut().iter_mut().enumerate().find(|(_, word)| **word != 0)?;
        let first = 64 * index + word.trailing_zeros() as usize;
        *word &= *word - 1;
        Some(first)
    }

    /// Visits its elements in ascending order.
    #[inline(always)]
    fn for_each(&self, mut visit: impl FnMut(usize)) {
        for (index, word) in self.words().iter().enumerate() {
            let mut word = *word;
            while word != 0 {
                visit(64 * index + word.trailing_zeros() as usize);
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

/// Reorders the rows and columns of a symmetric matrix of bits: `permuted[i][j] = rows[order[i]][order[j]]`.
///
/// The rows are taken in the new order, transposed in blocks of 64 x 64 bits, and taken in the new order again.
#[inline(always)]
pub(super) fn permute<B: Bits>(rows: &[B], order: &[u32], transposed: &mut Vec<B>, permuted: &mut Vec<B>) {
    let empty = B::empty(rows.len());
    transposed.clear();
    transposed.resize(rows.len(), empty);
    for word in 0..rows.len().div_ceil(64) {
        for (column, order) in order.chunks(64).enumerate() {
            let mut block = [0; 64];
            for (bits, row) in block.iter_mut().zip(order) {
                *bits = rows[*row as usize].words()[word];
            }
            transpose(&mut block);
            for (row, bits) in transposed[64 * word..].iter_mut().zip(block) {
                row.words_mut()[column] = bits;
            }
        }
    }
    permuted.clear();
    permuted.extend(order.iter().map(|row| transposed[*row as usize].clone()));
}

/// Transposes 64 x 64 bits (Warren, *Hacker's Delight*, 7-3).
#[inline(always)]
fn transpose(block: &mut [u64; 64]) {
    swap_quarters::<32>(block);
    swap_quarters::<16>(block);
    swap_quarters::<8>(block);
    swap_quarters::<4>(block);
    swap_quarters::<2>(block);
    swap_quarters::<1>(block);
}

/// Swaps the upper right and the lower left quarter of each square of `2 * SIZE` rows and bits.
#[inline(always)]
fn swap_quarters<const SIZE: usize>(block: &mut [u64; 64]) {
    let mask = u64::MAX / ((1 << SIZE) + 1);
    for square in block.chunks_exact_mut(2 * SIZE) {
        let (upper, lower) = square.split_at_mut(SIZE);
        for (upper, lower) in upper.iter_mut().zip(lower) {
            let swapped = (*upper >> SIZE ^ *lower) & mask;
            *upper ^= swapped << SIZE;
            *lower ^= swapped;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn check<B: Bits>(size: usize, one: &BTreeSet<usize>, other: &BTreeSet<usize>) {
        let fill = |elements: &BTreeSet<usize>| {
            let mut set = B::empty(size);
            elements.iter().for_each(|index| set.insert(*index));
            set
        };
        let list = |set: &B| {
            let mut elements = Vec::new();
            set.for_each(|index| elements.push(index));
            elements
        };
        let (a, b) = (fill(one), fill(other));
        assert_eq!(list(&a.intersection(&b)), one.intersection(other).copied().collect::<Vec<_>>());
        assert_eq!(a.intersection_count(&b), one.intersection(other).count());
        assert_eq!((a.count(), a.is_empty(), a.first()), (one.len(), one.is_empty(), one.first().copied()));
        assert_eq!(a.is_disjoint(&b), one.is_disjoint(other));
        assert!((0..size).all(|index| a.contains(index) == one.contains(&index)));
        let mut rest = a.clone();
        rest.subtract(&b);
        assert_eq!(list(&rest), one.difference(other).copied().collect::<Vec<_>>());
        rest.add(&b);
        rest.pop_first();
        assert_eq!(list(&rest), one.union(other).skip(1).copied().collect::<Vec<_>>());
        assert_eq!(list(&B::full(size)), (0..size).collect::<Vec<_>>());
    }

    #[test]
    fn permuted_matrices_have_the_bits_of_both_positions() {
        for size in [0, 1, 63, 64, 65, 150, 256] {
            let is_set = |one: usize, other: usize| (one * other + one + other) % 7 < 3;
            let row = |one| {
                let mut row = <[u64; 4]>::empty(size);
                (0..size).filter(|other| is_set(one, *other)).for_each(|other| row.insert(other));
                row
            };
            let rows: Vec<_> = (0..size).map(row).collect();
            // 97 is prime to all sizes; the last nodes are left out.
            let order: Vec<u32> = (0..size - size / 3).map(|index| (index * 97 % size) as u32).collect();
            let (mut transposed, mut permuted) = (Vec::new(), Vec::new());
            permute(&rows, &order, &mut transposed, &mut permuted);
            assert_eq!(permuted.len(), order.len());
            for (row, one) in permuted.iter().zip(&order) {
                let expected = order.iter().map(|other| is_set(*one as usize, *other as usize));
                assert!((0..order.len()).map(|index| row.contains(index)).eq(expected), "{size} nodes");
                assert_eq!(row.count(), (0..order.len()).filter(|index| row.contains(*index)).count());
            }
        }
    }

    proptest! {
        #[test]
        fn sets_of_bits_are_sets(
            size in 1..=128_usize,
            one in proptest::collection::btree_set(0..128_usize, 0..60),
            other in proptest::collection::btree_set(0..128_usize, 0..60),
        ) {
            let within = |set: BTreeSet<usize>| set.into_iter().filter(|index| *index < size).collect();
            let (one, other) = (within(one), within(other));
            check::<[u64; 2]>(size, &one, &other);
            check::<Vec<u64>>(size, &one, &other);
        }
    }
}
