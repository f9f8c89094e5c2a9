//! Writing a file whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use super::OutputError;

/// Writes `bytes` to `path`, replacing what was there.
///
/// The bytes go to a temporary file in the same folder, reach the disk, and only then take the name `path`: a crash
/// leaves the old file or the new one, never half of one. A symbolic link at `path` is replaced, not followed; a device
/// or a pipe is written to and stays what it is.
///
/// # Errors
///
/// [`OutputError::CannotCreate`] when the folder does not exist or may not be written to, or `path` names no file;
/// [`OutputError::CannotWrite`] when the disk is full or `path` is a folder. The temporary file is removed then.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), OutputError> {
    if fs::metadata(path).is_ok_and(|target| !target.is_file() && !target.is_dir()) {
        return fs::write(path, bytes).map_err(|source| OutputError::CannotWrite { path: path.to_path_buf(), source });
    }
    let temporary = temporary_path(path).ok_or_else(|| OutputError::CannotCreate {
        path: path.to_path_buf(),
        source: io::Error::new(io::ErrorKind::InvalidInput, "the path names no file"),
    })?;
    let file =
        File::create(&temporary).map_err(|source| OutputError::CannotCreate { path: path.to_path_buf(), source })?;
    fill(file, bytes).and_then(|()| fs::rename(&temporary, path)).map_err(|source| {
        // The first error is the one worth telling; that the leftover stays behind as well is not.
        let _ = fs::remove_file(&temporary);
        OutputError::CannotWrite { path: path.to_path_buf(), source }
    })
}

/// Writes the bytes and waits until they are on the disk; the file is closed on return.
fn fill(mut file: File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    file.sync_all()
}

/// A hidden name beside `path` that no other thread or process writes to.
fn temporary_path(path: &Path) -> Option<PathBuf> {
    static WRITTEN: AtomicU64 = AtomicU64::new(0);
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name()?);
    let count = WRITTEN.fetch_add(1, Ordering::Relaxed);
    name.push(format!(".{}-{count}.temporary", process::id()));
    Some(path.with_file_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_in(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_is_replaced_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("curves.svg");
        write_file(&path, b"old").unwrap();
        write_file(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names_in(folder.path()), ["curves.svg"]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_device_is_written_to_and_stays_one() {
        write_file(Path::new("/dev/null"), b"bytes").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn a_missing_folder_is_an_error_that_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("absent").join("curves.svg");
        let error = write_file(&path, b"").unwrap_err();
        assert!(matches!(error, OutputError::CannotCreate { .. }));
        assert!(error.to_string().contains("curves.svg"));
    }

    #[test]
    fn a_folder_in_the_way_is_an_error_and_the_temporary_file_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taken");
        fs::create_dir(&path).unwrap();
        let error = write_file(&path, b"bytes").unwrap_err();
        assert!(matches!(error, OutputError::CannotWrite { .. }));
        assert_eq!(names_in(folder.path()), ["taken"]);
    }

    #[test]
    fn a_path_without_a_file_name_is_an_error() {
        let error = write_file(Path::new(".."), b"").unwrap_err();
        assert!(matches!(error, OutputError::CannotCreate { .. }));
    }
}
