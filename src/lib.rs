//! stub
pub mod output;
