//! Sources as text.

use thiserror::Error;

/// A source cannot become a graph.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SourceError {
    /// The bytes are no text.
    #[error("byte {offset} is {byte:#04x}, which is not UTF-8 there; save the text as UTF-8")]
    NotUtf8 {
        /// Where the first wrong byte is, counted from 0.
        offset: usize,
        /// What it is.
        byte: u8,
    },
    /// The text is too long.
    #[error("the text has {bytes} bytes, and at most {} become a graph; take a part of it", MAX_BYTES)]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
    /// The graph would have too many edges.
    #[error(
        "the graph would have {edges} edges, and at most {} are made; take a narrower window, fewer tags or a part of the text",
        MAX_EDGES
    )]
    TooManyEdges {
        /// How many there would be.
        edges: usize,
    },
}

/// The longest source: 256 MiB, whose graphs take tens of gigabytes.
pub const MAX_BYTES: usize = 1 << 28;

/// The most edges of a graph of text: they take 4 GB.
pub const MAX_EDGES: usize = 1 << 28;

/// The text of bytes in UTF-8, unchanged: a byte order mark stays.
///
/// # Errors
/// If the bytes are not UTF-8; the error has the offset of the first wrong one.
pub fn decode(bytes: &[u8]) -> Result<&str, SourceError> {
    str::from_utf8(bytes).map_err(|error| {
        let offset = error.valid_up_to();
        SourceError::NotUtf8 { offset, byte: bytes.get(offset).copied().unwrap_or_default() }
    })
}

/// Checks that a text is short enough for nodes and bytes to be numbered by `u32`s.
pub(crate) fn check_length(text: &str) -> Result<(), SourceError> {
    if text.len() > MAX_BYTES { Err(SourceError::TooLong { bytes: text.len() }) } else { Ok(()) }
}
