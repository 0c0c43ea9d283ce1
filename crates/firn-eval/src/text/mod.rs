//! Algorithms on text that builtins need and that know nothing of values: regular expressions, versions,
//! number forms, JSON and TOML reading.
//!
//! Nothing here touches the heap of values, files or the store.

pub mod float;
pub mod grisu;
pub mod json;
pub mod regex;
pub mod toml;
pub mod version;
