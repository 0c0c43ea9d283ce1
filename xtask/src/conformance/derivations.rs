//! Derivation paths of nixpkgs: packages from a list of attributes, and the NixOS systems in
//! `xtask/conformance/nixos`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use super::fuzz::rng::Rng;
use super::message::final_error;
use crate::process;
use crate::sides::Side;

/// Attributes that one process evaluates.
const BATCH: usize = 50;

/// Both programs.
pub struct Pair {
    pub ours: Side,
    pub reference: Side,
}

/// What came of an attribute: its derivation's path, or the final error.
type Outcome = Result<String, String>;

fn folder() -> PathBuf {
    process::workspace().join("xtask/conformance")
}

/// The names in `pkgs/by-name`, in order.
fn by_name(nixpkgs: &Path) -> Result<Vec<String>, String> {
    let root = nixpkgs.join("pkgs/by-name");
    let list = |folder: &Path| -> Result<Vec<PathBuf>, String> {
        let entries =
            fs::read_dir(folder).map_err(|e| format!("cannot read '{}': {e}", folder.display()))?;
        Ok(entries.flatten().map(|e| e.path()).filter(|p| p.is_dir()).collect())
    };
    let mut names = Vec::new();
    for shard in list(&root)? {
        for package in list(&shard)? {
            names.extend(package.file_name().map(|n| n.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}

/// The attributes to compare: a random sample of `pkgs/by-name` if that is asked for, else the lists in
/// `xtask/conformance/attributes*.txt`.
pub fn attributes(nixpkgs: &Path, sample: Option<usize>, seed: u64) -> Result<Vec<String>, String> {
    if let Some(count) = sample {
        let mut names = by_name(nixpkgs)?;
        let mut rng = Rng::new(seed, 0);
        let mut chosen = Vec::new();
        while chosen.len() < count && !names.is_empty() {
            chosen.push(names.swap_remove(rng.below(names.len())));
        }
        chosen.sort();
        return Ok(chosen);
    }
    let path = folder().join("attributes.txt");
    let text =
        fs::read_to_string(&path).map_err(|e| format!("cannot read '{}': {e}", path.display()))?;
    Ok(text.lines().filter(|l| !l.starts_with('#') && !l.is_empty()).map(str::to_owned).collect())
}

/// Compares the derivation paths of attributes; gives the number of differences.
pub fn packages(pair: &Pair, nixpkgs: &Path, names: &[String]) -> Result<usize, String> {
    let started = Instant::now();
    let (mut same, mut failing) = (0, 0);
    let mut differences = Vec::new();
    for (number, batch) in names.chunks(BATCH).enumerate() {
        let (ours, theirs) = thread::scope(|scope| {
            let theirs = scope.spawn(|| evaluate(&pair.reference, nixpkgs, batch));
            let ours = evaluate(&pair.ours, nixpkgs, batch);
            (ours, theirs.join())
        });
        let ours = ours?;
        let theirs = theirs.map_err(|_| "a thread panicked".to_owned())??;
        for name in batch {
            match (ours.get(name), theirs.get(name)) {
                (Some(Ok(a)), Some(Ok(b))) if a == b => same += 1,
                (Some(Err(a)), Some(Err(b))) if a == b => failing += 1,
                (a, b) => differences.push(format!("{name}: {} instead of {}", shown(a), shown(b))),
            }
        }
        eprint!("\r{} of {} attributes ", names.len().min((number + 1) * BATCH), names.len());
    }
    eprintln!();
    println!(
        "packages: {} attributes in {:.0} s: {same} with the same derivation, {failing} that fail on both sides with the same error, {} different",
        names.len(),
        started.elapsed().as_secs_f64(),
        differences.len()
    );
    for difference in &differences {
        println!("  {difference}");
    }
    Ok(differences.len())
}

fn shown(outcome: Option<&Outcome>) -> String {
    match outcome {
        Some(Ok(path)) => path.clone(),
        Some(Err(error)) => format!("error: {error}"),
        None => "nothing".into(),
    }
}

/// Evaluates attributes in one process; where that fails, in halves, down to one that fails by itself.
fn evaluate(
    side: &Side,
    nixpkgs: &Path,
    names: &[String],
) -> Result<BTreeMap<String, Outcome>, String> {
    let list: Vec<String> = names.iter().map(|n| format!("{n:?}")).collect();
    let text = format!(
        "let pkgs = import {} {{ system = \"x86_64-linux\"; config = {{ allowUnfree = true; allowAliases = false; }}; overlays = [ ]; }}; \
         look = name: let tried = builtins.tryEval (pkgs.${{name}}.drvPath or \"no derivation\"); in if tried.success then tried.value else \"an error that can be caught\"; \
         in builtins.listToAttrs (map (name: {{ inherit name; value = look name; }}) [ {} ])",
        nixpkgs.display(),
        list.join(" ")
    );
    match json(side, &["--expr", &text])? {
        Ok(found) => Ok(found.into_iter().map(|(name, path)| (name, Ok(path))).collect()),
        Err(error) if names.len() == 1 => Ok([(names[0].clone(), Err(error))].into()),
        Err(_) => {
            let (a, b) = names.split_at(names.len() / 2);
            let mut all = evaluate(side, nixpkgs, a)?;
            all.extend(evaluate(side, nixpkgs, b)?);
            Ok(all)
        }
    }
}

/// Evaluates to a set of strings; the inner error is the program's.
fn json(side: &Side, args: &[&str]) -> Result<Result<BTreeMap<String, String>, String>, String> {
    let mut command = side.command("nix-instantiate", &[("NIX_PATH", "")]);
    command.args(["--eval", "--strict", "--json"]).args(args);
    let output = command.output().map_err(|e| format!("cannot run {command:?}: {e}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Ok(Err(final_error(&said).unwrap_or_else(|| said.into_owned())));
    }
    serde_json::from_slice(&output.stdout)
        .map(Ok)
        .map_err(|e| format!("what {command:?} printed is not a set of strings: {e}"))
}

/// Compares the systems; gives the number of differences.
pub fn systems(pair: &Pair, nixpkgs: &Path, only: Option<&str>) -> Result<usize, String> {
    let nixos = folder().join("nixos");
    let mut files: Vec<PathBuf> = fs::read_dir(&nixos)
        .map_err(|e| format!("cannot read '{}': {e}", nixos.display()))?
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.extension().is_some_and(|e| e == "nix"))
        .filter(|p| only.is_none_or(|o| p.file_stem().is_some_and(|s| s == o)))
        .collect();
    files.sort();
    let (mut same, mut differences) = (0, 0);
    println!("systems: {:<18} {:>8} {:>8}", "", "ours s", "ref. s");
    for file in &files {
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        let text = format!(
            "import {} {{ nixpkgs = {}; file = {}; }}",
            folder().join("systems.nix").display(),
            nixpkgs.display(),
            file.display()
        );
        let run = |side: &Side| {
            let started = Instant::now();
            json(side, &["--expr", &text]).map(|r| (r, started.elapsed().as_secs_f64()))
        };
        let (ours, time) = run(&pair.ours)?;
        let (theirs, reference_time) = run(&pair.reference)?;
        let times = format!("{time:>8.1} {reference_time:>8.1}");
        match (ours, theirs) {
            (Ok(a), Ok(b)) if a == b => {
                same += 1;
                println!(
                    "  {name:<24} {times}  the same {}",
                    a.keys().cloned().collect::<Vec<_>>().join(", ")
                );
            }
            (Err(a), Err(b)) if a == b => {
                differences += 1;
                println!("  {name:<24} {times}  fails on both sides: {a}");
            }
            (a, b) => {
                differences += 1;
                println!(
                    "  {name:<24} {times}  DIFFERENT\n    ours:      {a:?}\n    reference: {b:?}"
                );
            }
        }
    }
    println!("systems: {same} of {} the same", files.len());
    Ok(differences)
}
