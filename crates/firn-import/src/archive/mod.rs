//! Reads archives into a [`Tree`]: ar and `.deb` ([`deb`]), tar with its compressions ([`tar`]), files
//! and folders that are there already. Every name is checked here, so that a tree never holds a path
//! that leads out of it.

pub mod deb;
pub mod tar;

use std::path::Path;

use crate::error::{Error, Result};
use crate::tree::{Node, Tree};

/// The most that one archive may unpack to, in bytes: a bound against archives made to fill a disk.
pub const MAX_UNPACKED: u64 = 8 << 30;

/// Checks a member's name and brings it to the form that trees use: no leading `./`, no empty parts.
///
/// # Errors
/// Says why a name is refused: absolute, with `..`, NUL or bytes that are not UTF-8.
pub fn clean_name(name: &[u8]) -> Result<String, &'static str> {
    let name = std::str::from_utf8(name).map_err(|_| "has a name that is not UTF-8")?;
    if name.starts_with('/') {
        return Err("has an absolute path");
    }
    if name.contains('\0') {
        return Err("has a NUL in its name");
    }
    let mut parts = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => return Err("has a path with '..'"),
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

/// Copies a file or folder into the tree at `target`. A link inside the folder is kept as it is.
///
/// # Errors
/// When something cannot be read, is neither file, folder nor link, or has a name that is not UTF-8.
pub fn read_folder(source: &Path, target: &str, tree: &mut Tree) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = source.symlink_metadata().map_err(Error::io("read", source))?;
    let member =
        |reason| Error::Member { path: source.to_owned(), member: target.to_owned(), reason };
    let node = if metadata.is_dir() {
        Node::Folder
    } else if metadata.is_symlink() {
        let link = std::fs::read_link(source).map_err(Error::io("read", source))?;
        Node::Link(
            link.to_str().ok_or_else(|| member("has a target that is not UTF-8"))?.to_owned(),
        )
    } else if metadata.is_file() {
        let data = std::fs::read(source).map_err(Error::io("read", source))?;
        Node::file(data, metadata.permissions().mode() & 0o111 != 0)
    } else {
        return Err(member("is neither file, folder nor link"));
    };
    tree.add(target, node).map_err(|_| member("is there already with other contents"))?;
    if metadata.is_dir() {
        for entry in std::fs::read_dir(source).map_err(Error::io("list", source))? {
            let entry = entry.map_err(Error::io("list", source))?;
            let name = entry.file_name();
            let name = name.to_str().ok_or_else(|| member("holds a name that is not UTF-8"))?;
            let below =
                if target.is_empty() { name.to_owned() } else { format!("{target}/{name}") };
            read_folder(&entry.path(), &below, tree)?;
        }
    }
    Ok(())
}
