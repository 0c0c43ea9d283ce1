//! The sandbox's guard process for the tests of this crate; `firn __sandbox-child` is the same for users.

#![allow(clippy::exit, reason = "this is a whole program")]

fn main() {
    std::process::exit(firn_build::sandbox::child_main());
}
