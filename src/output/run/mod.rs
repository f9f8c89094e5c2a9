//! The folder of a training run.
//!
//! A run writes its files into `unfinished`, a folder within its own. When it has ended well, `unfinished` becomes `finished` by
//! one renaming, and its files take their places, where they replace those of the run before. So whenever a run stops, by whatever
//! means, the files of the run before are whole, or all files of the new one are there; if the computer stops while
//! they take their places, the next run in the folder moves the rest.
//!
//! | in the folder | what |
//! | --- | --- |
//! | `weights.safetensors`, `metrics.jsonl`, `curves.svg` | of the last run that ended well |
//! | `scene.ron` | the scene it learned, with the settings of the command line |
//! | `run.json` | a [`RunRecord`]: the identifier that is in each of its files, hashes, seed, version, summary |
//! | `unfinished/` | the files so far of a run that goes on, or has stopped |
//! | `unfinished/checkpoint-0.safetensors`, `-1` | the whole state of that run, written in turn |
//! | `.lock` | who writes into the folder; locked by the system as long as that process lives |

mod error;
mod folder;
mod lock;
mod plan;
mod record;

pub use error::RunError;
pub use folder::{Opened, RunFolder};
pub use lock::FolderLock;
pub use record::{HeldOutFold, RunIdentity, RunRecord, RunStatus};
