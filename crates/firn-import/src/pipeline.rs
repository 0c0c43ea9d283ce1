//! The steps of an import, in order. What each step does to a file is in the modules for its kind.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use crate::archive::{self, deb, tar};
use crate::elf::edit::{self, NewString};
use crate::elf::{self, Elf};
use crate::error::{Error, Result};
use crate::flatten;
use crate::gconv;
use crate::glob;
use crate::index::{Dependency, Index, Owner};
use crate::spec::{Env, Kind, Report, Spec};
use crate::text;
use crate::tree::{Node, Refused, Tree, relative_target};
use crate::write;

/// How many places of one kind the log names.
const NAMED: usize = 3;

/// Imports a package: reads its sources, makes the changes, writes the output.
///
/// # Errors
/// When a source cannot be read or must not be unpacked, a parameter asks for what is not there, an
/// ELF file cannot be edited, or the output cannot be written.
pub fn run(spec: &Spec, env: &Env<'_>) -> Result<Report> {
    let mut report = Report::default();
    let mut tree = Tree::default();
    unpack(spec, env, &mut tree, &mut report)?;
    prune(spec, &mut tree);
    for (from, to) in &spec.rename {
        let moved = tree
            .rename(from, to)
            .map_err(|_| step("rename", format!("'{to}' lies below a file")))?;
        if !moved {
            return Err(step("rename", format!("there is no '{from}' in the output")));
        }
    }
    let dependencies: Vec<Dependency> = spec
        .dependencies
        .iter()
        .map(|path| Dependency { path: path.clone(), real: env.real(path) })
        .collect();
    resolve_links(&mut tree, env, &dependencies, &mut report);
    add_files(spec, &mut tree)?;
    rewrite_files(spec, env, &mut tree, dependencies, &mut report)?;
    tree.remove_empty_folders(|path| glob::any(&spec.keep, path));
    for (_, node) in tree.iter() {
        report.entries += 1;
        if let Node::File { data, .. } = node {
            report.bytes += data.len() as u64;
        }
    }
    log(env, &report);
    if spec.allow_unresolved == Some(false) {
        let missing: Vec<String> =
            report.missing_libraries.iter().chain(&report.missing_interpreters).cloned().collect();
        if !missing.is_empty() {
            return Err(Error::Unresolved(missing));
        }
    }
    write::write(&tree, &env.real_out, env.threads)?;
    Ok(report)
}

fn step(key: &'static str, reason: String) -> Error {
    Error::Step { key, reason }
}

/// Reads the sources into the tree. Links of Debian packages become absolute FHS paths, in their
/// flattened form with a leading `/`, unless they lead to themselves.
fn unpack(spec: &Spec, env: &Env<'_>, tree: &mut Tree, report: &mut Report) -> Result<()> {
    let target = spec.target.as_deref().unwrap_or(".");
    let target = archive::clean_name(target.as_bytes())
        .map_err(|reason| step("target", format!("'{target}' {reason}")))?;
    for source in &spec.sources {
        let path = env.real(source);
        let mut raw = Tree::default();
        match spec.kind {
            Kind::Debian => {
                let data = std::fs::read(&path).map_err(Error::io("read", &path))?;
                let keep = |name: &str| Some(name.to_owned());
                report.conflicts.extend(deb::read_data(&path, &data, &keep, &mut raw)?);
            }
            Kind::Tarball => {
                let data = std::fs::read(&path).map_err(Error::io("read", &path))?;
                let keep = |name: &str| (!name.is_empty()).then(|| name.to_owned());
                let options = tar::Options {
                    strip: spec.strips(),
                    target: &target,
                    links_inside: true,
                    place: &keep,
                };
                report.conflicts.extend(tar::read(&path, &data, &options, &mut raw)?);
            }
            Kind::Binary => {
                if target.is_empty() && !path.is_dir() {
                    return Err(step(
                        "target",
                        format!(
                            "name the file's place in the output, as '{source}' is a single file"
                        ),
                    ));
                }
                archive::read_folder(&path, &target, &mut raw)?;
                if path.is_file()
                    && let Some((_, Node::File { executable, .. })) = raw.iter_mut().last()
                {
                    *executable = true;
                }
            }
        }
        merge(spec, &raw, tree, report, &path)?;
    }
    Ok(())
}

fn merge(
    spec: &Spec,
    raw: &Tree,
    tree: &mut Tree,
    report: &mut Report,
    archive: &Path,
) -> Result<()> {
    let flattens = spec.flattens();
    for (name, node) in raw.iter() {
        let placed = if flattens { flatten::place(name) } else { Some(name.to_owned()) };
        let Some(placed) = placed else { continue };
        let node = match node {
            Node::Link(target) if flattens => {
                let absolute = flatten::absolute_target(name, target);
                match flatten::place(&absolute) {
                    // A link to what is now the same place.
                    Some(target) if target == placed => continue,
                    Some(target) => Node::Link(format!("/{target}")),
                    None => Node::Link(format!("//{absolute}")),
                }
            }
            node => node.clone(),
        };
        match tree.add(&placed, node) {
            Ok(()) => {}
            Err(Refused::Conflict) => report.conflicts.push(placed),
            Err(Refused::ThroughNonFolder) => {
                return Err(Error::Member {
                    path: archive.to_owned(),
                    member: name.to_owned(),
                    reason: "lies below a file or a symbolic link",
                });
            }
        }
    }
    Ok(())
}

fn prune(spec: &Spec, tree: &mut Tree) {
    let pruned: Vec<String> = tree
        .iter()
        .filter(|(path, node)| !(matches!(node, Node::Folder) || glob::any(&spec.keep, path)))
        .filter(|(path, _)| {
            let debian = spec.kind == Kind::Debian && !spec.keep_maintainer_files;
            (debian && flatten::is_maintainer_file(path)) || glob::any(&spec.prune, path)
        })
        .map(|(path, _)| path.to_owned())
        .collect();
    for path in pruned {
        tree.remove(&path);
    }
}

/// Links that [`merge`] made absolute become relative to the output, or lead into the dependency that
/// has the target. `/x` is a flattened path, `//x` one outside of what packages hold.
fn resolve_links(tree: &mut Tree, env: &Env<'_>, dependencies: &[Dependency], report: &mut Report) {
    let absolute: Vec<(String, String)> = tree
        .iter()
        .filter_map(|(path, node)| match node {
            Node::Link(target) => Some((path.to_owned(), target.strip_prefix('/')?.to_owned())),
            _ => None,
        })
        .filter(|(_, target)| !is_store_path(env, target))
        .collect();
    // First all relative forms, so that links to links are found in the second pass.
    for (path, target) in &absolute {
        if !target.starts_with('/') && tree.get(target).is_some() {
            let _ = tree.replace(path, Node::Link(relative_target(path, target)));
        }
    }
    let mut changes = Vec::new();
    for (path, target) in &absolute {
        if let Some(state) = target.strip_prefix('/') {
            changes.push((path, Node::Link(format!("/{state}"))));
            continue;
        }
        if tree.get(target).is_some() {
            continue;
        }
        let owner = dependencies
            .iter()
            .find(|dependency| dependency.real.join(target).symlink_metadata().is_ok());
        if let Some(owner) = owner {
            changes.push((path, Node::Link(format!("{}/{target}", owner.path))));
        } else if tree.has(target) {
            // Through a link on the way.
            changes.push((path, Node::Link(relative_target(path, target))));
        } else {
            report.dangling_links.push(format!("{path} -> /{target}"));
            let keep = target.starts_with("etc/");
            let to = if keep { format!("/{target}") } else { relative_target(path, target) };
            changes.push((path, Node::Link(to)));
        }
    }
    for (path, node) in changes {
        let _ = tree.replace(path, node);
    }
}

fn is_store_path(env: &Env<'_>, target: &str) -> bool {
    Path::new("/").join(target).starts_with(&env.store_dir)
}

/// `concat`, `write`, `executables`, `symlinks`.
fn add_files(spec: &Spec, tree: &mut Tree) -> Result<()> {
    for (path, globs) in &spec.concat {
        let mut joined = Vec::new();
        for (_, node) in tree.iter().filter(|(path, _)| glob::any(globs, path)) {
            if let Node::File { data, .. } = node {
                joined.extend_from_slice(data);
                if joined.last().is_some_and(|byte| *byte != b'\n') {
                    joined.push(b'\n');
                }
            }
        }
        if joined.is_empty() {
            return Err(step("concat", format!("no file matches {}", globs.join(", "))));
        }
        put(tree, "concat", path, Node::file(joined, false))?;
    }
    for (path, text) in &spec.write {
        let executable = text.starts_with("#!");
        put(tree, "write", path, Node::file(text.clone().into_bytes(), executable))?;
    }
    for name in &spec.executables {
        let mut found = false;
        for (_, node) in tree.iter_mut().filter(|(path, _)| glob::matches(name, path)) {
            if let Node::File { executable, .. } = node {
                *executable = true;
                found = true;
            }
        }
        if !found {
            return Err(step("executables", format!("there is no file '{name}' in the output")));
        }
    }
    for (path, target) in &spec.symlinks {
        put(tree, "symlinks", path, Node::Link(target.clone()))?;
    }
    Ok(())
}

fn put(tree: &mut Tree, key: &'static str, path: &str, node: Node) -> Result<()> {
    let clean = archive::clean_name(path.as_bytes())
        .map_err(|reason| step(key, format!("'{path}' {reason}")))?;
    tree.replace(&clean, node)
        .map_err(|_| step(key, format!("'{path}' lies below a file or a link")))
}

/// What became of one file.
#[derive(Default)]
struct Change {
    data: Option<Vec<u8>>,
    is_elf: bool,
    missing_libraries: Vec<String>,
    interpreter: Option<String>,
    unresolved: BTreeSet<String>,
    unresolved_strings: Vec<String>,
    strings: Vec<String>,
    replaced: Vec<usize>,
}

fn rewrite_files(
    spec: &Spec,
    env: &Env<'_>,
    tree: &mut Tree,
    dependencies: Vec<Dependency>,
    report: &mut Report,
) -> Result<()> {
    let mut changed: Vec<(String, Vec<u8>)> = Vec::new();
    let mut replaced = BTreeSet::new();
    let mut moved = BTreeSet::new();
    {
        let index = Index::new(tree, &env.out, dependencies);
        let files: Vec<(&str, &Arc<Vec<u8>>)> = tree
            .iter()
            .filter_map(|(path, node)| match node {
                Node::File { data, .. } => Some((path, data)),
                _ => None,
            })
            .collect();
        let changes = write::map(&files, env.threads, |(path, data)| {
            let change = if data.starts_with(b"\x7fELF") {
                change_elf(spec, path, data, &index)?
            } else {
                change_text(spec, path, data, &index)
            };
            Ok::<_, Error>(change)
        });
        for ((path, _), change) in files.iter().zip(changes) {
            let change = change?;
            let named = |what: &String| format!("{path}: {what}");
            report.missing_libraries.extend(change.missing_libraries.iter().map(named));
            report.missing_interpreters.extend(change.interpreter.iter().map(named));
            report.unresolved_paths.extend(change.unresolved.iter().map(named));
            report.unresolved_strings.extend(change.unresolved_strings.iter().map(named));
            report.strings.extend(change.strings.iter().map(named));
            moved.extend(change.strings);
            replaced.extend(change.replaced);
            if let Some(data) = change.data {
                if change.is_elf {
                    report.elf_files += 1;
                } else {
                    report.text_files += 1;
                }
                changed.push(((*path).to_owned(), data));
            }
        }
    }
    for (number, replace) in spec.replace.iter().enumerate() {
        if !replace.optional && !replaced.contains(&number) {
            return Err(step(
                "replace",
                format!("no file matching {:?} has '{}'", replace.files, replace.from),
            ));
        }
    }
    for string in &spec.strings {
        if !string.optional && string.from != string.to && !moved.contains(&string.from) {
            return Err(step(
                "strings",
                format!(
                    "no ELF file matching {:?} refers to the string '{}'",
                    string.files, string.from
                ),
            ));
        }
    }
    let mut changed: BTreeMap<String, Vec<u8>> = changed.into_iter().collect();
    for (path, node) in tree.iter_mut() {
        if let (Node::File { data, .. }, Some(new)) = (node, changed.remove(path)) {
            *data = Arc::new(new);
        }
    }
    Ok(())
}

fn change_text(spec: &Spec, path: &str, data: &[u8], index: &Index<'_>) -> Change {
    let mut change = Change::default();
    if path.ends_with("/gconv-modules.cache") {
        change.data = gconv::relocate(data, |folder| index.locate(folder));
        return change;
    }
    let rewrites = spec
        .text
        .unwrap_or(spec.kind == Kind::Debian || spec.flattens() || !spec.dependencies.is_empty());
    if rewrites && !glob::any(&spec.text_skip, path) && text::is_text(path, data) {
        let rewritten = text::rewrite(path, data, index, &spec.paths);
        change.data = rewritten.data;
        change.interpreter = rewritten.interpreter;
        change.unresolved = rewritten.unresolved;
    }
    for (number, replace) in spec.replace.iter().enumerate() {
        if !replace.files.is_empty() && !glob::any(&replace.files, path) {
            continue;
        }
        let current = change.data.as_deref().unwrap_or(data);
        if replace.from.is_empty()
            || memchr::memmem::find(current, replace.from.as_bytes()).is_none()
        {
            continue;
        }
        let mut new = Vec::with_capacity(current.len());
        let mut copied = 0;
        for at in memchr::memmem::find_iter(current, replace.from.as_bytes()) {
            new.extend_from_slice(&current[copied..at]);
            new.extend_from_slice(replace.to.as_bytes());
            copied = at + replace.from.len();
        }
        new.extend_from_slice(&current[copied..]);
        change.data = Some(new);
        change.replaced.push(number);
    }
    change
}

fn change_elf(spec: &Spec, path: &str, data: &[u8], index: &Index<'_>) -> Result<Change> {
    let mut change = Change { is_elf: true, ..Change::default() };
    let skipped = spec.elf == Some(false)
        || glob::any(&spec.elf_skip, path)
        || path.starts_with("lib/modules/")
        || path.starts_with("lib/firmware/");
    let Some(elf) = Elf::parse(data).filter(|elf| !skipped && elf.kind != elf::ET_REL) else {
        return Ok(change);
    };
    let mut changes = edit::Changes::default();
    for string in &spec.strings {
        if string.files.is_empty() || glob::any(&string.files, path) {
            let new = NewString { to: string.to.clone(), with_length: string.length };
            changes.strings.insert(string.from.clone(), new);
        }
    }
    // Static programs are for places that have no store: initial ramdisks, rescue.
    let auto = spec.auto_strings.unwrap_or(spec.kind == Kind::Debian);
    if auto && !elf.needed().is_empty() {
        for found in elf::strings::referenced_paths(&elf) {
            if !text::is_fhs(&found) || changes.strings.contains_key(&found) {
                continue;
            }
            match index.locate(&found) {
                Some(to) => {
                    changes.strings.insert(found, NewString { to, with_length: false });
                }
                None => change.unresolved_strings.push(found),
            }
        }
    }
    if elf.is_dynamic() {
        changes.interpreter = interpreter(spec, &elf, index);
        if elf.interpreter().is_some()
            && changes.interpreter.is_none()
            && spec.interpreter.is_none()
        {
            change.missing_libraries.extend(elf.interpreter().map(str::to_owned));
        }
        // What is linked with nothing is the loader itself, which must have no RUNPATH, or static.
        if !elf.needed().is_empty() {
            let runpath = runpath(spec, &elf, index, &mut change.missing_libraries);
            changes.runpath = (!runpath.is_empty() || elf.runpath().is_some()).then_some(runpath);
        }
    }
    let edited = edit::edit(&elf, &changes)
        .map_err(|reason| Error::Elf { file: path.to_owned(), reason })?;
    if let Some(edited) = edited {
        change.data = Some(edited.data);
        change.strings = edited.strings;
    }
    Ok(change)
}

/// The new interpreter of a program, if it has one and somebody has the new one.
fn interpreter(spec: &Spec, elf: &Elf<'_>, index: &Index<'_>) -> Option<String> {
    let old = elf.interpreter()?;
    match spec.interpreter.as_deref() {
        Some("") => None,
        Some(given) => Some(given.to_owned()),
        None => {
            let place = format!("lib/{}", old.rsplit('/').next()?);
            Some(index.print(index.owner(&place)?, &place))
        }
    }
}

fn runpath(spec: &Spec, elf: &Elf<'_>, index: &Index<'_>, missing: &mut Vec<String>) -> String {
    let needed = elf.needed();
    let mut folders: BTreeSet<(Owner, String)> = BTreeSet::new();
    for name in &needed {
        match index.library(name) {
            Some(found) => {
                folders.insert(found);
            }
            None => missing.push((*name).to_owned()),
        }
    }
    // The file's own name is among its strings, and its own folder is no reason to search there.
    let own_name = elf.soname();
    for name in elf.library_strings() {
        if Some(name.as_str()) != own_name
            && !needed.contains(&name.as_str())
            && let Some(found) = index.library(&name)
        {
            folders.insert(found);
        }
    }
    let kept =
        elf.runpath().unwrap_or_default().split(':').filter(|folder| folder.contains("$ORIGIN"));
    let mut runpath: Vec<&str> = Vec::new();
    let found = folders.iter().map(|(_, folder)| folder.as_str());
    let given = spec.rpath_first.iter().map(String::as_str);
    for folder in given.chain(kept).chain(found).chain(spec.rpath.iter().map(String::as_str)) {
        if !folder.is_empty() && !runpath.contains(&folder) {
            runpath.push(folder);
        }
    }
    runpath.join(":")
}

/// Tells what was done, and of each thing that somebody may want to know how often it was met and where
/// first: a package can have thousands of places.
fn log(env: &Env<'_>, report: &Report) {
    (env.log)(&format!(
        "imported {} entries ({} bytes): {} ELF files and {} text files now point into the store",
        report.entries, report.bytes, report.elf_files, report.text_files
    ));
    let lists = [
        ("missing library", &report.missing_libraries),
        ("missing script interpreter", &report.missing_interpreters),
        ("path left as it is", &report.unresolved_paths),
        ("link that leads nowhere", &report.dangling_links),
        ("kept the first of several versions", &report.conflicts),
        ("compiled-in path replaced", &report.strings),
    ];
    for (what, places) in lists {
        if places.is_empty() {
            continue;
        }
        let named: Vec<&str> = places.iter().take(NAMED).map(String::as_str).collect();
        let rest = match places.len() - named.len() {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        (env.log)(&format!("{what} ({}): {}{rest}", places.len(), named.join(", ")));
    }
}
