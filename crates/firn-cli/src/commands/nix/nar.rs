//! `nix nar`, and the listings that `nix store ls` shares with it.

use std::fs::File;
use std::io::{BufReader, Read as _, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use firn_model::nar::{self, Contents, NarVisitor};
use serde_json::{Map, Value, json};

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

/// A file, folder or link, with what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    File {
        executable: bool,
        size: u64,
        /// Where the contents begin in the archive.
        offset: Option<u64>,
    },
    Link(Vec<u8>),
    Folder(Entries),
}

/// What is in a folder, by name.
type Entries = Vec<(Vec<u8>, Node)>;

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
    let Some(node) = find(&root, &parts) else {
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
    let Some(Node::File { size, offset: Some(offset), .. }) = find(&root, &parts) else {
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

fn find<'n>(node: &'n Node, parts: &[&[u8]]) -> Option<&'n Node> {
    match (parts, node) {
        ([], node) => Some(node),
        ([first, rest @ ..], Node::Folder(entries)) => {
            entries.iter().find(|(name, _)| name == first).and_then(|(_, n)| find(n, rest))
        }
        _ => None,
    }
}

/// Builds the tree of an archive while it passes.
#[derive(Default)]
struct Index {
    /// Folders that are still open, with the names under which they will be in their parents.
    open: Vec<(Vec<u8>, Entries)>,
    name: Vec<u8>,
    root: Option<Node>,
}

impl Index {
    fn put(&mut self, name: Vec<u8>, node: Node) {
        match self.open.last_mut() {
            Some((_, entries)) => entries.push((name, node)),
            None => self.root = Some(node),
        }
    }
}

/// Counts bytes.
struct Counted<R> {
    inner: R,
    at: std::rc::Rc<std::cell::Cell<u64>>,
}

impl<R: std::io::Read> std::io::Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.at.set(self.at.get() + n as u64);
        Ok(n)
    }
}

struct Visitor {
    index: Index,
    at: std::rc::Rc<std::cell::Cell<u64>>,
}

impl NarVisitor for Visitor {
    type Error = nar::Error;

    fn file(
        &mut self,
        executable: bool,
        size: u64,
        _contents: &mut Contents<'_>,
    ) -> Result<(), nar::Error> {
        let offset = Some(self.at.get());
        let name = std::mem::take(&mut self.index.name);
        self.index.put(name, Node::File { executable, size, offset });
        Ok(())
    }

    fn symlink(&mut self, target: &[u8]) -> Result<(), nar::Error> {
        let name = std::mem::take(&mut self.index.name);
        self.index.put(name, Node::Link(target.to_vec()));
        Ok(())
    }

    fn begin_directory(&mut self) -> Result<(), nar::Error> {
        let name = std::mem::take(&mut self.index.name);
        self.index.open.push((name, Vec::new()));
        Ok(())
    }

    fn begin_entry(&mut self, name: &[u8]) -> Result<(), nar::Error> {
        self.index.name = name.to_vec();
        Ok(())
    }

    fn end_entry(&mut self) -> Result<(), nar::Error> {
        Ok(())
    }

    fn end_directory(&mut self) -> Result<(), nar::Error> {
        if let Some((name, entries)) = self.index.open.pop() {
            self.index.put(name, Node::Folder(entries));
        }
        Ok(())
    }
}

/// The tree of an archive in a file.
fn read_index(archive: &Path) -> Outcome<Node> {
    let shown = archive.display().to_string();
    let file = File::open(archive).map_err(|e| read_failure(&shown, &e))?;
    let at = std::rc::Rc::new(std::cell::Cell::new(0));
    let mut source = Counted { inner: BufReader::new(file), at: at.clone() };
    let mut visitor = Visitor { index: Index::default(), at };
    nar::read(&mut source, &mut visitor)
        .map_err(|e| Failure::Message(format!("reading archive '{shown}': {e}")))?;
    visitor.index.root.ok_or_else(|| Failure::Message(format!("archive '{shown}' is empty")))
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
        return call.print_json(&to_json(node, recursive, true));
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

/// The listing as binary caches have it beside their archives.
pub fn to_json(node: &Node, recursive: bool, top: bool) -> Value {
    match node {
        Node::File { executable, size, offset } => {
            let mut map = Map::new();
            if *executable {
                map.insert("executable".into(), true.into());
            }
            if let Some(offset) = offset {
                map.insert("narOffset".into(), (*offset).into());
            }
            map.insert("size".into(), (*size).into());
            map.insert("type".into(), "regular".into());
            Value::Object(map)
        }
        Node::Link(target) => {
            json!({ "target": String::from_utf8_lossy(target), "type": "symlink" })
        }
        Node::Folder(entries) => {
            let mut map = Map::new();
            if recursive || top {
                let entries: Map<String, Value> = entries
                    .iter()
                    .map(|(name, entry)| {
                        let shown = if recursive { to_json(entry, true, false) } else { json!({}) };
                        (String::from_utf8_lossy(name).into_owned(), shown)
                    })
                    .collect();
                map.insert("entries".into(), entries.into());
            }
            map.insert("type".into(), "directory".into());
            Value::Object(map)
        }
    }
}
