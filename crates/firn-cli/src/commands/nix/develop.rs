//! `nix develop`: the environment that a package is built in, for its developers.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;

use firn_build::DerivedPath;
use firn_store::Store as _;

use super::call::Call;
use super::config::store_uri;
use super::flags::{Flag, REST, flag, option};
use super::flakes::Targets;
use crate::common::legacy::{Outcome, fail, usage};

/// Flags of `nix develop`.
#[rustfmt::skip]
pub const FLAGS: &[Flag] = &[
    option("command", Some('c'), &[REST], "run this command in place of an interactive shell"),
    flag("ignore-env", Some('i'), "clear the environment before the shell's own is set up"),
    flag("ignore-environment", None, "the same"),
    option("keep-env-var", Some('k'), &["name"], "keep this variable"),
];

/// `nix develop`: the environment in which a derivation is built, for a person.
pub fn develop(call: &mut Call<'_>) -> Outcome {
    call.targets = Targets::Shells;
    call.one_or_no_argument()?;
    let items = call.installables()?;
    let wanted: Vec<DerivedPath> = call.derived_paths(&items)?.into_iter().flatten().collect();
    let store = call.store()?;
    let drv = match &wanted[..] {
        [DerivedPath::Built { drv, .. }] => drv.clone(),
        [DerivedPath::Opaque(path)] if path.is_derivation() => path.clone(),
        [DerivedPath::Opaque(path)] => match store.path_info(path)?.deriver.clone() {
            Some(drv) => drv,
            None => {
                return fail(format!(
                    "'{}' has no known deriver, so its environment is not known",
                    store.store_dir().print(path)
                ));
            }
        },
        _ => return usage("'nix develop' needs one derivation"),
    };
    let mut args: Vec<OsString> = vec![store.store_dir().print(&drv).into()];
    if call.given.has("ignore-env") || call.given.has("ignore-environment") {
        args.push("--pure".into());
    }
    for name in call.given.all("keep-env-var").flatten() {
        args.extend(["--keep".into(), name.into()]);
    }
    if let Some(command) = call.given.all("command").next_back() {
        let quoted: Vec<String> =
            command.iter().map(|word| format!("'{}'", word.replace('\'', "'\\''"))).collect();
        args.extend(["--run".into(), quoted.join(" ").into()]);
    }
    call.out.flush()?;
    // the shell's own start takes a process with one thread
    let error = std::process::Command::new("/proc/self/exe")
        .arg("nix-shell")
        .args(args)
        .env("NIX_REMOTE", store_uri(&store))
        .exec();
    fail(format!("starting the shell: {}", firn_store::error::errno_text(&error)))
}
