//! Boots the web server example in a container and in a virtual machine, switches it, rolls it back, and
//! looks at it from outside and inside. `cargo xtask test` builds what is booted and says where in
//! `FIRN_DIST`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "a test that is skipped says why")]

mod container;
mod machine;
mod world;
