//! The memory: graphs in a file, and what is known of them in memory.

use connectome_systems::{
    Workers,
    algorithms::LabeledGraph,
    random::{Philox, RandomStream},
};
use std::{collections::BTreeSet, path::Path};

use crate::colors::canonical_hash;
use crate::encoding::Metadata;
use crate::entry::{Entry, Episode};
use crate::error::MemoryError;
use crate::index::Index;
use crate::isomorphism::are_isomorphic;
use crate::prepared::Prepared;
use crate::store::{Changes, State, Store, Written};
use crate::vector::GraphVector;

/// The maximum number of bytes of the metadata of a graph.
pub const MAX_METADATA: usize = 1 << 16;

/// A graph to be stored.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewGraph {
    /// The graph.
    pub graph: LabeledGraph,
    /// What accompanies it.
    pub metadata: Metadata,
    /// When it was seen, in a unit of your own such as ticks of the world.
    pub time: u64,
    /// A vector by which similar graphs are found, such as what a trained model makes of the graph; that of
    /// [`GraphVector::of`] if none. Either all graphs of a memory have one, or none has.
    pub vector: Option<GraphVector>,
}

impl From<LabeledGraph> for NewGraph {
    fn from(graph: LabeledGraph) -> Self {
        Self { graph, ..Self::default() }
    }
}

/// A graph with all that the memory knows of it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredGraph {
    /// Its identifier.
    pub id: u64,
    /// The graph.
    pub graph: LabeledGraph,
    /// What accompanies it.
    pub metadata: Metadata,
    /// When and how often it was stored and used.
    pub entry: Entry,
}

/// What a change of the memory did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The version of the memory after it.
    pub version: u64,
    /// The identifiers of the new graphs, in the order in which they were given.
    pub ids: Vec<u64>,
    /// The graphs that were forgotten because the memory was full.
    pub forgotten: Vec<u64>,
}

/// Graphs in one file, found again as copies or by similarity.
///
/// Each change is one durable transaction: when a function that changes the memory returns, the change is on disk, and if
/// it fails, or the process is killed, nothing of it is. The entries and vectors of all graphs are in memory, about 300
/// bytes for each; the graphs themselves are read when they are needed. The same calls give the same answers, whatever the
/// number of workers.
///
/// ```
/// use connectome_memory::{GraphMemory, Query};
/// use connectome_systems::algorithms::LabeledGraph;
///
/// let folder = tempfile::tempdir()?;
/// let mut memory = GraphMemory::create(&folder.path().join("molecules"))?;
/// let chain = |labels: &[u32]| LabeledGraph::new(labels.into(), (1..labels.len() as u32).map(|node| ([node - 1, node], 1)));
/// let ids = memory.put_many([[6, 6, 8], [6, 6, 7], [7, 7, 7]].map(|labels| chain(&labels).into()))?.ids;
/// // The same chain from its other end is a copy.
/// assert_eq!(memory.find_copies(&chain(&[8, 6, 6]))?, [ids[0]]);
/// let found = memory.find(&chain(&[6, 6, 6]), &Query { count: 2, ..Query::default() })?.matches;
/// assert_eq!(found.iter().map(|found| (found.id, found.distance())).collect::<Vec<_>>(), [(0, Some(1.0)), (1, Some(1.0))]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct GraphMemory {
    pub(crate) store: Store,
    pub(crate) index: Index,
    pub(crate) state: State,
    pub(crate) workers: Workers,
}

impl GraphMemory {
    /// Opens the memory in a file; it has to exist.
    ///
    /// # Errors
    /// If there is no such file, it is open elsewhere, no memory, of another format, or damaged.
    pub fn open(path: &Path) -> Result<Self, MemoryError> {
        Self::new(path, false)
    }

    /// Opens the memory in a file, which is created if it does not exist or is empty.
    ///
    /// # Errors
    /// As [`open`](Self::open), or if the file cannot be created.
    pub fn create(path: &Path) -> Result<Self, MemoryError> {
        Self::new(path, true)
    }

    fn new(path: &Path, create: bool) -> Result<Self, MemoryError> {
        let (store, (entries, state)) = Store::open(path, create)?;
        let mut index = Index::default();
        entries.into_iter().for_each(|(id, entry, vector)| index.insert(id, entry, vector));
        Ok(Self { store, index, state, workers: Workers::single() })
    }

    /// Lets several workers scan, compare and prepare graphs. The answers are the same.
    pub fn with_workers(self, workers: Workers) -> Self {
        Self { workers, ..self }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        self.store.path()
    }

    /// The number of graphs.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there is no graph.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of changes of the memory since its file was created.
    pub fn version(&self) -> u64 {
        self.state.version
    }

    /// The maximum number of graphs; unlimited if none.
    pub fn capacity(&self) -> Option<u64> {
        self.state.capacity
    }

    /// What the labels of nodes are called, by label; empty if they are numbers alone.
    pub fn label_names(&self) -> &[String] {
        &self.state.names[0]
    }

    /// What the labels of edges are called, by label; empty if they are numbers alone.
    pub fn edge_label_names(&self) -> &[String] {
        &self.state.names[1]
    }

    /// The identifiers of all graphs, in the order in which they were stored.
    pub fn ids(&self) -> &[u64] {
        self.index.ids()
    }

    /// What is known of a graph beside itself.
    pub fn entry(&self, id: u64) -> Option<&Entry> {
        self.index.entry(id)
    }

    /// A graph with all that is known of it.
    ///
    /// # Errors
    /// If there is no such graph, or the file cannot be read.
    pub fn get(&self, id: u64) -> Result<StoredGraph, MemoryError> {
        self.get_many(&[id])?.pop().ok_or(MemoryError::Unknown { id })
    }

    /// Several graphs, in the order of `ids`.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_many(&self, ids: &[u64]) -> Result<Vec<StoredGraph>, MemoryError> {
        let graphs = self.store.graphs(ids.iter().copied())?;
        let found = ids.iter().zip(graphs).map(|(id, found)| {
            let known = found.zip(self.index.entry(*id).cloned());
            let ((graph, metadata), entry) = known.ok_or(MemoryError::Unknown { id: *id })?;
            Ok(StoredGraph { id: *id, graph, metadata, entry })
        });
        found.collect()
    }

    /// The graphs that are isomorphic to this one, in the order in which they were stored; see
    /// [`are_isomorphic`](crate::are_isomorphic). A graph for which that is not known is none.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn find_copies(&self, graph: &LabeledGraph) -> Result<Vec<u64>, MemoryError> {
        let ids: Vec<u64> = self.index.with_hash(canonical_hash(graph).0, self.state.next_id).collect();
        self.copies_among(graph, ids)
    }

    /// The copies of a graph among others.
    pub(crate) fn copies_among(&self, graph: &LabeledGraph, ids: Vec<u64>) -> Result<Vec<u64>, MemoryError> {
        let others = self.store.graphs(ids.iter().copied())?;
        let is_copy = self.workers.map(ids.len(), |index| {
            others[index].as_ref().is_some_and(|(other, _)| are_isomorphic(graph, other) == Some(true))
        });
        Ok(ids.into_iter().zip(is_copy).filter_map(|(id, is_copy)| is_copy.then_some(id)).collect())
    }

    /// Stores a graph; returns what changed.
    ///
    /// # Errors
    /// As [`put_many`](Self::put_many).
    pub fn put(&mut self, graph: NewGraph) -> Result<Change, MemoryError> {
        self.put_many([graph])
    }

    /// Stores graphs in one durable transaction, which is far quicker than one for each. If there are more than the
    /// capacity afterwards, the least used are forgotten, but none of these unless they are too many alone.
    ///
    /// # Errors
    /// If a graph has more than [`MAX_NODES`](crate::MAX_NODES) nodes, [`MAX_EDGES`](crate::MAX_EDGES) edges or
    /// [`MAX_METADATA`](crate::MAX_METADATA) bytes of metadata, if some have vectors of their own and others have none, or the
    /// file cannot be written; then none is stored.
    pub fn put_many(&mut self, graphs: impl IntoIterator<Item = NewGraph>) -> Result<Change, MemoryError> {
        let graphs: Vec<NewGraph> = graphs.into_iter().collect();
        let prepared = self.workers.map(graphs.len(), |index| Prepared::new(&graphs[index]));
        self.put_prepared(prepared.into_iter().collect::<Result<_, _>>()?)
    }

    /// Whether the vectors of its graphs were given; none without graphs.
    pub(crate) fn has_given_vectors(&self) -> Option<bool> {
        Some(self.index.entry(*self.ids().first()?)?.has_given_vector)
    }

    pub(crate) fn put_prepared(&mut self, graphs: Vec<Prepared>) -> Result<Change, MemoryError> {
        if graphs.is_empty() {
            return Ok(Change { version: self.version(), ..Change::default() });
        }
        Prepared::check_vectors(&graphs, self.has_given_vectors())?;
        let (version, first) = (self.state.version + 1, self.state.next_id);
        let ids = first..first + graphs.len() as u64;
        let written = ids.clone().zip(graphs).map(|(id, graph)| {
            let Prepared { hash, vector, has_given_vector, bytes, time } = graph;
            let episodes = vec![Episode { number: id, time }];
            let entry = Entry {
                hash,
                count: 1,
                uses: 0,
                last_used: version,
                is_consolidated: false,
                has_given_vector,
                episodes,
            };
            Written { id, entry, vector, bytes: Some(bytes) }
        });
        let written: Vec<Written> = written.collect();
        let state = State { next_id: ids.end, ..self.state.clone() };
        let forgotten = self.commit(written, BTreeSet::new(), state)?;
        Ok(Change { version, ids: ids.collect(), forgotten })
    }

    /// Counts a use of each of these graphs: the least used are forgotten first. Those that there are not are skipped.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn mark_used(&mut self, ids: &[u64]) -> Result<Change, MemoryError> {
        let ids: BTreeSet<u64> = ids.iter().copied().collect();
        let version = self.state.version + 1;
        let written = ids.into_iter().filter_map(|id| {
            let (mut entry, vector) = (self.index.entry(id)?.clone(), self.index.vector(id)?);
            entry.uses = entry.uses.saturating_add(1);
            entry.last_used = version;
            Some(Written { id, entry, vector, bytes: None })
        });
        let written: Vec<Written> = written.collect();
        if !written.is_empty() {
            self.commit(written, BTreeSet::new(), self.state.clone())?;
        }
        Ok(Change { version: self.version(), ..Change::default() })
    }

    /// Forgets graphs, in one durable transaction.
    ///
    /// # Errors
    /// If there is no such graph, or the file cannot be written; then none is forgotten.
    pub fn forget(&mut self, ids: &[u64]) -> Result<Change, MemoryError> {
        if let Some(&id) = ids.iter().find(|id| self.index.entry(**id).is_none()) {
            return Err(MemoryError::Unknown { id });
        }
        if !ids.is_empty() {
            self.commit(Vec::new(), ids.iter().copied().collect(), self.state.clone())?;
        }
        Ok(Change { version: self.version(), ..Change::default() })
    }

    /// Sets the maximum number of graphs, or none; if there are more, the least used are forgotten at once.
    ///
    /// The least used are those with the fewest uses, of these those whose last use (or storing) is longest ago, of these
    /// the first stored.
    ///
    /// # Errors
    /// If the capacity is 0, or the file cannot be written.
    pub fn set_capacity(&mut self, capacity: Option<u64>) -> Result<Change, MemoryError> {
        if capacity == Some(0) {
            return Err(MemoryError::Capacity);
        }
        let state = State { capacity, ..self.state.clone() };
        let forgotten = self.commit(Vec::new(), BTreeSet::new(), state)?;
        Ok(Change { version: self.version(), ids: Vec::new(), forgotten })
    }

    /// Names the labels of nodes and those of edges, by label. Programs that use numbers alone need none.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn set_label_names(&mut self, nodes: Vec<String>, edges: Vec<String>) -> Result<Change, MemoryError> {
        let names = [nodes, edges];
        if names != self.state.names {
            let state = State { names, ..self.state.clone() };
            self.commit(Vec::new(), BTreeSet::new(), state)?;
        }
        Ok(Change { version: self.version(), ..Change::default() })
    }

    /// Writes changes to the file, then to the index; returns what was forgotten beyond them to keep the capacity.
    pub(crate) fn commit(
        &mut self,
        written: Vec<Written>,
        mut removed: BTreeSet<u64>,
        mut state: State,
    ) -> Result<Vec<u64>, MemoryError> {
        state.version = self.state.version + 1;
        let new: BTreeSet<u64> =
            written.iter().map(|written| written.id).filter(|id| self.entry(*id).is_none()).collect();
        let count = self.len() + new.len() - removed.len();
        let excess =
            state.capacity.map_or(0, |capacity| count.saturating_sub(capacity.try_into().unwrap_or(usize::MAX)));
        // The new ones come last, in their order, though nothing has used them yet.
        let candidates = self.index.least_used().filter(|id| !removed.contains(id)).chain(new.iter().copied());
        let forgotten: Vec<u64> = candidates.take(excess).collect();
        removed.extend(&forgotten);
        let written: Vec<Written> = written.into_iter().filter(|written| !removed.contains(&written.id)).collect();
        let changes = Changes { written, removed, state };
        self.store.commit(&changes)?;
        let Changes { written, removed, state } = changes;
        self.index.remove(&removed);
        written.into_iter().for_each(|Written { id, entry, vector, .. }| self.index.insert(id, entry, vector));
        self.state = state;
        Ok(forgotten)
    }

    /// Identifiers drawn uniformly with replacement, such as a batch to train on. Each step of a seed is a batch of its own;
    /// the same seed and step give the same from equal memories. Empty from an empty memory.
    pub fn sample(&self, seed: u64, step: u64, count: usize) -> Vec<u64> {
        let ids = self.ids();
        let mut random = RandomStream::new(Philox::new(seed, 0, step));
        let count = if ids.is_empty() { 0 } else { count };
        (0..count).map(|_| ids[random.below(ids.len() as u64) as usize]).collect()
    }

    /// All known episodes with their graphs, in the order in which they were stored.
    pub fn episodes(&self) -> Vec<(Episode, u64)> {
        let mut episodes = Vec::new();
        for (id, entry) in self.ids().iter().filter_map(|id| Some((*id, self.entry(*id)?))) {
            episodes.extend(entry.episodes.iter().map(|episode| (*episode, id)));
        }
        episodes.sort_unstable();
        episodes
    }
}
