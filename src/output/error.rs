//! What can go wrong between the memory and the disk, and what to do about it.

use std::path::PathBuf;

use thiserror::Error;

/// A file could not be written or read. Each message names the file and says what to do.
#[derive(Debug, Error)]
pub enum OutputError {
    /// The file could not be created.
    #[error("cannot create {}: {source}; check that its folder exists and may be written to", path.display())]
    CannotCreate {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file was created, but not all of it could be written.
    #[error("cannot write {}: {source}; check the free space on the disk and write it again", path.display())]
    CannotWrite {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file could not be read.
    #[error("cannot read {}: {source}; check that it exists and may be read", path.display())]
    CannotRead {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not in the safetensors format, or was cut off or damaged.
    #[error("{} is not a safetensors file: {reason}; write the weights again or take another copy", path.display())]
    NotSafetensors {
        /// The file.
        path: PathBuf,
        /// The first thing found to be wrong.
        reason: String,
    },
    /// The file is not the checkpoint of a run, or was damaged.
    #[error("{} is no checkpoint that can be read: {reason}; take another one", path.display())]
    NotCheckpoint {
        /// The file.
        path: PathBuf,
        /// The first thing found to be wrong.
        reason: String,
    },
    /// A line of the file is not an epoch report.
    #[error("line {line} of {} is not an epoch report: {source}; remove or repair that line", path.display())]
    NotMetrics {
        /// The file.
        path: PathBuf,
        /// Number of the line, counted from 1.
        line: usize,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// A tensor that the model needs is not there.
    #[error("{} has no tensor `{name}`; take the weights of a model of the same layers, or rename its tensors", path.display())]
    MissingTensor {
        /// The file.
        path: PathBuf,
        /// Name of the tensor.
        name: String,
    },
    /// A tensor is there, but of another shape than the model's.
    #[error(
        "tensor `{name}` of {} has shape {found:?}, not {expected:?}; \
         take the weights of a model of the same widths",
        path.display()
    )]
    WrongShape {
        /// The file.
        path: PathBuf,
        /// Name of the tensor.
        name: String,
        /// Shape that the model asks for.
        expected: Vec<usize>,
        /// Shape in the file.
        found: Vec<usize>,
    },
    /// Tensors are there that the model does not read.
    #[error(
        "{} has tensors that the model does not read: {}; \
         take the weights of a model of the same layers, rename them (old=new), or leave them out (old=)",
        path.display(),
        listed(names)
    )]
    UnreadTensors {
        /// The file.
        path: PathBuf,
        /// Names of the tensors, sorted.
        names: Vec<String>,
    },
    /// Reading the file takes more memory than is available.
    #[error(
        "{} needs {} MB of memory, but {} MB are available; make more available, or take a smaller file",
        path.display(),
        bytes.div_ceil(1_000_000),
        available / 1_000_000
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Bytes that it needs.
        bytes: usize,
        /// Bytes that are available.
        available: usize,
    },
    /// A tensor does not hold floats of 16, 32 or 64 bits.
    #[error(
        "tensor `{name}` of {} is of type {found}, not F32, F64, F16 or BF16; \
         convert the weights to 32-bit floats",
        path.display()
    )]
    WrongDtype {
        /// The file.
        path: PathBuf,
        /// Name of the tensor.
        name: String,
        /// Type of its elements, as the format calls it.
        found: String,
    },
    /// A tensor to be written has more or fewer values than its shape says.
    #[error(
        "cannot write {}: tensor `{name}` has {values} values, but shape {shape:?}; \
         make the two agree",
        path.display()
    )]
    WrongValueCount {
        /// The file.
        path: PathBuf,
        /// Name of the tensor.
        name: String,
        /// Shape of the tensor.
        shape: Vec<usize>,
        /// Number of its values.
        values: usize,
    },
    /// A tensor to be written has a name the format cannot hold: one used twice, or `__metadata__`.
    #[error(
        "cannot write {}: the name `{name}` is reserved or used twice; \
         give each tensor a name of its own",
        path.display()
    )]
    UnusableName {
        /// The file.
        path: PathBuf,
        /// Name of the tensor.
        name: String,
    },
    /// A weight is NaN or infinite.
    #[error(
        "value {index} of tensor `{name}` of {} is {value}; \
         the training diverged, lower the learning rate",
        path.display()
    )]
    NonFinite {
        /// The file.
        path: PathBuf,
        /// Name of the tensor.
        name: String,
        /// Place of the first such value, in row-major order.
        index: usize,
        /// The value.
        value: f32,
    },
}

/// The first of some names.
fn listed(names: &[String]) -> String {
    /// The most names that a message lists.
    const MOST: usize = 8;
    let mut text: Vec<String> = names.iter().take(MOST).map(|name| format!("`{name}`")).collect();
    if names.len() > MOST {
        text.push(format!("and {} more", names.len() - MOST));
    }
    text.join(", ")
}
