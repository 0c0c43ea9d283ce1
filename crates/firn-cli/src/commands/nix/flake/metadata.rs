//! `nix flake metadata`.

use std::collections::BTreeSet;

use firn_flake::LockFile;
use firn_flake::lock_file::{Edge, json_of, url_of};
use firn_model::hash::{Hash, HashAlgo};
use firn_model::input::FlakeRef;
use serde_json::{Map, Value};

use super::changes::changes;
use super::{reference, with_flake};
use crate::commands::nix::call::Call;
use crate::commands::nix::flakes::source_folder;
use crate::common::legacy::Outcome;

/// What is shown.
struct Metadata {
    original: FlakeRef,
    resolved: FlakeRef,
    locked: FlakeRef,
    description: Option<String>,
    path: String,
    fingerprint: Option<String>,
    locks: LockFile,
}

/// `nix flake metadata`.
pub fn run(call: &mut Call<'_>) -> Outcome {
    let wanted = reference(call)?;
    let found = with_flake(call, &wanted, true, false, |vm, locked| {
        let tree = locked.flake.settled()?;
        let locks = locked.settled_locks()?;
        Ok(Metadata {
            original: locked.flake.original.clone(),
            resolved: locked.flake.resolved.clone(),
            fingerprint: fingerprint(&tree, &locks),
            locked: tree,
            description: locked.flake.description.clone(),
            path: vm.store_dir().print(&locked.flake.tree.store_path()?),
            locks,
        })
    })?;
    if call.given.has("json") {
        return call.print_json(&to_json(&found));
    }
    let (bold, normal) =
        if rustix::termios::isatty(std::io::stdout()) { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
    let mut line = |name: &str, value: &str| -> Outcome {
        let pad = " ".repeat(15 - name.len());
        Ok(writeln!(call.out, "{bold}{name}{normal}{pad}{value}")?)
    };
    line("Resolved URL:", &url_of(&found.resolved))?;
    line("Locked URL:", &url_of(&found.locked))?;
    if let Some(description) = &found.description {
        line("Description:", description)?;
    }
    line("Path:", &found.path)?;
    for (name, attr) in [("Revision:", "rev"), ("Revision:", "dirtyRev")] {
        if let Some(rev) = found.locked.input.text(attr) {
            line(name, rev)?;
        }
    }
    if let Some(count) = found.locked.input.int("revCount") {
        line("Revisions:", &count.to_string())?;
    }
    if let Some(seconds) = found.locked.input.int("lastModified") {
        line("Last modified:", &local(seconds))?;
    }
    if let Some(fingerprint) = &found.fingerprint {
        line("Fingerprint:", fingerprint)?;
    }
    if !found.locks.nodes[0].inputs.is_empty() {
        writeln!(call.out, "{bold}Inputs:{normal}")?;
    }
    let mut tree = Tree { locks: &found.locks, visited: BTreeSet::from([0]), bold, normal };
    tree.print(call.out, 0, "")
}

fn to_json(found: &Metadata) -> Value {
    let mut map = Map::new();
    let input = &found.locked.input;
    if let Some(description) = &found.description {
        map.insert("description".into(), description.clone().into());
    }
    for (name, attr) in [("revision", "rev"), ("dirtyRevision", "dirtyRev")] {
        if let Some(rev) = input.text(attr) {
            map.insert(name.into(), rev.into());
        }
    }
    for name in ["revCount", "lastModified"] {
        if let Some(n) = input.int(name) {
            map.insert(name.into(), n.into());
        }
    }
    if let Some(fingerprint) = &found.fingerprint {
        map.insert("fingerprint".into(), fingerprint.clone().into());
    }
    let mut locked = json_of(&found.locked.to_attrs());
    if let Value::Object(locked) = &mut locked {
        locked.insert("__final".into(), true.into());
        locked.sort_keys();
    }
    map.insert("locked".into(), locked);
    map.insert("locks".into(), found.locks.to_json().0);
    map.insert("original".into(), json_of(&found.original.to_attrs()));
    map.insert("originalUrl".into(), url_of(&found.original).into());
    map.insert("path".into(), found.path.clone().into());
    map.insert("resolved".into(), json_of(&found.resolved.to_attrs()));
    map.insert("resolvedUrl".into(), url_of(&found.resolved).into());
    map.insert("url".into(), url_of(&found.locked).into());
    map.sort_keys();
    map.into()
}

/// A hash of everything that determines what a flake evaluates to; none if its tree is not fixed.
fn fingerprint(locked: &FlakeRef, locks: &LockFile) -> Option<String> {
    if locks.unlocked(false).is_some() {
        return None;
    }
    let input = &locked.input;
    let mut what = match input.kind() {
        "path" => format!("path:{}", input.text("narHash")?),
        "tarball" | "file" => input.text("narHash")?.to_owned(),
        "github" | "gitlab" | "sourcehut" => input.text("rev")?.to_owned(),
        _ => {
            let (rev, changed) = match input.text("rev") {
                Some(rev) => (rev.to_owned(), String::new()),
                None => {
                    let (rev, hash) = changes(&source_folder(locked)?)?;
                    (rev, format!(";d={hash}"))
                }
            };
            let mark = |name: &str, mark: &str| {
                if input.flag(name) { mark.to_owned() } else { String::new() }
            };
            let marks = [mark("submodules", ";s"), mark("exportIgnore", ";e"), mark("lfs", ";l")];
            rev + &marks.concat() + &changed
        }
    };
    what.push_str(&format!(";{};{}", locked.dir, locks.text()));
    if let Some(count) = input.int("revCount") {
        what.push_str(&format!(";revCount={count}"));
    }
    if let Some(seconds) = input.int("lastModified") {
        what.push_str(&format!(";lastModified={seconds}"));
    }
    Some(Hash::digest(HashAlgo::Sha256, what.as_bytes()).to_base16())
}

fn local(seconds: u64) -> String {
    let stamp = firn_eval::builtins::utc(seconds);
    let part = |from: usize, to: usize| &stamp[from..to];
    format!(
        "{}-{}-{} {}:{}:{}",
        part(0, 4),
        part(4, 6),
        part(6, 8),
        part(8, 10),
        part(10, 12),
        part(12, 14)
    )
}

struct Tree<'a> {
    locks: &'a LockFile,
    visited: BTreeSet<usize>,
    bold: &'a str,
    normal: &'a str,
}

impl Tree<'_> {
    fn print(&mut self, out: &mut dyn std::io::Write, at: usize, prefix: &str) -> Outcome {
        let inputs = &self.locks.nodes[at].inputs;
        let (bold, normal) = (self.bold, self.normal);
        for (n, (name, edge)) in inputs.iter().enumerate() {
            let last = n + 1 == inputs.len();
            let branch = if last { "└───" } else { "├───" };
            match edge {
                Edge::Follows(target) => writeln!(
                    out,
                    "{prefix}{branch}{bold}{name}{normal} follows input '{}'",
                    target.join("/")
                )?,
                Edge::Node(next) => {
                    let shown =
                        self.locks.nodes[*next].lock.as_ref().map_or_else(String::new, |lock| {
                            let date = lock.locked.input.int("lastModified");
                            let date =
                                date.map_or_else(String::new, |s| format!(" ({})", local(s)));
                            url_of(&lock.locked) + &date
                        });
                    writeln!(out, "{prefix}{branch}{bold}{name}{normal}: {shown}")?;
                    if self.visited.insert(*next) {
                        let prefix = format!("{prefix}{}", if last { "    " } else { "│   " });
                        self.print(out, *next, &prefix)?;
                    }
                }
            }
        }
        Ok(())
    }
}
