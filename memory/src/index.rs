//! What is in memory of all graphs: their entries and vectors, and the orders in which they are looked up.

use std::collections::{BTreeSet, BinaryHeap};

use connectome_systems::Workers;

use crate::entry::Entry;
use crate::vector::{DIMENSIONS, GraphVector, distance};

/// The rows that a worker scans at once.
const BLOCK: usize = 8192;

/// The entries and vectors of all graphs, in the order of their identifiers.
#[derive(Default)]
pub(crate) struct Index {
    ids: Vec<u64>,
    entries: Vec<Entry>,
    /// `[G, DIMENSIONS]`.
    vectors: Vec<[u8; DIMENSIONS]>,
    /// Hash and identifier.
    by_hash: BTreeSet<(u64, u64)>,
    /// Uses, last use and identifier: the order in which graphs are forgotten.
    by_use: BTreeSet<(u64, u64, u64)>,
    /// The graphs that are not consolidated.
    pending: BTreeSet<u64>,
}

impl Index {
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    pub fn ids(&self) -> &[u64] {
        &self.ids
    }

    pub fn entry(&self, id: u64) -> Option<&Entry> {
        self.row(id).map(|row| &self.entries[row])
    }

    pub fn vector(&self, id: u64) -> Option<GraphVector> {
        self.row(id).map(|row| GraphVector(self.vectors[row]))
    }

    fn row(&self, id: u64) -> Option<usize> {
        self.ids.binary_search(&id).ok()
    }

    /// The graphs with a hash that were stored before another, in order.
    pub fn with_hash(&self, hash: u64, before: u64) -> impl Iterator<Item = u64> {
        self.by_hash.range((hash, 0)..(hash, before)).map(|(_, id)| *id)
    }

    /// The graphs from the least used on: by the number of uses, then the last use, then the identifier.
    pub fn least_used(&self) -> impl Iterator<Item = u64> {
        self.by_use.iter().map(|(.., id)| *id)
    }

    /// The graphs that are not consolidated, in order.
    pub fn pending(&self) -> &BTreeSet<u64> {
        &self.pending
    }

    /// Inserts an entry, or replaces it.
    pub fn insert(&mut self, id: u64, entry: Entry, vector: GraphVector) {
        self.by_hash.insert((entry.hash, id));
        self.by_use.insert((entry.uses, entry.last_used, id));
        if entry.is_consolidated {
            self.pending.remove(&id);
        } else {
            self.pending.insert(id);
        }
        match self.ids.binary_search(&id) {
            Ok(row) => {
                let old = std::mem::replace(&mut self.entries[row], entry);
                if (old.uses, old.last_used) != (self.entries[row].uses, self.entries[row].last_used) {
                    self.by_use.remove(&(old.uses, old.last_used, id));
                }
                self.vectors[row] = vector.0;
            }
            Err(row) => {
                self.ids.insert(row, id);
                self.entries.insert(row, entry);
                self.vectors.insert(row, vector.0);
            }
        }
    }

    /// Removes graphs, all in one pass over the rows.
    pub fn remove(&mut self, removed: &BTreeSet<u64>) {
        let Some(first) = removed.first().map(|id| self.ids.partition_point(|other| other < id)) else { return };
        let mut kept = first;
        for row in first..self.ids.len() {
            let id = self.ids[row];
            if removed.contains(&id) {
                let entry = &self.entries[row];
                self.by_hash.remove(&(entry.hash, id));
                self.by_use.remove(&(entry.uses, entry.last_used, id));
                self.pending.remove(&id);
            } else {
                self.ids.swap(kept, row);
                self.entries.swap(kept, row);
                self.vectors.swap(kept, row);
                kept += 1;
            }
        }
        self.ids.truncate(kept);
        self.entries.truncate(kept);
        self.vectors.truncate(kept);
    }

    /// The nearest graphs by their vectors: distance and identifier, in order.
    pub fn nearest(&self, vector: &GraphVector, count: usize, workers: &Workers) -> Vec<(u32, u64)> {
        let scan = |block: usize| {
            let rows = block * BLOCK..self.len().min((block + 1) * BLOCK);
            // The farthest of the nearest is on top.
            let mut nearest = BinaryHeap::with_capacity(count.min(rows.len()) + 1);
            for row in rows {
                let candidate = (distance(&vector.0, &self.vectors[row]), self.ids[row]);
                if nearest.len() < count {
                    nearest.push(candidate);
                } else if nearest.peek().is_some_and(|farthest| candidate < *farthest) {
                    nearest.pop();
                    nearest.push(candidate);
                }
            }
            nearest.into_vec()
        };
        let mut nearest = workers.map(self.len().div_ceil(BLOCK), scan).concat();
        nearest.sort_unstable();
        nearest.truncate(count);
        nearest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insert(index: &mut Index, id: u64, value: u8, uses: u64) {
        let entry = Entry {
            hash: value.into(),
            count: 1,
            uses,
            last_used: id,
            is_consolidated: false,
            has_given_vector: false,
            episodes: vec![],
        };
        index.insert(id, entry, GraphVector([value; DIMENSIONS]));
    }

    #[test]
    fn the_nearest_are_those_of_a_full_sort() {
        let mut index = Index::default();
        (0..20_000_u64).for_each(|id| insert(&mut index, id, (id * id % 251) as u8, id % 3));
        index.remove(&(0..20_000).filter(|id| id % 7 == 2).collect());
        let query = GraphVector([100; DIMENSIONS]);
        let ids = (0..20_000_u64).filter(|id| id % 7 != 2);
        let mut all: Vec<(u32, u64)> =
            ids.map(|id| ((id * id % 251).abs_diff(100) as u32 * DIMENSIONS as u32, id)).collect();
        all.sort_unstable();
        all.truncate(300);
        assert_eq!(index.nearest(&query, 300, &Workers::single()), all);
        assert_eq!(index.nearest(&query, 300, &Workers::new(2).unwrap()), all);
        assert_eq!(index.nearest(&query, 0, &Workers::single()), []);
    }

    #[test]
    fn orders_follow_the_entries() {
        let mut index = Index::default();
        [(5, 1, 2), (3, 1, 0), (9, 4, 0)].into_iter().for_each(|(id, value, uses)| insert(&mut index, id, value, uses));
        assert_eq!(index.least_used().collect::<Vec<_>>(), [3, 9, 5]);
        insert(&mut index, 3, 1, 8);
        assert_eq!(index.least_used().collect::<Vec<_>>(), [9, 5, 3]);
        assert_eq!(index.with_hash(1, 9).collect::<Vec<_>>(), [3, 5]);
        index.remove(&[9, 3].into());
        assert_eq!((index.ids(), index.least_used().collect::<Vec<_>>()), ([5].as_slice(), vec![5]));
        assert_eq!(index.pending().len(), 1);
    }
}
