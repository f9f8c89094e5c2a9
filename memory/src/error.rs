//! What can go wrong with a memory.

use connectome_systems::algorithms::edit_distance::EditError;
use std::path::PathBuf;

/// Why a memory refused or failed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum MemoryError {
    /// There is no such file.
    #[error("there is no memory {path}; check the path, or add a graph to create it")]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// Another process, or another part of this one, has the file open.
    #[error("the memory {path} is open elsewhere; close it there, or wait until it is")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("{path} is no memory of graphs; give a file that a memory has written, or a new name")]
    NotAMemory {
        /// The file.
        path: PathBuf,
    },
    /// The file was written by another version.
    #[error(
        "the memory {path} has format {version}, and this version reads format {supported}; export its graphs with the \
         version that wrote it, and add them to a new one"
    )]
    OtherFormat {
        /// The file.
        path: PathBuf,
        /// The format of the file.
        version: u32,
        /// The format that is read.
        supported: u32,
    },
    /// The file was damaged by something else than this crate.
    #[error("the memory {path} is damaged: {reason}; restore it from a copy")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The operating system refused to read or write.
    #[error(
        "cannot read or write the memory {path}: {reason}; nothing of the last change is in it; make room or mend the \
         disk, and open it again"
    )]
    Storage {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// A graph or its metadata are too large to be stored.
    #[error("a graph with {count} {what} is too large for a memory, which holds at most {max}; store parts of it")]
    TooLarge {
        /// Nodes, edges, or bytes of metadata.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
        max: usize,
    },
    /// There is no graph with this identifier: it was never stored, forgotten, or merged with a copy.
    #[error("the memory holds no graph {id}; ask `show` which it holds")]
    Unknown {
        /// The identifier.
        id: u64,
    },
    /// A capacity of 0.
    #[error("a capacity of 0 would forget every graph; give at least 1")]
    Capacity,
    /// Graphs cannot be compared with these costs.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// Vectors that were given and vectors that are computed are not comparable.
    #[error(
        "the vectors of this memory {}; use another memory for others",
        if *given { "were given with its graphs, so give one" } else { "are computed of its graphs, so give none" }
    )]
    Vectors {
        /// Whether those of the memory were given.
        given: bool,
    },
    /// What a model makes of a graph is no vector.
    #[error("an embedding has {width} values of which all have to be finite; give 1 to {max}", max = crate::DIMENSIONS)]
    Embedding {
        /// The number of values.
        width: usize,
    },
    /// The queue is full.
    #[error("the queue of the memory is full; ask again once it has answered")]
    Busy,
    /// The memory was closed.
    #[error("the memory is closed; open it again")]
    Closed,
}
