//! `nix flake`.

mod changes;
pub mod check;
pub mod copy;
pub mod init;
pub mod metadata;
pub mod show;

use firn_eval::value::Set;
use firn_eval::{Value, Vm};
use firn_flake::LockedFlake;
use firn_flake::lock_file::parse_input_path;
use firn_model::input::FlakeRef;
use firn_syntax::Symbol;

use super::call::{Call, Stop};
use super::flags::{Flag, flag, option};
use super::flakes::{Locking, plain_reference};
use crate::common::legacy::{Failure, Outcome};

/// The flake that a command works on.
pub const FLAKE: &[Flag] = &[option("flake", None, &["flake-url"], "the flake, '.' if not given")];
/// Flags of `nix flake show`.
#[rustfmt::skip]
pub const SHOW: &[Flag] = &[
    flag("all-systems", None, "show what is for other systems too"),
    flag("legacy", None, "show what is in 'legacyPackages'"),
];
/// Flags of `nix flake check`.
#[rustfmt::skip]
pub const CHECK: &[Flag] = &[
    flag("no-build", None, "build no checks"),
    flag("all-systems", None, "check what is for other systems too"),
    flag("keep-going", Some('k'), "check everything even if something fails"),
];

/// The flake that the first argument names; `.` without one.
pub fn reference(call: &Call<'_>) -> Outcome<FlakeRef> {
    call.one_or_no_argument()?;
    plain_reference(call.given.args.first().map_or(".", String::as_str))
}

/// Locks a flake and does something with it; with `read_only`, derivations are only computed; with `apply`, the
/// settings that it wants count.
pub fn with_flake<T: Send>(
    call: &mut Call<'_>,
    reference: &FlakeRef,
    read_only: bool,
    apply: bool,
    work: impl FnOnce(&mut Vm, &LockedFlake) -> Result<T, Stop> + Send,
) -> Outcome<T> {
    let session = call.session()?;
    let mut locking: Locking = call.locking(&session)?;
    locking.apply_settings = apply;
    call.evaluate(&session, read_only, |vm, _: Set| {
        let locked = locking.lock(vm, reference)?;
        work(vm, &locked)
    })
}

/// Has branches looked at anew that were fetched not long ago, for commands that are about what is newest.
fn take_nothing_for_granted(call: &mut Call<'_>) -> Outcome {
    if !call.given.has("offline") && !call.given.has("no-net") {
        call.common.settings.set("tarball-ttl", "0")?;
    }
    Ok(())
}

/// `nix flake lock`.
pub fn lock(call: &mut Call<'_>) -> Outcome {
    take_nothing_for_granted(call)?;
    let reference = reference(call)?;
    let session = call.session()?;
    let mut locking = call.locking(&session)?;
    // an override is written where writing is what is asked for
    locking.no_write = call.given.has("no-write-lock-file");
    locking.fail_on_unlocked = true;
    locking.apply_settings = true;
    call.evaluate(&session, true, |vm, _: Set| {
        locking.lock(vm, &reference)?;
        Ok(())
    })
}

/// `nix flake update`.
pub fn update(call: &mut Call<'_>) -> Outcome {
    take_nothing_for_granted(call)?;
    let reference = plain_reference(call.given.value("flake").unwrap_or("."))?;
    let session = call.session()?;
    let mut locking = call.locking(&session)?;
    locking.no_write = call.given.has("no-write-lock-file");
    locking.fail_on_unlocked = true;
    locking.apply_settings = true;
    if call.given.args.is_empty() {
        locking.flags.recreate = true;
    }
    for path in &call.given.args {
        let path = parse_input_path(path).map_err(|e| Failure::Usage(e.message().to_owned()))?;
        if path.is_empty() {
            return Err(Failure::Usage(
                "input path to be updated cannot be zero-length; it would refer to the flake itself, not an input".into(),
            ));
        }
        locking.flags.updates.insert(path);
    }
    call.evaluate(&session, true, |vm, _: Set| {
        locking.lock(vm, &reference)?;
        Ok(())
    })
}

/// The attributes of a set by name, in order; none of another value.
pub fn attributes(vm: &mut Vm, value: Value) -> Vec<(String, Value)> {
    let Some(set) = value.as_set() else { return Vec::new() };
    set.sorted(&mut vm.heap)
        .map(|(name, v)| (String::from_utf8_lossy(name.as_bytes()).into_owned(), v))
        .collect()
}

/// An attribute of a set.
pub fn get(value: Value, name: &str) -> Option<Value> {
    value.as_set()?.get(Symbol::intern(name.as_bytes()))
}
