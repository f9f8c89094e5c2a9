//! Several files in one input, so that the fuzzer can change them together.

use std::{fs, path::PathBuf};

use tempfile::TempDir;

/// What begins a line that names the file whose bytes follow.
const MARK: &[u8] = b"=== ";

/// The files in an input, each with its name; what stands before the first name is a file without one.
pub fn parts(bytes: &[u8]) -> Vec<(String, &[u8])> {
    let mut parts = Vec::new();
    let (mut name, mut start, mut at) = (String::new(), 0, 0);
    while at < bytes.len() {
        let end = bytes[at..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |length| at + length);
        if let Some(next) = bytes[at..end].strip_prefix(MARK) {
            parts.push((name, &bytes[start..at.max(start)]));
            name = String::from_utf8_lossy(next).into_owned();
            start = (end + 1).min(bytes.len());
        }
        at = end + 1;
    }
    parts.push((name, &bytes[start..]));
    parts.retain(|(name, content)| !name.is_empty() || !content.is_empty());
    parts
}

/// A folder that is removed with everything in it.
pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder can be made"))
    }

    /// The path of a file with this name and content.
    pub fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, content).expect("the file is written");
        path
    }

    pub fn path(&self) -> PathBuf {
        self.0.path().to_path_buf()
    }
}
