//! The random order of the training examples in an epoch.

use bevy_ecs::entity::Entity;

use crate::systems::random::{Philox, RandomStream};

/// The random stream of orders; those of a model's operations count from 0.
const ORDER: u32 = 0x0BDE_0000;

/// Examples in random order, one shuffle after the other, without end.
///
/// It holds one shuffle at a time, however long an epoch is, in a buffer that epochs reuse.
pub(super) struct Shuffled<'a> {
    examples: &'a [Entity],
    /// The present shuffle.
    order: &'a mut Vec<Entity>,
    draws: RandomStream,
    /// The index in the present shuffle.
    next: usize,
    /// The batch size, if a batch must not have an example twice.
    distinct_in: Option<usize>,
    /// Examples in the incomplete batch.
    begun: usize,
}

impl<'a> Shuffled<'a> {
    /// The order of one epoch. With `distinct_in`, no batch of that size has an example twice.
    pub fn new(
        examples: &'a [Entity],
        order: &'a mut Vec<Entity>,
        (seed, epoch): (u64, u64),
        distinct_in: Option<usize>,
    ) -> Self {
        order.clear();
        Self {
            examples,
            order,
            draws: RandomStream::new(Philox::new(seed, ORDER, epoch)),
            next: 0,
            distinct_in,
            begun: 0,
        }
    }

    fn shuffle(&mut self) {
        // The incomplete batch began with the end of the shuffle before.
        let begun = self.order.len().saturating_sub(self.begun);
        let mut taken = self.order.split_off(begun);
        taken.sort_unstable();
        self.order.clear();
        self.order.extend_from_slice(self.examples);
        self.draws.shuffle(self.order);
        if !taken.is_empty() {
            // Sorting is stable: examples already in the batch come last, and all others stay shuffled.
            self.order.sort_by_key(|example| taken.binary_search(example).is_ok());
        }
        self.next = 0;
    }
}

impl Iterator for Shuffled<'_> {
    type Item = Entity;

    fn next(&mut self) -> Option<Entity> {
        if self.next == self.order.len() {
            self.shuffle();
        }
        let example = self.order.get(self.next).copied()?;
        self.next += 1;
        if let Some(size) = self.distinct_in {
            self.begun = (self.begun + 1) % size.max(1);
        }
        Some(example)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bevy_ecs::world::World;
    use std::collections::HashSet;

    fn examples(count: usize) -> Vec<Entity> {
        let mut world = World::new();
        (0..count).map(|_| world.spawn_empty().id()).collect()
    }

    #[test]
    fn each_shuffling_has_every_example_once() {
        let (examples, mut order) = (examples(10), Vec::new());
        let drawn: Vec<Entity> = Shuffled::new(&examples, &mut order, (3, 0), None).take(30).collect();
        let all: HashSet<Entity> = examples.iter().copied().collect();
        assert!(drawn.chunks(10).all(|shuffling| shuffling.iter().copied().collect::<HashSet<_>>() == all));
        assert_ne!(drawn[..10], drawn[10..20]);
        let other: Vec<Entity> = Shuffled::new(&examples, &mut order, (3, 1), None).take(10).collect();
        assert_ne!(drawn[..10], other[..], "another epoch has another order");
    }

    #[test]
    fn no_batch_that_two_shufflings_share_has_an_example_twice() {
        let (examples, mut order) = (examples(10), Vec::new());
        for size in 1..=10 {
            let drawn: Vec<Entity> = Shuffled::new(&examples, &mut order, (3, 0), Some(size)).take(40 * size).collect();
            for batch in drawn.chunks(size) {
                assert_eq!(batch.iter().collect::<HashSet<_>>().len(), size, "{batch:?}");
            }
            let shufflings = drawn.chunks_exact(10);
            assert!(shufflings.into_iter().all(|shuffling| shuffling.iter().collect::<HashSet<_>>().len() == 10));
        }
    }

    #[test]
    fn of_nothing_there_is_no_order() {
        assert_eq!(Shuffled::new(&[], &mut Vec::new(), (3, 0), Some(4)).next(), None);
    }
}
