//! Checkpoints: the state of a run in a file.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use super::RunState;
use super::arrays::Source;
use crate::output::arrays::{Array, ArrayFile, Values, encode_arrays, read_arrays};
use crate::output::metrics::{decode_metrics, encode_metrics};
use crate::output::{EpochReport, OutputError, RunIdentity, write_file};

/// The version of the arrays in a checkpoint; one of another version is refused.
const FORMAT: u32 = 2;

/// Keys of the metadata.
const ABOUT: &str = "checkpoint";
const CHECKSUM: &str = "checksum";

/// The whole state of a run, as a file holds it.
///
/// The file is one of the safetensors format: arrays of the state under names such as `values.layers.0.weight`, the
/// reports of the epochs so far as text, and in its metadata what run it is, with a checksum over all of it. What is read
/// back is what was written, bit for bit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checkpoint {
    /// The identifier of the run.
    pub run: String,
    /// What the run computes; a state is of use to this run alone.
    pub identity: RunIdentity,
    /// The state.
    pub state: RunState,
    /// The reports of the epochs so far.
    pub reports: Vec<EpochReport>,
}

/// The metadata of the file.
#[derive(Serialize, Deserialize)]
struct About {
    format: u32,
    version: String,
    run: String,
    identity: RunIdentity,
}

impl Checkpoint {
    /// Writes the checkpoint to `path`, whole or not at all; see [`write_file`].
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), OutputError> {
        write_file(path, &self.encode(path)?)
    }

    /// The bytes of the file at `path`.
    ///
    /// # Errors
    /// If two parameters have the same name.
    pub fn encode(&self, path: &Path) -> Result<Vec<u8>, OutputError> {
        let Self { run, identity, state, reports } = self;
        let cannot_write = |source| OutputError::CannotWrite { path: path.to_path_buf(), source };
        let about = About {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            run: run.clone(),
            identity: identity.clone(),
        };
        let about = serde_json::to_string(&about).map_err(|error| cannot_write(error.into()))?;
        let mut arrays = state.to_arrays();
        arrays.push(Array::new("reports", Values::U8(encode_metrics(reports, None).map_err(cannot_write)?)));
        let metadata = [(ABOUT.to_owned(), about), (CHECKSUM.to_owned(), zeros())];
        let encoded = encode_arrays(&arrays, metadata.into());
        let mut bytes = encoded.map_err(|error| cannot_write(std::io::Error::other(error)))?;
        let sum = format!("{:032x}", xxh3_128(&bytes));
        if let Some(place) = checksum_in(&bytes, &zeros()) {
            bytes[place..place + sum.len()].copy_from_slice(sum.as_bytes());
        }
        Ok(bytes)
    }

    /// Reads a checkpoint.
    ///
    /// # Errors
    /// If the file cannot be read, is no checkpoint or is damaged.
    pub fn read(path: &Path) -> Result<Self, OutputError> {
        let ArrayFile { mut arrays, metadata } = read_arrays(path)?;
        let damaged = |reason: &str| OutputError::NotCheckpoint { path: path.to_path_buf(), reason: reason.to_owned() };
        let (Some(about), Some(sum)) = (metadata.get(ABOUT), metadata.get(CHECKSUM)) else {
            return Err(damaged("it holds weights alone, or something else"));
        };
        let about: About =
            serde_json::from_str(about).map_err(|error| damaged(&format!("its metadata are damaged, {error}")))?;
        if about.format != FORMAT {
            return Err(damaged(&format!("it was written by version {}", about.version)));
        }
        let mut bytes =
            fs::read(path).map_err(|source| OutputError::CannotRead { path: path.to_path_buf(), source })?;
        if let (Some(place), true) = (checksum_in(&bytes, sum), sum.len() == zeros().len()) {
            bytes[place..place + sum.len()].copy_from_slice(zeros().as_bytes());
        }
        if *sum != format!("{:032x}", xxh3_128(&bytes)) {
            return Err(damaged("its checksum is not that of its content"));
        }
        Self::from_arrays(path, about, &mut arrays)
    }

    fn from_arrays(path: &Path, about: About, arrays: &mut BTreeMap<String, Array>) -> Result<Self, OutputError> {
        let state = RunState::from_arrays(path, arrays)?;
        let reports = decode_metrics(path, &Source { path, arrays }.bytes("reports")?)?;
        Ok(Self { run: about.run, identity: about.identity, state, reports })
    }
}

/// The checksum while it is computed.
fn zeros() -> String {
    "0".repeat(32)
}

/// Where the digits of the checksum are in a file; they are in its header.
fn checksum_in(bytes: &[u8], digits: &str) -> Option<usize> {
    let entry = format!("\"{CHECKSUM}\":\"{digits}\"");
    let place = bytes.windows(entry.len()).position(|part| part == entry.as_bytes())?;
    Some(place + entry.len() - digits.len() - 1)
}
