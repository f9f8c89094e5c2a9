//! Whether a scene makes sense: its settings by themselves, with its graph, and in the memory of the machine.

pub(super) mod data;
mod kinds;
pub(crate) mod memory;
pub(super) mod settings;
