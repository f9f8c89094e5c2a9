//! Faults of the disk, one at a time and all from one on, at every operation of a run.

use super::{FILES, check_whole, copy, karate, names_in, run, weights};
use connectome::output::{Disk, DiskOperation, RunError, RunFolder, RunIdentity, RunRecord};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};
use tempfile::TempDir;

const EPOCHS: u64 = 4;

/// Folders with a run that has ended, with a run of another seed in its place, and for files that cannot be written elsewhere.
struct Stage {
    _root: TempDir,
    before: PathBuf,
    after: PathBuf,
    folder: PathBuf,
    spare: PathBuf,
    runs: [String; 2],
}

impl Stage {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let [before, after, folder, spare] = ["before", "after", "folder", "spare"].map(|name| root.path().join(name));
        let runs = [(&before, 1), (&after, 2)].map(|(folder, seed)| {
            run(&Disk::default(), folder, &karate(EPOCHS), seed, false).unwrap();
            assert_eq!(names_in(folder), sorted(&FILES));
            check_whole(folder)
        });
        assert_ne!(runs[0], runs[1]);
        Self { _root: root, before, after, folder, spare, runs }
    }

    /// The folder, with the run that has ended and a file of the user's.
    fn reset(&self) -> &Path {
        for folder in [&self.folder, &self.spare] {
            let _ = fs::remove_dir_all(folder);
        }
        fs::create_dir(&self.spare).unwrap();
        copy(&self.before, &self.folder);
        fs::write(self.folder.join("notes.txt"), "mine").unwrap();
        &self.folder
    }

    /// Runs the other seed on a disk on which operations fail; returns its error.
    fn run(
        &self,
        resume: bool,
        before: impl Fn(DiskOperation, &Path) -> io::Result<()> + Send + Sync + 'static,
    ) -> Option<String> {
        let disk = Disk::with_faults(before, &self.spare);
        run(&disk, &self.folder, &karate(EPOCHS), 2, resume).err().map(|error| error.to_string())
    }

    /// Checks that the folder has the old run or the new one, and that the new one can be resumed to its end.
    #[track_caller]
    fn check(&self, moment: &str, error: Option<&String>) {
        let found = check_whole(&self.folder);
        assert!(self.runs.contains(&found), "{moment}: another run");
        if error.is_none() {
            assert_eq!(found, self.runs[1], "{moment}: nothing was reported, but the old run is there");
        }
        // What was saved elsewhere is what would have been written.
        for name in names_in(&self.spare).iter().filter(|name| name.ends_with("weights.safetensors")) {
            assert!(
                error.is_some_and(|error| error.contains(name.as_str())),
                "{moment}: {error:?} does not name {name}"
            );
            assert!(self.has_new_weights(&self.spare.join(name)), "{moment}: {name}");
        }
        // Before it has a record it has not begun: the run in the folder is the old one, which is not to be resumed.
        let has_begun = found == self.runs[1] || self.folder.join("unfinished").join("run.json").exists();
        let resumed = run(&Disk::default(), &self.folder, &karate(EPOCHS), 2, has_begun);
        resumed.unwrap_or_else(|error| panic!("{moment}: cannot be resumed: {error}"));
        assert_eq!(check_whole(&self.folder), self.runs[1], "{moment}");
        assert!(self.has_new_weights(&self.folder.join("weights.safetensors")), "{moment}: other weights");
        let mut expected = FILES.to_vec();
        expected.push("notes.txt");
        assert_eq!(names_in(&self.folder), sorted(&expected), "{moment}: something was left behind");
        assert_eq!(fs::read(self.folder.join("notes.txt")).unwrap(), b"mine");
    }

    fn has_new_weights(&self, path: &Path) -> bool {
        weights(path) == weights(&self.after.join("weights.safetensors"))
    }
}

fn sorted(names: &[&str]) -> Vec<String> {
    let mut names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    names.sort();
    names
}

fn full() -> io::Error {
    io::ErrorKind::StorageFull.into()
}

/// The operations of a run that is not disturbed, once one has ended in its folder.
fn operations(stage: &Stage) -> usize {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    stage.reset();
    let error = stage.run(false, move |_, _| {
        counted.fetch_add(1, Ordering::Relaxed);
        Ok(())
    });
    assert_eq!(error, None);
    stage.check("undisturbed", None);
    count.load(Ordering::Relaxed)
}

/// Disturbs a run at each of its operations; `is_hit` says by their numbers which operations fail from one on.
fn disturb(name: &str, is_hit: fn(usize, usize) -> bool) {
    let stage = Stage::new();
    let count = operations(&stage);
    assert!(count > 60, "only {count} operations");
    let mut reported = 0;
    for fault in 0..count {
        stage.reset();
        let (next, last) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
        let hit = Arc::clone(&last);
        let error = stage.run(false, move |operation, _| {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if !is_hit(number, fault) {
                return Ok(());
            }
            hit.fetch_max(operation as usize + 1, Ordering::Relaxed);
            Err(full())
        });
        assert!(last.load(Ordering::Relaxed) > 0, "no operation {fault}");
        reported += usize::from(error.is_some());
        stage.check(&format!("{name} {fault} of {count}"), error.as_ref());
    }
    println!("{name}: {count} operations, {reported} reported");
    assert!(reported > count / 3);
}

#[test]
fn after_any_operation_that_fails_the_old_files_are_whole_or_the_new_ones() {
    disturb("failing operation", |number, fault| number == fault);
}

/// As if the process were killed there, or the disk were full or had become read-only for good.
#[test]
fn after_a_stop_at_any_operation_the_old_files_are_whole_or_the_new_ones() {
    disturb("stop at operation", |number, fault| number >= fault);
}

/// A run that is resumed is disturbed just so.
#[test]
fn resuming_may_be_stopped_at_any_operation() {
    let stage = Stage::new();
    for fault in (0..).step_by(3) {
        stage.reset();
        let stop = |after: usize| {
            let next = AtomicUsize::new(0);
            move |_: DiskOperation, _: &Path| {
                if next.fetch_add(1, Ordering::Relaxed) < after { Ok(()) } else { Err(full()) }
            }
        };
        // The second checkpoint is there.
        assert!(stage.run(false, stop(50)).is_some());
        let error = stage.run(true, stop(fault));
        stage.check(&format!("stop at operation {fault} of the resumed run"), error.as_ref());
        if error.is_none() {
            assert!(fault > 30);
            return;
        }
    }
}

#[test]
fn a_disk_that_takes_nothing_is_reported_before_training() {
    let stage = Stage::new();
    for kind in [io::ErrorKind::ReadOnlyFilesystem, io::ErrorKind::StorageFull, io::ErrorKind::PermissionDenied] {
        stage.reset();
        let before = names_in(&stage.folder);
        let error = stage.run(false, move |_, _| Err(kind.into())).unwrap();
        assert!(error.contains(&io::Error::from(kind).to_string()), "{error}");
        assert_eq!(names_in(&stage.folder), before);
        assert_eq!(check_whole(&stage.folder), stage.runs[0]);
    }
}

#[test]
fn on_a_disk_that_fills_up_the_weights_are_saved_elsewhere() {
    let stage = Stage::new();
    let is_full = Arc::new(AtomicBool::new(false));
    stage.reset();
    let folder = stage.folder.clone();
    let error = stage.run(false, move |operation, path| {
        // Full from the second checkpoint on.
        let is_checkpoint = path.to_string_lossy().contains("checkpoint-1");
        is_full.fetch_or(is_checkpoint, Ordering::Relaxed);
        let needs_room = matches!(operation, DiskOperation::Write | DiskOperation::CreateFile);
        if needs_room && path.starts_with(&folder) && is_full.load(Ordering::Relaxed) { Err(full()) } else { Ok(()) }
    });
    let error = error.unwrap();
    let saved = names_in(&stage.spare);
    assert_eq!(saved.len(), 1);
    assert!(error.contains("it was saved as") && error.contains(&saved[0]), "{error}");
    stage.check("full disk", Some(&error));
}

fn record() -> RunRecord {
    let (scene, data) = karate(EPOCHS);
    RunRecord::new(RunIdentity::new(&scene, &data, 2).unwrap(), EPOCHS)
}

#[test]
fn two_runs_do_not_share_a_folder_and_a_stale_lock_is_none() {
    let stage = Stage::new();
    let folder = stage.reset();
    fs::write(folder.join(".lock"), "process 1\n").unwrap();
    let first = RunFolder::open(&Disk::default(), folder, record(), false).unwrap();
    let error = RunFolder::open(&Disk::default(), folder, record(), false).unwrap_err();
    assert!(matches!(error, RunError::InUse { .. }), "{error}");
    assert!(error.to_string().contains(&format!("in use by process {}", std::process::id())), "{error}");
    drop(first);
    assert!(!folder.join(".lock").exists());
    RunFolder::open(&Disk::default(), folder, record(), false).unwrap();
}

/// What has the name of a file, and is none, stays what it is.
#[cfg(unix)]
#[test]
fn links_pipes_and_folders_in_the_way_are_reported_and_nothing_is_touched() {
    use std::{os::unix::fs::symlink, process::Command};

    let stage = Stage::new();
    let names = FILES.iter().copied().chain([".lock", "unfinished", "finished", "unfinished/run.json"]);
    for name in names {
        for kind in ["a symbolic link", "a folder", "a pipe or a device"] {
            if kind == "a folder" && ["unfinished", "finished"].contains(&name) {
                continue;
            }
            let folder = stage.reset();
            let (path, target) = (folder.join(name), stage.spare.join("target"));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let _ = fs::remove_file(&path);
            fs::write(&target, "of value").unwrap();
            match kind {
                "a symbolic link" => symlink(&target, &path).unwrap(),
                "a folder" => fs::create_dir(&path).unwrap(),
                _ => assert!(Command::new("mkfifo").arg(&path).status().unwrap().success()),
            }
            let before = names_in(folder);
            let error = stage.run(false, |_, _| Ok(())).unwrap();
            assert!(error.contains(&format!("{} is {kind}; move it away", path.display())), "{error}");
            assert_eq!(names_in(folder), before, "{name}: {kind}");
            assert_eq!(fs::read(&target).unwrap(), b"of value");
            let kept = FILES.iter().filter(|file| **file != name);
            assert!(
                kept.into_iter()
                    .all(|file| fs::read(folder.join(file)).unwrap() == fs::read(stage.before.join(file)).unwrap())
            );
        }
    }
}

/// A folder that happens to have the name is not emptied.
#[test]
fn files_of_the_user_are_not_swept() {
    let stage = Stage::new();
    for name in ["unfinished", "finished"] {
        let folder = stage.reset();
        fs::create_dir(folder.join(name)).unwrap();
        fs::write(folder.join(name).join("thesis.txt"), "of value").unwrap();
        let error = stage.run(false, |_, _| Ok(())).unwrap();
        assert!(error.contains("thesis.txt is no file of a run"), "{error}");
        assert_eq!(fs::read(folder.join(name).join("thesis.txt")).unwrap(), b"of value");
    }
    let folder = stage.reset();
    for temporary in [".run.json.4711-0.temporary", ".weights.safetensors.4711-12.temporary"] {
        fs::write(folder.join(temporary), "half").unwrap();
    }
    fs::write(folder.join(".other.4711-0.temporary"), "mine").unwrap();
    assert_eq!(stage.run(false, |_, _| Ok(())), None);
    let mut expected = FILES.to_vec();
    expected.extend([".other.4711-0.temporary", "notes.txt"]);
    assert_eq!(names_in(folder), sorted(&expected));
}

#[test]
fn of_two_checkpoints_the_one_that_is_whole_is_taken() {
    let stage = Stage::new();
    let interrupted = || {
        stage.reset();
        let next = AtomicUsize::new(0);
        let error = stage.run(false, move |operation, path| {
            // Nothing can be written from the first file of the end on.
            let is_end = operation == DiskOperation::CreateFile && path.to_string_lossy().contains(".weights");
            next.fetch_add(usize::from(is_end), Ordering::Relaxed);
            if next.load(Ordering::Relaxed) > 0 { Err(full()) } else { Ok(()) }
        });
        assert!(error.is_some());
        ["checkpoint-0.safetensors", "checkpoint-1.safetensors"].map(|name| stage.folder.join("unfinished").join(name))
    };
    for damaged in [0, 1] {
        let checkpoints = interrupted();
        let bytes = fs::read(&checkpoints[damaged]).unwrap();
        fs::write(&checkpoints[damaged], &bytes[..bytes.len() / 2]).unwrap();
        stage.check(&format!("checkpoint {damaged} is damaged"), Some(&String::new()));
    }
    let checkpoints = interrupted();
    checkpoints.iter().for_each(|path| fs::write(path, "nonsense").unwrap());
    let error = stage.run(true, |_, _| Ok(())).unwrap();
    assert!(error.contains("no checkpoint in") && error.contains("unfinished"), "{error}");
    assert_eq!(check_whole(&stage.folder), stage.runs[0]);
    let error = stage.run(false, |_, _| Ok(())).unwrap();
    assert!(error.contains("a run that has not ended; go on with it by --resume"), "{error}");
}
