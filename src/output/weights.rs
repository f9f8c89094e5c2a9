//! Weights of a model as a safetensors file.
//!
//! The file is eight bytes with the length of the header, the header in JSON (name, type, shape and place of each
//! tensor, and free-form metadata), then the values in little-endian order. Any safetensors reader opens it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Take};
use std::path::Path;

use safetensors::tensor::{Metadata, TensorInfo, View};
use safetensors::{Dtype, SafeTensorError};
use serde::{Deserialize, Serialize};

use super::{OutputError, write_file};
use crate::data::half::{from_bfloat, from_half};
use crate::data::memory;

/// Bytes before the header, which hold its length.
const LENGTH_BYTES: usize = size_of::<u64>();

/// Longest header that the safetensors format allows.
const LONGEST_HEADER: usize = 100_000_000;

/// The most tensors of a file; a model has no more operations that could read them.
const MAX_TENSORS: usize = 1 << 18;

/// Bytes that the description of a tensor takes, beside its name, while it is read, as measured.
const TENSOR_BYTES: usize = 512;

/// The key of the header that cannot be the name of a tensor.
const METADATA_KEY: &str = "__metadata__";

/// An array of 32-bit floats with a name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tensor {
    /// Name, unique within a file, such as `layer.0.weight`.
    pub name: String,
    /// Length of each dimension; empty for a single number.
    pub shape: Vec<usize>,
    /// Values in row-major order, as many as the product of the shape.
    pub values: Vec<f32>,
}

impl View for &Tensor {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    fn data_len(&self) -> usize {
        size_of_val(self.values.as_slice())
    }
}

/// A header with its entries sorted.
#[derive(Serialize, Deserialize)]
struct SortedHeader {
    #[serde(rename = "__metadata__", default, skip_serializing_if = "BTreeMap::is_empty")]
    metadata: BTreeMap<String, String>,
    #[serde(flatten)]
    tensors: BTreeMap<String, TensorInfo>,
}

/// Writes the tensors and the metadata to `path`, replacing what was there.
///
/// The same tensors and metadata give the same bytes, in whatever order the tensors come. The file appears whole or
/// not at all, see [`write_file`].
///
/// # Errors
///
/// [`OutputError::WrongValueCount`], [`OutputError::UnusableName`] or [`OutputError::NonFinite`] for a tensor that
/// could not be read back, before anything is written; [`OutputError::CannotCreate`] or [`OutputError::CannotWrite`]
/// when the file cannot be written or the header would be longer than the format allows.
pub fn write_weights(path: &Path, tensors: &[Tensor], metadata: BTreeMap<String, String>) -> Result<(), OutputError> {
    write_file(path, &encode_weights(path, tensors, metadata)?)
}

/// The bytes of the file that [`write_weights`] writes to `path`.
pub(super) fn encode_weights(
    path: &Path,
    tensors: &[Tensor],
    metadata: BTreeMap<String, String>,
) -> Result<Vec<u8>, OutputError> {
    check_names(path, tensors)?;
    for tensor in tensors {
        check_value_count(path, tensor)?;
        check_finite(path, &tensor.name, &tensor.values)?;
    }
    encode_views(tensors.iter().map(|tensor| (&tensor.name, tensor)), metadata)
        .map_err(|error| OutputError::CannotWrite { path: path.to_path_buf(), source: io::Error::other(error) })
}

/// Reads the tensors of a safetensors file, sorted by name: floats of 16, 32 or 64 bits, as 32-bit ones. Those called `num_batches_tracked`, whole numbers that
/// PyTorch keeps beside running statistics, are left out.
///
/// A damaged file costs no more memory than its own size.
///
/// # Errors
///
/// [`OutputError::CannotRead`] when the file is absent or may not be read; [`OutputError::NotSafetensors`] when it is
/// of another format, cut off or damaged, or describes more tensors than a model could have; [`OutputError::TooLarge`] when
/// there is not enough memory; [`OutputError::WrongDtype`] and [`OutputError::NonFinite`] when a tensor holds something else
/// than finite floats.
pub fn read_weights(path: &Path) -> Result<Vec<Tensor>, OutputError> {
    decode_all(path, &read(path)?)
}

/// As [`read_weights`], of the bytes of a file that were read already; `path` is for errors.
///
/// # Errors
///
/// As [`read_weights`].
pub fn decode_weights(path: &Path, bytes: &[u8]) -> Result<Vec<Tensor>, OutputError> {
    decode_all(path, &read_from(path, bytes, bytes.len() as u64)?)
}

fn decode_all(path: &Path, (header, data): &(Metadata, Vec<u8>)) -> Result<Vec<Tensor>, OutputError> {
    let sorted: BTreeMap<String, &TensorInfo> = header.tensors().into_iter().collect();
    let numbers = sorted.into_iter().filter(|(name, _)| !is_counter(name));
    numbers.map(|(name, info)| decode(path, name, info, data)).collect()
}

/// Reads the metadata of a safetensors file and leaves its tensors alone. Empty when the file has none.
///
/// # Errors
///
/// [`OutputError::CannotRead`] and [`OutputError::NotSafetensors`] as for [`read_weights`].
pub fn read_metadata(path: &Path) -> Result<BTreeMap<String, String>, OutputError> {
    let (file, length) = open(path)?;
    let (header, ..) = read_metadata_of(path, file, length)?;
    let metadata = header.metadata().clone().unwrap_or_default();
    Ok(metadata.into_iter().collect())
}

/// Finds the tensor called `name` among `tensors`, which were read from `path`, and checks its shape.
///
/// # Errors
///
/// [`OutputError::MissingTensor`] when there is none of that name; [`OutputError::WrongShape`] when its shape is not
/// `shape`.
pub fn expect_tensor<'a>(
    path: &Path,
    tensors: &'a [Tensor],
    name: &str,
    shape: &[usize],
) -> Result<&'a Tensor, OutputError> {
    let Some(tensor) = tensors.iter().find(|tensor| tensor.name == name) else {
        return Err(OutputError::MissingTensor { path: path.to_path_buf(), name: name.to_owned() });
    };
    if tensor.shape != shape {
        return Err(OutputError::WrongShape {
            path: path.to_path_buf(),
            name: name.to_owned(),
            expected: shape.to_vec(),
            found: tensor.shape.clone(),
        });
    }
    Ok(tensor)
}

/// Refuses names that the header cannot hold.
fn check_names(path: &Path, tensors: &[Tensor]) -> Result<(), OutputError> {
    let mut taken = BTreeSet::from([METADATA_KEY]);
    match tensors.iter().find(|tensor| !taken.insert(&tensor.name)) {
        None => Ok(()),
        Some(tensor) => Err(OutputError::UnusableName { path: path.to_path_buf(), name: tensor.name.clone() }),
    }
}

fn check_value_count(path: &Path, tensor: &Tensor) -> Result<(), OutputError> {
    let count = tensor.shape.iter().try_fold(1_usize, |product, &length| product.checked_mul(length));
    if count == Some(tensor.values.len()) {
        return Ok(());
    }
    Err(OutputError::WrongValueCount {
        path: path.to_path_buf(),
        name: tensor.name.clone(),
        shape: tensor.shape.clone(),
        values: tensor.values.len(),
    })
}

fn check_finite(path: &Path, name: &str, values: &[f32]) -> Result<(), OutputError> {
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(index) => {
            Err(OutputError::NonFinite { path: path.to_path_buf(), name: name.to_owned(), index, value: values[index] })
        }
    }
}

/// The bytes of the whole file.
pub(super) fn encode_views<'a>(
    views: impl IntoIterator<Item = (&'a String, impl View)>,
    metadata: BTreeMap<String, String>,
) -> Result<Vec<u8>, SafeTensorError> {
    let metadata = (!metadata.is_empty()).then(|| metadata.into_iter().collect());
    let mut bytes = safetensors::serialize(views, metadata)?;
    // The crate keeps metadata in a hash map, whose order differs from run to run. Sorted, the header has the same length.
    let length = bytes.first_chunk().map_or(0, |length| u64::from_le_bytes(*length) as usize);
    if let Some(header) = bytes.get(LENGTH_BYTES..LENGTH_BYTES + length) {
        let sorted = serde_json::to_vec(&serde_json::from_slice::<SortedHeader>(header)?)?;
        bytes[LENGTH_BYTES..][..sorted.len()].copy_from_slice(&sorted);
    }
    Ok(bytes)
}

/// Reads a file: its header and its values, which agree in length.
///
/// The crate's own reader adds up lengths without a check for overflow, which a damaged header can bring about.
pub(super) fn read(path: &Path) -> Result<(Metadata, Vec<u8>), OutputError> {
    let (file, length) = open(path)?;
    read_from(path, file, length)
}

fn read_from(path: &Path, file: impl Read, length: u64) -> Result<(Metadata, Vec<u8>), OutputError> {
    let (header, length, mut file) = read_metadata_of(path, file, length)?;
    let mut data = Vec::new();
    // As many values of 32 bits come of values of 16 bits as take twice their memory, and the model has them once more.
    if length > memory::available() / 4 {
        return Err(OutputError::TooLarge { path: path.to_path_buf(), bytes: length, available: memory::available() });
    }
    data.try_reserve_exact(length).map_err(|_| cannot_read(path, io::ErrorKind::OutOfMemory.into()))?;
    file.read_to_end(&mut data).map_err(|source| cannot_read(path, source))?;
    Ok((header, data))
}

/// Opens a file; returns its length as well. A device has no end; its length is zero.
fn open(path: &Path) -> Result<(File, u64), OutputError> {
    let file = File::open(path).map_err(|source| cannot_read(path, source))?;
    let length = file.metadata().map_err(|source| cannot_read(path, source))?.len();
    Ok((file, length))
}

/// Reads the header of a file of so many bytes; returns as well how many bytes of values follow, and the file where they begin.
fn read_metadata_of<R: Read>(path: &Path, file: R, length: u64) -> Result<(Metadata, usize, Take<R>), OutputError> {
    let damaged = |reason| not_safetensors(path, reason);
    let mut file = file.take(length);
    let (header, follow) = read_header(&mut file, length)
        .map_err(|source| cannot_read(path, source))?
        .ok_or_else(|| damaged(format!("its {length} bytes hold no whole header")))?;
    check_header(path, &header)?;
    let header: Metadata =
        serde_json::from_slice(&header).map_err(|error| damaged(format!("its header is damaged, {error}")))?;
    let declared = header.data_len();
    match usize::try_from(follow) {
        Ok(follow) if follow == declared => Ok((header, follow, file)),
        _ => Err(damaged(format!("its header declares {declared} bytes of values, but {follow} follow"))),
    }
}

/// The header of a file of so many bytes, if it has a whole one, and how many bytes follow.
fn read_header(file: &mut impl Read, length: u64) -> io::Result<Option<(Vec<u8>, u64)>> {
    let Some(rest) = length.checked_sub(LENGTH_BYTES as u64) else { return Ok(None) };
    let mut bytes = [0; LENGTH_BYTES];
    file.read_exact(&mut bytes)?;
    let length = u64::from_le_bytes(bytes);
    if length > LONGEST_HEADER as u64 || length > rest || length > memory::available() as u64 {
        return Ok(None);
    }
    let mut header = vec![0; length as usize];
    file.read_exact(&mut header)?;
    Ok(Some((header, rest - length)))
}

/// Refuses a header of more tensors than a model has, or of more than fit into memory, before they are told apart.
fn check_header(path: &Path, header: &[u8]) -> Result<(), OutputError> {
    let tensors = header.iter().filter(|&&byte| byte == b'{').count();
    if tensors > MAX_TENSORS {
        return Err(not_safetensors(path, format!("its header describes more than {MAX_TENSORS} tensors")));
    }
    let (bytes, available) = (tensors * TENSOR_BYTES + header.len().saturating_mul(8), memory::available());
    if bytes > available { Err(OutputError::TooLarge { path: path.to_path_buf(), bytes, available }) } else { Ok(()) }
}

/// Whether a tensor only counts the batches that a normalization of PyTorch has seen.
fn is_counter(name: &str) -> bool {
    name.rsplit('.').next() == Some("num_batches_tracked")
}

/// Takes one tensor out of the values of a file. Those that are no 32-bit floats are converted; a 64-bit one that is too
/// large becomes infinite, which is refused.
fn decode(path: &Path, name: String, info: &TensorInfo, data: &[u8]) -> Result<Tensor, OutputError> {
    let (begin, end) = info.data_offsets;
    // The header agreed with the length of the file; it can only have shrunk since.
    let bytes =
        data.get(begin..end).ok_or_else(|| not_safetensors(path, "it was cut off while being read".to_owned()))?;
    let values: Vec<f32> = match info.dtype {
        Dtype::F32 => bytes.as_chunks().0.iter().map(|&chunk| f32::from_le_bytes(chunk)).collect(),
        Dtype::F64 => bytes.as_chunks().0.iter().map(|&chunk| f64::from_le_bytes(chunk) as f32).collect(),
        Dtype::F16 => bytes.as_chunks().0.iter().map(|&chunk| from_half(u16::from_le_bytes(chunk))).collect(),
        Dtype::BF16 => bytes.as_chunks().0.iter().map(|&chunk| from_bfloat(u16::from_le_bytes(chunk))).collect(),
        other => {
            return Err(OutputError::WrongDtype { path: path.to_path_buf(), name, found: other.to_string() });
        }
    };
    check_finite(path, &name, &values)?;
    Ok(Tensor { name, shape: info.shape.clone(), values })
}

fn cannot_read(path: &Path, source: io::Error) -> OutputError {
    OutputError::CannotRead { path: path.to_path_buf(), source }
}

pub(super) fn not_safetensors(path: &Path, reason: String) -> OutputError {
    OutputError::NotSafetensors { path: path.to_path_buf(), reason }
}

#[cfg(test)]
mod tests;
