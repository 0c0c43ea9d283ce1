//! What is measured: the expressions in `xtask/bench`, the distribution, and nixpkgs if it is given.

use std::fs;
use std::path::{Path, PathBuf};

use crate::process;

/// Which store a case runs on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// None: nothing is written.
    Dummy,
    /// A new one for each run.
    Empty,
    /// The one of the last run, which has everything.
    Filled,
    /// As `Filled`, with its own folder, home and settings, so that its paths are where they are called.
    Own,
}

/// A case: its name, what it does, and the command with its arguments.
pub struct Case {
    pub name: String,
    pub what: String,
    pub command: &'static str,
    pub args: Vec<String>,
    pub store: Store,
    /// Where it runs, if that matters.
    pub folder: Option<PathBuf>,
    /// Whether the reference has no such command.
    pub alone: bool,
}

impl Case {
    /// A case that both sides have and that runs anywhere.
    pub fn new(
        name: &str,
        what: &str,
        command: &'static str,
        args: Vec<String>,
        store: Store,
    ) -> Case {
        let (name, what) = (name.to_owned(), what.to_owned());
        Case { name, what, command, args, store, folder: None, alone: false }
    }
}

fn eval(name: &str, what: &str, expression: &str) -> Case {
    let args = ["--eval", "--strict", "--expr", expression].map(str::to_owned).to_vec();
    Case::new(name, what, "nix-instantiate", args, Store::Dummy)
}

/// All cases of evaluation, in the order in which they run. `exclude` names a file with the attributes, as a list of
/// JSON, that this copy of nixpkgs cannot evaluate.
pub fn all(
    distribution: &Path,
    nixpkgs: Option<&Path>,
    exclude: Option<&Path>,
    scratch: &Path,
) -> Result<Vec<Case>, String> {
    let root = process::workspace();
    let mut cases = expressions(&root.join("xtask/bench"))?;
    let d = distribution.display();
    cases.push(eval(
        "package",
        "hello of the distribution",
        &format!("(import {d} {{ }}).hello.drvPath"),
    ));
    cases.push(eval(
        "system",
        "examples/webserver on the distribution",
        &format!(
            "(import {d}/nixos {{ configuration = {}/examples/webserver/configuration.nix; }}).system.drvPath",
            root.display()
        ),
    ));
    cases.extend(super::flakes::cases(scratch));
    if let Some(nixpkgs) = nixpkgs {
        of_nixpkgs(&mut cases, &root, nixpkgs, exclude)?;
        cases.push(super::flakes::formatting(scratch));
    }
    Ok(cases)
}

/// One case for each file; its first line says what it does.
fn expressions(folder: &Path) -> Result<Vec<Case>, String> {
    let fail = |e: std::io::Error| format!("cannot read '{}': {e}", folder.display());
    let mut files: Vec<_> =
        fs::read_dir(folder).map_err(fail)?.flatten().map(|e| e.path()).collect();
    files.retain(|p| p.extension().is_some_and(|e| e == "nix"));
    files.sort();
    let mut cases = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).map_err(fail)?;
        let what = text.lines().next().unwrap_or_default().trim_start_matches("# ").to_owned();
        cases.push(Case::new(
            &file.file_stem().unwrap_or_default().to_string_lossy(),
            &what,
            "nix-instantiate",
            vec!["--eval".into(), "--strict".into(), file.display().to_string()],
            Store::Dummy,
        ));
    }
    Ok(cases)
}

fn of_nixpkgs(
    cases: &mut Vec<Case>,
    root: &Path,
    nixpkgs: &Path,
    exclude: Option<&Path>,
) -> Result<(), String> {
    let n = nixpkgs.display();
    cases.push(eval(
        "nixpkgs-hello",
        "hello of nixpkgs",
        &format!("(import {n} {{ config = {{ }}; overlays = [ ]; }}).hello.drvPath"),
    ));
    let exclude = match exclude {
        Some(file) => {
            let file = file
                .canonicalize()
                .map_err(|e| format!("cannot find '{}': {e}", file.display()))?;
            format!("builtins.fromJSON (builtins.readFile {})", file.display())
        }
        None => "[ ]".to_owned(),
    };
    cases.push(eval(
        "names",
        "name and version of every package of nixpkgs",
        &format!(
            "builtins.toJSON (import {} {{ nixpkgs = {n}; exclude = {exclude}; }})",
            root.join("xtask/bench/nixpkgs/names.nix").display()
        ),
    ));
    let folder = root.join("xtask/conformance");
    let system = format!(
        "import {} {{ nixpkgs = {n}; file = {}; }}",
        folder.join("systems.nix").display(),
        folder.join("nixos/web-server.nix").display()
    );
    cases.push(eval("nixos", "a NixOS system with nginx, certificates and PHP", &system));
    for (name, store, what) in [
        ("nixos-empty", Store::Empty, "its derivations written into an empty store"),
        ("nixos-again", Store::Filled, "the same when all are there"),
    ] {
        let args = ["--eval", "--strict", "--read-write-mode", "--expr", &system];
        let args = args.map(str::to_owned).to_vec();
        cases.push(Case::new(name, what, "nix-instantiate", args, store));
    }
    let mut files = Vec::new();
    nix_files(&nixpkgs.join("pkgs/by-name"), &mut files)?;
    files.sort();
    files.truncate(12_000);
    cases.push(Case::new(
        "parse",
        &format!("{} files of nixpkgs parsed and printed", files.len()),
        "nix-instantiate",
        [vec!["--parse".to_owned()], files].concat(),
        Store::Dummy,
    ));
    Ok(())
}

/// The `.nix` files below a folder.
pub fn nix_files(folder: &Path, files: &mut Vec<String>) -> Result<(), String> {
    let entries =
        fs::read_dir(folder).map_err(|e| format!("cannot read '{}': {e}", folder.display()))?;
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() && !path.is_symlink() {
            nix_files(&path, files)?;
        } else if path.extension().is_some_and(|e| e == "nix") {
            files.push(path.display().to_string());
        }
    }
    Ok(())
}
