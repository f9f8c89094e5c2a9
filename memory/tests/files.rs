//! What is no memory, of another version, damaged or open elsewhere is an error that says so, and nothing panics.

use connectome_memory::{GraphMemory, MemoryError, Query};
use connectome_systems::random::{Philox, RandomStream};
use redb::{Database, TableDefinition};
use std::{fs, path::Path};

use crate::common::{folder, graph, memory, new};

fn error(path: &Path) -> MemoryError {
    GraphMemory::open(path).err().unwrap()
}

#[test]
fn what_is_no_memory_is_refused() {
    let (folder, path) = folder();
    assert_eq!(error(&path), MemoryError::Missing { path: path.clone() });
    assert!(!path.exists());
    assert_eq!(error(folder.path()), MemoryError::NotAMemory { path: folder.path().into() });
    for bytes in [b"some text".as_slice(), &[0; 100], &[255; 100_000], b"redb", b"redb\x1a\n\xa9\r\n"] {
        fs::write(&path, bytes).unwrap();
        for error in [GraphMemory::open(&path).err().unwrap(), GraphMemory::create(&path).err().unwrap()] {
            assert!(
                matches!(error, MemoryError::NotAMemory { .. } | MemoryError::Damaged { .. }),
                "{bytes:?}: {error}"
            );
        }
        assert_eq!(fs::read(&path).unwrap(), bytes, "what is not ours stays as it is");
    }
    fs::remove_file(&path).unwrap();
    // A database of redb that somebody else has written.
    let database = Database::create(&path).unwrap();
    let write = database.begin_write().unwrap();
    write.open_table(TableDefinition::<u64, u64>::new("other")).unwrap().insert(1, 2).unwrap();
    write.commit().unwrap();
    drop(database);
    assert_eq!(error(&path), MemoryError::NotAMemory { path: path.clone() });
    assert_eq!(GraphMemory::create(&path).err().unwrap(), MemoryError::NotAMemory { path });
}

#[test]
fn another_format_is_refused() {
    let (_folder, memory) = memory(0..3);
    let path = memory.path().to_owned();
    drop(memory);
    let database = Database::open(&path).unwrap();
    let write = database.begin_write().unwrap();
    let state = TableDefinition::<&str, &[u8]>::new("state");
    write.open_table(state).unwrap().insert("connectome memory", &2_u32.to_le_bytes()[..]).unwrap();
    write.commit().unwrap();
    drop(database);
    assert_eq!(error(&path), MemoryError::OtherFormat { path: path.clone(), version: 2, supported: 1 });
    assert!(error(&path).to_string().contains("format 2"));
}

#[test]
fn a_file_is_open_once() {
    let (_folder, memory) = memory(0..3);
    let path = memory.path().to_owned();
    assert_eq!(error(&path), MemoryError::InUse { path: path.clone() });
    drop(memory);
    assert_eq!(GraphMemory::open(&path).unwrap().len(), 3);
}

/// Opens a file that was tampered with; whatever opens has to answer, or to say that it is damaged.
fn use_damaged(path: &Path) -> bool {
    match GraphMemory::open(path) {
        Ok(mut memory) => {
            let whole = memory.check().is_ok_and(|problems| problems.is_empty());
            let _ = memory.find(&graph(1, 6, 1), &Query::default());
            let _ = memory.put(new(1));
            whole
        }
        Err(error) => {
            assert!(
                matches!(
                    error,
                    MemoryError::NotAMemory { .. } | MemoryError::Damaged { .. } | MemoryError::Storage { .. }
                ),
                "{error}"
            );
            false
        }
    }
}

#[test]
fn a_damaged_file_is_noticed() {
    let (folder, memory) = memory(0..400);
    let path = memory.path().to_owned();
    drop(memory);
    let bytes = fs::read(&path).unwrap();
    let damaged = folder.path().join("damaged");
    for length in (0..bytes.len()).step_by(bytes.len() / 23) {
        fs::write(&damaged, &bytes[..length]).unwrap();
        assert!(!use_damaged(&damaged), "cut off at {length} of {}", bytes.len());
    }
    let rounds = std::env::var("CONNECTOME_DAMAGED_FILES").map_or(60, |rounds| rounds.parse().unwrap());
    let mut random = RandomStream::new(Philox::new(1, 0, 0));
    let mut whole = 0;
    for _ in 0..rounds {
        let mut bytes = bytes.clone();
        for _ in 0..1 + random.below(8) {
            let place = random.below(bytes.len() as u64) as usize;
            bytes[place] = random.below(256) as u8;
        }
        fs::write(&damaged, &bytes).unwrap();
        // Bytes of free pages may change without harm.
        whole += u32::from(use_damaged(&damaged));
    }
    println!("{whole} of {rounds} damaged files were whole where it counts");
}
