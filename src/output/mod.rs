//! What a training run leaves behind: weights, metrics, and a picture of its curves.
//!
//! Plain data goes in and files come out; nothing here knows of a `World`. Whoever runs the training fills one
//! [`EpochReport`] per epoch and hands it on:
//!
//! ```
//! use connectome::components::Split;
//! use connectome::output::{Curve, EpochReport, training_curves};
//!
//! let metrics = [(Split::Train, "loss", 1.95), (Split::Validation, "loss", 1.94), (Split::Validation, "accuracy", 0.25)];
//! let report = EpochReport { epoch: 1, metrics: metrics.into(), ..EpochReport::default() };
//! let curves = Curve::from_reports(&[report]);
//! assert!(training_curves("GCN on Cora", &curves, None).starts_with("<svg"));
//! ```

pub(crate) mod arrays;
mod curves;
mod disk;
mod error;
mod format;
pub(crate) mod measures;
pub(crate) mod metrics;
mod report;
mod run;
mod watch;
mod weights;

pub use curves::{Curve, training_curves};
pub use disk::{Disk, DiskOperation, write_file};
pub use error::OutputError;
pub use format::MetricFormat;
pub use measures::Measures;
pub use metrics::{MetricsWriter, read_metrics};
pub use report::{EpochReport, Summary};
pub use run::{FolderLock, HeldOutFold, Opened, RunError, RunFolder, RunIdentity, RunRecord, RunStatus};
pub use watch::{ValidationCriteria, ValidationWatch, best_epoch};
pub use weights::{Tensor, decode_weights, expect_tensor, read_metadata, read_weights, write_weights};
