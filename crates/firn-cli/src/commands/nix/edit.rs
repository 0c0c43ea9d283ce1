//! `nix edit`.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};

use firn_eval::value::Set;
use firn_eval::{Error, View, Vm, packages};

use super::call::{Call, Stop};
use super::installables::Installable;
use crate::common::legacy::{Failure, Outcome, fail};

/// `nix edit`.
pub fn run(call: &mut Call<'_>) -> Outcome {
    let text = call.one_argument("installable")?.to_owned();
    let item = call.installable(&text)?;
    if matches!(item, Installable::Store(_)) {
        return fail(format!("'{text}' is a store path; it is not known where it is written"));
    }
    let session = call.session()?;
    let source = call.root(&session)?;
    let (file, line) = call.evaluate(&session, true, |vm, args| {
        let value = source.values(args).get(vm, &item)?.value;
        let unknown = || {
            Stop::Other(Failure::Message(format!("cannot find position information for '{text}'")))
        };
        let set = value.as_set().ok_or_else(unknown)?;
        position(vm, set)?.ok_or_else(unknown)
    })?;
    let (program, args) = editor(&file, line);
    firn_ui::end();
    let error = std::process::Command::new(&program).args(args).exec();
    fail(format!("cannot run editor '{program}': {error}; set EDITOR to one that is installed"))
}

/// Where a package says that it is written: file and line.
pub fn position(vm: &mut Vm, package: Set) -> Result<Option<(PathBuf, u32)>, Error> {
    let package = packages::Package { attrs: package };
    let Some(position) = package.meta(vm, "position")? else { return Ok(None) };
    let View::Str(s) = position.view() else { return Ok(None) };
    let shown = String::from_utf8_lossy(s.bytes()).into_owned();
    let Some((file, line)) = shown.rsplit_once(':') else { return Ok(None) };
    Ok(Some((file.into(), line.parse().unwrap_or(1))))
}

/// The user's editor with its arguments for a line of a file.
pub fn editor(file: &Path, line: u32) -> (String, Vec<OsString>) {
    let editor = std::env::var("EDITOR").unwrap_or_else(|_| "cat".to_owned());
    let mut words = editor.split_ascii_whitespace();
    let program = words.next().unwrap_or("cat").to_owned();
    let mut args: Vec<OsString> = words.map(OsString::from).collect();
    if line > 0 && ["emacs", "nano", "vim", "kak"].iter().any(|known| editor.contains(known)) {
        args.push(format!("+{line}").into());
    }
    args.push(file.into());
    (program, args)
}
