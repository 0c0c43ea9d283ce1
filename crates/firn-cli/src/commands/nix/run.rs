//! `nix run` and `nix shell`: programs of packages in the user's environment.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};

use firn_build::DerivedPath;
use firn_eval::position::PosId;
use firn_eval::{Value, Vm, packages};
use firn_model::{StoreDir, StorePath};
use firn_syntax::Symbol;

use super::cached::{parse_derived, print_derived};
use super::call::{Call, Stop};
use super::environment::environment;
use super::flags::{Flag, REST, option};
use super::flakes::Targets;
use super::installables::Installable;
use crate::common::legacy::{Failure, Outcome, fail, usage};
use crate::common::store::AnyStore;

/// What `nix shell` runs.
pub const COMMAND: &[Flag] =
    &[option("command", Some('c'), &[REST], "the command to run instead of $SHELL")];

/// Becomes another program; in a store below a root, with that store at its usual place.
pub fn execute(
    call: &mut Call<'_>,
    program: &str,
    args: &[String],
    env: BTreeMap<OsString, OsString>,
) -> Outcome {
    let store = call.store()?;
    call.out.flush()?;
    let mut command = crate::common::build::command_in_store(&store, program);
    command.args(args).env_clear().envs(env);
    firn_ui::end();
    let error = command.exec();
    fail(format!("unable to execute '{program}': {}", firn_store::error::errno_text(&error)))
}

/// `nix run`.
pub fn run(call: &mut Call<'_>) -> Outcome {
    let mut args = std::mem::take(&mut call.given.args);
    let first = if args.is_empty() {
        if call.has_source() { String::new() } else { ".".to_owned() }
    } else {
        args.remove(0)
    };
    call.targets = Targets::Apps;
    let item = call.installable(&first)?;
    let env = environment(&call.given)?;
    if matches!(item, Installable::Store(_)) {
        return fail(format!(
            "'{first}' is a store path and not an application; use 'nix shell {first} -c PROGRAM'"
        ));
    }
    let session = call.session()?;
    let source = call.root(&session)?;
    let store = call.store()?;
    let dir = store.store_dir().clone();
    let question = format!("run {item:?} {:?}", call.targets);
    let app = call.evaluate_cached(&session, false, &question, |vm, args| {
        let found = source.values(args).get(vm, &item)?;
        application(vm, found.value, &found.attr)
    })?;
    let build = app.wanted(&dir)?;
    let bench = call.bench()?;
    let results = bench.build(&build).map_err(|e| super::realise::failure(&e))?;
    drop(bench);
    let program = crate::common::build::with_paths(&app.program, &results, &dir);
    if !dir.contains(&program) && !program.starts_with(dir.as_str()) {
        return Err(Failure::Message(format!("app program '{program}' is not in the Nix store")));
    }
    execute(call, &program, &args, env)
}

/// Something to run.
#[derive(serde::Serialize, serde::Deserialize)]
pub struct Application {
    /// What has to be built for it, in text form.
    pub build: Vec<String>,
    /// Its path in the store.
    pub program: String,
}

impl Application {
    /// What has to be built for it.
    pub fn wanted(&self, dir: &StoreDir) -> Outcome<Vec<DerivedPath>> {
        self.build.iter().map(|text| parse_derived(dir, text)).collect()
    }
}

/// The program that an attribute stands for. Defined in the Nix manual, "nix run", "Apps".
pub fn application(vm: &mut Vm, value: Value, shown: &str) -> Result<Application, Stop> {
    let message = |text: String| Stop::Other(Failure::Message(text));
    let Some(set) = value.as_set() else {
        return Err(message(format!("attribute '{shown}' is not an application or a derivation")));
    };
    let get = |name: &str| set.get(Symbol::intern(name.as_bytes()));
    let kind = match get("type") {
        Some(v) => vm.force(v, PosId::NONE)?.as_str().map(|s| s.bytes().to_vec()),
        None => None,
    };
    let first = shown.split('.').next().unwrap_or_default();
    let expected: &[u8] =
        if matches!(first, "apps" | "defaultApp") { b"app" } else { b"derivation" };
    let of_flake = !shown.is_empty();
    if of_flake && kind.as_deref() != Some(expected) {
        return Err(message(format!(
            "attribute '{shown}' should have type '{}'",
            String::from_utf8_lossy(expected)
        )));
    }
    if kind.as_deref() == Some(b"app") {
        let Some(program) = get("program") else {
            return Err(message(format!("attribute '{shown}.program' is missing")));
        };
        let mut context = firn_eval::context::ContextBuilder::new();
        let what = "while evaluating the program of an application";
        let text = vm.coerce(PosId::NONE, program, &mut context, what, false, true, true)?;
        let mut build = Vec::new();
        if let Some(context) = context.finish() {
            build.extend(context.elements().filter_map(derived));
        }
        let program = String::from_utf8_lossy(&text).into_owned();
        let build = build.iter().map(|path| print_derived(vm.store_dir(), path)).collect();
        return Ok(Application { build, program });
    }
    let package = packages::Package { attrs: set };
    let drv = package.drv_path(vm)?;
    let output = package.output_name(vm)?;
    let text = |vm: &mut Vm, v: Option<Value>| -> Result<Option<String>, Stop> {
        let Some(v) = v else { return Ok(None) };
        let v = vm.force(v, PosId::NONE)?;
        Ok(v.as_str().map(|s| String::from_utf8_lossy(s.bytes()).into_owned()))
    };
    let out = set.get(Symbol::intern(b"outPath"));
    let Some(out) = text(vm, out)? else {
        return Err(message(format!("attribute '{shown}' has no output path")));
    };
    let main = package.meta(vm, "mainProgram")?;
    let name = match (text(vm, main)?, text(vm, get("pname"))?) {
        (Some(main), _) => main,
        (None, Some(pname)) => pname,
        (None, None) => {
            let name = package.name(vm)?;
            let (name, _) = firn_eval::text::version::parse_drv_name(name.as_bytes());
            String::from_utf8_lossy(name).into_owned()
        }
    };
    let output = if output.is_empty() { "out" } else { &output };
    let program = format!("{out}/bin/{name}");
    let build = vec![print_derived(vm.store_dir(), &DerivedPath::output(drv, output))];
    Ok(Application { build, program })
}

fn derived(element: &firn_eval::context::Element) -> Option<DerivedPath> {
    use firn_eval::context::Element;
    match element {
        Element::Opaque(path) => Some(DerivedPath::Opaque(path.clone())),
        Element::DrvDeep(drv) => Some(DerivedPath::all_outputs(drv.clone())),
        Element::Built { drv, output } => Some(crate::common::build::output_of(drv, output)),
    }
}

/// `nix shell`.
pub fn shell(call: &mut Call<'_>) -> Outcome {
    let env = environment(&call.given)?;
    let items = call.installables()?;
    let wanted: Vec<DerivedPath> = call.derived_paths(&items)?.into_iter().flatten().collect();
    let bench = call.bench()?;
    let results = bench.build(&wanted).map_err(|e| super::realise::failure(&e))?;
    drop(bench);
    let store = call.store()?;
    let mut folders = Vec::new();
    let mut seen = BTreeSet::new();
    let mut queue: VecDeque<StorePath> =
        results.outputs.iter().flat_map(|(_, outputs)| outputs.values().cloned()).collect();
    while let Some(path) = queue.pop_front() {
        if !seen.insert(path.clone()) {
            continue;
        }
        let root = PathBuf::from(store.store_dir().print(&path));
        let bin = resolve(&store, &root.join("bin"));
        if !store.is_in_store(&bin) {
            return fail(format!("path '{}' is not in the Nix store", bin.display()));
        }
        folders.push(bin);
        let list = resolve(&store, &root.join("nix-support/propagated-user-env-packages"));
        queue.extend(propagated(&store, &list)?);
    }
    let mut env = env;
    let old = env.get(&OsString::from("PATH")).cloned().unwrap_or_default();
    let path = std::env::join_paths(folders.into_iter().chain(std::env::split_paths(&old)))
        .map_err(|e| Failure::Message(format!("making PATH: {e}")))?;
    env.insert("PATH".into(), path);
    let command = match call.given.all("command").next_back() {
        Some(command) => command.to_vec(),
        None => vec![std::env::var("SHELL").unwrap_or_else(|_| "bash".into())],
    };
    let [program, args @ ..] = &command[..] else { return usage("no command given") };
    execute(call, program, args, env)
}

/// Where a path in the store leads through symlinks, whether or not something is there.
fn resolve(store: &AnyStore, path: &Path) -> PathBuf {
    // as many links as the kernel would follow
    const MOST_LINKS: usize = 40;
    let mut rest: VecDeque<OsString> = path.iter().map(OsString::from).collect();
    let mut done = PathBuf::from("/");
    let mut links = 0;
    while let Some(name) = rest.pop_front() {
        match name.as_encoded_bytes() {
            b"/" => done = PathBuf::from("/"),
            b"." => {}
            b".." => {
                done.pop();
            }
            _ => {
                let next = done.join(&name);
                match std::fs::read_link(in_place(store, &next)) {
                    Ok(target) if links < MOST_LINKS => {
                        links += 1;
                        for part in target.iter().rev() {
                            rest.push_front(part.to_owned());
                        }
                    }
                    _ => done = next,
                }
            }
        }
    }
    done
}

/// Where a path really is.
fn in_place(store: &AnyStore, path: &Path) -> PathBuf {
    match path.strip_prefix(store.store_dir().as_str()) {
        Ok(rest) => store.layout().real_store_dir.join(rest),
        Err(_) => path.to_owned(),
    }
}

/// What a package wants to be in the environment with it.
fn propagated(store: &AnyStore, list: &Path) -> Outcome<Vec<StorePath>> {
    let Ok(text) = std::fs::read_to_string(in_place(store, list)) else { return Ok(Vec::new()) };
    text.split_ascii_whitespace()
        .map(|p| store.store_dir().parse(p).map_err(|e| Failure::Message(e.to_string())))
        .collect()
}
