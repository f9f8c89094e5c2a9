//! Arrays of several types in a safetensors file, with their bits.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use safetensors::{Dtype, SafeTensorError, tensor::View};

use super::OutputError;
use super::weights::{encode_views, not_safetensors, read};

/// The values of an array.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Values {
    /// Floats of 32 bits.
    F32(Vec<f32>),
    /// Floats of 64 bits.
    F64(Vec<f64>),
    /// Whole numbers of 32 bits.
    U32(Vec<u32>),
    /// Whole numbers of 64 bits.
    U64(Vec<u64>),
    /// Text or other bytes.
    U8(Vec<u8>),
}

/// An array with a name. Values need not be finite: what is written is read back bit for bit.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Array {
    pub name: String,
    pub shape: Vec<usize>,
    pub values: Values,
}

impl Array {
    /// An array of one dimension.
    pub fn new(name: impl Into<String>, values: Values) -> Self {
        let length = match &values {
            Values::F32(values) => values.len(),
            Values::F64(values) => values.len(),
            Values::U32(values) => values.len(),
            Values::U64(values) => values.len(),
            Values::U8(values) => values.len(),
        };
        Self { name: name.into(), shape: vec![length], values }
    }
}

impl View for &Array {
    fn dtype(&self) -> Dtype {
        match self.values {
            Values::F32(_) => Dtype::F32,
            Values::F64(_) => Dtype::F64,
            Values::U32(_) => Dtype::U32,
            Values::U64(_) => Dtype::U64,
            Values::U8(_) => Dtype::U8,
        }
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        match &self.values {
            Values::F32(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Values::F64(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Values::U32(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Values::U64(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Values::U8(values) => Cow::Borrowed(values),
        }
    }

    fn data_len(&self) -> usize {
        match &self.values {
            Values::F32(values) => size_of_val(&**values),
            Values::F64(values) => size_of_val(&**values),
            Values::U32(values) => size_of_val(&**values),
            Values::U64(values) => size_of_val(&**values),
            Values::U8(values) => values.len(),
        }
    }
}

/// The content of a file of arrays.
pub(crate) struct ArrayFile {
    /// The arrays by their names.
    pub arrays: BTreeMap<String, Array>,
    pub metadata: BTreeMap<String, String>,
}

/// The bytes of a safetensors file of these arrays; their names differ.
pub(crate) fn encode_arrays(arrays: &[Array], metadata: BTreeMap<String, String>) -> Result<Vec<u8>, SafeTensorError> {
    encode_views(arrays.iter().map(|array| (&array.name, array)), metadata)
}

/// Reads a safetensors file of arrays.
///
/// # Errors
///
/// [`OutputError::CannotRead`], [`OutputError::NotSafetensors`] and [`OutputError::TooLarge`] as for
/// [`read_weights`](super::read_weights); and if an array is of another type.
pub(crate) fn read_arrays(path: &Path) -> Result<ArrayFile, OutputError> {
    let (header, data) = read(path)?;
    let mut arrays = BTreeMap::new();
    for (name, info) in header.tensors() {
        let (begin, end) = info.data_offsets;
        let bytes =
            data.get(begin..end).ok_or_else(|| not_safetensors(path, "it was cut off while being read".to_owned()))?;
        let values = match info.dtype {
            Dtype::F32 => Values::F32(bytes.as_chunks().0.iter().map(|&chunk| f32::from_le_bytes(chunk)).collect()),
            Dtype::F64 => Values::F64(bytes.as_chunks().0.iter().map(|&chunk| f64::from_le_bytes(chunk)).collect()),
            Dtype::U32 => Values::U32(bytes.as_chunks().0.iter().map(|&chunk| u32::from_le_bytes(chunk)).collect()),
            Dtype::U64 => Values::U64(bytes.as_chunks().0.iter().map(|&chunk| u64::from_le_bytes(chunk)).collect()),
            Dtype::U8 => Values::U8(bytes.to_vec()),
            other => {
                let (path, found) = (path.to_path_buf(), other.to_string());
                return Err(OutputError::WrongDtype { path, name, found });
            }
        };
        arrays.insert(name.clone(), Array { name, shape: info.shape.clone(), values });
    }
    Ok(ArrayFile { arrays, metadata: header.metadata().clone().unwrap_or_default().into_iter().collect() })
}
