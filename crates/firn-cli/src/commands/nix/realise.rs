//! `nix build`.

use std::collections::BTreeMap;

use firn_build::{BuildError, BuildResults, DerivedPath, Mode};
use firn_model::{StoreDir, StorePath};
use serde_json::{Map, Value, json};

use super::call::Call;
use super::flags::{Flag, flag, option};
use crate::common::eval::current_dir;
use crate::common::legacy::{Failure, Outcome};
use crate::common::store::AnyStore;

/// Flags of commands that link to what they build.
#[rustfmt::skip]
pub const LINKS: &[Flag] = &[
    option("out-link", Some('o'), &["path"], "the name of the link to the result, 'result' if not given"),
    flag("no-link", None, "make no link"),
];

/// Flags of `nix build`.
#[rustfmt::skip]
pub const BUILD: &[Flag] = &[
    flag("print-out-paths", None, "print the paths of the outputs"),
    flag("rebuild", None, "build again and compare with what is there"),
    flag("repair", None, "build or fetch again what is damaged"),
    flag("dry-run", None, "tell what would be built, and build nothing"),
    option("profile", None, &["path"], "make the result the next generation of this profile"),
    flag("json", None, "print JSON"),
    flag("pretty", None, "print JSON with line breaks"),
    flag("no-pretty", None, "print JSON on one line"),
    flag("stdin", None, "read installables from standard input, one a line"),
];

/// A build's failure: its message is shown. How it failed makes no difference for the exit code.
pub fn failure(error: &BuildError) -> Failure {
    firn_ui::end();
    firn_ui::print_error(&error.message);
    Failure::Exit(1)
}

/// As [`failure`], with the exit code that tells how it failed, as older commands have it.
pub fn legacy_failure(error: &BuildError) -> Failure {
    firn_ui::end();
    firn_ui::print_error(&error.message);
    Failure::Exit(error.exit_code)
}

/// `nix build`.
pub fn build(call: &mut Call<'_>) -> Outcome {
    let items = call.installables()?;
    let groups = call.derived_paths(&items)?;
    let wanted: Vec<DerivedPath> = groups.into_iter().flatten().collect();
    let mut bench = call.bench()?;
    if call.given.has("rebuild") {
        bench.options.mode = Mode::Check;
    }
    if call.given.has("repair") {
        bench.options.mode = Mode::Repair;
    }
    let store = call.store()?;
    let dir = store.store_dir();
    if call.given.has("dry-run") {
        bench.show_plan(&wanted).map_err(|e| failure(&e))?;
        if call.given.has("json") {
            let shown = wanted.iter().map(|w| planned_json(&store, w)).collect::<Outcome<_>>()?;
            call.print_json(&Value::Array(shown))?;
        }
        return Ok(());
    }
    let results = bench.build(&wanted).map_err(|e| failed_build(dir, &wanted, e))?;
    drop(bench);
    link_results(call, &results)?;
    if let Some(profile) = call.given.value("profile") {
        let paths: Vec<_> = results.outputs.iter().flat_map(|(_, o)| o.values()).collect();
        let [path] = paths[..] else {
            return crate::common::legacy::fail(
                "'--profile' requires that the arguments produce a single store path",
            );
        };
        let profile = crate::common::legacy::absolute(profile)?;
        firn_store::profile::set(&*store, &profile, path)?;
    }
    if call.given.has("print-out-paths") {
        for path in results.outputs.iter().flat_map(|(_, o)| o.values()) {
            writeln!(call.out, "{}", dir.print(path))?;
        }
    }
    if call.given.has("json") {
        let shown: Vec<Value> =
            results.outputs.iter().map(|(w, o)| derived_json(dir, w, o)).collect();
        call.print_json(&Value::Array(shown))?;
    }
    Ok(())
}

/// Links to what was built, as `--out-link` and `--no-link` say; they keep it from being collected.
pub fn link_results(call: &mut Call<'_>, results: &BuildResults) -> Outcome {
    if call.given.has("no-link") {
        return Ok(());
    }
    let store = call.store()?;
    if !store.keeps_roots() {
        return Ok(());
    }
    let prefix = call.given.value("out-link").unwrap_or("result");
    for (n, (_, outputs)) in results.outputs.iter().enumerate() {
        for (output, path) in outputs {
            let mut link = prefix.to_owned();
            if n > 0 {
                link.push_str(&format!("-{n}"));
            }
            if output != "out" {
                link.push_str(&format!("-{output}"));
            }
            store.add_perm_root(path, &current_dir().join(link))?;
        }
    }
    Ok(())
}

/// The failure of a build of several things, each named with its outputs.
fn failed_build(dir: &StoreDir, wanted: &[DerivedPath], error: BuildError) -> Failure {
    if error.failed.len() < 2 {
        return failure(&error);
    }
    let failed = wanted.iter().filter(|w| error.failed.contains(w.store_path()));
    let mut names: Vec<String> = failed.map(|w| format!("'{}'", w.print(dir))).collect();
    names.sort_unstable();
    names.dedup();
    failure(&BuildError { message: format!("build of {} failed", names.join(", ")), ..error })
}

/// What was asked for, with the paths that are known before it is built.
fn planned_json(store: &AnyStore, wanted: &DerivedPath) -> Outcome<Value> {
    let dir = store.store_dir();
    let DerivedPath::Built { drv, outputs } = wanted else {
        return Ok(derived_json(dir, wanted, &BTreeMap::new()));
    };
    let known = store.known_outputs(&store.read_derivation(drv)?)?;
    let shown: Map<String, Value> = known
        .into_iter()
        .filter(|(name, _)| outputs.contains(name))
        .map(|(name, path)| (name, path.map_or(Value::Null, |p| dir.print(&p).into())))
        .collect();
    Ok(json!({ "drvPath": dir.print(drv), "outputs": shown }))
}

fn derived_json(
    dir: &StoreDir,
    wanted: &DerivedPath,
    outputs: &BTreeMap<String, StorePath>,
) -> Value {
    let outputs = || -> Map<String, Value> {
        outputs.iter().map(|(name, path)| (name.clone(), dir.print(path).into())).collect()
    };
    match wanted {
        DerivedPath::Opaque(path) => Value::String(dir.print(path)),
        DerivedPath::Built { drv, .. } => {
            json!({ "drvPath": dir.print(drv), "outputs": outputs() })
        }
        DerivedPath::Dynamic { drv, via, .. } => {
            let drv = via.iter().fold(
                json!(dir.print(drv)),
                |drv, output| json!({ "drvPath": drv, "output": output }),
            );
            json!({ "drvPath": drv, "outputs": outputs() })
        }
    }
}
