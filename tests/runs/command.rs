//! The command line, killed, stopped by signals and resumed.

use super::{check_whole, names_in, weights};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// A folder with a scene, and what `train` left there for it when nothing stopped it.
struct Stage {
    root: TempDir,
    arguments: Vec<String>,
}

impl Stage {
    fn new(scene: &str, change: impl Fn(String) -> String, arguments: &[&str]) -> Self {
        let root = tempfile::tempdir().unwrap();
        let text = change(fs::read_to_string(format!("assets/{scene}.ron")).unwrap());
        fs::write(root.path().join("scene.ron"), text).unwrap();
        if scene != "karate" {
            fs::copy(format!("assets/{scene}.npz"), root.path().join(format!("{scene}.npz"))).unwrap();
        }
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Self { root, arguments }
    }

    /// Karate, for more epochs than a run is to end with.
    fn karate(epochs: &str) -> Self {
        Self::new("karate", |text| text, &["--epochs", epochs])
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn command(&self, folder: &str, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_connectome"));
        command.arg("train").arg(self.folder("scene.ron")).args(&self.arguments);
        command.arg("--output").arg(self.folder(folder)).args(more);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    #[track_caller]
    fn succeed(&self, folder: &str, more: &[&str]) -> String {
        let output = self.command(folder, more).output().unwrap();
        assert!(output.status.success(), "{}", error(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    fn fail(&self, folder: &str, more: &[&str]) -> String {
        let output = self.command(folder, more).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", error(&output));
        error(&output)
    }

    /// Starts a run, and waits until it has trained for an epoch.
    fn start(&self, folder: &str, of_run: &str, more: &[&str]) -> Child {
        let child = self.command(folder, more).spawn().unwrap();
        let metrics = self.folder(folder).join(of_run).join("unfinished").join("metrics.jsonl");
        wait(|| fs::metadata(&metrics).is_ok_and(|metadata| metadata.len() > 0), "there are no metrics");
        child
    }

    fn weights(&self, folder: &str) -> Vec<(String, Vec<u32>)> {
        check_whole(&self.folder(folder));
        weights(&self.folder(folder).join("weights.safetensors"))
    }
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
fn wait(is_done: impl Fn() -> bool, failure: &str) {
    let begun = Instant::now();
    while !is_done() {
        assert!(begun.elapsed() < Duration::from_secs(120), "{failure}");
        sleep(Duration::from_millis(2));
    }
}

/// Sends a signal to a process, and returns what came of it.
fn stop(child: Child, signal: &str) -> Output {
    assert!(Command::new("kill").arg(signal).arg(child.id().to_string()).status().unwrap().success());
    child.wait_with_output().unwrap()
}

#[test]
fn a_run_that_is_killed_again_and_again_ends_with_the_same_bits() {
    let stage = Stage::karate("400");
    stage.succeed("whole", &[]);
    let mut kills = 0;
    // Later and later, so that it comes to an end on a slow machine, too.
    for round in 0_u64.. {
        let mut child = stage.command("killed", &["--checkpoint", "1", "--resume"]).spawn().unwrap();
        sleep(Duration::from_millis(5 + (round * 37) % 90 + round * round / 16));
        if child.try_wait().unwrap().is_some() {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", error(&output));
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
    }
    println!("killed {kills} times");
    assert!(kills > 1);
    assert_eq!(stage.weights("killed"), stage.weights("whole"));
    assert_eq!(names_in(&stage.folder("killed")), names_in(&stage.folder("whole")), "something was left behind");
}

#[test]
fn signals_end_the_epoch_and_say_how_to_go_on() {
    let stage = Stage::karate("1500");
    stage.succeed("whole", &[]);
    for (signal, name, code) in [("-INT", "SIGINT", 130), ("-TERM", "SIGTERM", 143)] {
        let stopped = stop(stage.start(name, "", &[]), signal);
        let message = error(&stopped);
        assert_eq!(stopped.status.code(), Some(code), "{message}");
        assert!(message.contains(&format!("stopped by {name} after epoch ")), "{message}");
        let command = message.split("go on with: ").nth(1).unwrap().trim().to_owned();
        assert!(command.ends_with("--resume"), "{command}");
        // What it says is what a shell runs.
        let resumed = Command::new("sh").arg("-c").arg(&command).output().unwrap();
        assert!(resumed.status.success(), "{}", error(&resumed));
        assert!(error(&resumed).contains("note: goes on after epoch "), "{}", error(&resumed));
        assert_eq!(stage.weights(name), stage.weights("whole"));
        let again = stage.command(name, &["--resume"]).output().unwrap();
        assert!(again.status.success() && error(&again).contains("has ended already"), "{}", error(&again));
        assert_eq!(again.stdout.is_empty(), resumed.stdout.is_empty());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn without_a_folder_a_signal_ends_the_run() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_connectome"));
    command.args(["train", "assets/karate.ron", "--epochs", "100000000"]).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    // Until it listens to signals they end it at once: the second bit of those that are caught is SIGINT.
    let caught = || {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim().to_owned();
        u64::from_str_radix(&line, 16).unwrap() & 2 != 0
    };
    wait(caught, "it does not listen to signals");
    let stopped = stop(child, "-INT");
    assert_eq!(stopped.status.code(), Some(130), "{}", error(&stopped));
    assert!(error(&stopped).contains("nothing of it was saved, for that takes --output DIR"), "{}", error(&stopped));
}

/// The statistics of a command that trains several times, and the weights of each run.
fn check_several(stage: &Stage, runs: &[&str], last: &str) {
    let expected = stage.succeed("whole", &["--json"]);
    let stopped = stop(stage.start("stopped", last, &["--json"]), "-TERM");
    assert_eq!(stopped.status.code(), Some(143), "{}", error(&stopped));
    let found = stage.succeed("stopped", &["--json", "--resume"]);
    let line = |text: &str| text.lines().last().unwrap().to_owned();
    assert_eq!(found.lines().count(), runs.len() + 1, "{found}");
    assert_eq!(line(&found), line(&expected), "mean and deviation");
    for run in runs {
        assert_eq!(stage.weights(&format!("stopped/{run}")), stage.weights(&format!("whole/{run}")), "{run}");
    }
    assert_eq!(names_in(&stage.folder("stopped")), names_in(&stage.folder("whole")));
}

#[test]
fn several_seeds_are_resumed() {
    let stage = Stage::new("karate", |text| text, &["--epochs", "400", "--repeat", "3"]);
    check_several(&stage, &["seed-0", "seed-1", "seed-2"], "seed-1");
}

#[test]
fn several_folds_are_resumed() {
    let small = |text: String| text.replace("steps_per_epoch: 50", "steps_per_epoch: 2");
    let stage = Stage::new("mutag", small, &["--epochs", "6", "--folds", "3"]);
    check_several(&stage, &["fold-0", "fold-1", "fold-2"], "fold-1");
    let error = stage.fail("stopped", &["--resume", "--seed", "9"]);
    assert!(error.contains("cannot be resumed: its seed is 0, not 9"), "{error}");
}

#[test]
fn another_run_is_refused_and_one_that_has_not_ended_is_not_replaced() {
    let stage = Stage::karate("100000000");
    stop(stage.start("run", "", &[]), "-TERM");
    let before = fs::read(stage.folder("run").join("unfinished/checkpoint-0.safetensors")).unwrap();
    let error = stage.fail("run", &[]);
    assert!(error.contains("a run that has not ended; go on with it by --resume, or remove"), "{error}");
    let error = stage.fail("run", &["--resume", "--seed", "3"]);
    assert!(error.contains("cannot be resumed: its seed is 0, not 3; give --seed 0"), "{error}");
    let scene = stage.folder("scene.ron");
    let text = fs::read_to_string(&scene).unwrap();
    let change = |from: &str, to: &str| {
        assert!(text.contains(from));
        fs::write(&scene, text.replacen(from, to, 1)).unwrap();
        stage.fail("run", &["--resume"])
    };
    let error = change("learning_rate: 0.01", "learning_rate: 0.02");
    assert!(error.contains("the scene has changed since it began; its own is `scene.ron` there"), "{error}");
    let error = change("name: \"karate\"", "name: \"judo\"");
    assert!(error.contains("it learns the scene `karate`, not `judo`"), "{error}");
    assert_eq!(fs::read(stage.folder("run").join("unfinished/checkpoint-0.safetensors")).unwrap(), before);
    let error = stage.fail("run", &["--resume", "--checkpoint", "often"]);
    assert!(error.contains("such as 30s"), "{error}");
}

#[test]
fn a_run_that_has_not_ended_may_be_made_longer() {
    let stage = Stage::karate("100000000");
    let stopped = error(&stop(stage.start("run", "", &[]), "-INT"));
    let epoch = stopped.split("after epoch ").nth(1).and_then(|rest| rest.split(';').next()).unwrap();
    let epochs = (epoch.parse::<u64>().unwrap() + 40).to_string();
    let longer = Stage { root: stage.root, arguments: vec!["--epochs".to_owned(), epochs] };
    longer.succeed("run", &["--resume"]);
    longer.succeed("whole", &[]);
    assert_eq!(longer.weights("run"), longer.weights("whole"));
    // Its state is gone with its end.
    let Stage { root, .. } = longer;
    let error =
        Stage { root, arguments: vec!["--epochs".to_owned(), "100000000".to_owned()] }.fail("run", &["--resume"]);
    assert!(error.contains("has ended after its") && error.contains("leave --resume out"), "{error}");
}

#[test]
fn a_run_that_goes_on_keeps_its_folder() {
    let stage = Stage::karate("100000000");
    let child = stage.start("run", "", &["--checkpoint", "1"]);
    for more in [&["--resume"][..], &[], &["--seed", "3"], &["--resume", "--repeat", "2"]] {
        let error = stage.fail("run", more);
        assert!(error.contains(&format!("is in use by process {}; wait", child.id())), "{error}");
    }
    let stopped = stop(child, "-KILL");
    assert_eq!(stopped.status.code(), None);
    assert!(stage.folder("run").join(".lock").exists());
    // A killed process holds no lock.
    stop(stage.start("run", "", &["--resume"]), "-TERM");
}

#[test]
fn a_run_that_diverges_does_not_replace_a_good_one() {
    let stage = Stage::karate("30");
    stage.succeed("run", &[]);
    let files = |folder: &Path| {
        names_in(folder)
            .into_iter()
            .filter(|name| name != "unfinished")
            .map(|name| fs::read(folder.join(name)).unwrap())
            .collect::<Vec<_>>()
    };
    let folder = stage.folder("run");
    let before = files(&folder);
    let scene = stage.folder("scene.ron");
    let text = fs::read_to_string(&scene).unwrap();
    fs::write(&scene, text.replacen("learning_rate: 0.01", "learning_rate: 1e38", 1)).unwrap();
    for _ in 0..2 {
        let error = stage.fail("run", &["--checkpoint", "1"]);
        assert!(error.contains("lower the learning rate"), "{error}");
        assert!(files(&folder) == before, "files of the good run have changed");
        let record = fs::read_to_string(folder.join("unfinished/run.json")).unwrap();
        assert!(record.contains(r#""status": "failed""#) && record.contains("lower the learning rate"), "{record}");
        let error = stage.fail("run", &["--resume"]);
        assert!(error.contains("has failed: ") && error.contains("begin another one"), "{error}");
    }
    fs::write(&scene, text).unwrap();
    stage.succeed("run", &["--seed", "4"]);
    check_whole(&folder);
    assert!(!folder.join("unfinished").exists());
    assert!(files(&folder) != before);
}
