//! `nix edit`.

use std::os::unix::process::CommandExt as _;

use firn_eval::{View, packages};

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
        let package = packages::Package { attrs: set };
        let position = package.meta(vm, "position")?;
        if let Some(position) = position
            && let View::Str(s) = position.view()
        {
            let shown = String::from_utf8_lossy(s.bytes()).into_owned();
            let (file, line) = shown.rsplit_once(':').ok_or_else(unknown)?;
            return Ok((file.to_owned(), line.parse().unwrap_or(1)));
        }
        Err(unknown())
    })?;
    let editor = std::env::var("EDITOR").unwrap_or_else(|_| "cat".to_owned());
    let mut words = editor.split_ascii_whitespace();
    let program = words.next().unwrap_or("cat");
    let mut command = std::process::Command::new(program);
    command.args(words);
    if line > 0 && ["emacs", "nano", "vim", "kak"].iter().any(|known| editor.contains(known)) {
        command.arg(format!("+{line}"));
    }
    let error = command.arg(&file).exec();
    fail(format!("cannot run editor '{editor}': {error}; set EDITOR to one that is installed"))
}
