//! Weights of a model as a safetensors file.
//!
//! The file is eight bytes with the length of the header, the header in JSON (name, type, shape and place of each
//! tensor, and free-form metadata), then the values in little-endian order. Any safetensors reader opens it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use serde::Serialize;

use super::{OutputError, write_file};

/// Bytes before the header, which hold its length; headers are padded to a multiple of them.
const LENGTH_BYTES: usize = size_of::<u64>();

/// Longest header that the safetensors format allows.
const LONGEST_HEADER: u64 = 100_000_000;

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

/// The header as it is written. The crate's own writer keeps metadata in a hash map, and its order would differ from
/// run to run; here equal weights give equal bytes.
#[derive(Serialize)]
struct Header<'a> {
    #[serde(rename = "__metadata__", skip_serializing_if = "BTreeMap::is_empty")]
    metadata: &'a BTreeMap<String, String>,
    #[serde(flatten)]
    tensors: &'a Metadata,
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
    let mut sorted: Vec<&Tensor> = tensors.iter().collect();
    sorted.sort_by(|left, right| left.name.cmp(&right.name));
    check_names(path, &sorted)?;
    for tensor in &sorted {
        check_value_count(path, tensor)?;
        check_finite(path, &tensor.name, &tensor.values)?;
    }
    let bytes =
        encode(&sorted, &metadata).map_err(|source| OutputError::CannotWrite { path: path.to_path_buf(), source })?;
    write_file(path, &bytes)
}

/// Reads the tensors of a safetensors file, sorted by name. Those called `num_batches_tracked`, whole numbers that
/// PyTorch keeps beside running statistics, are left out.
///
/// Memory is claimed only after the header has been found to agree with the length of the file, so a damaged file
/// costs no more than its own size.
///
/// # Errors
///
/// [`OutputError::CannotRead`] when the file is absent or may not be read; [`OutputError::NotSafetensors`] when it is
/// of another format, cut off or damaged; [`OutputError::WrongDtype`] and [`OutputError::NonFinite`] when a tensor
/// holds something else than finite 32-bit floats.
pub fn read_weights(path: &Path) -> Result<Vec<Tensor>, OutputError> {
    let (file, header) = open(path)?;
    let mut data = Vec::with_capacity(header.data_len());
    file.take(header.data_len() as u64).read_to_end(&mut data).map_err(|source| cannot_read(path, source))?;
    let sorted: BTreeMap<String, &TensorInfo> = header.tensors().into_iter().collect();
    let numbers = sorted.into_iter().filter(|(name, _)| !is_counter(name));
    numbers.map(|(name, info)| decode(path, name, info, &data)).collect()
}

/// Reads the metadata of a safetensors file and leaves its tensors alone. Empty when the file has none.
///
/// # Errors
///
/// [`OutputError::CannotRead`] and [`OutputError::NotSafetensors`] as for [`read_weights`].
pub fn read_metadata(path: &Path) -> Result<BTreeMap<String, String>, OutputError> {
    let (_, header) = open(path)?;
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

/// Refuses names that the header cannot hold; `sorted` brings equal names together.
fn check_names(path: &Path, sorted: &[&Tensor]) -> Result<(), OutputError> {
    let repeated = sorted.windows(2).find(|pair| pair[0].name == pair[1].name).map(|pair| pair[0]);
    let reserved = sorted.iter().copied().find(|tensor| tensor.name == METADATA_KEY);
    match repeated.or(reserved) {
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
fn encode(sorted: &[&Tensor], metadata: &BTreeMap<String, String>) -> io::Result<Vec<u8>> {
    let tensors = describe(sorted)?;
    let mut header = serde_json::to_vec(&Header { metadata, tensors: &tensors })?;
    header.resize(header.len().next_multiple_of(LENGTH_BYTES), b' ');
    let header_length = header.len() as u64;
    if header_length > LONGEST_HEADER {
        return Err(io::Error::other("names and metadata are too long for the format"));
    }
    let mut bytes = Vec::with_capacity(LENGTH_BYTES + header.len() + tensors.data_len());
    bytes.extend(header_length.to_le_bytes());
    bytes.extend(header);
    for tensor in sorted {
        bytes.extend(tensor.values.iter().flat_map(|value| value.to_le_bytes()));
    }
    Ok(bytes)
}

/// Lays the tensors out one after the other.
fn describe(sorted: &[&Tensor]) -> io::Result<Metadata> {
    let mut begin = 0;
    let mut places = Vec::with_capacity(sorted.len());
    for tensor in sorted {
        let end = begin + size_of_val(tensor.values.as_slice());
        let info = TensorInfo { dtype: Dtype::F32, shape: tensor.shape.clone(), data_offsets: (begin, end) };
        places.push((tensor.name.clone(), info));
        begin = end;
    }
    Metadata::new(None, places).map_err(io::Error::other)
}

/// Opens a safetensors file and reads its header; the file is left at the first value.
fn open(path: &Path) -> Result<(File, Metadata), OutputError> {
    let mut file = File::open(path).map_err(|source| cannot_read(path, source))?;
    let length = file.metadata().map_err(|source| cannot_read(path, source))?.len();
    let header_length = read_header_length(path, &mut file, length)?;
    let mut header = Vec::new();
    Read::by_ref(&mut file).take(header_length).read_to_end(&mut header).map_err(|source| cannot_read(path, source))?;
    let header: Metadata = serde_json::from_slice(&header)
        .map_err(|error| not_safetensors(path, format!("its header is damaged, {error}")))?;
    let values = length - LENGTH_BYTES as u64 - header_length;
    if header.data_len() as u64 != values {
        let declared = header.data_len();
        let reason = format!("its header declares {declared} bytes of values, but {values} follow");
        return Err(not_safetensors(path, reason));
    }
    Ok((file, header))
}

/// Reads how long the header is, no longer than the rest of a file of `length` bytes.
fn read_header_length(path: &Path, file: &mut File, length: u64) -> Result<u64, OutputError> {
    let Some(rest) = length.checked_sub(LENGTH_BYTES as u64) else {
        return Err(not_safetensors(path, format!("it is {length} bytes short")));
    };
    let mut bytes = [0; LENGTH_BYTES];
    file.read_exact(&mut bytes).map_err(|source| cannot_read(path, source))?;
    let declared = u64::from_le_bytes(bytes);
    if declared > rest.min(LONGEST_HEADER) {
        let reason = format!("it declares a header of {declared} bytes, but {rest} follow");
        return Err(not_safetensors(path, reason));
    }
    Ok(declared)
}

/// Whether a tensor only counts the batches that a normalization of PyTorch has seen.
fn is_counter(name: &str) -> bool {
    name.rsplit('.').next() == Some("num_batches_tracked")
}

/// Takes one tensor out of the values of a file.
fn decode(path: &Path, name: String, info: &TensorInfo, data: &[u8]) -> Result<Tensor, OutputError> {
    if info.dtype != Dtype::F32 {
        return Err(OutputError::WrongDtype { path: path.to_path_buf(), name, found: info.dtype.to_string() });
    }
    let (begin, end) = info.data_offsets;
    // The header agreed with the length of the file; it can only have shrunk since.
    let bytes =
        data.get(begin..end).ok_or_else(|| not_safetensors(path, "it was cut off while being read".to_owned()))?;
    let values: Vec<f32> = bytes.as_chunks().0.iter().map(|&chunk| f32::from_le_bytes(chunk)).collect();
    check_finite(path, &name, &values)?;
    Ok(Tensor { name, shape: info.shape.clone(), values })
}

fn cannot_read(path: &Path, source: io::Error) -> OutputError {
    OutputError::CannotRead { path: path.to_path_buf(), source }
}

fn not_safetensors(path: &Path, reason: String) -> OutputError {
    OutputError::NotSafetensors { path: path.to_path_buf(), reason }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    fn tensor(name: &str, shape: &[usize], values: &[f32]) -> Tensor {
        Tensor { name: name.to_owned(), shape: shape.to_vec(), values: values.to_vec() }
    }

    fn sample() -> Vec<Tensor> {
        vec![
            tensor("layer.1.weight", &[2, 3], &[1.0, -0.0, 3.5, 1e-45, 5.0, f32::MAX]),
            tensor("layer.0.bias", &[], &[0.1]),
            tensor("empty \"quoted\"", &[0, 7], &[]),
        ]
    }

    fn notes() -> BTreeMap<String, String> {
        ["model", "seed", "dataset", "epochs"].map(|key| (key.to_owned(), format!("{key} “x”"))).into()
    }

    /// Puts `bytes` into a file and reads them as weights.
    fn read_bytes(bytes: &[u8]) -> Result<Vec<Tensor>, OutputError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("damaged.safetensors");
        fs::write(&path, bytes).unwrap();
        read_weights(&path)
    }

    fn with_header(header: &str, data: &[u8]) -> Vec<u8> {
        let length = (header.len() as u64).to_le_bytes();
        [&length, header.as_bytes(), data].concat()
    }

    fn sample_file() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        write_weights(&path, &sample(), notes()).unwrap();
        (folder, path)
    }

    #[test]
    fn weights_come_back_bit_for_bit_and_sorted_by_name() {
        let (_folder, path) = sample_file();
        let mut expected = sample();
        expected.sort_by(|left, right| left.name.cmp(&right.name));
        let read = read_weights(&path).unwrap();
        assert_eq!(read, expected);
        assert!(read[2].values[1].is_sign_negative());
        assert_eq!(read_metadata(&path).unwrap(), notes());
    }

    #[test]
    fn the_crate_reads_what_we_write() {
        let (_folder, path) = sample_file();
        let bytes = fs::read(&path).unwrap();
        let read = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(read.len(), 3);
        assert_eq!(read.tensor("layer.1.weight").unwrap().shape(), [2, 3]);
        let bias = 0.1_f32.to_le_bytes();
        assert_eq!(read.tensor("layer.0.bias").unwrap().data(), bias);
    }

    #[test]
    fn we_read_what_the_crate_writes() {
        let data = 2.5_f32.to_le_bytes();
        let view = safetensors::tensor::TensorView::new(Dtype::F32, vec![1], &data).unwrap();
        let bytes = safetensors::serialize([("bias", view)], None).unwrap();
        assert_eq!(read_bytes(&bytes).unwrap(), [tensor("bias", &[1], &[2.5])]);
    }

    #[test]
    fn equal_weights_give_equal_bytes_in_whatever_order() {
        let (folder, path) = sample_file();
        let other = folder.path().join("other.safetensors");
        let mut reversed = sample();
        reversed.reverse();
        write_weights(&other, &reversed, notes()).unwrap();
        assert_eq!(fs::read(path).unwrap(), fs::read(other).unwrap());
    }

    #[test]
    fn no_tensors_and_no_metadata_make_a_file_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("empty.safetensors");
        write_weights(&path, &[], BTreeMap::new()).unwrap();
        assert_eq!(read_weights(&path).unwrap(), []);
        assert!(read_metadata(&path).unwrap().is_empty());
    }

    #[test]
    fn every_truncation_is_an_error() {
        let (_folder, path) = sample_file();
        let bytes = fs::read(&path).unwrap();
        for length in 0..bytes.len() {
            let error = read_bytes(&bytes[..length]).unwrap_err();
            assert!(matches!(error, OutputError::NotSafetensors { .. }), "{length}: {error}");
        }
    }

    #[test]
    fn flipped_bytes_never_panic() {
        let (_folder, path) = sample_file();
        let bytes = fs::read(&path).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let damaged = folder.path().join("damaged.safetensors");
        for place in 0..bytes.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut changed = bytes.clone();
                changed[place] ^= flip;
                fs::write(&damaged, changed).unwrap();
                let _ = read_weights(&damaged);
            }
        }
    }

    #[test]
    fn damaged_headers_are_errors() {
        let entry = |dtype: &str, shape: &str, end: u64| {
            format!(r#"{{"a":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[0,{end}]}}}}"#)
        };
        let huge = u64::MAX / 8;
        let whole = "[2305843009213693951]";
        let mut several = String::from("{");
        for index in 0..9_u64 {
            let (begin, end) = (index.wrapping_mul(huge), (index + 1).wrapping_mul(huge));
            let comma = if index == 0 { "" } else { "," };
            several += &format!(r#"{comma}"{index}":{{"dtype":"U8","shape":{whole},"data_offsets":[{begin},{end}]}}"#);
        }
        several.push('}');
        let cases = [
            u64::MAX.to_le_bytes().to_vec(),
            [&(1_u64 << 40).to_le_bytes()[..], b"{}"].concat(),
            b"these are not the weights you are looking for".to_vec(),
            with_header("", b""),
            with_header("[]", b""),
            with_header("{}", b"rest"),
            with_header(&"[".repeat(10_000), b""),
            with_header(&entry("F32", "[2]", 4), b"1234"),
            with_header(&entry("F32", "[1]", 4), b"12345"),
            with_header(&entry("F32", "[18446744073709551615,2]", 4), b"1234"),
            with_header(&entry("F32", "[268435456]", 1 << 30), b"1234"),
            with_header(&entry("U8", whole, huge), b""),
            with_header(&several, b""),
        ];
        for bytes in cases {
            let error = read_bytes(&bytes).unwrap_err();
            assert!(matches!(error, OutputError::NotSafetensors { .. }), "{error}");
        }
    }

    #[test]
    fn other_types_and_non_finite_values_are_named() {
        let halves = r#"{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}}"#;
        let error = read_bytes(&with_header(halves, b"1234")).unwrap_err();
        assert!(matches!(error, OutputError::WrongDtype { ref found, .. } if found == "F16"));
        let floats = halves.replace("F16", "F32").replace("[2]", "[1]");
        let error = read_bytes(&with_header(&floats, &f32::NAN.to_le_bytes())).unwrap_err();
        assert!(matches!(error, OutputError::NonFinite { index: 0, .. }));
    }

    #[test]
    fn tensors_that_could_not_be_read_back_are_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let write = |tensors: &[Tensor]| write_weights(&path, tensors, BTreeMap::new()).unwrap_err();
        let error = write(&[tensor("a", &[2], &[1.0])]);
        assert!(matches!(error, OutputError::WrongValueCount { values: 1, .. }));
        let error = write(&[tensor("a", &[usize::MAX, 2], &[])]);
        assert!(matches!(error, OutputError::WrongValueCount { .. }));
        let error = write(&[tensor("a", &[2], &[1.0, f32::INFINITY])]);
        assert!(matches!(error, OutputError::NonFinite { index: 1, .. }));
        let error = write(&[tensor("a", &[], &[1.0]), tensor("a", &[], &[2.0])]);
        assert!(matches!(error, OutputError::UnusableName { .. }));
        let error = write(&[tensor(METADATA_KEY, &[], &[1.0])]);
        assert!(matches!(error, OutputError::UnusableName { .. }));
        assert!(!path.exists());
    }

    #[test]
    fn a_tensor_is_found_by_name_and_checked_by_shape() {
        let tensors = sample();
        let path = Path::new("model.safetensors");
        let found = expect_tensor(path, &tensors, "layer.1.weight", &[2, 3]).unwrap();
        assert_eq!(found, &tensors[0]);
        let error = expect_tensor(path, &tensors, "layer.1.weight", &[3, 2]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "tensor `layer.1.weight` of model.safetensors has shape [2, 3], not [3, 2]; \
             take the weights of a model of the same widths"
        );
        let error = expect_tensor(path, &tensors, "layer.2.weight", &[]).unwrap_err();
        assert!(matches!(error, OutputError::MissingTensor { .. }));
    }

    #[test]
    fn absent_files_and_folders_cannot_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let absent = read_weights(&folder.path().join("absent")).unwrap_err();
        assert!(matches!(absent, OutputError::CannotRead { .. }));
        assert!(read_weights(folder.path()).is_err());
    }
}
