//! The plugin for Bevy: brains as assets, reloading, parameters, races, clocks, diagnostics, and what may go wrong.

mod clocks;
mod common;
mod diagnostics;
mod errors;
mod flock;
#[cfg(feature = "gizmos")]
mod gizmos;
mod parameters;
mod reflection;
mod reloads;
