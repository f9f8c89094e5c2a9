//! What a training run leaves behind: weights, metrics, and a picture of its curves.
//!
//! Plain data goes in and files come out; nothing here knows of a `World`. Whoever runs the training fills one
//! [`EpochReport`] per epoch and hands it on:
//!
//! ```
//! use connectome::output::{Curve, EpochReport, training_curves};
//!
//! let report = EpochReport {
//!     epoch: 1,
//!     train_loss: 1.95,
//!     train_accuracy: 0.2,
//!     validation_loss: 1.94,
//!     validation_accuracy: 0.25,
//!     test_accuracy: 0.24,
//!     validation_area_under_curve: None,
//!     test_area_under_curve: None,
//!     train_mean_absolute_error: None,
//!     validation_mean_absolute_error: None,
//!     test_mean_absolute_error: None,
//!     learning_rate: 0.01,
//!     train_milliseconds: 3.1,
//!     evaluation_milliseconds: 0.9,
//! };
//! let curves = Curve::from_reports(&[report]);
//! assert!(training_curves("GCN on Cora", &curves, None).starts_with("<svg"));
//! ```

mod curves;
mod error;
mod file;
mod metrics;
mod report;
mod weights;

pub use curves::{Curve, training_curves};
pub use error::OutputError;
pub use file::write_file;
pub use metrics::{MetricsWriter, read_metrics};
pub use report::{EpochReport, Summary, best_epoch};
pub use weights::{Tensor, expect_tensor, read_metadata, read_weights, write_weights};
