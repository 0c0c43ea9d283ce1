//! `nix bundle` and `nix upgrade-nix`.

use std::path::{Path, PathBuf};

use firn_build::DerivedPath;
use firn_eval::packages::Package;
use firn_eval::position::PosId;
use firn_event::Level;

use super::call::Call;
use super::flags::{Flag, flag, option};
use super::flakes::Targets;
use super::installables::{Installable, Root};
use crate::common::eval::current_dir;
use crate::common::legacy::{Failure, Outcome, fail};

/// Flags of `nix bundle`.
#[rustfmt::skip]
pub const FLAGS: &[Flag] = &[
    option("bundler", None, &["flake-url"], "the bundler, 'github:NixOS/bundlers' if not given"),
    option("out-link", Some('o'), &["path"], "the name of the link to the result, that of the bundle if not given"),
];

/// Flags of `nix upgrade-nix`.
pub const UPGRADE: &[Flag] = &[
    option("profile", Some('p'), &["profile-dir"], "the profile that Nix is in"),
    option("nix-store-paths-url", None, &["url"], "where the newest version is told"),
    flag("dry-run", None, "tell what would be done, and do nothing"),
];

/// `nix bundle`
pub fn bundle(call: &mut Call<'_>) -> Outcome {
    call.one_or_no_argument()?;
    call.targets = Targets::Apps;
    let text = call.given.args.first().cloned();
    let text = text.unwrap_or_else(|| if call.has_source() { String::new() } else { ".".into() });
    let item = call.installable(&text)?;
    let bundler = call.given.value("bundler").unwrap_or("github:NixOS/bundlers").to_owned();
    let (reference, fragment) = firn_flake::reference::parse(&bundler, &current_dir())
        .map_err(|e| Failure::Message(e.message().to_owned()))?;
    let bundler_item = Installable::Flake { reference, fragment, outputs: None };
    let session = call.session()?;
    let source = call.root(&session)?;
    let tools: Root = source.for_targets(Targets::Bundlers);
    let (drv, out, name) = call.evaluate(&session, false, |vm, args| {
        let program = source.values(args).get(vm, &item)?.value;
        let function = tools.values(args).get(vm, &bundler_item)?.value;
        let value = vm.apply1(function, program, PosId::NONE)?;
        let none =
            || Failure::Message(format!("the bundler '{bundler}' does not produce a derivation"));
        let attrs = value.as_set().ok_or_else(none)?;
        if !vm.is_derivation(attrs)? {
            return Err(none().into());
        }
        let package = Package { attrs };
        Ok((package.drv_path(vm)?, package.out_path(vm)?, package.name(vm)?))
    })?;
    let bench = call.bench()?;
    bench
        .store
        .build(&[DerivedPath::all_outputs(drv)], &bench.options, bench.logger())
        .map_err(|e| super::realise::failure(&e))?;
    let link = call.given.value("out-link").unwrap_or(&name);
    bench.store.add_perm_root(&out, &current_dir().join(link))?;
    Ok(())
}

/// `nix upgrade-nix`: this program is not what C++ Nix's list of versions has, so that it can only say where it
/// is and how it came there.
pub fn upgrade_nix(call: &mut Call<'_>) -> Outcome {
    call.no_arguments()?;
    let profile = match call.given.value("profile") {
        Some(profile) => PathBuf::from(profile),
        None => profile_of_nix(call)?,
    };
    call.say(Level::Info, format!("upgrading Nix in profile {profile:?}"));
    fail(format!(
        "this is Firn, of which no list of versions is published; build or download a newer one and put it into {profile:?}"
    ))
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
