//! What a memory knows of a graph beside the graph itself.

use crate::encoding::{Malformed, Reader, write_number};
use crate::vector::{DIMENSIONS, GraphVector};

/// The maximum number of episodes that a graph lists; of more the newest.
pub const MAX_EPISODES: usize = 64;

/// When a graph was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Episode {
    /// Its number in the order of all that were ever stored: the identifier that the graph got.
    pub number: u64,
    /// The time that it was stored with.
    pub time: u64,
}

/// What a memory knows of a graph beside the graph itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Equal for isomorphic graphs.
    pub hash: u64,
    /// How often the graph was stored: 1, and 1 for each copy that was merged into it.
    pub count: u64,
    /// How often it was used.
    pub uses: u64,
    /// The version of the memory at its last use, or else when it was stored.
    pub last_used: u64,
    /// Whether copies of it are merged already.
    pub is_consolidated: bool,
    /// Whether its vector was given, and not computed of the graph.
    pub has_given_vector: bool,
    /// When it was stored, in order; at most [`MAX_EPISODES`], the newest.
    pub episodes: Vec<Episode>,
}

impl Entry {
    /// Adds what is known of a copy.
    pub(crate) fn merge(&mut self, copy: &Self) {
        self.count = self.count.saturating_add(copy.count);
        self.uses = self.uses.saturating_add(copy.uses);
        self.last_used = self.last_used.max(copy.last_used);
        self.episodes.extend(&copy.episodes);
        self.episodes.sort_unstable();
        self.episodes.drain(..self.episodes.len().saturating_sub(MAX_EPISODES));
    }

    /// The entry and its vector as bytes: of the vector a bit for each dimension, and the values that are not 0.
    pub(crate) fn write(&self, vector: &GraphVector) -> Vec<u8> {
        let mut bytes = self.hash.to_le_bytes().to_vec();
        let flags = u64::from(self.is_consolidated) | u64::from(self.has_given_vector) << 1;
        [self.count, self.uses, self.last_used, flags, self.episodes.len() as u64]
            .into_iter()
            .for_each(|number| write_number(&mut bytes, number));
        let mut before = 0;
        for Episode { number, time } in &self.episodes {
            write_number(&mut bytes, number - before);
            write_number(&mut bytes, *time);
            before = *number;
        }
        let mut is_set = [0_u8; DIMENSIONS / 8];
        vector.0.iter().enumerate().for_each(|(index, value)| is_set[index / 8] |= u8::from(*value > 0) << (index % 8));
        bytes.extend(is_set);
        bytes.extend(vector.0.iter().filter(|value| **value > 0));
        bytes
    }

    pub(crate) fn read(bytes: &[u8]) -> Result<(Self, GraphVector), Malformed> {
        let (hash, rest) = bytes.split_first_chunk().ok_or(Malformed)?;
        let mut reader = Reader(rest);
        let [count, uses, last_used] = [reader.number()?, reader.number()?, reader.number()?];
        let flags = reader.count(3)?;
        let [is_consolidated, has_given_vector] = [1, 2].map(|flag| flags & flag != 0);
        let mut before = 0_u64;
        let episodes = (0..reader.count(MAX_EPISODES)?).map(|_| {
            before = before.checked_add(reader.number()?).ok_or(Malformed)?;
            Ok(Episode { number: before, time: reader.number()? })
        });
        let episodes = episodes.collect::<Result<_, Malformed>>()?;
        let is_set = reader.bytes(DIMENSIONS / 8)?;
        let mut vector = GraphVector([0; DIMENSIONS]);
        for (index, value) in vector.0.iter_mut().enumerate() {
            if is_set[index / 8] >> (index % 8) & 1 == 1 {
                *value = reader.bytes(1)?[0];
            }
        }
        reader.end()?;
        let hash = u64::from_le_bytes(*hash);
        Ok((Self { hash, count, uses, last_used, is_consolidated, has_given_vector, episodes }, vector))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use connectome_systems::algorithms::LabeledGraph;

    fn entry(episodes: impl Iterator<Item = u64>) -> Entry {
        let episodes: Vec<_> = episodes.map(|number| Episode { number, time: 1000 - number }).collect();
        let count = episodes.len() as u64;
        Entry { hash: 7, count, uses: 300, last_used: 9, is_consolidated: true, has_given_vector: true, episodes }
    }

    #[test]
    fn entries_are_read_as_written() {
        let vector = GraphVector::of(&LabeledGraph::new(vec![1, 2], [([0, 1], 3)]));
        let entry = entry([3, 900].into_iter());
        let bytes = entry.write(&vector);
        assert!(bytes.len() < 50, "{}", bytes.len());
        assert_eq!(Entry::read(&bytes), Ok((entry, vector)));
        (0..bytes.len()).for_each(|end| assert_eq!(Entry::read(&bytes[..end]), Err(Malformed)));
    }

    #[test]
    fn merging_keeps_the_newest_episodes() {
        let mut one = entry((0..60).map(|number| 2 * number));
        one.merge(&entry((0..60).map(|number| 2 * number + 1)));
        assert_eq!((one.count, one.uses, one.episodes.len()), (120, 600, MAX_EPISODES));
        let numbers: Vec<u64> = one.episodes.iter().map(|episode| episode.number).collect();
        assert_eq!(numbers, (56..120).collect::<Vec<_>>());
    }
}
