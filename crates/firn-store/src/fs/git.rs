//! Hashing a tree as Git does: blobs of contents, trees of entries (experimental feature `git-hashing`).
//!
//! The forms are those of Git's object store; a link is a blob of its target.

use std::io::Read;
use std::path::Path;

use firn_model::hash::{Hash, HashAlgo, Hasher};

use super::BUFFER;
use super::dump::{TreeSink, walk};
use crate::error::{Error, Result};
use crate::store::SourceFilter;

/// The hash of the Git object that the file, link or directory at `path` would be, with what `filter` leaves.
///
/// # Errors
/// If something there cannot be read or be in a store, or `filter` fails.
pub fn git_hash(
    path: &Path,
    algo: HashAlgo,
    filter: Option<&mut SourceFilter<'_>>,
) -> Result<Hash> {
    let mut sink = GitSink { algo, open: Vec::new(), names: Vec::new(), done: None };
    walk(path, &mut sink, filter)?;
    match sink.done {
        Some((_, hash)) => Ok(hash),
        None => Err(Error::Format(format!("path '{}' does not exist", path.display()))),
    }
}

/// What an entry of a tree is, as trees write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Regular,
    Executable,
    Symlink,
    Directory,
}

impl Kind {
    fn mode(self) -> &'static [u8] {
        match self {
            Self::Regular => b"100644",
            Self::Executable => b"100755",
            Self::Symlink => b"120000",
            Self::Directory => b"40000",
        }
    }
}

struct Entry {
    name: Vec<u8>,
    kind: Kind,
    hash: Hash,
}

impl Entry {
    /// Trees are sorted as if the names of directories ended in a slash.
    fn key(&self) -> Vec<u8> {
        let mut key = self.name.clone();
        if self.kind == Kind::Directory {
            key.push(b'/');
        }
        key
    }
}

struct GitSink {
    algo: HashAlgo,
    /// The entries so far of the directories that are open.
    open: Vec<Vec<Entry>>,
    /// The names of the entries that are open.
    names: Vec<Vec<u8>>,
    done: Option<(Kind, Hash)>,
}

impl GitSink {
    fn object(&self, kind: &str, size: u64) -> Hasher {
        let mut hasher = Hasher::new(self.algo);
        hasher.update(format!("{kind} {size}\0").as_bytes());
        hasher
    }
}

impl TreeSink for GitSink {
    fn file(&mut self, executable: bool, size: u64, contents: &mut dyn Read) -> Result<()> {
        let mut hasher = self.object("blob", size);
        let mut buffer = vec![0; BUFFER.min(usize::try_from(size).unwrap_or(BUFFER)).max(1)];
        let mut left = size;
        let mut contents = contents.take(size);
        while left > 0 {
            match contents.read(&mut buffer) {
                Ok(0) => {
                    return Err(Error::Format(
                        "a file became shorter while it was read".to_owned(),
                    ));
                }
                Ok(got) => {
                    hasher.update(&buffer[..got]);
                    left -= got as u64;
                }
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Error::stream("reading a file")(e)),
            }
        }
        let kind = if executable { Kind::Executable } else { Kind::Regular };
        self.done = Some((kind, hasher.finish()));
        Ok(())
    }

    fn symlink(&mut self, target: &[u8]) -> Result<()> {
        let mut hasher = self.object("blob", target.len() as u64);
        hasher.update(target);
        self.done = Some((Kind::Symlink, hasher.finish()));
        Ok(())
    }

    fn begin_directory(&mut self) -> Result<()> {
        self.open.push(Vec::new());
        Ok(())
    }

    fn begin_entry(&mut self, name: &[u8]) -> Result<()> {
        self.names.push(name.to_vec());
        Ok(())
    }

    fn end_entry(&mut self) -> Result<()> {
        if let (Some(name), Some((kind, hash)), Some(entries)) =
            (self.names.pop(), self.done.take(), self.open.last_mut())
        {
            entries.push(Entry { name, kind, hash });
        }
        Ok(())
    }

    fn end_directory(&mut self) -> Result<()> {
        let mut entries = self.open.pop().unwrap_or_default();
        entries.sort_by_key(Entry::key);
        let mut text = Vec::new();
        for entry in &entries {
            text.extend_from_slice(entry.kind.mode());
            text.push(b' ');
            text.extend_from_slice(&entry.name);
            text.push(0);
            text.extend_from_slice(entry.hash.as_bytes());
        }
        let mut hasher = self.object("tree", text.len() as u64);
        hasher.update(&text);
        self.done = Some((Kind::Directory, hasher.finish()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    // The values are what `git rev-parse HEAD:…` gives.
    #[test]
    fn hashes_are_those_of_git() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        std::fs::create_dir(&tree).unwrap();
        std::fs::write(tree.join("hello"), "Hello World\n").unwrap();
        std::fs::write(tree.join("executable"), "Run Hello World\n").unwrap();
        std::fs::set_permissions(tree.join("executable"), PermissionsExt::from_mode(0o755))
            .unwrap();
        let of = |path: &Path, algo| git_hash(path, algo, None).unwrap().to_base16();
        assert_eq!(
            of(&tree.join("hello"), HashAlgo::Sha1),
            "557db03de997c86a4a028e1ebd3a1ceb225be238"
        );
        assert_eq!(of(&tree, HashAlgo::Sha1), "e5c0a11a556801a5c9dcf330ca9d7e2c572697f4");
        assert_eq!(
            of(&tree, HashAlgo::Sha256),
            "cd79952f42462467d0ea574b0283bb6eb77e15b2b86891e29f2b981650365474"
        );
    }

    #[test]
    fn directories_are_sorted_with_a_slash_behind_them() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("a")).unwrap();
        std::fs::write(dir.path().join("a").join("x"), "").unwrap();
        std::fs::write(dir.path().join("a.b"), "").unwrap();
        symlink("x", dir.path().join("a-b")).unwrap();
        // "a-b", "a.b", then "a/"
        let expected = {
            let hash = |kind: &str, data: &[u8]| {
                let mut hasher = Hasher::new(HashAlgo::Sha1);
                hasher.update(format!("{kind} {}\0", data.len()).as_bytes());
                hasher.update(data);
                hasher.finish()
            };
            let (empty, link) = (hash("blob", b""), hash("blob", b"x"));
            let inner = [b"100644 x\0", empty.as_bytes()].concat();
            let inner = hash("tree", &inner);
            let text = [
                &b"120000 a-b\0"[..],
                link.as_bytes(),
                b"100644 a.b\0",
                empty.as_bytes(),
                b"40000 a\0",
                inner.as_bytes(),
            ];
            hash("tree", &text.concat())
        };
        assert_eq!(git_hash(dir.path(), HashAlgo::Sha1, None).unwrap(), expected);
    }
}
