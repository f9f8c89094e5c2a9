//! The folder of a run: whatever fails or stops, and whenever, the files of the run before are whole, or those of the new one
//! are; and a run that is resumed ends with the bits of one that was never stopped.
//!
//! A failure names the operation or the moment at which something failed or stopped, and what was found then.

#[cfg(all(feature = "cli", unix))]
mod command;
mod faults;

use connectome::{
    CheckpointInterval, RunRecorder, Trainer,
    data::GraphData,
    output::{Disk, Opened, RunFolder, RunIdentity, RunRecord, RunStatus, read_metadata, read_metrics, read_weights},
    scene::SceneFile,
    systems::Workers,
};
use std::{error::Error, fs, ops::ControlFlow, path::Path};

/// The files of a run that has ended.
const FILES: [&str; 5] = ["weights.safetensors", "metrics.jsonl", "curves.svg", "scene.ron", "run.json"];

/// Karate, with dropout, for few epochs.
fn karate(epochs: u64) -> (SceneFile, GraphData) {
    let (mut scene, data) = SceneFile::load("assets/karate.ron").unwrap();
    scene.training.epochs = epochs;
    (scene, data)
}

/// A run as the command line makes it, with a checkpoint after every second epoch.
fn run(
    disk: &Disk,
    folder: &Path,
    (scene, data): &(SceneFile, GraphData),
    seed: u64,
    resume: bool,
) -> Result<(), Box<dyn Error>> {
    let record = RunRecord::new(RunIdentity::new(scene, data, seed)?, scene.training.epochs);
    let folder = match RunFolder::open(disk, folder, record, resume)? {
        Opened::Begun(folder) | Opened::Resumed(folder) => folder,
        Opened::Ended(_) => return Ok(()),
    };
    let mut trainer = Trainer::new(scene, data, seed, Workers::single())?;
    let interval: CheckpointInterval = "2".parse()?;
    let mut recorder = RunRecorder::start(folder, &mut trainer, Some(interval))?;
    let summary = trainer.train_while(|trainer| {
        // As on the command line: training goes on.
        let _ = recorder.add(trainer);
        ControlFlow::Continue(())
    })?;
    recorder.finish(&trainer, &summary)?;
    Ok(())
}

/// Checks that a folder has the files of one run that has ended, each of them whole, and returns the identifier of the run. Files
/// that have not taken their places yet count as if they had.
#[track_caller]
fn check_whole(folder: &Path) -> String {
    let file = |name: &str| {
        let moving = folder.join("finished").join(name);
        if moving.exists() { moving } else { folder.join(name) }
    };
    let text = |name: &str| fs::read_to_string(file(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let record: RunRecord = serde_json::from_str(&text("run.json")).unwrap();
    assert_eq!(record.status, RunStatus::Finished);
    let summary = record.summary.expect("a run that has ended has a summary");
    let run = record.run;
    read_weights(&file("weights.safetensors")).unwrap();
    assert_eq!(read_metadata(&file("weights.safetensors")).unwrap()["run"], run);
    assert_eq!(read_metrics(&file("metrics.jsonl")).unwrap().len() as u64, summary.epochs);
    let metrics = text("metrics.jsonl");
    assert!(metrics.lines().all(|line| line.ends_with(&format!(r#""run":"{run}"}}"#))), "{metrics}");
    assert!(text("curves.svg").ends_with(&format!("<!-- run {run} -->\n")));
    let scene = text("scene.ron");
    assert!(scene.starts_with(&format!("// The scene of run {run}.\n")), "{scene}");
    SceneFile::parse(&scene, "scene.ron").unwrap();
    run
}

fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The bits of the weights in a file.
fn weights(path: &Path) -> Vec<(String, Vec<u32>)> {
    let tensors = read_weights(path).unwrap_or_else(|error| panic!("{error}"));
    tensors
        .into_iter()
        .map(|tensor| (tensor.name, tensor.values.iter().map(|value| value.to_bits()).collect()))
        .collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for name in names_in(from) {
        fs::copy(from.join(&name), to.join(&name)).unwrap();
    }
}
