//! The file: a redb database with the graphs, their entries, and the state of the memory.

use connectome_systems::algorithms::LabeledGraph;
use redb::{Builder, Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition};
use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
};

use crate::encoding::{Malformed, Metadata, Reader, read_graph, read_metadata, write_number, write_text};
use crate::entry::Entry;
use crate::error::MemoryError;
use crate::vector::GraphVector;

/// Metadata and graph by identifier.
const GRAPHS: TableDefinition<u64, &[u8]> = TableDefinition::new("graphs");
/// Entries by identifier.
const ENTRIES: TableDefinition<u64, &[u8]> = TableDefinition::new("entries");
/// What there is once.
const STATE: TableDefinition<&str, &[u8]> = TableDefinition::new("state");

/// The version of the contents of the tables, of the vectors and of the hashes.
const FORMAT: u32 = 1;

/// The bytes of pages that are kept in memory.
const CACHE: usize = 64 << 20;

/// What there is once.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct State {
    /// The number of transactions that changed the memory.
    pub version: u64,
    /// The identifier of the next graph.
    pub next_id: u64,
    /// The maximum number of graphs.
    pub capacity: Option<u64>,
    /// What the labels of nodes and of edges are called.
    pub names: [Vec<String>; 2],
}

impl State {
    fn write(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        [self.version, self.next_id, self.capacity.unwrap_or(0)]
            .into_iter()
            .for_each(|number| write_number(&mut bytes, number));
        bytes
    }

    fn write_names(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for names in &self.names {
            write_number(&mut bytes, names.len() as u64);
            names.iter().for_each(|name| write_text(&mut bytes, name));
        }
        bytes
    }

    fn read(state: &[u8], names: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader(state);
        // No memory gets so far; they are added to without a check.
        let number = |reader: &mut Reader| reader.number().ok().filter(|number| *number < 1 << 62).ok_or(Malformed);
        let [version, next_id, capacity] = [number(&mut reader)?, number(&mut reader)?, reader.number()?];
        reader.end()?;
        let mut reader = Reader(names);
        let mut names = || {
            let count = reader.count(reader.0.len())?;
            (0..count).map(|_| reader.text()).collect::<Result<Vec<String>, Malformed>>()
        };
        let names = [names()?, names()?];
        reader.end()?;
        Ok(Self { version, next_id, capacity: (capacity > 0).then_some(capacity), names })
    }
}

/// A graph as it is written: its entry, its vector, and its bytes if those are new.
pub(crate) struct Written {
    pub id: u64,
    pub entry: Entry,
    pub vector: GraphVector,
    pub bytes: Option<Vec<u8>>,
}

/// What one transaction changes.
pub(crate) struct Changes {
    pub written: Vec<Written>,
    pub removed: BTreeSet<u64>,
    pub state: State,
}

/// The file.
pub(crate) struct Store {
    path: PathBuf,
    database: Database,
}

/// A whole file: the entries and vectors by identifier, and the state.
pub(crate) type Contents = (Vec<(u64, Entry, GraphVector)>, State);

impl Store {
    /// Opens a file, or creates it if there is none or an empty one.
    pub fn open(path: &Path, create: bool) -> Result<(Self, Contents), MemoryError> {
        match std::fs::metadata(path) {
            // A pipe would wait for someone who writes.
            Ok(file) if !file.is_file() => return Err(MemoryError::NotAMemory { path: path.into() }),
            Err(_) if !create => return Err(MemoryError::Missing { path: path.into() }),
            _ => {}
        }
        let mut builder = Builder::new();
        // Otherwise a file that was damaged while closed would be trusted, and could panic.
        builder.set_cache_size(CACHE).set_check_integrity_on_open(true);
        let database = if create { builder.create(path) } else { builder.open(path) };
        let store = Self { database: database.map_err(|error| failure(path, error))?, path: path.into() };
        let contents = store.contents(create)?;
        Ok((store, contents))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    fn failure(&self, error: impl Into<redb::Error>) -> MemoryError {
        failure(&self.path, error)
    }

    fn damaged(&self, reason: impl Into<String>) -> MemoryError {
        MemoryError::Damaged { path: self.path.clone(), reason: reason.into() }
    }

    fn contents(&self, create: bool) -> Result<Contents, MemoryError> {
        let read = self.database.begin_read().map_err(|error| self.failure(error))?;
        let is_empty = read.list_tables().map_err(|error| self.failure(error))?.next().is_none();
        if is_empty && create {
            // New, or its process was killed between the creation of the file and that of the tables.
            let state = State::default();
            self.commit(&Changes { written: Vec::new(), removed: BTreeSet::new(), state: state.clone() })?;
            return Ok((Vec::new(), state));
        }
        let table = read.open_table(STATE).map_err(|error| self.failure(error))?;
        let value = |key: &str| {
            let value = table.get(key).map_err(|error| self.failure(error))?;
            Ok::<_, MemoryError>(value.map(|value| value.value().to_vec()).unwrap_or_default())
        };
        let format = value("connectome memory")?;
        let Ok(format) = <[u8; 4]>::try_from(&format[..]).map(u32::from_le_bytes) else {
            return Err(MemoryError::NotAMemory { path: self.path.clone() });
        };
        if format != FORMAT {
            return Err(MemoryError::OtherFormat { path: self.path.clone(), version: format, supported: FORMAT });
        }
        let state =
            State::read(&value("state")?, &value("names")?).map_err(|_| self.damaged("its state is malformed"))?;
        let table = read.open_table(ENTRIES).map_err(|error| self.failure(error))?;
        let mut entries = Vec::new();
        for row in table.iter().map_err(|error| self.failure(error))? {
            let (id, bytes) = row.map_err(|error| self.failure(error))?;
            let (id, bytes) = (id.value(), bytes.value());
            let (entry, vector) =
                Entry::read(bytes).map_err(|_| self.damaged(format!("the entry of graph {id} is malformed")))?;
            entries.push((id, entry, vector));
        }
        Ok((entries, state))
    }

    /// Writes all changes in one durable transaction, or none of them.
    pub fn commit(&self, changes: &Changes) -> Result<(), MemoryError> {
        let write = self.database.begin_write().map_err(|error| self.failure(error))?;
        let failure = |error: redb::StorageError| self.failure(error);
        {
            let mut entries = write.open_table(ENTRIES).map_err(|error| self.failure(error))?;
            let mut graphs = write.open_table(GRAPHS).map_err(|error| self.failure(error))?;
            for Written { id, entry, vector, bytes } in &changes.written {
                entries.insert(id, &entry.write(vector)[..]).map_err(failure)?;
                if let Some(bytes) = bytes {
                    graphs.insert(id, &bytes[..]).map_err(failure)?;
                }
            }
            for id in &changes.removed {
                entries.remove(id).map_err(failure)?;
                graphs.remove(id).map_err(failure)?;
            }
            let mut state = write.open_table(STATE).map_err(|error| self.failure(error))?;
            state.insert("connectome memory", &FORMAT.to_le_bytes()[..]).map_err(failure)?;
            state.insert("state", &changes.state.write()[..]).map_err(failure)?;
            let names = changes.state.write_names();
            let is_old = state.get("names").map_err(failure)?.is_some_and(|old| old.value() == names);
            if !is_old {
                state.insert("names", &names[..]).map_err(failure)?;
            }
        }
        write.commit().map_err(|error| self.failure(error))
    }

    /// Some graphs with their metadata, in the order of `ids`; none for those that there are not.
    pub fn graphs(
        &self,
        ids: impl IntoIterator<Item = u64>,
    ) -> Result<Vec<Option<(LabeledGraph, Metadata)>>, MemoryError> {
        let read = self.database.begin_read().map_err(|error| self.failure(error))?;
        let table = read.open_table(GRAPHS).map_err(|error| self.failure(error))?;
        let load = |id: u64| match table.get(id).map_err(|error| self.failure(error))? {
            Some(bytes) => {
                let mut reader = Reader(bytes.value());
                let mut decode = || Ok::<_, Malformed>((read_metadata(&mut reader)?, read_graph(&mut reader)?));
                let decoded = decode().and_then(|decoded| reader.end().map(|()| decoded));
                let (metadata, graph) = decoded.map_err(|_| self.damaged(format!("graph {id} is malformed")))?;
                Ok(Some((graph, metadata)))
            }
            None => Ok(None),
        };
        ids.into_iter().map(load).collect()
    }

    /// The number of graphs.
    pub fn graph_count(&self) -> Result<u64, MemoryError> {
        let read = self.database.begin_read().map_err(|error| self.failure(error))?;
        let table = read.open_table(GRAPHS).map_err(|error| self.failure(error))?;
        table.len().map_err(|error| self.failure(error))
    }

    /// Verifies the checksums of the whole file.
    pub fn check(&mut self) -> Result<(), MemoryError> {
        match self.database.check_integrity() {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.damaged("checksums were wrong; the last whole state was restored")),
            Err(error) => Err(self.failure(error)),
        }
    }

    /// Gives free pages back to the file system.
    pub fn compact(&mut self) -> Result<(), MemoryError> {
        self.database.compact().map(|_| ()).map_err(|error| failure(&self.path, error))
    }
}

/// An error of the database as one of the memory.
fn failure(path: &Path, error: impl Into<redb::Error>) -> MemoryError {
    let path = path.to_owned();
    match error.into() {
        redb::Error::DatabaseAlreadyOpen => MemoryError::InUse { path },
        redb::Error::Corrupted(reason) => MemoryError::Damaged { path, reason },
        redb::Error::Io(error) => match error.kind() {
            io::ErrorKind::InvalidData => MemoryError::NotAMemory { path },
            io::ErrorKind::UnexpectedEof => MemoryError::Damaged { path, reason: "it is cut off".into() },
            _ => MemoryError::Storage { path, reason: error.to_string() },
        },
        redb::Error::UpgradeRequired(_)
        | redb::Error::TableDoesNotExist(_)
        | redb::Error::TableIsMultimap(_)
        | redb::Error::TableTypeMismatch { .. } => MemoryError::NotAMemory { path },
        error => MemoryError::Storage { path, reason: error.to_string() },
    }
}
