//! The lock of a folder.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek};
use std::path::{Path, PathBuf};
use std::process;

use super::RunError;
use super::plan::check_is_file;
use crate::output::{Disk, DiskOperation};

/// The name of the file that is locked.
pub(super) const LOCK: &str = ".lock";

/// Keeps other processes from writing into a folder, as long as it lives.
///
/// The system locks a file `.lock` in the folder and unlocks it when the process ends, however that comes about: a file that
/// was left behind is no lock.
#[derive(Debug)]
pub struct FolderLock {
    file: File,
    path: PathBuf,
}

impl FolderLock {
    /// Creates the folder, if it is not there, and locks it.
    ///
    /// # Errors
    /// If another process, or another lock of this one, has locked it, or it cannot be written to.
    pub fn take(disk: &Disk, folder: &Path) -> Result<Self, RunError> {
        disk.create_folder(folder).map_err(RunError::cannot_create(folder))?;
        let path = folder.join(LOCK);
        loop {
            check_is_file(&path)?;
            disk.may(DiskOperation::CreateFile, &path).map_err(RunError::cannot_create(&path))?;
            let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
            let file = options.map_err(RunError::cannot_create(&path))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(in_use(folder, file)),
                // Some network folders have no locks.
                Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {}
                Err(TryLockError::Error(error)) => return Err(RunError::cannot_create(path)(error)),
            }
            // Its last holder may have removed the file after it was opened here.
            if !is_same(&file, &path) {
                continue;
            }
            let mut lock = Self { file, path };
            let named = lock.file.set_len(0).and_then(|()| lock.file.rewind());
            let holder = format!("process {}\n", process::id());
            let named = named.and_then(|()| disk.write(&mut lock.file, &lock.path, holder.as_bytes()));
            named.map_err(RunError::cannot_write(&lock.path))?;
            return Ok(lock);
        }
    }
}

/// Refuses a folder that is locked now.
pub(super) fn check_unlocked(folder: &Path) -> Result<(), RunError> {
    let path = folder.join(LOCK);
    check_is_file(&path)?;
    match File::open(path) {
        Ok(file) if matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)) => Err(in_use(folder, file)),
        _ => Ok(()),
    }
}

/// The error of a folder whose lock another one holds.
fn in_use(folder: &Path, mut file: File) -> RunError {
    let mut holder = String::new();
    // Whoever holds it may be about to write its number.
    let _ = file.read_to_string(&mut holder);
    let holder = if holder.is_empty() { "another process" } else { holder.trim_end() }.to_owned();
    RunError::InUse { folder: folder.to_owned(), holder }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Removed while it is locked, so that it is not the next holder's. If it stays, it is no lock.
        let _ = fs::remove_file(&self.path);
        let _ = self.file.unlock();
    }
}

/// Whether a file is still the one at its path.
#[cfg(unix)]
fn is_same(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    match (file.metadata(), fs::metadata(path)) {
        (Ok(file), Ok(path)) => identity(file) == identity(path),
        _ => false,
    }
}

/// A file that is open cannot be removed.
#[cfg(not(unix))]
fn is_same(_: &File, _: &Path) -> bool {
    true
}
