//! What the distribution's module system says of mistakes: `distribution/tests/lib/messages.nix`, case by
//! case, as a user of `nix-instantiate` sees it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn evaluate(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_firn"))
        .args(["nix-instantiate", "--eval", "--strict"])
        .args(args)
        .current_dir(workspace())
        .env("NIX_REMOTE", "dummy://")
        .env("NO_COLOR", "1")
        .env_remove("NIX_PATH")
        .output()
        .unwrap()
}

/// The last error of a text; what shows source code behind it does not count.
fn last_error(text: &str) -> String {
    let start = text.rfind("error: ").map_or(0, |at| at + "error: ".len());
    let mut lines = Vec::new();
    for line in text[start..].lines() {
        if line.starts_with("       at ") {
            break;
        }
        lines.push(line.strip_prefix("       ").unwrap_or(line).trim_end());
    }
    lines.join("\n").trim_end().to_owned()
}

#[test]
fn module_errors_are_worded_as_expected() {
    let read = evaluate(&["--json", "--expr", "import ./distribution/tests/lib/messages.nix"]);
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    let all: serde_json::Value = serde_json::from_slice(&read.stdout).unwrap();
    let prelude = all["prelude"].as_str().unwrap();
    let cases = Mutex::new(all["cases"].as_array().unwrap().iter());
    let differences = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let Some(case) = cases.lock().unwrap().next() else { break };
                    let expression = case["expression"].as_str().unwrap();
                    let wanted = case["message"].as_str().unwrap();
                    let ran = evaluate(&["--expr", &format!("let {prelude} in {expression}")]);
                    let said = last_error(&String::from_utf8_lossy(&ran.stderr));
                    if ran.status.code() != Some(1) || said != wanted {
                        let text =
                            format!("{expression}\n  says:   {said:?}\n  wanted: {wanted:?}");
                        differences.lock().unwrap().push(text);
                    }
                }
            });
        }
    });
    let differences = differences.into_inner().unwrap();
    assert!(all["cases"].as_array().unwrap().len() > 50);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
