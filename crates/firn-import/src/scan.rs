//! What a package provides and what its files use, found by looking into them: from this the lock
//! tool computes who depends on whom.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::archive::deb;
use crate::elf::{self, Elf};
use crate::error::Result;
use crate::flatten;
use crate::index::is_library_name;
use crate::text;
use crate::tree::{Node, Tree};

/// The facts about one Debian package. Paths are flattened (`bin/sh`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Its files and links.
    pub files: BTreeSet<String>,
    /// The names of its shared libraries.
    pub libraries: BTreeSet<String>,
    /// Libraries that its ELF files are linked with, which it does not have itself.
    pub needed: BTreeSet<String>,
    /// Further names of libraries in its ELF files, opened at run time perhaps.
    pub opened: BTreeSet<String>,
    /// ELF interpreters.
    pub loaders: BTreeSet<String>,
    /// Programs that its scripts' first lines name.
    pub interpreters: BTreeSet<String>,
    /// Other paths that its text files name.
    pub named: BTreeSet<String>,
    /// Paths compiled into its ELF files.
    pub compiled: BTreeSet<String>,
    /// Targets of its links that it does not have itself.
    pub link_targets: BTreeSet<String>,
}

/// Looks into a `.deb` file.
///
/// # Errors
/// When it is damaged.
pub fn deb(path: &Path, data: &[u8]) -> Result<Facts> {
    let mut tree = Tree::default();
    let mut links: BTreeMap<String, String> = BTreeMap::new();
    // Links are about the unflattened file system, so their names are needed as they were.
    let place = |name: &str| Some(name.to_owned());
    deb::read_data(path, data, &place, &mut tree)?;
    let mut facts = Facts::default();
    let mut own = Tree::default();
    for (name, node) in tree.iter() {
        let Some(placed) = flatten::place(name) else { continue };
        if flatten::is_maintainer_file(&placed) {
            continue;
        }
        match node {
            Node::Folder => continue,
            Node::Link(target) => {
                if let Some(target) = flatten::place(&flatten::absolute_target(name, target)) {
                    links.insert(placed.clone(), target);
                }
            }
            Node::File { data, .. } => {
                if let Some(elf) = Elf::parse(data) {
                    if !placed.starts_with("lib/modules/") {
                        look_into_elf(&elf, &mut facts);
                    }
                } else if text::is_text(&placed, data) {
                    look_into_text(data, &mut facts);
                }
            }
        }
        let library = placed.rsplit('/').next().unwrap_or_default();
        if is_library_name(library) && placed.starts_with("lib") {
            facts.libraries.insert(library.to_owned());
        }
        facts.files.insert(placed.clone());
        // Conflicts do not matter here.
        let _ = own.add(&placed, node.clone());
    }
    facts.needed.retain(|name| !facts.libraries.contains(name));
    facts.opened.retain(|name| !facts.libraries.contains(name) && !facts.needed.contains(name));
    for paths in
        [&mut facts.interpreters, &mut facts.named, &mut facts.compiled, &mut facts.loaders]
    {
        paths.retain(|path| !own.has(path));
    }
    facts.link_targets = links.into_values().filter(|target| !own.has(target)).collect();
    Ok(facts)
}

fn placed(path: &str) -> Option<String> {
    flatten::place(path.trim_start_matches('/').trim_end_matches('/'))
}

fn look_into_elf(elf: &Elf<'_>, facts: &mut Facts) {
    if elf.kind == elf::ET_REL {
        return;
    }
    facts.needed.extend(elf.needed().into_iter().map(str::to_owned));
    facts.opened.extend(elf.library_strings());
    if elf.is_dynamic() {
        facts.loaders.extend(elf.interpreter().and_then(placed));
    }
    // As in the import, where only what is linked dynamically is given other strings.
    if elf.needed().is_empty() {
        return;
    }
    let paths = elf::strings::referenced_paths(elf);
    facts
        .compiled
        .extend(paths.iter().filter(|path| text::is_fhs(path)).filter_map(|path| placed(path)));
}

fn look_into_text(data: &[u8], facts: &mut Facts) {
    let mut after = 0;
    if let Some(line) = text::shebang(data) {
        facts.interpreters.extend(placed(&text::shebang_program(&line)));
        after = line.len;
    }
    let data = &data[after..];
    for range in text::paths(data) {
        if let Ok(path) = std::str::from_utf8(&data[range])
            && text::is_fhs(path)
        {
            facts.named.extend(placed(path.trim_end_matches('.')));
        }
    }
}
