//! What the word at the cursor may become: names, attributes, files, commands.

use std::collections::BTreeSet;
use std::path::Path;

use firn_eval::Vm;

use super::Session;
use super::command::{DEBUGGER_NAMES, NAMES};

/// What a word may become, and where it begins.
pub struct Completions {
    /// Where the word begins, in bytes.
    pub start: usize,
    /// What may stand there instead.
    pub words: Vec<String>,
}

/// What the last word of `text`, which is what stands before the cursor, may become.
pub fn complete(session: &Session, vm: &mut Vm, text: &str) -> Completions {
    if text.starts_with(':') && !text.contains([' ', '\t']) {
        let mut words: BTreeSet<&str> = NAMES.iter().copied().collect();
        if vm.is_debugged() {
            words.extend(DEBUGGER_NAMES);
        }
        let words = words.into_iter().filter(|name| name.starts_with(text));
        return Completions { start: 0, words: words.map(str::to_owned).collect() };
    }
    let start = text.rfind([' ', '\n', '\r', '\t', '(', ')', '{', '}', '[', ']']);
    let start = start.map_or(0, |at| at + 1);
    let word = &text[start..];
    let words = if let Some((folder, name)) = word.rsplit_once('/') {
        files(folder, name)
    } else if let Some((subject, name)) = word.rsplit_once('.') {
        attributes(session, vm, subject, name)
    } else {
        let names = session.known().range(word.to_owned()..);
        names.take_while(|name| name.starts_with(word)).cloned().collect()
    };
    Completions { start, words }
}

fn files(folder: &str, name: &str) -> Vec<String> {
    let place = match folder.strip_prefix("~/").or_else(|| (folder == "~").then_some("")) {
        Some(rest) => match std::env::var_os("HOME") {
            Some(home) => Path::new(&home).join(rest),
            None => return Vec::new(),
        },
        None if folder.is_empty() => "/".into(),
        None => folder.into(),
    };
    let Ok(entries) = std::fs::read_dir(place) else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let names: BTreeSet<String> =
        names.filter(|n| !n.starts_with('.') && n.starts_with(name)).collect();
    names.into_iter().map(|n| format!("{folder}/{n}")).collect()
}

fn attributes(session: &Session, vm: &mut Vm, subject: &str, name: &str) -> Vec<String> {
    // What fails has no attributes; nobody asked for the error.
    let Ok(Some(value)) = vm.quietly(|vm| session.evaluate(vm, subject)) else {
        return Vec::new();
    };
    let Some(set) = value.as_set() else { return Vec::new() };
    let names: Vec<String> = set.sorted(&mut vm.heap).map(|(n, _)| n.to_string()).collect();
    names.iter().filter(|n| n.starts_with(name)).map(|n| format!("{subject}.{n}")).collect()
}
