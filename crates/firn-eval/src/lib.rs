//! The evaluator: compiler, machine, values and builtins.
//!
//! It reaches files, the store and fetchers through one trait and does not know which store or
//! terminal it runs on.
