//! Flakes: references to them, registries, lock files, and the values that they are.
//!
//! Defined in the Nix manual, "nix flake". Fetching goes through the evaluator's world
//! (`firn_eval::io::EvalIo`); nothing here prints, and nothing knows commands. The parts:
//!
//! | module | what |
//! | --- | --- |
//! | [`reference`] | references as users write them, with relative paths and the search for `flake.nix` |
//! | [`registry`] | what short names stand for |
//! | [`flake`] | what a `flake.nix` says |
//! | [`lock_file`] | `flake.lock`, read and written byte for byte as C++ Nix does |
//! | [`lock`] | bringing a lock file up to date with its flake |
//! | [`call`] | a locked flake as a value |

pub mod call;
pub mod flake;
mod literal;
pub mod lock;
pub mod lock_file;
pub mod reference;
pub mod registry;

pub use call::value_of;
pub use flake::{Flake, FlakeInput};
pub use lock::{LockFlags, LockedFlake, lock_flake};
pub use lock_file::LockFile;
pub use registry::Registries;

use firn_eval::Error;
use firn_model::input::InputError;

/// An input's error as evaluation reports it.
fn input_error(e: &InputError) -> Error {
    Error::other(e.message.clone())
}

/// Flakes are not an experiment here: everything that they need is enabled.
pub fn enabled(_feature: &str) -> bool {
    true
}

/// Whether an input is a path relative to the flake that names it.
fn is_relative(input: &firn_model::input::Input) -> bool {
    input.kind() == "path" && input.text("path").is_some_and(|path| !path.starts_with('/'))
}
