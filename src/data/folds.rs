//! Folds for cross-validation.

use connectome_systems::random::{Philox, RandomStream};

/// The random stream of folds; those of a model's operations count from 0.
const FOLDS: u32 = 0xF01D_0000;

/// Divides items with these labels into stratified folds, numbered from 0.
///
/// Each fold has an equal number of each class, and of all items, within 1. The same seed gives the same folds. 0 folds
/// means 1.
///
/// ```
/// use connectome::data::stratified_folds;
///
/// let folds = stratified_folds(&[0, 0, 0, 0, 1, 1], 2, 7);
/// assert_eq!(folds[..4].iter().filter(|&&fold| fold == 0).count(), 2);
/// assert_ne!(folds[4], folds[5]);
/// ```
pub fn stratified_folds(labels: &[u32], folds: u8, seed: u64) -> Vec<u8> {
    let mut order: Vec<usize> = (0..labels.len()).collect();
    RandomStream::new(Philox::new(seed, FOLDS, 0)).shuffle(&mut order);
    // Sorting is stable: within a class the order stays shuffled, and each class continues at the fold where the last
    // ended.
    order.sort_by_key(|&place| labels[place]);
    let mut dealt = vec![0; labels.len()];
    for (place, fold) in order.into_iter().zip((0..folds.max(1)).cycle()) {
        dealt[place] = fold;
    }
    dealt
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Asserts that the counts of the folds differ by no more than 1.
    fn check(labels: &[u32], folds: &[u8], count: u8, of: impl Fn(u32) -> bool) {
        let size = |fold| folds.iter().zip(labels).filter(|&(&other, &label)| other == fold && of(label)).count();
        let sizes: Vec<usize> = (0..count).map(size).collect();
        let (least, most) = (sizes.iter().min(), sizes.iter().max());
        assert!(most.zip(least).is_none_or(|(most, least)| most - least <= 1), "{sizes:?}");
    }

    proptest! {
        #[test]
        fn each_fold_has_its_share_of_each_class(
            labels in proptest::collection::vec(0_u32..4, 0..200),
            count in 1_u8..12,
            seed: u64,
        ) {
            let folds = stratified_folds(&labels, count, seed);
            assert_eq!(folds.len(), labels.len());
            assert!(folds.iter().all(|&fold| fold < count));
            (0..4).for_each(|class| check(&labels, &folds, count, |label| label == class));
            check(&labels, &folds, count, |_| true);
            assert_eq!(folds, stratified_folds(&labels, count, seed));
        }
    }

    #[test]
    fn seeds_give_different_folds() {
        let labels = [0; 100];
        assert_ne!(stratified_folds(&labels, 10, 0), stratified_folds(&labels, 10, 1));
        assert_eq!(stratified_folds(&labels, 0, 0), [0; 100]);
    }
}
