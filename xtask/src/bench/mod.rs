//! `cargo xtask bench [CASE…] [--nixpkgs DIR] [--exclude FILE] [--evaluation] [--runs N]`: times whole commands, and, if `NIX_REFERENCE`
//! names C++ Nix, its commands in turn, with the ratio of the two. Figures are medians; a prefix that
//! leads to the reference is timed with `true` and taken off.

mod cases;
mod flakes;
mod measure;
mod store;

use std::path::{Path, PathBuf};

use cases::{Case, Store};
use measure::{Cost, median, run};

use crate::sides::{Side, dist_folder};

/// Runs the command.
pub fn main(args: &[String]) -> Result<(), String> {
    let mut runs = 5;
    let mut nixpkgs: Option<PathBuf> = None;
    let mut exclude: Option<PathBuf> = None;
    let mut evaluation = false;
    let mut wanted: Vec<&str> = Vec::new();
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        match arg.as_str() {
            "--runs" => {
                let number = rest.next().and_then(|n| n.parse().ok()).filter(|n| *n > 0);
                runs = number.ok_or("--runs needs a number")?;
            }
            "--evaluation" => evaluation = true,
            "--exclude" => exclude = Some(rest.next().ok_or("--exclude needs a file")?.into()),
            "--nixpkgs" => nixpkgs = Some(rest.next().ok_or("--nixpkgs needs a folder")?.into()),
            option if option.starts_with('-') => {
                return Err(format!(
                    "'{option}' is not understood; there are --runs N, --nixpkgs DIR, --exclude FILE and --evaluation"
                ));
            }
            name => wanted.push(name),
        }
    }
    let nixpkgs = match nixpkgs {
        Some(folder) => Some(
            folder
                .canonicalize()
                .map_err(|e| format!("cannot find nixpkgs at '{}': {e}", folder.display()))?,
        ),
        None => None,
    };
    let reference = Side::reference_if_any()?;
    let ours = Side::ours()?;
    let scratch = std::env::temp_dir().join(format!("firn-bench-{}", std::process::id()));
    let distribution = dist_folder()?.join("distribution");
    let cases = cases::all(&distribution, nixpkgs.as_deref(), exclude.as_deref(), &scratch)?;
    let names: Vec<&str> =
        cases.iter().map(|c| c.name.as_str()).chain(store::CASES.iter().map(|c| c.0)).collect();
    if let Some(unknown) = wanted.iter().find(|w| !names.contains(w)) {
        return Err(format!("there is no case '{unknown}'; there are: {}", names.join(", ")));
    }
    let is_wanted = |name: &str| wanted.is_empty() || wanted.contains(&name);
    let chosen: Vec<&Case> = cases
        .iter()
        .filter(|c| is_wanted(&c.name) && !(evaluation && c.store == Store::Own))
        .collect();
    let of_store: Vec<_> = store::CASES.iter().filter(|c| is_wanted(c.0) && !evaluation).collect();
    let prepared = || -> Result<(), String> {
        if chosen.iter().any(|c| c.store == Store::Own && !c.alone) {
            flakes::prepare(&ours, &scratch)?;
        }
        match &nixpkgs {
            Some(nixpkgs) if chosen.iter().any(|c| c.folder.is_some()) => {
                flakes::prepare_formatting(nixpkgs, &scratch)
            }
            _ => Ok(()),
        }
    };
    let result = prepared()
        .and_then(|()| table(&chosen, &of_store, &ours, reference.as_ref(), runs, &scratch));
    let _ = std::fs::remove_dir_all(&scratch);
    result
}

fn table(
    cases: &[&Case],
    of_store: &[&(&str, &str, store::Scripts)],
    ours: &Side,
    reference: Option<&Side>,
    runs: usize,
    scratch: &Path,
) -> Result<(), String> {
    let overhead = reference.map(|side| overhead(side, runs)).transpose()?.unwrap_or_default();
    println!("{:<14} {:^23} {:^20} {:^20}", "", "wall s", "user s", "peak MiB");
    println!(
        "{:<14} {:>8} {:>8} {:>5} {:>7} {:>7} {:>5} {:>6} {:>6} {:>5}  what",
        "case", "ours", "ref.", "ratio", "ours", "ref.", "ratio", "ours", "ref.", "ratio"
    );
    let row = |name: &str,
               what: &str,
               reference: Option<&Side>,
               once: &mut dyn FnMut(&Side, &Path) -> Result<Cost, String>| {
        let (mut mine, mut theirs) = (Vec::new(), Vec::new());
        // the first run warms the caches
        for number in 0..=runs {
            let fail = |e| format!("case '{name}': {e}");
            let cost = once(ours, &scratch.join("ours")).map_err(fail)?;
            let other = reference
                .map(|side| once(side, &scratch.join("reference")))
                .transpose()
                .map_err(fail)?;
            if number > 0 {
                mine.push(cost);
                theirs.extend(other);
            }
        }
        let mine = median(&mine);
        let theirs = reference.map(|_| {
            let cost = median(&theirs);
            let less = |a: f64, b: f64| (a - b).max(0.000_1);
            Cost {
                wall: less(cost.wall, overhead.wall),
                user: less(cost.user, overhead.user),
                memory: cost.memory,
            }
        });
        let figures = |a: f64, of: fn(&Cost) -> f64| match &theirs {
            Some(cost) => (
                format!("{:.1}", of(cost)),
                format!("{:.3}", of(cost)),
                format!("{:.2}", a / of(cost)),
            ),
            None => ("-".into(), "-".into(), "-".into()),
        };
        let (_, wall, wall_ratio) = figures(mine.wall, |c| c.wall);
        let (_, user, user_ratio) = figures(mine.user, |c| c.user);
        let (memory, _, memory_ratio) = figures(mine.memory, |c| c.memory);
        println!(
            "{:<14} {:>8.3} {wall:>8} {wall_ratio:>5} {:>7.3} {user:>7} {user_ratio:>5} {:>6.1} {memory:>6} {memory_ratio:>5}  {}",
            name, mine.wall, mine.user, mine.memory, what
        );
        Ok::<(), String>(())
    };
    for case in cases {
        let reference = reference.filter(|_| !case.alone);
        row(&case.name, &case.what, reference, &mut |side, own| once(side, case, own))?;
    }
    let mut world = store::World::new(scratch);
    for (name, what, scripts) in of_store {
        row(name, what, reference, &mut |side, own| world.once(side, ours, own, scripts))?;
    }
    Ok(())
}

/// What calling a side costs by itself.
fn overhead(side: &Side, runs: usize) -> Result<Cost, String> {
    match side {
        Side::Folder(_) => Ok(Cost::default()),
        Side::Prefix(_) => {
            let costs: Result<Vec<Cost>, String> =
                (0..=runs).map(|_| run(&mut side.command("true", &[]))).collect();
            costs.map(|c| median(&c))
        }
    }
}

/// Runs a case once on a side, whose stores are below `scratch`.
fn once(side: &Side, case: &Case, scratch: &Path) -> Result<Cost, String> {
    let folder = scratch.join("store");
    if case.store == Store::Empty {
        let _ = std::fs::remove_dir_all(&folder);
    }
    let mut variables = vec![("NIX_PATH", String::new())];
    match case.store {
        Store::Dummy => variables.push(("NIX_REMOTE", "dummy://".to_owned())),
        Store::Empty | Store::Filled => {
            std::fs::create_dir_all(&folder)
                .map_err(|e| format!("cannot make '{}': {e}", folder.display()))?;
            variables.push(("NIX_REMOTE", folder.display().to_string()));
        }
        Store::Own => variables.extend(own_variables(scratch)?),
    }
    let variables: Vec<(&str, &str)> = variables.iter().map(|(k, v)| (*k, v.as_str())).collect();
    let mut command = side.command(case.command, &variables);
    if let Some(folder) = &case.folder {
        command.current_dir(folder);
    }
    run(command.args(&case.args))
}

/// The variables of a store of its own below `scratch`, for both sides the same. The home is made: without one nothing
/// is kept of evaluations.
fn own_variables(scratch: &Path) -> Result<Vec<(&'static str, String)>, String> {
    let own = scratch.join("own");
    let home = own.join("home");
    std::fs::create_dir_all(&home).map_err(|e| format!("cannot make '{}': {e}", home.display()))?;
    let settings = "experimental-features = nix-command flakes\nsandbox = false\n\
                    build-users-group =\nsubstituters =\nflake-registry =\n";
    let mut variables = vec![("NIX_CONFIG", settings.to_owned())];
    for (name, folder) in [
        ("HOME", "home"),
        ("NIX_STORE_DIR", "store"),
        ("NIX_STATE_DIR", "var"),
        ("NIX_LOG_DIR", "log"),
        ("NIX_CONF_DIR", "etc"),
    ] {
        variables.push((name, own.join(folder).display().to_string()));
    }
    Ok(variables)
}
