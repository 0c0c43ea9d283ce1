//! Remote builders: [`machines`] reads the setting `builders`; [`program`] is the build hook, which chooses a machine
//! and builds there; [`instance`] is the side that asks it.
//!
//! The hook is a program of its own (`nix __build-remote`), so that any other that speaks its protocol can take its
//! place, and it can serve other implementations. Its protocol: on standard input come the settings (a 1, the
//! name and the value of each, then a 0), then requests; on standard error go its answers, lines that begin with
//! `# `, and messages; on descriptor 4 goes the log of the build.

pub mod instance;
pub mod machines;
pub mod program;
