//! Faults while paths are copied and added: processes that are killed at any moment, writes and syncs that fail, a
//! disk that is full. What is registered afterwards must be whole, and what failed must be told.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "a test says that it was skipped")]

mod injected;
mod kills;
mod world;
