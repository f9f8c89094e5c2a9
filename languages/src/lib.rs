//! Text, mathematics and code as graphs: readers, writers, and the graphs themselves.

#![forbid(unsafe_code)]
