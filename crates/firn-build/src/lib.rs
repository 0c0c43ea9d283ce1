//! Builds: the scheduler, the sandbox and the builders that are built in.
//!
//! Nothing here knows the language.

pub mod builtin;
pub mod sandbox;
