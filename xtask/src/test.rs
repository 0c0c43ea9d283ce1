//! `cargo xtask test`: formatting, lints, every Rust test, the distribution's own tests, and the tests
//! that boot systems.

use crate::{dist, process, setup};

/// Runs everything; stops at the first part that fails.
pub fn main(args: &[String]) -> Result<(), String> {
    let quick = match args {
        [] => false,
        [one] if one == "--quick" => true,
        _ => {
            return Err(
                "usage: cargo xtask test [--quick]   (--quick leaves out what boots systems)"
                    .into(),
            );
        }
    };
    setup::need("cc", "gcc", "it builds the C parts of Firn")?;
    println!("== formatting");
    process::run(process::cargo().args(["fmt", "--all", "--", "--check"]))?;
    println!("== lints");
    process::run(process::cargo().args([
        "clippy",
        "--quiet",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))?;
    println!("== dist");
    let dist = dist::build()?;
    let buildbox = if quick { None } else { setup::buildbox() };
    println!("== tests");
    let mut command = process::cargo();
    command.args(["test", "--workspace", "--no-fail-fast"]).env("FIRN_DIST", &dist);
    if let Some(folder) = buildbox {
        command.env("FIRN_BUILDBOX", folder);
    }
    // snapshots are compared, and never written by a test run
    command.env("INSTA_UPDATE", "no");
    if quick {
        command.env("FIRN_TEST_QUICK", "1");
    }
    process::run(&mut command)
}
