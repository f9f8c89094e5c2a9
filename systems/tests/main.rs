//! The tests of the engine that need no more than its public names: one program, since linking one for each file took
//! longer than running it.
//!
//! `cargo test --test systems topology::` runs those of one module. A new file is named here; a test of
//! the crate `connectome` sees to it.

mod attention;
mod batch;
mod batch_models;
mod clique_entities;
mod cliques;
mod clock;
mod common;
mod comparisons;
mod constants;
mod convolutions;
mod dynamics;
mod edit_distance;
mod entities;
mod gradients;
mod heads;
mod histories;
mod interactions;
mod kinds;
mod learning;
mod lessons;
mod levels;
mod life;
mod losses;
mod metrics;
mod mixture;
mod model_state;
mod optimize;
mod ordering;
mod pooling;
mod program;
mod samples;
mod schedule;
mod snapshots;
mod topology;
mod transport;
mod typed;
mod weisfeiler_leman;
