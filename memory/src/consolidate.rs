//! Merging copies.

use std::collections::{BTreeMap, BTreeSet};

use crate::encoding::{write_graph, write_metadata};
use crate::error::MemoryError;
use crate::memory::GraphMemory;
use crate::store::Written;

/// What a step of consolidation did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consolidation {
    /// The version of the memory after it.
    pub version: u64,
    /// Each copy, with the graph into which it was merged.
    pub merged: Vec<[u64; 2]>,
    /// The number of graphs that are not consolidated yet.
    pub remaining: usize,
}

impl GraphMemory {
    /// Merges copies among the next `limit` graphs that are not consolidated, in one durable transaction; call it until
    /// none remain, with queries and changes in between as you like.
    ///
    /// A graph that is isomorphic to one stored before it is merged into that: the count, the uses and the episodes are
    /// added (see [`Entry`](crate::Entry)), and its metadata where the first has none of that key. Its identifier is
    /// that of its episode from then on, and of no graph.
    ///
    /// # Errors
    /// If the file cannot be read or written; then nothing is merged.
    pub fn consolidate(&mut self, limit: usize) -> Result<Consolidation, MemoryError> {
        let ids: Vec<u64> = self.index.pending().iter().take(limit).copied().collect();
        let remaining = self.index.pending().len();
        let mut step = Consolidation { version: self.version(), remaining, ..Consolidation::default() };
        if ids.is_empty() {
            return Ok(step);
        }
        let mut entries = BTreeMap::new();
        let mut metadata = BTreeMap::new();
        let mut removed = BTreeSet::new();
        for id in ids {
            let found = self.get(id)?;
            // What was stored before is consolidated already, in this step or an earlier one.
            let others = self.index.with_hash(found.entry.hash, id).filter(|other| !removed.contains(other)).collect();
            let copies = self.copies_among(&found.graph, others)?;
            match copies.first() {
                Some(first) => {
                    let known = |id: u64| self.index.entry(id).cloned().ok_or(MemoryError::Unknown { id });
                    let entry = match entries.entry(*first) {
                        std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
                        std::collections::btree_map::Entry::Vacant(entry) => entry.insert(known(*first)?),
                    };
                    entry.merge(&found.entry);
                    if !found.metadata.is_empty() {
                        metadata.entry(*first).or_insert_with(Vec::new).push(found.metadata);
                    }
                    removed.insert(id);
                    step.merged.push([id, *first]);
                }
                None => {
                    let mut entry = found.entry;
                    entry.is_consolidated = true;
                    entries.insert(id, entry);
                }
            }
        }
        let mut written = Vec::new();
        for (id, entry) in entries {
            let bytes = match metadata.remove(&id) {
                Some(copies) => self.bytes_with(id, copies)?,
                None => None,
            };
            let vector = self.index.vector(id).ok_or(MemoryError::Unknown { id })?;
            written.push(Written { id, entry, vector, bytes });
        }
        self.commit(written, removed, self.state.clone())?;
        step.version = self.version();
        step.remaining = self.index.pending().len();
        Ok(step)
    }

    /// The bytes of a graph with the metadata of its copies; none if those add nothing, or too much.
    fn bytes_with(&self, id: u64, copies: Vec<crate::Metadata>) -> Result<Option<Vec<u8>>, MemoryError> {
        let found = self.get(id)?;
        let mut metadata = found.metadata.clone();
        for (key, value) in copies.into_iter().flatten() {
            metadata.entry(key).or_insert(value);
        }
        let size: usize = metadata.iter().map(|(key, value)| key.len() + value.len()).sum();
        if metadata == found.metadata || size > crate::MAX_METADATA {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        write_metadata(&mut bytes, &metadata);
        write_graph(&mut bytes, &found.graph);
        Ok(Some(bytes))
    }

    /// Gives the room of forgotten and merged graphs back to the file system. It moves the contents of the file, in
    /// durable transactions.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn compact(&mut self) -> Result<(), MemoryError> {
        self.store.compact()
    }
}
