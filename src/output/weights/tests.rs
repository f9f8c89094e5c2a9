//! Tests of weight files.

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

/// Puts `bytes` into a file and reads them as weights; as bytes they are read as the same.
fn read_bytes(bytes: &[u8]) -> Result<Vec<Tensor>, OutputError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.safetensors");
    fs::write(&path, bytes).unwrap();
    let read = read_weights(&path);
    assert_eq!(format!("{read:?}"), format!("{:?}", decode_weights(&path, bytes)));
    read
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
    let several = |count: u64| {
        let place = |index: u64| (index.wrapping_mul(huge), (index + 1).wrapping_mul(huge));
        let entries = (0..count).map(|index| (index, place(index))).map(|(index, (begin, end))| {
            format!(r#""{index}":{{"dtype":"U8","shape":{whole},"data_offsets":[{begin},{end}]}}"#)
        });
        format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
    };
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
        with_header(&several(8), b""),
        with_header(&several(9), b""),
    ];
    for bytes in cases {
        let error = read_bytes(&bytes).unwrap_err();
        assert!(matches!(error, OutputError::NotSafetensors { .. }), "{error}");
    }
}

#[test]
fn other_types_and_non_finite_values_are_named() {
    let integers = r#"{"a":{"dtype":"I16","shape":[2],"data_offsets":[0,4]}}"#;
    let error = read_bytes(&with_header(integers, b"1234")).unwrap_err();
    assert!(matches!(error, OutputError::WrongDtype { ref found, .. } if found == "I16"));
    let floats = integers.replace("I16", "F32").replace("[2]", "[1]");
    let error = read_bytes(&with_header(&floats, &f32::NAN.to_le_bytes())).unwrap_err();
    assert!(matches!(error, OutputError::NonFinite { index: 0, .. }));
}

#[test]
fn floats_of_other_widths_are_read_as_floats_of_32_bits() {
    let read = |dtype: &str, bytes: &[u8]| {
        let (count, end) = (if dtype == "F64" { bytes.len() / 8 } else { bytes.len() / 2 }, bytes.len());
        let header = format!(r#"{{"a":{{"dtype":"{dtype}","shape":[{count}],"data_offsets":[0,{end}]}}}}"#);
        read_bytes(&with_header(&header, bytes)).map(|tensors| tensors[0].values.clone())
    };
    let halves = [0x3e00_u16, 0xb800].map(u16::to_le_bytes).concat();
    assert_eq!(read("F16", &halves).unwrap(), [1.5, -0.5]);
    let halves = [0x3fc0_u16, 0xbf00].map(u16::to_le_bytes).concat();
    assert_eq!(read("BF16", &halves).unwrap(), [1.5, -0.5]);
    let doubles = [1.5_f64, -0.5].map(f64::to_le_bytes).concat();
    assert_eq!(read("F64", &doubles).unwrap(), [1.5, -0.5]);
    let error = read("F64", &1e300_f64.to_le_bytes()).unwrap_err();
    assert!(matches!(error, OutputError::NonFinite { index: 0, .. }));
}

#[test]
fn headers_of_more_tensors_than_a_model_has_are_refused() {
    let entry = |tensor: usize| format!(r#""{tensor}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}"#);
    let entries: Vec<String> = (0..MAX_TENSORS).map(entry).collect();
    let error = read_bytes(&with_header(&format!("{{{}}}", entries.join(",")), b"")).unwrap_err();
    assert!(error.to_string().contains("more than 262144 tensors"), "{error}");
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
