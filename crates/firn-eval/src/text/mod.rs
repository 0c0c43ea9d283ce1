//! Algorithms on text that builtins need and that know nothing of values: regular expressions, versions,
//! number and string forms, JSON and TOML reading, path arithmetic.
//!
//! Nothing here touches the heap of values, files or the store.

pub mod regex;
