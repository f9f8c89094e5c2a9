//! Writing to the disk: whole files or none.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::{env, fmt};

use super::OutputError;

/// What is done to the disk, for [`Disk::with_faults`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskOperation {
    /// A folder is created.
    CreateFolder,
    /// A file is created, or an old one emptied.
    CreateFile,
    /// Bytes are written to a file.
    Write,
    /// What was written to a file or a folder reaches the disk.
    Sync,
    /// A file or a folder takes another name.
    Rename,
    /// A file or a folder is removed.
    Remove,
}

/// The disk, as all output is written to it.
#[derive(Clone, Default)]
pub struct Disk {
    before: Option<Arc<Before>>,
    spare: Option<PathBuf>,
}

type Before = dyn Fn(DiskOperation, &Path) -> io::Result<()> + Send + Sync;

impl Disk {
    /// A disk that asks `before` each operation whether it is to fail, to test what becomes of files then. A write is asked for
    /// twice, before its first and its second half. `spare` is the folder for files that cannot be written to their own.
    pub fn with_faults(
        before: impl Fn(DiskOperation, &Path) -> io::Result<()> + Send + Sync + 'static,
        spare: impl Into<PathBuf>,
    ) -> Self {
        Self { before: Some(Arc::new(before)), spare: Some(spare.into()) }
    }

    /// Writes `bytes` to `path`, replacing what was there; see [`write_file`].
    ///
    /// # Errors
    ///
    /// Those of [`write_file`].
    pub fn write_file(&self, path: &Path, bytes: &[u8]) -> Result<(), OutputError> {
        let cannot_write = |source| OutputError::CannotWrite { path: path.to_path_buf(), source };
        let cannot_create = |source| OutputError::CannotCreate { path: path.to_path_buf(), source };
        if fs::metadata(path).is_ok_and(|target| !target.is_file() && !target.is_dir()) {
            self.may(DiskOperation::Write, path).map_err(cannot_write)?;
            return fs::write(path, bytes).map_err(cannot_write);
        }
        let unnamed = || cannot_create(io::Error::new(io::ErrorKind::InvalidInput, "the path names no file"));
        let temporary = temporary_path(path).ok_or_else(unnamed)?;
        let mut file = self.create_new(&temporary).map_err(cannot_create)?;
        let filled = self.write(&mut file, &temporary, bytes).and_then(|()| self.sync(&file, &temporary));
        drop(file);
        filled.and_then(|()| self.rename(&temporary, path)).map_err(|source| {
            // The first error is the one worth telling; that the leftover stays behind as well is not.
            let _ = self.remove_file(&temporary);
            cannot_write(source)
        })?;
        self.sync_folder(path.parent().unwrap_or(Path::new(""))).map_err(cannot_write)
    }

    /// The folder for files that cannot be written to their own: that of the system for temporary files.
    pub(super) fn spare_folder(&self) -> PathBuf {
        self.spare.clone().unwrap_or_else(env::temp_dir)
    }

    pub(super) fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.may(DiskOperation::CreateFolder, path)?;
        fs::create_dir_all(path)
    }

    pub(super) fn create_file(&self, path: &Path) -> io::Result<File> {
        self.may(DiskOperation::CreateFile, path)?;
        File::create(path)
    }

    /// Creates a file that was not there; what a killed process has left under its name is removed, not followed.
    fn create_new(&self, path: &Path) -> io::Result<File> {
        self.may(DiskOperation::CreateFile, path)?;
        match File::create_new(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                fs::remove_file(path)?;
                File::create_new(path)
            }
            created => created,
        }
    }

    pub(super) fn write(&self, file: &mut File, path: &Path, bytes: &[u8]) -> io::Result<()> {
        if self.before.is_none() {
            return file.write_all(bytes);
        }
        let (first, second) = bytes.split_at(bytes.len() / 2);
        for half in [first, second] {
            self.may(DiskOperation::Write, path)?;
            file.write_all(half)?;
        }
        Ok(())
    }

    fn sync(&self, file: &File, path: &Path) -> io::Result<()> {
        self.may(DiskOperation::Sync, path)?;
        file.sync_all()
    }

    /// Waits until new names in a folder are on the disk, where the system can: some folders cannot be opened as a file, and
    /// some file systems have no such thing.
    pub(super) fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.may(DiskOperation::Sync, path)?;
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        match File::open(path).and_then(|folder| folder.sync_all()) {
            Err(error) if error.raw_os_error() == Some(IO_ERROR) => Err(error),
            _ => Ok(()),
        }
    }

    pub(super) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.may(DiskOperation::Rename, to)?;
        fs::rename(from, to)
    }

    pub(super) fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.may(DiskOperation::Remove, path)?;
        fs::remove_file(path)
    }

    /// Removes an empty folder.
    pub(super) fn remove_folder(&self, path: &Path) -> io::Result<()> {
        self.may(DiskOperation::Remove, path)?;
        fs::remove_dir(path)
    }

    pub(super) fn may(&self, operation: DiskOperation, path: &Path) -> io::Result<()> {
        self.before.as_ref().map_or(Ok(()), |before| before(operation, path))
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Disk")
    }
}

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
    Disk::default().write_file(path, bytes)
}

/// `EIO` of Unix systems: the disk is broken.
const IO_ERROR: i32 = 5;

/// How the names of temporary files end.
const TEMPORARY: &str = ".temporary";

/// A hidden name beside `path` that no other thread or process writes to.
fn temporary_path(path: &Path) -> Option<PathBuf> {
    static WRITTEN: AtomicU64 = AtomicU64::new(0);
    let mut name = OsString::from(".");
    name.push(path.file_name()?);
    let count = WRITTEN.fetch_add(1, Ordering::Relaxed);
    name.push(format!(".{}-{count}{TEMPORARY}", process::id()));
    Some(path.with_file_name(name))
}

/// Whether a file of this name was written for the file `of`, and left behind by a process that was killed.
pub(super) fn is_temporary(name: &str, of: &str) -> bool {
    let rest = name.strip_prefix('.').and_then(|name| name.strip_prefix(of)).and_then(|rest| rest.strip_prefix('.'));
    let counts = rest.and_then(|rest| rest.strip_suffix(TEMPORARY)).and_then(|counts| counts.split_once('-'));
    counts.is_some_and(|(process, count)| process.parse::<u32>().is_ok() && count.parse::<u64>().is_ok())
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
