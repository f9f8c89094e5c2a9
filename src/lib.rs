//! stub
pub mod scene;
