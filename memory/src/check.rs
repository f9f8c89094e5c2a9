//! Whether a memory is whole.

use crate::colors::canonical_hash;
use crate::error::MemoryError;
use crate::memory::GraphMemory;
use crate::vector::GraphVector;

/// The graphs that are read at once.
const BATCH: usize = 1024;

impl GraphMemory {
    /// Checks the whole file: the checksum of each page, that each graph can be read and has an entry, and that hash and
    /// vector are those of the graph, as far as the vector was not given. Returns what is wrong, for people to read; nothing if it is whole.
    ///
    /// # Errors
    /// If the file cannot be read, or is damaged so that nothing in it can be trusted.
    pub fn check(&mut self) -> Result<Vec<String>, MemoryError> {
        self.store.check()?;
        let mut problems = Vec::new();
        let mut found = 0_u64;
        for ids in self.ids().chunks(BATCH) {
            let graphs = self.store.graphs(ids.iter().copied())?;
            let check = |index: usize| {
                let (id, Some((graph, _))) = (ids[index], &graphs[index]) else {
                    return Some(format!("graph {} is missing", ids[index]));
                };
                let entry = self.index.entry(id)?;
                let problem = if canonical_hash(graph).0 != entry.hash {
                    "has another hash than its entry"
                } else if !entry.has_given_vector && self.index.vector(id) != Some(GraphVector::of(graph)) {
                    "has another vector than its entry"
                } else if entry.count < entry.episodes.len() as u64 || entry.episodes.is_empty() {
                    "has more episodes than it was stored"
                } else {
                    return None;
                };
                Some(format!("graph {id} {problem}"))
            };
            found += graphs.iter().flatten().count() as u64;
            problems.extend(self.workers.map(ids.len(), check).into_iter().flatten());
        }
        let stored = self.store.graph_count()?;
        if stored != found {
            problems.push(format!("{} graphs have no entry", stored.saturating_sub(found)));
        }
        if self.ids().last().is_some_and(|last| *last >= self.state.next_id) {
            problems.push(format!("the next graph would get the identifier {}, which is given", self.state.next_id));
        }
        if self.state.capacity.is_some_and(|capacity| self.len() as u64 > capacity) {
            problems.push(format!("it holds {} graphs, more than its capacity", self.len()));
        }
        Ok(problems)
    }
}
