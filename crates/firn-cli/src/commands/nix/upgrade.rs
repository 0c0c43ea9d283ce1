//! `nix upgrade-nix`: takes the version that a list on the network names.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use firn_build::DerivedPath;
use firn_eval::io::Fetch;
use firn_eval::packages;
use firn_eval::text::version;
use firn_event::Level;
use firn_model::StorePath;
use firn_syntax::Origin;

use super::call::Call;
use super::flags::{Flag, flag, option};
use crate::common::build::command_in_store;
use crate::common::legacy::{Failure, Outcome, fail};

/// Its flags.
pub const FLAGS: &[Flag] = &[
    option("profile", Some('p'), &["profile-dir"], "the profile that Nix is in"),
    option("nix-store-paths-url", None, &["url"], "where the newest version is told"),
    flag("dry-run", None, "tell what would be done, and do nothing"),
];

/// Runs the command. The list is an expression, a set of store paths by system. C++ Nix's would put C++ Nix in the
/// place of this program, so there is none if none is named.
pub fn run(call: &mut Call<'_>) -> Outcome {
    call.no_arguments()?;
    let profile = match call.given.value("profile") {
        Some(profile) => crate::common::legacy::absolute(profile)?,
        None => profile_of_nix(call)?,
    };
    call.say(Level::Info, format!("upgrading Nix in profile {profile:?}"));
    let Some(url) = call.given.value("nix-store-paths-url").map(str::to_owned) else {
        return fail(format!(
            "this is Firn, of which no list of versions is published; name one with '--nix-store-paths-url', or build or download a newer version and put it into {profile:?}"
        ));
    };
    let path = newest(call, &url)?;
    let name = path.name().to_owned();
    let (_, version) = version::parse_drv_name(name.as_bytes());
    let version = String::from_utf8_lossy(version).into_owned();
    if call.given.has("dry-run") {
        call.common.logger().warn(format!("would upgrade to version {version}"));
        return Ok(());
    }
    let store = call.store()?;
    let shown = store.store_dir().print(&path);
    call.say(Level::Info, format!("downloading '{shown}'..."));
    let bench = call.bench()?;
    bench.build(&[DerivedPath::Opaque(path.clone())]).map_err(|e| super::realise::failure(&e))?;
    call.say(Level::Info, format!("verifying that '{shown}' works..."));
    let program = format!("{shown}/bin/nix-env");
    let said = command_in_store(&store, &program)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .map_err(|e| Failure::Message(format!("starting '{program}': {e}")))?;
    if !said.status.success() || !String::from_utf8_lossy(&said.stdout).contains("Nix") {
        return fail(format!("could not verify that '{program}' works"));
    }
    call.say(Level::Info, format!("installing '{shown}' into profile {profile:?}..."));
    let this = std::env::current_exe()
        .map_err(|e| Failure::Message(format!("finding this program: {e}")))?;
    let status = Command::new(this)
        .arg("nix-env")
        .arg("--profile")
        .arg(&profile)
        .args(["-i", &shown, "--store", &store.uri()])
        .stdin(Stdio::null())
        .status()
        .map_err(|e| Failure::Message(format!("starting 'nix-env': {e}")))?;
    if !status.success() {
        return fail(format!("'nix-env' failed: {status}"));
    }
    call.say(Level::Info, format!("upgrade to version {version} done"));
    Ok(())
}

/// The store path that the list names for this system.
fn newest(call: &mut Call<'_>, url: &str) -> Outcome<StorePath> {
    let list = Fetch { url, name: "store-paths.nix", unpack: false, hash: None };
    let file = call.bench()?.fetching().file(&list).map_err(Failure::Message)?;
    let store = call.store()?;
    let real = store.real_path(&file);
    let text = std::fs::read(&real)
        .map_err(|e| Failure::Message(format!("reading '{}': {e}", real.display())))?;
    let session = call.session()?;
    let system = session.settings.system().to_owned();
    let path = call.evaluate(&session, true, |vm, args| {
        let all = vm.eval_text(Origin::String, &text, Path::new("/no-such-path"))?;
        let (value, pos) = packages::select(vm, &system, args, all)?;
        let why = "while evaluating the path of the newest version";
        let path = vm.force_string(value, pos, why)?;
        Ok(String::from_utf8_lossy(path.bytes()).into_owned())
    })?;
    let path = store.store_dir().parse(&path);
    path.map_err(|e| Failure::Message(format!("the list '{url}': {e}")))
}

/// The profile that `nix-env` is in.
fn profile_of_nix(call: &mut Call<'_>) -> Outcome<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dir = std::env::split_paths(&path).find(|dir| dir.join("nix-env").exists());
    let Some(dir) = dir else {
        return fail("couldn't figure out how Nix is installed, so I can't upgrade it");
    };
    call.say(Level::Info, format!("found Nix in {dir:?}"));
    if dir.starts_with("/run/current-system") {
        return fail("Nix on NixOS must be upgraded via 'nixos-rebuild'");
    }
    let mut profile = dir.parent().unwrap_or(Path::new("/")).to_owned();
    while !profile.to_string_lossy().contains("/profiles/") {
        match std::fs::read_link(&profile) {
            Ok(target) => {
                profile = profile.parent().unwrap_or(Path::new("/")).join(target);
            }
            Err(_) => break,
        }
    }
    call.say(Level::Info, format!("found profile {profile:?}"));
    if profile.join("manifest.json").exists() {
        return fail(format!(
            "directory {profile:?} is managed by 'nix profile' and currently cannot be upgraded by 'nix upgrade-nix'"
        ));
    }
    if !profile.join("manifest.nix").exists() {
        return fail(format!("directory {profile:?} does not appear to be part of a Nix profile"));
    }
    let store = call.store()?;
    let real = std::fs::canonicalize(&profile).unwrap_or_else(|_| profile.clone());
    if !store.is_in_store(&real) {
        return fail(format!("directory {real:?} is not in the Nix store"));
    }
    Ok(profile)
}
