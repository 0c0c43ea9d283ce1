//! `cargo xtask bench [NAME…] [--runs N]`: times the hot paths of the built program as whole commands,
//! and, if `NIX_REFERENCE` names a folder with C++ Nix's commands, theirs in turn, as a ratio.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::{dist, process};

/// A case: its name, what it does, and the command with its arguments.
struct Case {
    name: &'static str,
    what: &'static str,
    command: &'static str,
    args: Vec<String>,
}

fn eval(name: &'static str, what: &'static str, expression: &str) -> Case {
    let args = ["--eval", "--strict", "-E", expression].map(str::to_owned).to_vec();
    Case { name, what, command: "nix-instantiate", args }
}

fn cases(distribution: &Path, root: &Path) -> Vec<Case> {
    let d = distribution.display();
    let mut cases = vec![
        eval("startup", "a process that evaluates 1", "1"),
        eval(
            "fib",
            "25 recursive calls",
            "let f = n: if n < 2 then n else f (n - 1) + f (n - 2); in f 25",
        ),
        eval(
            "fold",
            "foldl', map and filter over 500,000 numbers",
            "builtins.foldl' (a: b: a + b) 0 (builtins.filter (x: x / 3 * 3 == x) (map (x: x + 1) (builtins.genList (x: x) 500000)))",
        ),
        eval(
            "update",
            "100,000 updates of a set",
            "(builtins.foldl' (a: i: a // { ${toString (i - i / 50 * 50)} = i; }) { } (builtins.genList (i: i) 100000)).\"7\"",
        ),
        eval(
            "strings",
            "interpolation, splitting and joining",
            "builtins.stringLength (builtins.concatStringsSep \",\" (map (i: \"x${toString i}\") (builtins.genList (i: i) 200000)))",
        ),
        eval(
            "regex",
            "20,000 matches with groups",
            "builtins.length (builtins.filter (i: builtins.match \"(a+)-([0-9]+)\" \"aaa-${toString i}\" != null) (builtins.genList (i: i) 20000))",
        ),
        eval(
            "sort",
            "200,000 numbers",
            "builtins.elemAt (builtins.sort (a: b: a < b) (builtins.genList (i: (i * 7919) - (i * 7919) / 100003 * 100003) 200000)) 5",
        ),
        eval("package", "the derivation of hello", &format!("(import {d} {{ }}).hello.drvPath")),
        eval(
            "system",
            "the derivation of examples/webserver",
            &format!(
                "(import {d}/nixos {{ configuration = {}/examples/webserver/configuration.nix; }}).system.drvPath",
                root.display()
            ),
        ),
    ];
    let hashed = root.join("distribution").to_string_lossy().into_owned();
    cases.push(Case {
        name: "nar-hash",
        what: "the hash of the distribution's sources",
        command: "nix-hash",
        args: vec!["--type".into(), "sha256".into(), hashed],
    });
    cases
}

/// Runs the command.
pub fn main(args: &[String]) -> Result<(), String> {
    let mut runs = 5;
    let mut wanted: Vec<&str> = Vec::new();
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        match arg.as_str() {
            "--runs" => {
                runs = rest.next().and_then(|n| n.parse().ok()).ok_or("--runs needs a number")?;
            }
            name => wanted.push(name),
        }
    }
    let ours = dist::build()?;
    let reference = std::env::var_os("NIX_REFERENCE").map(PathBuf::from);
    let root = process::workspace();
    let cases = cases(&ours.join("distribution"), &root);
    if let Some(unknown) = wanted.iter().find(|w| !cases.iter().any(|c| c.name == **w)) {
        let names: Vec<&str> = cases.iter().map(|c| c.name).collect();
        return Err(format!("there is no case '{unknown}'; there are: {}", names.join(", ")));
    }
    println!("{:<10} {:>9} {:>9} {:>6}  what", "case", "firn s", "C++ s", "ratio");
    for case in cases.iter().filter(|c| wanted.is_empty() || wanted.contains(&c.name)) {
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for run in 0..=runs {
            let mine = time(&ours.join("bin"), case)?;
            let theirs = reference.as_deref().map(|bin| time(bin, case)).transpose()?;
            // the first run warms the caches
            if run > 0 {
                a.push(mine);
                b.extend(theirs);
            }
        }
        let mine = median(&mut a);
        let (theirs, ratio) = match median(&mut b) {
            Some(t) => (format!("{t:.4}"), mine.map_or(String::new(), |m| format!("{:.2}", m / t))),
            None => ("-".to_owned(), "-".to_owned()),
        };
        println!(
            "{:<10} {:>9.4} {theirs:>9} {ratio:>6}  {}",
            case.name,
            mine.unwrap_or(0.0),
            case.what
        );
    }
    Ok(())
}

fn time(bin: &Path, case: &Case) -> Result<Duration, String> {
    let started = Instant::now();
    let mut command = Command::new(bin.join(case.command));
    command.args(&case.args).stdout(Stdio::null()).stderr(Stdio::null());
    process::run(&mut command)?;
    Ok(started.elapsed())
}

/// The median in seconds.
fn median(times: &mut [Duration]) -> Option<f64> {
    times.sort();
    times.get(times.len() / 2).map(Duration::as_secs_f64)
}
