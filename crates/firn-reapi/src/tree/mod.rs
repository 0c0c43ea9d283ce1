//! Files as the protocol says them: a tree whose folders are messages that name what is in them by hash.

mod result;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::api::{BlobId, re};
use crate::client::{Blob, Contents};
use crate::error::{Error, Result};
use crate::wire::proto::Message as _;

pub use result::place_outputs;

/// How deep a tree may be.
const MAX_DEPTH: usize = 1000;

/// A file, a link or a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A file.
    File(BlobId, bool),
    /// A link and where it leads.
    Link(String),
    /// A folder.
    Folder(BlobId),
}

/// A file, a link or a folder with all that is below it, ready to be sent.
#[derive(Debug, Clone)]
pub struct Tree {
    /// What it is.
    pub node: Node,
    /// All that it consists of.
    pub blobs: Arc<[Blob]>,
    /// Whether there are links to absolute paths in it.
    pub absolute_links: bool,
}

impl Tree {
    /// Reads what is at `path`.
    ///
    /// # Errors
    /// When something cannot be read, or is nothing that the protocol can say.
    pub fn read(path: &Path) -> Result<Self> {
        let mut reading = Reading::default();
        let node = reading.node(path, 0)?;
        Ok(Self { node, blobs: reading.blobs.into(), absolute_links: reading.absolute_links })
    }

    /// A file of these bytes.
    pub fn file(contents: Vec<u8>) -> Self {
        let blob = Blob::bytes(contents);
        Self { node: Node::File(blob.id, false), blobs: [blob].into(), absolute_links: false }
    }
}

#[derive(Default)]
struct Reading {
    blobs: Vec<Blob>,
    absolute_links: bool,
}

impl Reading {
    fn node(&mut self, path: &Path, depth: usize) -> Result<Node> {
        let meta = path.symlink_metadata().map_err(Error::file("reading", path))?;
        if meta.is_symlink() {
            let target = std::fs::read_link(path).map_err(Error::file("reading", path))?;
            self.absolute_links |= target.is_absolute();
            let target = target.into_os_string().into_string();
            return Ok(Node::Link(target.map_err(|_| Error::NotText(path.display().to_string()))?));
        }
        if meta.is_file() {
            let mut file = std::fs::File::open(path).map_err(Error::file("reading", path))?;
            let id = BlobId::of_reader(&mut file).map_err(Error::file("reading", path))?;
            self.blobs.push(Blob { id, contents: Contents::File(path.into()) });
            return Ok(Node::File(id, meta.permissions().mode() & 0o100 != 0));
        }
        let unsuited = |what: &str| {
            Err(Error::Unsuited(format!("'{}' {what}, which cannot be sent", path.display())))
        };
        if !meta.is_dir() {
            return unsuited("is neither a file nor a folder nor a link");
        }
        if depth >= MAX_DEPTH {
            return unsuited("is too deep");
        }
        let mut folder = Folder::default();
        for entry in std::fs::read_dir(path).map_err(Error::file("reading", path))? {
            let entry = entry.map_err(Error::file("reading", path))?;
            let inside = entry.path();
            let name = entry.file_name().into_string();
            let name = name.map_err(|_| Error::NotText(inside.display().to_string()))?;
            let node = self.node(&inside, depth + 1)?;
            folder.0.insert(name, node);
        }
        let blob = folder.blob();
        let id = blob.id;
        self.blobs.push(blob);
        Ok(Node::Folder(id))
    }
}

/// What is in a folder, in the order that the protocol wants: that of the bytes of the names.
#[derive(Debug, Default)]
struct Folder(BTreeMap<String, Node>);

impl Folder {
    fn blob(self) -> Blob {
        let mut message = re::Directory::default();
        for (name, node) in self.0 {
            match node {
                Node::File(id, is_executable) => message.files.push(re::FileNode {
                    name,
                    digest: Some(id.into()),
                    is_executable,
                }),
                Node::Link(target) => message.symlinks.push(re::SymlinkNode { name, target }),
                Node::Folder(id) => {
                    message.directories.push(re::DirectoryNode { name, digest: Some(id.into()) })
                }
            }
        }
        Blob::bytes(message.encode())
    }
}

/// A tree that is put together of others.
#[derive(Debug, Default)]
pub struct Assembly {
    inside: BTreeMap<String, Assembly>,
    here: Option<Node>,
}

impl Assembly {
    /// Puts `node` at `path`, which is relative.
    ///
    /// # Errors
    /// If a name in it is not UTF-8.
    pub fn put(&mut self, path: &Path, node: Node) -> Result<()> {
        self.at(path)?.here = Some(node);
        Ok(())
    }

    /// Makes sure that there is a folder at `path`.
    ///
    /// # Errors
    /// If a name in it is not UTF-8.
    pub fn folder(&mut self, path: &Path) -> Result<()> {
        self.at(path).map(drop)
    }

    fn at(&mut self, path: &Path) -> Result<&mut Self> {
        let mut at = self;
        for part in path.components() {
            let std::path::Component::Normal(part) = part else { continue };
            let part = part.to_str().ok_or_else(|| Error::NotText(path.display().to_string()))?;
            at = at.inside.entry(part.to_owned()).or_default();
        }
        Ok(at)
    }

    /// The whole tree; its folders are added to `blobs`.
    pub fn finish(self, blobs: &mut Vec<Blob>) -> BlobId {
        let mut folder = Folder::default();
        for (name, inside) in self.inside {
            let node = match inside.here {
                Some(node) => node,
                None => Node::Folder(inside.finish(blobs)),
            };
            folder.0.insert(name, node);
        }
        let blob = folder.blob();
        let id = blob.id;
        blobs.push(blob);
        id
    }
}

/// The place of an absolute path below the folder in which an action runs.
pub fn relative(path: &Path) -> PathBuf {
    path.strip_prefix("/").unwrap_or(path).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    #[test]
    fn folders_are_messages_in_the_order_of_names() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(at("d/empty")).unwrap();
        std::fs::write(at("d/b"), "x").unwrap();
        std::fs::write(at("d/a"), "x").unwrap();
        std::fs::set_permissions(at("d/a"), PermissionsExt::from_mode(0o755)).unwrap();
        symlink("/nowhere", at("d/l")).unwrap();
        let tree = Tree::read(&at("d")).unwrap();
        assert!(tree.absolute_links);
        let Node::Folder(id) = tree.node else { panic!("{:?}", tree.node) };
        let root = tree.blobs.iter().find(|b| b.id == id).unwrap();
        let Contents::Bytes(bytes) = &root.contents else { panic!() };
        let message = re::Directory::decode(bytes).unwrap();
        let files: Vec<_> =
            message.files.iter().map(|f| (f.name.as_str(), f.is_executable)).collect();
        assert_eq!(files, [("a", true), ("b", false)]);
        assert_eq!(message.symlinks[0].target, "/nowhere");
        assert_eq!(message.directories[0].digest, Some(BlobId::of(b"").into()));
        assert!(!Tree::read(&at("d/empty")).unwrap().absolute_links);
    }

    #[test]
    fn names_that_are_no_text_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(std::ffi::OsStr::from_bytes(b"\xff")), "").unwrap();
        assert!(matches!(Tree::read(dir.path()), Err(Error::NotText(_))));
        let dir = tempfile::tempdir().unwrap();
        symlink(std::ffi::OsStr::from_bytes(b"\xff"), dir.path().join("l")).unwrap();
        assert!(matches!(Tree::read(dir.path()), Err(Error::NotText(_))));
    }

    #[test]
    fn trees_are_put_together() {
        let file = Tree::file(b"x".to_vec());
        let mut assembly = Assembly::default();
        assembly.put(Path::new("/a/b/c"), file.node.clone()).unwrap();
        let mut blobs = Vec::new();
        let id = assembly.finish(&mut blobs);
        assert_eq!(blobs.len(), 3);
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        std::fs::write(dir.path().join("a/b/c"), "x").unwrap();
        assert_eq!(Tree::read(dir.path()).unwrap().node, Node::Folder(id));
    }
}
