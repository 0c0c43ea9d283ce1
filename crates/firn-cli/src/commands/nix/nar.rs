//! `nix nar`, and the listings that `nix store ls` shares with it.

use std::fs::File;
use std::io::{BufReader, Read as _, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use firn_model::nar::listing::Node;

use super::call::Call;
use super::flags::{Flag, flag};
use crate::common::legacy::{Failure, Outcome, absolute, fail, usage};

/// Flags of listings.
#[rustfmt::skip]
pub const LS: &[Flag] = &[
    flag("recursive", Some('R'), "list folders recursively"),
    flag("long", Some('l'), "show types and sizes"),
    flag("directory", Some('d'), "show folders themselves, not what is in them"),
];

/// `nix nar pack`.
pub fn pack(call: &mut Call<'_>) -> Outcome {
    let path = absolute(call.one_argument("path")?)?;
    Ok(firn_store::fs::dump_path(&path, &mut call.out)?)
}

/// `nix nar ls`.
pub fn ls(call: &mut Call<'_>) -> Outcome {
    let (archive, path) = two(call)?;
    let root = read_index(Path::new(&archive))?;
    let parts = components(&path);
    let Some(node) = root.find(&parts) else {
        return fail(format!("path '{path}' does not exist in '{archive}'"));
    };
    let node = node.clone();
    list(call, &node, &path)
}

/// `nix nar cat`.
pub fn cat(call: &mut Call<'_>) -> Outcome {
    let (archive, path) = two(call)?;
    let root = read_index(Path::new(&archive))?;
    let parts = components(&path);
    let Some(Node::File { size, offset: Some(offset), .. }) = root.find(&parts) else {
        return fail(format!("NAR does not contain regular file '{path}'"));
    };
    let opened = File::open(&archive).and_then(|mut file| {
        std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(*offset))?;
        Ok(file)
    });
    let file = opened.map_err(|e| read_failure(&archive, &e))?;
    std::io::copy(&mut file.take(*size), call.out)?;
    Ok(())
}

fn two(call: &Call<'_>) -> Outcome<(String, String)> {
    match &call.given.args[..] {
        [archive, path] => Ok((archive.clone(), path.clone())),
        _ => usage("two arguments are needed: an archive and a path in it"),
    }
}

fn read_failure(file: &str, error: &std::io::Error) -> Failure {
    Failure::Message(format!("opening file '{file}': {}", firn_store::error::errno_text(error)))
}

/// The parts of a path in an archive.
pub fn components(path: &str) -> Vec<&[u8]> {
    path.split('/').filter(|p| !p.is_empty() && *p != ".").map(str::as_bytes).collect()
}

/// The tree of an archive in a file.
fn read_index(archive: &Path) -> Outcome<Node> {
    let shown = archive.display().to_string();
    let file = File::open(archive).map_err(|e| read_failure(&shown, &e))?;
    Node::read(&mut BufReader::new(file))
        .map_err(|e| Failure::Message(format!("reading archive '{shown}': {e}")))
}

/// The tree at a place in the file system.
pub fn from_disk(path: &Path, deep: bool) -> std::io::Result<Node> {
    use std::os::unix::fs::PermissionsExt as _;
    let meta = path.symlink_metadata()?;
    if meta.is_symlink() {
        return Ok(Node::Link(std::fs::read_link(path)?.as_os_str().as_bytes().to_vec()));
    }
    if meta.is_file() {
        let executable = meta.permissions().mode() & 0o100 != 0;
        return Ok(Node::File { executable, size: meta.len(), offset: None });
    }
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let node = if !deep && entry.file_type()?.is_dir() {
            Node::Folder(Vec::new())
        } else {
            from_disk(&entry.path(), deep)?
        };
        entries.push((entry.file_name().as_bytes().to_vec(), node));
    }
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(Node::Folder(entries))
}

/// Shows a tree as the flags want it.
pub fn list(call: &mut Call<'_>, node: &Node, path: &str) -> Outcome {
    let recursive = call.given.has("recursive");
    if call.given.has("json") {
        if call.given.has("directory") {
            return usage("'--directory' is useless with '--json'");
        }
        return call.print_json(&node.to_json(recursive));
    }
    let long = call.given.has("long");
    match node {
        Node::Folder(_) if !call.given.has("directory") => {
            print_entries(call.out, node, ".", recursive, long)
        }
        Node::Folder(_) => {
            print_one(call.out, node, ".", long)?;
            if recursive { print_entries(call.out, node, ".", true, long) } else { Ok(()) }
        }
        _ => {
            let parts = components(path);
            let name = parts.last().map(|n| String::from_utf8_lossy(n).into_owned());
            print_one(call.out, node, &name.unwrap_or_default(), long)
        }
    }
}

fn print_entries(
    out: &mut dyn Write,
    node: &Node,
    at: &str,
    recursive: bool,
    long: bool,
) -> Outcome {
    let Node::Folder(entries) = node else { return Ok(()) };
    for (name, entry) in entries {
        let path = format!("{at}/{}", String::from_utf8_lossy(name));
        print_one(out, entry, &path, long)?;
        if recursive {
            print_entries(out, entry, &path, recursive, long)?;
        }
    }
    Ok(())
}

fn print_one(out: &mut dyn Write, node: &Node, path: &str, long: bool) -> Outcome {
    if !long {
        return Ok(writeln!(out, "{path}")?);
    }
    let (mode, size) = match node {
        Node::File { executable: true, size, .. } => ("-r-xr-xr-x", *size),
        Node::File { size, .. } => ("-r--r--r--", *size),
        Node::Link(_) => ("lrwxrwxrwx", 0),
        Node::Folder(_) => ("dr-xr-xr-x", 0),
    };
    write!(out, "{mode} {size:20} {path}")?;
    if let Node::Link(target) = node {
        write!(out, " -> {}", String::from_utf8_lossy(target))?;
    }
    Ok(writeln!(out)?)
}
