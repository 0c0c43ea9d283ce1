//! Completion of command lines of `nix`, for shells.
//!
//! The protocol is C++ Nix's: a shell sets `NIX_GET_COMPLETIONS` to the number of the word to complete
//! (`nix` itself is word 0) and runs the line as it stands. The answer's first line says what the rest are
//! (`normal`, `filenames`, or `attrs`, after which no space belongs); each further line is one completion, a
//! tab, and what is to be said about it. What cannot be completed gives no lines: a shell has no use for
//! errors.

mod line;
mod values;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;

use firn_event::Level;
use firn_store::settings::{Kind, SETTINGS};

use super::call::Call;
use super::flags::{COMMON, Flag};
use super::{ALIASES, COMMANDS, Command, FAMILIES, GLOBAL};
use crate::common::legacy::{Common, Outcome};
use line::{Line, Place};

/// The variable that asks for completions.
pub const VARIABLE: &str = "NIX_GET_COMPLETIONS";

/// What completions are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kinds {
    Normal,
    Filenames,
    Attrs,
}

/// The completions that were found.
struct Completions {
    kinds: Kinds,
    /// With what is to be said about each.
    found: BTreeMap<String, &'static str>,
}

impl Completions {
    fn add(&mut self, text: impl Into<String>) {
        self.found.entry(text.into()).or_default();
    }

    fn print(&self, out: &mut dyn Write) -> Outcome {
        let kinds = match self.kinds {
            Kinds::Normal => "normal",
            Kinds::Filenames => "filenames",
            Kinds::Attrs => "attrs",
        };
        writeln!(out, "{kinds}")?;
        for (text, about) in &self.found {
            writeln!(out, "{text}\t{about}")?;
        }
        Ok(())
    }
}

/// Prints the completions of word `word` of `nix ARGS…`.
pub fn run(word: usize, args: Vec<OsString>, out: &mut dyn Write) -> Outcome {
    let mut args: Vec<String> =
        args.into_iter().map(|a| a.to_string_lossy().into_owned()).collect();
    let mut completions = Completions { kinds: Kinds::Normal, found: BTreeMap::new() };
    let Some(at) = word.checked_sub(1) else { return completions.print(out) };
    if at >= args.len() {
        args.resize(at + 1, String::new());
    }
    let line = Line::read(&args, at);
    let prefix = args.swap_remove(at);
    match line.place {
        Place::Word => words(&line.words, &prefix, &mut completions),
        Place::Flag => flags(line.command, &prefix, &mut completions),
        Place::Setting => settings(&prefix, &mut completions),
        Place::Value { flag, index } => value(out, line, flag, index, &prefix, &mut completions),
        Place::Argument => argument(out, line, &prefix, &mut completions),
    }
    completions.print(out)
}

/// Words of commands that may follow `before`.
fn words(before: &[String], prefix: &str, to: &mut Completions) {
    let paths = COMMANDS.iter().map(|c| c.path).chain(FAMILIES.iter().map(|(name, _)| *name));
    for path in paths.chain(std::iter::once("help")) {
        let mut parts = path.split(' ');
        if before.iter().all(|word| parts.next() == Some(word))
            && let Some(next) = parts.next()
            && next.starts_with(prefix)
        {
            to.add(next);
        }
    }
}

/// Flags that begin with `prefix`.
fn flags(command: Option<&Command>, prefix: &str, to: &mut Completions) {
    let groups = command.map_or(&[][..], |c| c.flags);
    for flag in groups.iter().chain([&GLOBAL, &COMMON]).flat_map(|g| g.iter()) {
        let long = format!("--{}", flag.long);
        if long.starts_with(prefix) {
            to.found.insert(long, flag.about);
        }
        if let Some(short) = flag.short.filter(|_| prefix == "-") {
            to.found.insert(format!("-{short}"), flag.about);
        }
    }
    if prefix == "-" {
        to.add("--");
    }
    // all settings are flags too: many, so they are shown to whoever has begun to write a name
    if to.found.is_empty() && prefix.len() > 2 {
        for setting in SETTINGS {
            let mut names = vec![format!("--{}", setting.name)];
            match setting.kind {
                Kind::Bool | Kind::Sandbox => names.push(format!("--no-{}", setting.name)),
                Kind::Words => names.push(format!("--extra-{}", setting.name)),
                _ => {}
            }
            for name in names {
                if name.starts_with(prefix) {
                    to.found.insert(name, "a setting, see 'nix config show'");
                }
            }
        }
    }
}

/// Names of settings.
fn settings(prefix: &str, to: &mut Completions) {
    for setting in SETTINGS.iter().filter(|s| s.name.starts_with(prefix)) {
        to.add(setting.name);
    }
}

/// One of a few words.
fn one_of(choices: &[&str], prefix: &str, to: &mut Completions) {
    for choice in choices.iter().filter(|c| c.starts_with(prefix)) {
        to.add(*choice);
    }
}

/// The value of a flag.
fn value(
    out: &mut dyn Write,
    line: Line,
    flag: &'static Flag,
    index: usize,
    prefix: &str,
    to: &mut Completions,
) {
    match (flag.long, flag.labels.get(index).copied().unwrap_or_default()) {
        ("option", "name") => settings(prefix, to),
        ("log-format", _) => one_of(&["bar", "bar-with-logs", "internal-json", "raw"], prefix, to),
        ("template", _) => with_call(out, line, |call| {
            values::fragment(call, &[("templates.", "templates.default")], prefix, to)
        }),
        ("mode", _) => one_of(&["flat", "git", "nar", "text"], prefix, to),
        (_, "hash-algo") => one_of(&["blake3", "md5", "sha1", "sha256", "sha512"], prefix, to),
        (_, "hash-format") => one_of(&["base16", "base64", "nix32", "sri"], prefix, to),
        (_, "input-path") => with_call(out, line, |call| values::inputs(call, prefix, to)),
        (_, "flake-url" | "original-ref" | "resolved-ref") => {
            with_call(out, line, |call| values::flake(call, prefix, to));
        }
        (_, "path" | "file" | "flake-lock-path") => values::files(prefix, false, to),
        _ => {}
    }
}

/// An argument of the command.
fn argument(out: &mut dyn Write, line: Line, prefix: &str, to: &mut Completions) {
    let Some(command) = line.command else { return };
    let first = line.before == 0;
    match command.arguments {
        "[installable] [args]…" if !first => values::files(prefix, false, to),
        "installable regex…" if !first => {}
        "[installables]…"
        | "[installable]"
        | "installable"
        | "[installable] [args]…"
        | "installable regex…"
        | "before after"
        | "package dependency" => {
            with_call(out, line, |call| values::installable(call, command, prefix, to));
        }
        "[flake-url]" | "flake-url" | "from-url to-url" | "url…" | "url [locked]" => {
            with_call(out, line, |call| values::flake(call, prefix, to));
        }
        "[inputs]…" => with_call(out, line, |call| values::inputs(call, prefix, to)),
        "[name]" => settings(prefix, to),
        "path" | "paths…" | "nar path" | "dest-dir" | "[args]…" | "[path]" => {
            values::files(prefix, false, to);
        }
        _ => {}
    }
}

/// Does something that needs settings or an evaluator. What fails on the way has no completions.
fn with_call(out: &mut dyn Write, line: Line, work: impl FnOnce(&mut Call<'_>) -> Outcome) {
    let common = Common::parse("nix", line.common, |_, _, _| Ok(crate::common::legacy::Taken::Yes));
    let Ok(mut common) = common else { return };
    common.verbosity = Level::Error;
    let Ok(mut call) = Call::new(common, line.given, out) else { return };
    // errors are not for the person who presses the tabulator
    let _ = work(&mut call);
}

/// The command that `words` are, if they are one.
fn command(words: &[String]) -> Option<&'static Command> {
    let text = words.join(" ");
    let now = ALIASES.iter().find(|(old, _)| *old == text).map_or(&text[..], |(_, now)| now);
    COMMANDS.iter().find(|c| c.path == now)
}
