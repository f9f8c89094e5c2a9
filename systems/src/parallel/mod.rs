//! A pool of workers, and parallel loops over blocks of rows.
//!
//! Blocks depend on the data and never on the number of workers, and each block writes only its rows; so the results
//! have the same bits for any number of workers.

mod blocks;
mod gate;
mod rows;
mod worker_log;
mod workers;

pub use blocks::Blocks;
pub(crate) use blocks::even_size;
pub(crate) use gate::Gate;
pub use rows::{PerBlock, RowsMut, SplitRows};
pub use worker_log::{WorkerLog, WorkerSpan};
pub use workers::{Workers, WorkersError};
