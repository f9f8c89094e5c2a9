//! stub
pub mod layers;
