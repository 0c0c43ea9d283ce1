//! `nix develop` and `nix print-dev-env`: the environment that a package is built in, for its developers.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::path::PathBuf;

use firn_build::DerivedPath;
use firn_build::dev_env::{DevEnvironment, Places, Script, environment_derivation, quote};
use firn_eval::Vm;
use firn_event::Level;
use firn_flake::LockedFlake;
use firn_model::StorePath;
use firn_model::input::FlakeRef;
use serde::{Deserialize, Serialize};

use super::cached::{parse_derived, print_derived};
use super::call::{Call, Stop};
use super::environment::environment;
use super::flags::{Flag, REST, flag, option};
use super::flakes::{self, Targets};
use super::installables::{Installable, Root, of_flake, of_value, outputs};
use super::run::execute;
use crate::common::eval::{Session, current_dir};
use crate::common::legacy::{Failure, Outcome, absolute, fail, usage};

/// Of both commands.
#[rustfmt::skip]
pub const SHELLS: &[Flag] = &[
    option("profile", None, &["path"], "make the environment the next generation of this profile"),
    option("redirect", None, &["installable", "outputs-dir"], "use a folder in place of a store path"),
];

/// Flags of `nix develop`.
#[rustfmt::skip]
pub const FLAGS: &[Flag] = &[
    option("command", Some('c'), &[REST], "run this command in place of an interactive shell"),
    option("phase", None, &["phase-name"], "run this phase of the build, such as 'build' or 'configure'"),
    flag("unpack", None, "run the phase 'unpack'"),
    flag("configure", None, "run the phase 'configure'"),
    flag("build", None, "run the phase 'build'"),
    flag("check", None, "run the phase 'check'"),
    flag("install", None, "run the phase 'install'"),
    flag("installcheck", None, "run the phase 'installCheck'"),
];

/// What evaluation has to say about a shell.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Found {
    /// What the installable stands for, in text form.
    paths: Vec<String>,
    /// The folder of the flake, if it is one on this machine that can be changed.
    source: Option<PathBuf>,
    /// The attributes of the flake's input `nixpkgs`, as JSON.
    nixpkgs: Option<String>,
}

/// The derivation that makes an environment, and where its output is.
#[derive(Serialize, Deserialize)]
struct Made {
    derivation: String,
    outputs: Vec<String>,
}

/// A shell that can be started.
struct Shell {
    environment: DevEnvironment,
    path: StorePath,
    found: Found,
}

/// `nix develop`.
pub fn develop(call: &mut Call<'_>) -> Outcome {
    let phase = phase(call);
    let command = call.given.all("command").next_back().map(<[String]>::to_vec);
    if phase.is_some() && command.is_some() {
        return usage("you cannot use both '--command' and '--phase'");
    }
    let session = call.session()?;
    let shell = shell(call, &session)?;
    let failed = |what: &str, e: &std::io::Error| {
        Failure::Message(format!("{what}: {}", firn_store::error::errno_text(e)))
    };
    let folder = tempfile::Builder::new()
        .prefix("nix-develop")
        .tempdir()
        .map_err(|e| failed("making a temporary folder", &e))?;
    let mut env = environment(&call.given)?;
    // a program less to start than if the shell made it
    let top = tempfile::Builder::new()
        .prefix("nix-shell.")
        .tempdir_in(env.get(OsStr::new("TMPDIR")).map_or("/tmp".as_ref(), OsString::as_os_str))
        .map_err(|e| failed("making a temporary folder", &e))?;
    let mut code = script(call, &session, &shell, folder.path(), Some(top.path()))?;
    let rc = tempfile::Builder::new()
        .prefix("nix-shell")
        .tempfile()
        .map_err(|e| failed("making a temporary file", &e))?;
    if call.common.verbosity >= Level::Debug {
        code.push_str("set -x\n");
    }
    code.push_str(&format!("command rm -f {}\n", quote(&rc.path().to_string_lossy())));
    let interactive = phase.is_none() && command.is_none();
    if let Some(phase) = &phase {
        // set by the phase that is not run
        code.push_str(&format!("foundMakefile=1\nrunHook {phase}Phase\n"));
    } else if let Some(command) = &command {
        let words: Vec<String> = command.iter().map(|word| quote(word)).collect();
        code.push_str(&format!("exec {}\n", words.join(" ")));
    } else {
        code = interactive_code(call, &code);
    }
    let store = call.store()?;
    env.insert("NIX_GCROOT".into(), store.store_dir().print(&shell.path).into());
    let bash = interactive_bash(call, &session, &shell.found);
    let program = bash.clone().unwrap_or_else(|| "bash".to_owned());
    env.insert("SHELL".into(), program.clone().into());
    code.push_str(&format!("SHELL=\"{program}\"\n"));
    if let Some((folder, _)) = bash.as_deref().and_then(|bash| bash.rsplit_once('/')) {
        code.push_str(&format!("PATH=\"{folder}${{PATH:+:$PATH}}\"\n"));
    }
    let rc_path = rc.path().to_string_lossy().into_owned();
    let (mut file, _) = rc.keep().map_err(|e| failed("keeping a temporary file", &e.error))?;
    file.write_all(code.as_bytes()).map_err(|e| failed("writing a temporary file", &e))?;
    let _ = (folder.keep(), top.keep());
    // phases expect to be in the flake's folder
    if phase.is_some()
        && let Some(source) = &shell.found.source
    {
        std::env::set_current_dir(source)
            .map_err(|e| failed(&format!("chdir to '{}' failed", source.display()), &e))?;
    }
    let args = if interactive { vec!["--rcfile".to_owned(), rc_path] } else { vec![rc_path] };
    execute(call, &program, &args, env)
}

/// `nix print-dev-env`.
pub fn print_dev_env(call: &mut Call<'_>) -> Outcome {
    let session = call.session()?;
    let shell = shell(call, &session)?;
    if call.given.has("json") {
        return call.print_json(&shell.environment.to_json());
    }
    let folder = tempfile::Builder::new()
        .prefix("nix-dev-env")
        .tempdir()
        .map_err(|e| Failure::Message(format!("making a temporary folder: {e}")))?;
    let code = script(call, &session, &shell, folder.path(), None)?;
    Ok(writeln!(call.out, "{code}")?)
}

/// The phase that flags name, the last of them.
fn phase(call: &Call<'_>) -> Option<String> {
    let mut phase = None;
    for (flag, values) in call.given.in_order() {
        match (flag, values) {
            ("phase", [name]) => phase = Some(name.clone()),
            ("unpack" | "configure" | "build" | "check" | "install", _) => {
                phase = Some(flag.to_owned());
            }
            ("installcheck", _) => phase = Some("installCheck".to_owned()),
            _ => {}
        }
    }
    phase
}

/// What a person's shell has before and behind the environment.
fn interactive_code(call: &Call<'_>, code: &str) -> String {
    let mut all = String::from(
        "[ -n \"$PS1\" ] && [ -e ~/.bashrc ] && source ~/.bashrc;\nshopt -u expand_aliases\n",
    );
    all.push_str(code);
    all.push_str("\nshopt -s expand_aliases\n");
    for (setting, assignment) in [
        ("bash-prompt", "PS1=TEXT"),
        ("bash-prompt-prefix", "PS1=TEXT\"$PS1\""),
        ("bash-prompt-suffix", "PS1+=TEXT"),
    ] {
        let text = call.common.settings.text(setting);
        if !text.is_empty() {
            let assignment = assignment.replace("TEXT", &quote(text));
            all.push_str(&format!("[ -n \"$PS1\" ] && {assignment};\n"));
        }
    }
    all
}

/// The code that brings a shell's environment up; files that it needs go to `attrs`, and `top` is to be the build's
/// own folder.
fn script(
    call: &mut Call<'_>,
    session: &Session,
    shell: &Shell,
    attrs: &std::path::Path,
    top: Option<&std::path::Path>,
) -> Outcome<String> {
    let message = |e: firn_build::dev_env::NotAnEnvironment| Failure::Message(e.to_string());
    let places = current_dir().join("outputs");
    let none = BTreeMap::new();
    let make = |redirects: &BTreeMap<String, String>| {
        let places = Places { outputs: &places, attrs, redirects, top };
        Script::new(&shell.environment, places).map_err(message)
    };
    let mut redirects = BTreeMap::new();
    let wanted: Vec<(String, String)> = call
        .given
        .all("redirect")
        .filter_map(|values| match values {
            [installable, folder] => Some((installable.clone(), folder.clone())),
            _ => None,
        })
        .collect();
    if !wanted.is_empty() {
        let text = Script::unplaced(&shell.environment);
        let store = call.store()?;
        for (installable, folder) in wanted {
            let item = call.installable(&installable)?;
            let folder = absolute(&folder)?.to_string_lossy().into_owned();
            let paths = call.derived_paths_for(session, &[item], Targets::Packages)?;
            for path in paths.iter().flatten() {
                for path in outputs(&store, path)?.into_values() {
                    let path = store.store_dir().print(&path);
                    if text.contains(&path) {
                        call.say(Level::Info, format!("redirecting '{path}' to '{folder}'"));
                        redirects.insert(path, folder.clone());
                    } else {
                        call.say(
                            Level::Warn,
                            format!(
                                "'{installable}' (path '{path}') is not used by this build environment"
                            ),
                        );
                    }
                }
            }
        }
    }
    let script = make(if redirects.is_empty() { &none } else { &redirects })?;
    for (file, contents) in &script.files {
        std::fs::write(file, contents)
            .map_err(|e| Failure::Message(format!("writing '{}': {e}", file.display())))?;
    }
    Ok(script.text)
}

/// The environment that the command's argument stands for.
fn shell(call: &mut Call<'_>, session: &Session) -> Outcome<Shell> {
    call.targets = Targets::Shells;
    call.one_or_no_argument()?;
    let items = call.installables()?;
    let [item] = &items[..] else { return usage("'nix develop' takes one installable") };
    let store = call.store()?;
    let dir = store.store_dir().clone();
    let shown = call.given.args.first().cloned().unwrap_or_else(|| ".".to_owned());
    let mut found = Found::default();
    let paths = match item {
        // an environment that was made before, mostly by way of a profile
        Installable::Store(DerivedPath::Opaque(path)) if path.name().ends_with("-env") => {
            let path = path.clone();
            return made(call, &path, found);
        }
        Installable::Store(path) => vec![path.clone()],
        _ => {
            let root = call.root(session)?;
            found = evaluate(call, session, &root, item)?;
            found.paths.iter().map(|text| parse_derived(&dir, text)).collect::<Outcome<_>>()?
        }
    };
    let mut derivations = std::collections::BTreeSet::new();
    for path in &paths {
        match path {
            DerivedPath::Built { drv, .. } => derivations.insert(drv.clone()),
            DerivedPath::Dynamic { .. } => {
                return fail(format!(
                    "'{shown}' is an output of a dynamic derivation, of which there is no shell"
                ));
            }
            DerivedPath::Opaque(path) if path.is_derivation() => derivations.insert(path.clone()),
            DerivedPath::Opaque(path) => match store.path_info(path)?.deriver.clone() {
                Some(drv) => derivations.insert(drv),
                None => {
                    return fail(format!("'{shown}' does not have a known deriver"));
                }
            },
        };
    }
    let derivations: Vec<StorePath> = derivations.into_iter().collect();
    let [drv] = &derivations[..] else {
        return fail(format!(
            "'{shown}' needs to evaluate to a single derivation, but it evaluated to {} derivations",
            derivations.len()
        ));
    };
    let path = build_environment(call, session, drv)?;
    made(call, &path, found)
}

/// Reads an environment that is in the store.
fn made(call: &mut Call<'_>, path: &StorePath, found: Found) -> Outcome<Shell> {
    let store = call.store()?;
    if let Some(profile) = call.given.value("profile") {
        let profile = absolute(profile)?;
        firn_store::profile::set(&*store, &profile, path)?;
    }
    let file = store.layout().real_path(path);
    let text = std::fs::read(&file)
        .map_err(|e| Failure::Message(format!("reading '{}': {e}", file.display())))?;
    let environment = DevEnvironment::parse(&text)
        .map_err(|e| Failure::Message(format!("'{}': {e}", store.store_dir().print(path))))?;
    Ok(Shell { environment, path: path.clone(), found })
}

/// Builds the environment of a derivation's build.
fn build_environment(
    call: &mut Call<'_>,
    session: &Session,
    drv: &StorePath,
) -> Outcome<StorePath> {
    let store = call.store()?;
    let dir = store.store_dir().clone();
    let message = |e: firn_build::Failure| Failure::Message(e.message);
    // reading all derivations that one depends on takes a while
    let question = format!("environment {}", dir.print(drv));
    let made = call.remembered(session, &question, |_| {
        let derivation = store.read_derivation(drv)?;
        let (path, made) = environment_derivation(&*store, &derivation).map_err(message)?;
        let outputs = made.output_paths(&dir).map_err(|e| Failure::Message(e.to_string()))?;
        let outputs = outputs.into_values().flatten().map(|path| dir.print(&path)).collect();
        Ok(Made { derivation: dir.print(&path), outputs })
    })?;
    let parse = |text: &String| dir.parse(text).map_err(|e| Failure::Message(e.to_string()));
    let mut outputs = made.outputs.iter().map(parse).collect::<Outcome<Vec<StorePath>>>()?;
    let mut there = !outputs.is_empty();
    for path in &outputs {
        store.add_temp_root(path)?;
        there &= store.is_valid(path)?;
    }
    if !there {
        let bench = call.bench()?;
        let wanted = [DerivedPath::all_outputs(parse(&made.derivation)?)];
        let results = bench.build(&wanted).map_err(|e| super::realise::failure(&e))?;
        outputs = results.outputs.into_iter().flat_map(|(_, o)| o.into_values()).collect();
    }
    // the script writes to one output, the others are empty
    outputs
        .into_iter()
        .find(|path| {
            store.layout().real_path(path).symlink_metadata().is_ok_and(|meta| meta.len() > 0)
        })
        .ok_or_else(|| Failure::Message("get-env.sh failed to produce an environment".into()))
}

/// Evaluates the argument.
fn evaluate(
    call: &mut Call<'_>,
    session: &Session,
    root: &Root,
    item: &Installable,
) -> Outcome<Found> {
    call.evaluate_cached(session, false, &format!("develop {item:?}"), |vm, args| {
        let print = |vm: &Vm, paths: &[DerivedPath]| {
            paths.iter().map(|path| print_derived(vm.store_dir(), path)).collect()
        };
        let Installable::Flake { reference, fragment, outputs } = item else {
            let value = root.values(args).get(vm, item)?.value;
            let given = match item {
                Installable::Attr { outputs, .. } => outputs.as_ref(),
                _ => None,
            };
            let paths = of_value(vm, value, args, given)?;
            return Ok(Found { paths: print(vm, &paths), ..Found::default() });
        };
        let locked = root.locking.lock(vm, reference)?;
        let value = flakes::outputs(vm, &locked)?;
        let candidates = Targets::Shells.candidates(fragment, &root.system);
        let shown = firn_flake::lock_file::url_of(reference);
        let (value, _) = flakes::find(vm, value, &shown, &candidates)?;
        let paths = of_flake(vm, value, args, outputs.as_ref())?;
        Ok(Found {
            paths: print(vm, &paths),
            source: flakes::source_folder(&locked.flake.resolved),
            nixpkgs: nixpkgs_of(&locked),
        })
    })
}

/// The flake's input `nixpkgs` as JSON.
fn nixpkgs_of(locked: &LockedFlake) -> Option<String> {
    let at = locked.locks.find(&["nixpkgs".to_owned()]).ok()??;
    let lock = locked.locks.nodes.get(at)?.lock.as_ref()?;
    Some(firn_flake::lock_file::json_of(&lock.locked.to_attrs()).to_string())
}

/// `bin/bash` of the package `bashInteractive` of the flake's nixpkgs, or of the registry's. `None` if that cannot
/// be had: then it is the host's bash.
fn interactive_bash(call: &mut Call<'_>, session: &Session, found: &Found) -> Option<String> {
    let result = bash_package(call, session, found);
    match result {
        Ok(program) => Some(program),
        Err(failure) => {
            let text = match failure {
                Failure::Message(text) | Failure::Usage(text) => text,
                Failure::Shown(text) => text.trim_start_matches("error:").trim_start().to_owned(),
                Failure::Exit(_) => return None,
            };
            call.say(Level::Notice, format!("error (ignored): {text}"));
            None
        }
    }
}

fn bash_package(call: &mut Call<'_>, session: &Session, found: &Found) -> Outcome<String> {
    let message = |e: firn_eval::Error| Failure::Message(e.message().to_owned());
    let reference: FlakeRef = match &found.nixpkgs {
        Some(json) => {
            let json = serde_json::from_str(json).map_err(|e| Failure::Message(e.to_string()))?;
            let attrs = firn_flake::lock_file::attrs_of(&json).map_err(message)?;
            FlakeRef::from_attrs(attrs, &|_| true).map_err(|e| Failure::Message(e.message))?
        }
        None => super::flakes::plain_reference("flake:nixpkgs")?,
    };
    let mut locking = call.locking(session)?;
    locking.flags.overrides.clear();
    locking.flags.updates.clear();
    let system = session.eval_settings(true).system;
    let question = format!("bash {reference:?}");
    let paths = call.evaluate_cached(session, false, &question, |vm, args| -> Result<_, Stop> {
        let locked = locking.lock(vm, &reference)?;
        let value = flakes::outputs(vm, &locked)?;
        let candidates = [format!("legacyPackages.{system}.bashInteractive")];
        let shown = firn_flake::lock_file::url_of(&reference);
        let (value, _) = flakes::find(vm, value, &shown, &candidates)?;
        let paths = of_flake(vm, value, args, None)?;
        Ok(paths.iter().map(|path| print_derived(vm.store_dir(), path)).collect::<Vec<_>>())
    })?;
    let store = call.store()?;
    let dir = store.store_dir().clone();
    let wanted: Vec<DerivedPath> =
        paths.iter().map(|text| parse_derived(&dir, text)).collect::<Outcome<_>>()?;
    let bench = call.bench()?;
    let results = bench.build(&wanted).map_err(|e| Failure::Message(e.message))?;
    for path in results.outputs.iter().flat_map(|(_, outputs)| outputs.values()) {
        if store.layout().real_path(path).join("bin/bash").exists() {
            return Ok(dir.print(path) + "/bin/bash");
        }
    }
    fail("package 'nixpkgs#bashInteractive' does not provide a 'bin/bash'")
}
