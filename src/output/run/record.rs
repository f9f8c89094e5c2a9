//! What is written down of a run.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::data::GraphData;
use crate::output::Summary;
use crate::scene::{SceneError, SceneFile};

/// What makes a run this one: another run that is the same in all of it computes the same bits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunIdentity {
    /// The name of the scene.
    pub scene: String,
    /// A hash of the scene without its number of epochs, so that a run can be made longer.
    pub scene_hash: String,
    /// A hash of the graph; see [`GraphData::fingerprint`].
    pub data_hash: String,
    /// The seed of the run.
    pub seed: u64,
    /// In cross-validation the fold that is held out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fold: Option<HeldOutFold>,
    /// Which of the splits of the data it learns from, counted from 0, if one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<usize>,
}

/// A fold of a cross-validation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldOutFold {
    /// Its number, counted from 0.
    pub fold: u8,
    /// The number of folds.
    pub count: u8,
    /// Whether another fold chooses the epoch.
    pub strict: bool,
}

impl RunIdentity {
    /// The identity of a run of a scene on its graph. It reads all of the graph once.
    ///
    /// # Errors
    /// If the scene cannot be written, which no scene is known to cause.
    pub fn new(scene: &SceneFile, data: &GraphData, seed: u64) -> Result<Self, SceneError> {
        let mut timeless = scene.clone();
        timeless.training.epochs = 0;
        Ok(Self {
            scene: scene.name.clone(),
            scene_hash: format!("{:032x}", xxh3_128(timeless.to_ron()?.as_bytes())),
            data_hash: data.fingerprint(),
            seed,
            fold: None,
            split: None,
        })
    }

    /// What of another run differs from this one, and, after a semicolon, a fix; nothing if they are the same.
    pub fn difference(&self, other: &Self) -> Option<String> {
        let Self { scene, scene_hash, data_hash, seed, fold, split } = self;
        let held_out = |fold: Option<HeldOutFold>| match fold {
            Some(HeldOutFold { fold, count, strict: false }) => format!("holds out fold {fold} of {count}"),
            Some(HeldOutFold { fold, count, strict: true }) => format!("strictly holds out fold {fold} of {count}"),
            None => "holds out no fold".to_owned(),
        };
        if *scene != other.scene {
            return Some(format!("it learns the scene `{}`, not `{scene}`; give that scene", other.scene));
        }
        if *scene_hash != other.scene_hash {
            return Some("the scene has changed since it began; its own is `scene.ron` there".to_owned());
        }
        if *data_hash != other.data_hash {
            return Some("the graph of the scene has changed since it began; give the former one".to_owned());
        }
        if *fold != other.fold {
            let (other, this) = (held_out(other.fold), held_out(*fold));
            return Some(format!("it {other}, where this one {this}; give the same --folds"));
        }
        if *split != other.split {
            let of = |split: Option<usize>| {
                split.map_or_else(|| "the first split".to_owned(), |split| format!("split {split}"))
            };
            let (other, this) = (of(other.split), of(*split));
            return Some(format!("it learns from {other}, where this one learns from {this}; give the same --split"));
        }
        (*seed != other.seed).then(|| format!("its seed is {}, not {seed}; give --seed {0}", other.seed))
    }
}

/// How far a run has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// It goes on, or has stopped before its end.
    #[default]
    Unfinished,
    /// It has ended well.
    Finished,
    /// It has ended in an error.
    Failed,
}

/// What is known of a run: the content of its file `run.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Its identifier, which is in each of its files: a hash of what it computes, its epochs and the version. Two runs that have
    /// the same one leave the same weights, bit for bit.
    pub run: String,
    /// How far it has come.
    pub status: RunStatus,
    /// What it computes.
    #[serde(flatten)]
    pub identity: RunIdentity,
    /// The epochs that it is to train for.
    pub epochs: u64,
    /// The version of connectome that began it.
    pub version: String,
    /// Processor and operating system.
    pub platform: String,
    /// When it began, in seconds since 1970.
    pub started: u64,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<u64>,
    /// What came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl RunRecord {
    /// The record of a run that begins now.
    pub fn new(identity: RunIdentity, epochs: u64) -> Self {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let computed = format!("{identity:?} {epochs} {version}");
        Self {
            run: format!("{:016x}", xxh3_64(computed.as_bytes())),
            identity,
            epochs,
            version,
            platform: format!("{} {}", std::env::consts::ARCH, std::env::consts::OS),
            started: now().as_secs(),
            ..Self::default()
        }
    }

    pub(super) fn end(&mut self, status: RunStatus) {
        self.status = status;
        self.ended = Some(now().as_secs());
    }
}

/// The time since 1970.
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
