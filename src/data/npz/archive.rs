//! Reads arrays from an `.npz` file without trusting the sizes it claims.
//!
//! `ndarray_npy::NpzReader` allocates the size in a header and parses nested brackets recursively, so a few bytes could
//! crash the process. Here a header is checked before it is parsed, and the size of an array is compared with that of its
//! entry in the archive, and with the memory that is available, before it is read.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use ndarray_npy::npy::header::Header;
use zip::ZipArchive;
use zip::read::ZipFile;

use super::names;
use crate::data::Problem;
use crate::data::half::{from_bfloat, from_half};
use crate::data::memory;

/// NumPy itself refuses to read longer headers.
const LONGEST_HEADER: usize = 10_000;

/// An array takes at most one part in this number of the memory: several are read, and converted.
const PART_OF_MEMORY: usize = 4;

/// The most bytes that one compressed byte stands for: the deflate format has at most 258 in 2 bits.
const DEFLATED: u64 = 1032;

/// The most entries of an archive: each takes memory before one is read.
const MAX_ARRAYS: u64 = 1 << 16;

/// Elements that are read at once.
const CHUNK: usize = 8192;

/// The fix for a file that is damaged or written by another program.
const WRITE_AGAIN: &str = "write the file again with numpy.savez_compressed";

/// An array of numbers, row by row.
#[derive(Clone, Debug)]
pub(crate) struct Array<T> {
    pub shape: Vec<usize>,
    pub values: Vec<T>,
}

/// The type of an array in NumPy's notation, a letter and the number of bytes, with the number that its bits stand for.
type Kind<T> = (&'static str, fn(u64) -> T);

/// Element types of arrays.
pub(crate) trait Number: Copy + 'static {
    /// The types they may be stored as.
    const KINDS: &'static [Kind<Self>];
}

/// A `uint64` too large for an `i64` becomes the largest one, which is out of any range.
impl Number for i64 {
    const KINDS: &'static [Kind<Self>] = &[
        ("i1", |bits| (bits as i8).into()),
        ("u1", |bits| (bits as u8).into()),
        ("i2", |bits| (bits as i16).into()),
        ("u2", |bits| (bits as u16).into()),
        ("i4", |bits| (bits as i32).into()),
        ("u4", |bits| (bits as u32).into()),
        ("i8", |bits| bits as i64),
        ("u8", |bits| i64::try_from(bits).unwrap_or(i64::MAX)),
    ];
}

impl Number for u8 {
    const KINDS: &'static [Kind<Self>] = &[("u1", |bits| bits as u8)];
}

impl Number for bool {
    const KINDS: &'static [Kind<Self>] = &[(BOOL, |bits| bits != 0)];
}

/// A double too large for an `f32` becomes infinite, which is refused later on. NumPy knows no `bfloat16`: its bytes are
/// written as two of any kind.
impl Number for f32 {
    const KINDS: &'static [Kind<Self>] = &[
        ("f2", |bits| from_half(bits as u16)),
        ("f4", |bits| f32::from_bits(bits as u32)),
        ("f8", |bits| f64::from_bits(bits) as f32),
        ("i1", |bits| (bits as i8).into()),
        ("u1", |bits| (bits as u8).into()),
        ("i2", |bits| (bits as i16).into()),
        ("u2", |bits| (bits as u16).into()),
        ("i4", |bits| bits as i32 as f32),
        ("u4", |bits| bits as u32 as f32),
        ("i8", |bits| bits as i64 as f32),
        ("u8", |bits| bits as f32),
        (BOOL, |bits| if bits == 0 { 0.0 } else { 1.0 }),
        ("V2", |bits| from_bfloat(bits as u16)),
    ];
}

/// The type of truth values.
const BOOL: &str = "b1";

/// An open `.npz` file.
pub(crate) struct Archive {
    zip: ZipArchive<BufReader<File>>,
    /// Names of the arrays that were read.
    seen: BTreeSet<String>,
    /// The kind of nodes or the relation whose arrays are read: their names end with a dot and its name.
    part: Option<String>,
}

impl Archive {
    /// Opens the file, which must be a zip.
    pub fn open(path: &Path) -> Result<Self, Problem> {
        let file = open_file(path).map_err(|error| {
            let help = "check the path; one in a scene is taken from the folder of the scene file";
            Problem::new(format!("the file cannot be opened: {error}"), help)
        })?;
        let no_archive = |what: String| {
            Problem::new(format!("the file is no npz archive: {what}"), "save the arrays with numpy.savez_compressed")
        };
        let entries = count_entries(&file).map_err(|error| no_archive(error.to_string()))?;
        if entries > MAX_ARRAYS {
            return Err(no_archive(format!("it says that it has {entries} entries")));
        }
        let zip = ZipArchive::new(BufReader::new(file)).map_err(|error| no_archive(error.to_string()))?;
        Ok(Self { zip, seen: BTreeSet::new(), part: None })
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

    /// The first of these names that an array has; the first of all if none has one.
    pub fn first_of<'a>(&self, names: &[&'a str]) -> &'a str {
        names.iter().find(|name| self.has(name)).unwrap_or(&names[0])
    }

    /// Names of the arrays that were not read.
    pub fn unread(&self) -> Vec<&str> {
        self.names().into_iter().filter(|name| !self.seen.contains(*name)).collect()
    }

    /// Reads the arrays of a kind of nodes or of a relation under the names that they have without it.
    pub fn in_part<T>(&mut self, part: &str, read: impl FnOnce(&mut Self) -> Result<T, Problem>) -> Result<T, Problem> {
        let before = self.part.replace(part.to_owned());
        let result = read(self).map_err(|problem| problem.in_part(part));
        self.part = before;
        result
    }

    /// What an array is called in the file.
    fn full_name(&self, array: &str) -> String {
        self.part.as_ref().map_or_else(|| array.to_owned(), |part| format!("{array}.{part}"))
    }

    /// The shape of an array, which is not read.
    pub fn shape(&mut self, array: &str) -> Result<Vec<usize>, Problem> {
        let (header, _) = read_header(&mut self.entry(array)?).map_err(|what| broken(array, what))?;
        Ok(header.shape)
    }

    /// Reads an array of any shape.
    pub fn read<T: Number>(&mut self, array: &str) -> Result<Array<T>, Problem> {
        let mut entry = self.entry(array)?;
        let (header, start) = read_header(&mut entry).map_err(|what| broken(array, what))?;
        let stored = Stored::<T>::of(array, &header)?;
        stored.check_size(array, &header, &entry, start)?;
        let values = stored.read(entry).map_err(|error| broken(array, error.to_string()))?;
        Ok(by_rows(header, values))
    }

    /// Whether an array holds truth values.
    pub fn is_bool(&mut self, array: &str) -> Result<bool, Problem> {
        let (header, _) = read_header(&mut self.entry(array)?).map_err(|what| broken(array, what))?;
        Ok(kind(&descriptor(&header)) == BOOL)
    }

    fn entry(&mut self, array: &str) -> Result<ZipFile<'_, BufReader<File>>, Problem> {
        let number = self.index(array).ok_or_else(|| self.missing(array))?;
        self.seen.insert(self.full_name(array));
        self.zip.by_index(number).map_err(|error| broken(array, error.to_string()))
    }

    fn index(&self, array: &str) -> Option<usize> {
        let name = self.full_name(array);
        self.zip.index_for_name(&format!("{name}.npy")).or_else(|| self.zip.index_for_name(&name))
    }

    /// The error that an array is missing.
    pub fn missing(&self, array: &str) -> Problem {
        let other = names::others(array).find(|other| self.has(other));
        let rename = other.map_or_else(String::new, |other| {
            format!("if it is \"{}\", write that as \"{}\"; ", self.full_name(other), self.full_name(array))
        });
        let (names, has_kinds) = (self.names(), self.part.is_none() && !names::relations_in(&self.names()).is_empty());
        let kinds = if has_kinds { "the nodes are of several kinds: name these in a scene by `nodes`; " } else { "" };
        let help = format!("{rename}{kinds}the file holds {}", names.join(", "));
        Problem::new(format!("array \"{array}\" is missing"), help)
    }
}

/// How many entries a zip says it has, in the record at its end; 0 if it has no such record.
fn count_entries(mut file: &File) -> io::Result<u64> {
    /// The record with its comment, and before it that of a large archive with its locator.
    const END: u64 = 22 + (1 << 16) + 56 + 20;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(END)))?;
    let mut tail = Vec::new();
    file.take(END).read_to_end(&mut tail)?;
    let after = |mark: &[u8; 4]| tail.windows(mark.len()).rposition(|window| window == mark).map(|at| &tail[at..]);
    let small = after(b"PK\x05\x06").and_then(|record| record.get(10..)?.first_chunk()).copied();
    let large = || after(b"PK\x06\x06").and_then(|record| record.get(32..)?.first_chunk()).copied();
    Ok(match small.map(u16::from_le_bytes) {
        Some(u16::MAX) => large().map_or(u64::from(u16::MAX), u64::from_le_bytes),
        small => small.map_or(0, u64::from),
    })
}

fn broken(array: &str, what: String) -> Problem {
    Problem::of(array, format!("cannot be read: {what}"), WRITE_AGAIN)
}

/// Opens a plain file; opening a pipe would block until it has a writer.
pub(crate) fn open_file(path: &Path) -> io::Result<File> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a plain file"));
    }
    File::open(path)
}

/// Reads the header of an array, and says how long it is: six bytes of magic, two of version, the length, a dictionary.
fn read_header(source: &mut impl Read) -> Result<(Header, usize), String> {
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
    let header = Header::from_reader(&mut &bytes[..]).map_err(|error| error.to_string())?;
    Ok((header, bytes.len()))
}

/// The type in a header, such as `<f4`.
fn descriptor(header: &Header) -> String {
    header.type_descriptor.to_string().trim_matches('\'').to_owned()
}

/// A type without its byte order.
fn kind(descriptor: &str) -> &str {
    descriptor.trim_start_matches(['<', '>', '|', '='])
}

/// How the values of an array are stored.
struct Stored<T> {
    length: usize,
    /// Bytes of each.
    each: usize,
    is_big_endian: bool,
    /// The number that the bits stand for.
    value: fn(u64) -> T,
}

impl<T: Number> Stored<T> {
    /// As the header says, if the type is one of those that can be read and the size can be counted.
    fn of(array: &str, header: &Header) -> Result<Self, Problem> {
        let descriptor = descriptor(header);
        let kind = kind(&descriptor);
        let Some((_, value)) = T::KINDS.iter().find(|(name, _)| *name == kind) else {
            let kinds: Vec<&str> = T::KINDS.iter().map(|(name, _)| *name).collect();
            let message = format!("has the type '{descriptor}', which is not one of {}", kinds.join(", "));
            return Err(Problem::of(array, message, conversion(array, kind)));
        };
        let length = header.shape.iter().try_fold(1_usize, |product, &side| product.checked_mul(side));
        let length = length.filter(|&length| length <= isize::MAX as usize / size_of::<u64>());
        Ok(Self {
            length: length.ok_or_else(|| too_large(array, header))?,
            each: kind[1..].parse().unwrap_or(size_of::<u64>()),
            is_big_endian: descriptor.starts_with('>'),
            value: *value,
        })
    }

    /// Compares the size with that of the entry, whose header is so long, and with the memory that is available.
    fn check_size(
        &self,
        array: &str,
        header: &Header,
        entry: &ZipFile<BufReader<File>>,
        start: usize,
    ) -> Result<(), Problem> {
        let bytes = self.length * self.each;
        let (size, compressed) = (entry.size(), entry.compressed_size());
        if size != (bytes as u64).saturating_add(start as u64) || size > compressed.saturating_mul(DEFLATED) {
            let shape = &header.shape;
            let message =
                format!("says its shape is {shape:?}, which is {bytes} bytes, but the file holds fewer or more");
            return Err(Problem::of(array, message, WRITE_AGAIN));
        }
        let taken = self.length * self.each.max(size_of::<T>());
        if taken <= memory::available() / PART_OF_MEMORY { Ok(()) } else { Err(too_large(array, header)) }
    }

    fn read(&self, mut source: impl Read) -> io::Result<Vec<T>> {
        let mut values = Vec::new();
        values.try_reserve_exact(self.length).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
        let mut buffer = vec![0; self.each * CHUNK.min(self.length)];
        while values.len() < self.length {
            let bytes = &mut buffer[..self.each * CHUNK.min(self.length - values.len())];
            source.read_exact(bytes)?;
            match self.each {
                1 => self.decode::<1>(bytes, &mut values),
                2 => self.decode::<2>(bytes, &mut values),
                4 => self.decode::<4>(bytes, &mut values),
                _ => self.decode::<8>(bytes, &mut values),
            }
        }
        // The checksum is compared at the end of the entry.
        match source.read(&mut [0])? {
            0 => Ok(values),
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "it has more bytes than its shape says")),
        }
    }
}

impl<T> Stored<T> {
    /// Appends the values of some elements of `BYTES` each.
    fn decode<const BYTES: usize>(&self, elements: &[u8], values: &mut Vec<T>) {
        values.extend(elements.as_chunks::<BYTES>().0.iter().map(|element| {
            let mut bytes = [0; size_of::<u64>()];
            bytes[..BYTES].copy_from_slice(element);
            let bits = u64::from_le_bytes(bytes);
            (self.value)(if self.is_big_endian { bits.swap_bytes() >> (u64::BITS as usize - 8 * BYTES) } else { bits })
        }));
    }
}

/// How to convert an array to a type that can be read.
fn conversion(array: &str, kind: &str) -> String {
    match kind {
        BOOL => format!("if it is a mask, write the indices that it selects: numpy.flatnonzero({array})"),
        kind if kind.starts_with(['U', 'S', 'O']) => {
            format!("write a number for each value: numpy.unique({array}, return_inverse=True)[1]")
        }
        _ => "convert it with numpy's astype".to_owned(),
    }
}

fn too_large(array: &str, header: &Header) -> Problem {
    let message = format!("says its shape is {:?}, which is too large for this machine", header.shape);
    Problem::of(array, message, "use a smaller graph, or check how the file was written")
}

/// Matrices may be stored by columns.
fn by_rows<T: Copy>(header: Header, values: Vec<T>) -> Array<T> {
    let values = match header.shape[..] {
        [rows, columns] if header.layout.is_fortran() && !values.is_empty() => {
            let places = (0..rows).flat_map(|row| (0..columns).map(move |column| column * rows + row));
            places.map(|place| values[place]).collect()
        }
        _ => values,
    };
    Array { shape: header.shape, values }
}
