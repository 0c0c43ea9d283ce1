//! What is in an archive and where: the tree that binary caches keep beside their archives (`.ls` files).
//!
//! Their JSON form is defined in the Nix manual, "NAR listing".

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use serde_json::{Map, Value, json};

use super::{Contents, Error, NarVisitor};

/// A file, folder or link, with what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A regular file.
    File {
        /// Whether it may be run.
        executable: bool,
        /// Its size in bytes.
        size: u64,
        /// Where the contents begin in the archive.
        offset: Option<u64>,
    },
    /// A symbolic link, with its target.
    Link(Vec<u8>),
    /// A folder.
    Folder(Entries),
}

/// What is in a folder, by name, in order.
pub type Entries = Vec<(Vec<u8>, Node)>;

impl Node {
    /// The tree of the archive that `source` gives; every byte of it is read, and none that follows.
    ///
    /// # Errors
    /// If it is no archive, or `source` fails.
    pub fn read(source: &mut dyn Read) -> Result<Self, Error> {
        let at = Rc::new(Cell::new(0));
        let mut source = Counted { inner: source, at: Rc::clone(&at) };
        let mut visitor = Visitor { open: Vec::new(), name: Vec::new(), root: None, at };
        super::read(&mut source, &mut visitor)?;
        visitor.root.ok_or(Error::Truncated)
    }

    /// What is at a path below this.
    #[must_use]
    pub fn find(&self, parts: &[&[u8]]) -> Option<&Self> {
        match (parts, self) {
            ([], node) => Some(node),
            ([first, rest @ ..], Self::Folder(entries)) => {
                let at = entries.binary_search_by(|(name, _)| name[..].cmp(first)).ok()?;
                entries[at].1.find(rest)
            }
            _ => None,
        }
    }

    /// The JSON form; `deep` with all that is in folders, otherwise only its names.
    #[must_use]
    pub fn to_json(&self, deep: bool) -> Value {
        self.json(deep, true)
    }

    fn json(&self, deep: bool, top: bool) -> Value {
        match self {
            Self::File { executable, size, offset } => {
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
            Self::Link(target) => {
                json!({ "target": String::from_utf8_lossy(target), "type": "symlink" })
            }
            Self::Folder(entries) => {
                let mut map = Map::new();
                if deep || top {
                    let entries: Map<String, Value> = entries
                        .iter()
                        .map(|(name, entry)| {
                            let shown = if deep { entry.json(true, false) } else { json!({}) };
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

    /// The text of a `.ls` file.
    #[must_use]
    pub fn to_listing(&self) -> String {
        json!({ "root": self.to_json(true), "version": 1 }).to_string()
    }
}

/// Counts bytes.
struct Counted<'a> {
    inner: &'a mut dyn Read,
    at: Rc<Cell<u64>>,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.at.set(self.at.get() + n as u64);
        Ok(n)
    }
}

struct Visitor {
    /// Folders that are still open, with the names under which they will be in their parents.
    open: Vec<(Vec<u8>, Entries)>,
    name: Vec<u8>,
    root: Option<Node>,
    at: Rc<Cell<u64>>,
}

impl Visitor {
    fn put(&mut self, name: Vec<u8>, node: Node) {
        match self.open.last_mut() {
            Some((_, entries)) => entries.push((name, node)),
            None => self.root = Some(node),
        }
    }
}

impl NarVisitor for Visitor {
    type Error = Error;

    fn file(&mut self, executable: bool, size: u64, _: &mut Contents<'_>) -> Result<(), Error> {
        let offset = Some(self.at.get());
        let name = std::mem::take(&mut self.name);
        self.put(name, Node::File { executable, size, offset });
        Ok(())
    }

    fn symlink(&mut self, target: &[u8]) -> Result<(), Error> {
        let name = std::mem::take(&mut self.name);
        self.put(name, Node::Link(target.to_vec()));
        Ok(())
    }

    fn begin_directory(&mut self) -> Result<(), Error> {
        let name = std::mem::take(&mut self.name);
        self.open.push((name, Vec::new()));
        Ok(())
    }

    fn begin_entry(&mut self, name: &[u8]) -> Result<(), Error> {
        self.name = name.to_vec();
        Ok(())
    }

    fn end_entry(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn end_directory(&mut self) -> Result<(), Error> {
        if let Some((name, entries)) = self.open.pop() {
            self.put(name, Node::Folder(entries));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nar::NarWriter;

    #[test]
    fn a_listing_is_that_of_cpp_nix() {
        let mut nar = Vec::new();
        let mut writer = NarWriter::new(&mut nar).unwrap();
        writer.begin_directory().unwrap();
        writer.begin_entry(b"a").unwrap();
        writer.file(false, 3, &mut &b"hi\n"[..]).unwrap();
        writer.end_entry().unwrap();
        writer.begin_entry(b"l").unwrap();
        writer.symlink(b"x").unwrap();
        writer.end_entry().unwrap();
        writer.begin_entry(b"sub").unwrap();
        writer.begin_directory().unwrap();
        writer.begin_entry(b"x").unwrap();
        writer.file(true, 2, &mut &b"#\n"[..]).unwrap();
        writer.end_entry().unwrap();
        writer.end_directory().unwrap();
        writer.end_entry().unwrap();
        writer.end_directory().unwrap();
        drop(writer);
        let root = Node::read(&mut &nar[..]).unwrap();
        assert_eq!(
            root.to_listing(),
            r##"{"root":{"entries":{"a":{"narOffset":232,"size":3,"type":"regular"},"l":{"target":"x","type":"symlink"},"sub":{"entries":{"x":{"executable":true,"narOffset":784,"size":2,"type":"regular"}},"type":"directory"}},"type":"directory"},"version":1}"##
        );
        assert_eq!(
            root.to_json(false).to_string(),
            r#"{"entries":{"a":{},"l":{},"sub":{}},"type":"directory"}"#
        );
        assert!(matches!(root.find(&[b"sub", b"x"]), Some(Node::File { offset: Some(784), .. })));
        assert!(root.find(&[b"sub", b"y"]).is_none() && root.find(&[b"a", b"x"]).is_none());
        assert_eq!(&nar[784..786], b"#\n");
    }
}
