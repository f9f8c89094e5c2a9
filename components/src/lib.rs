//! stub
mod node; mod optimizer;
pub use node::{Label, Node, Split};
pub use optimizer::{LearningRateSchedule, Optimizer};
