//! Reads arrays from an `.npz` file without trusting the sizes it claims.
//!
//! `ndarray_npy::NpzReader` allocates the size in a header and parses nested brackets recursively, so a few bytes could
//! crash the process. Here a header is checked before it is parsed, and the size of an array is compared with the
//! memory of the machine before it is read.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use ndarray_npy::npy::header::Header;
use ndarray_npy::{ReadDataError, ReadableElement};
use zip::ZipArchive;

use crate::data::Problem;
use crate::data::memory;

/// NumPy itself refuses to read longer headers.
const LONGEST_HEADER: usize = 10_000;

/// An array takes at most one part in this number of the memory: several are read, and converted.
const PART_OF_MEMORY: usize = 4;

/// The fix for a file that is damaged or written by another program.
const WRITE_AGAIN: &str = "write the file again with numpy.savez_compressed";

/// An array of numbers, row by row.
#[derive(Clone, Debug)]
pub(crate) struct Array<T> {
    pub shape: Vec<usize>,
    pub values: Vec<T>,
}

/// Element types of arrays.
pub(crate) trait Number: Copy {
    /// The types they may be stored as, in NumPy's notation: a letter and the number of bytes.
    const KINDS: &'static [&'static str];

    /// Reads `length` of them, stored as one of [`Number::KINDS`].
    fn decode(kind: &str, source: impl Read, header: &Header, length: usize) -> Result<Vec<Self>, ReadDataError>;
}

impl Number for i64 {
    const KINDS: &'static [&'static str] = &["i4", "i8", "u4", "i1", "u1", "i2", "u2"];

    fn decode(kind: &str, source: impl Read, header: &Header, length: usize) -> Result<Vec<Self>, ReadDataError> {
        match kind {
            "i1" => convert(source, header, length, |value: i8| value.into()),
            "u1" => convert(source, header, length, |value: u8| value.into()),
            "i2" => convert(source, header, length, |value: i16| value.into()),
            "u2" => convert(source, header, length, |value: u16| value.into()),
            "i4" => convert(source, header, length, |value: i32| value.into()),
            "u4" => convert(source, header, length, |value: u32| value.into()),
            _ => convert(source, header, length, |value: i64| value),
        }
    }
}

impl Number for u8 {
    const KINDS: &'static [&'static str] = &["u1"];

    fn decode(_: &str, source: impl Read, header: &Header, length: usize) -> Result<Vec<Self>, ReadDataError> {
        convert(source, header, length, |value: u8| value)
    }
}

/// A double too large for an `f32` becomes infinite, which is refused later on.
impl Number for f32 {
    const KINDS: &'static [&'static str] = &["f4", "f8", "i4", "i8", "u4", "i1", "u1"];

    fn decode(kind: &str, source: impl Read, header: &Header, length: usize) -> Result<Vec<Self>, ReadDataError> {
        match kind {
            "f8" => convert(source, header, length, |value: f64| value as f32),
            "i4" => convert(source, header, length, |value: i32| value as f32),
            "i8" => convert(source, header, length, |value: i64| value as f32),
            "u4" => convert(source, header, length, |value: u32| value as f32),
            "i1" => convert(source, header, length, |value: i8| value.into()),
            "u1" => convert(source, header, length, |value: u8| value.into()),
            _ => convert(source, header, length, |value: f32| value),
        }
    }
}

fn convert<Stored: ReadableElement, T>(
    source: impl Read,
    header: &Header,
    length: usize,
    convert: impl FnMut(Stored) -> T,
) -> Result<Vec<T>, ReadDataError> {
    let stored = Stored::read_to_end_exact_vec(source, &header.type_descriptor, length)?;
    Ok(stored.into_iter().map(convert).collect())
}

/// An open `.npz` file.
pub(crate) struct Archive {
    zip: ZipArchive<BufReader<File>>,
}

impl Archive {
    /// Opens the file, which must be a zip.
    pub fn open(path: &Path) -> Result<Self, Problem> {
        let file = open_file(path).map_err(|error| {
            let help = "check the path; one in a scene is taken from the folder of the scene file";
            Problem::new(format!("the file cannot be opened: {error}"), help)
        })?;
        let zip = ZipArchive::new(BufReader::new(file)).map_err(|error| {
            let help = "save the arrays with numpy.savez_compressed";
            Problem::new(format!("the file is no npz archive: {error}"), help)
        })?;
        Ok(Self { zip })
    }

    /// Names of the arrays, sorted.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> =
            self.zip.file_names().map(|name| name.strip_suffix(".npy").unwrap_or(name)).collect();
        names.sort_unstable();
        names
    }

    /// Whether there is an array of this name.
    pub fn has(&self, array: &str) -> bool {
        self.index(array).is_some()
    }

    /// Reads an array of any shape.
    pub fn read<T: Number>(&mut self, array: &str) -> Result<Array<T>, Problem> {
        let number = self.index(array).ok_or_else(|| self.missing(array))?;
        let broken = |what: String| Problem::of(array, format!("cannot be read: {what}"), WRITE_AGAIN);
        let mut entry = self.zip.by_index(number).map_err(|error| broken(error.to_string()))?;
        let header = read_header(&mut entry).map_err(broken)?;
        let kind = kind::<T>(array, &header)?;
        let (length, bytes) = size(array, &header, &kind)?;
        // One byte more than expected reveals that there are too many.
        let source = entry.take(bytes as u64 + 1);
        let values = T::decode(&kind, source, &header, length).map_err(|error| broken(error.to_string()))?;
        Ok(by_rows(header, values))
    }

    fn index(&self, array: &str) -> Option<usize> {
        self.zip.index_for_name(&format!("{array}.npy")).or_else(|| self.zip.index_for_name(array))
    }

    fn missing(&self, array: &str) -> Problem {
        Problem::new(format!("array \"{array}\" is missing"), format!("the file holds {}", self.names().join(", ")))
    }
}

/// Opens a plain file; opening a pipe would block until it has a writer.
pub(crate) fn open_file(path: &Path) -> io::Result<File> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a plain file"));
    }
    File::open(path)
}

/// Reads the header of an array: six bytes of magic, two of version, the length, a dictionary.
fn read_header(source: &mut impl Read) -> Result<Header, String> {
    let mut bytes = vec![0; 10];
    source.read_exact(&mut bytes).map_err(|error| error.to_string())?;
    let mut length = usize::from(bytes[8]) | usize::from(bytes[9]) << 8;
    if bytes[6] != 1 {
        let mut high = [0; 2];
        source.read_exact(&mut high).map_err(|error| error.to_string())?;
        bytes.extend(high);
        length |= usize::from(high[0]) << 16 | usize::from(high[1]) << 24;
    }
    if length > LONGEST_HEADER {
        return Err(format!("its header is {length} bytes long"));
    }
    let start = bytes.len();
    bytes.resize(start + length, 0);
    source.read_exact(&mut bytes[start..]).map_err(|error| error.to_string())?;
    // The dictionary and the tuple of the shape; more brackets mean a structure, or an attack on the parser.
    if bytes[start..].iter().filter(|byte| b"([{".contains(byte)).count() > 2 {
        return Err("it does not hold plain numbers".to_owned());
    }
    Header::from_reader(&mut &bytes[..]).map_err(|error| error.to_string())
}

/// The stored type, if it is supported.
fn kind<T: Number>(array: &str, header: &Header) -> Result<String, Problem> {
    let descriptor = header.type_descriptor.to_string();
    let kind = descriptor.trim_matches('\'').trim_start_matches(['<', '>', '|']);
    if T::KINDS.contains(&kind) {
        return Ok(kind.to_owned());
    }
    let message = format!("has the type {descriptor}, which is not one of {}", T::KINDS.join(", "));
    Err(Problem::of(array, message, "convert it with numpy's astype"))
}

/// The numbers of elements and bytes that the header claims.
fn size(array: &str, header: &Header, kind: &str) -> Result<(usize, usize), Problem> {
    let each = kind.trim_start_matches(char::is_alphabetic).parse().unwrap_or(8);
    let limit = memory::available() / PART_OF_MEMORY;
    let length = header.shape.iter().try_fold(1_usize, |product, &side| product.checked_mul(side));
    let bytes = length.and_then(|length| length.checked_mul(each)).filter(|&bytes| bytes <= limit);
    length.zip(bytes).ok_or_else(|| {
        let message = format!("says its shape is {:?}, which is too large for this machine", header.shape);
        Problem::of(array, message, "use a smaller graph, or check how the file was written")
    })
}

/// Matrices may be stored by columns.
fn by_rows<T: Copy>(header: Header, values: Vec<T>) -> Array<T> {
    let values = match header.shape[..] {
        [rows, columns] if header.layout.is_fortran() => {
            let places = (0..rows).flat_map(|row| (0..columns).map(move |column| column * rows + row));
            places.map(|place| values[place]).collect()
        }
        _ => values,
    };
    Array { shape: header.shape, values }
}
