//! What an action made, from the server's messages to files on this machine. Nothing in these messages is believed:
//! they must be what their names say, and names of files must be plain.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

use crate::api::{BlobId, re};
use crate::client::{Client, Wanted};
use crate::error::{Error, Result};
use crate::wire::proto::{Malformed, Message as _};

/// How many files, links and folders there may be.
const MOST: usize = 20_000_000;

/// Fetches the folder `name` of what an action made, and puts what is in it into `places`. What has no place is left.
///
/// # Errors
/// When it cannot be had, or makes no sense.
pub async fn place_outputs(
    client: &Client,
    result: &re::ActionResult,
    name: &str,
    places: &BTreeMap<String, PathBuf>,
) -> Result<()> {
    let Some(folder) = result.output_directories.iter().find(|folder| folder.path == name) else {
        // an empty folder need not be told
        return Ok(());
    };
    let digest = folder
        .tree_digest
        .as_ref()
        .ok_or_else(|| Error::Answer("the outputs have no tree".into()))?;
    let id = BlobId::try_from(digest).map_err(Error::Answer)?;
    let tree = client.fetch(id).await?;
    let files = Writing::new(&tree)?.outputs(places)?;
    client.fetch_files(files).await
}

struct Writing {
    root: re::Directory,
    folders: HashMap<BlobId, re::Directory>,
    files: Vec<Wanted>,
    count: usize,
}

impl Writing {
    fn new(tree: &[u8]) -> Result<Self> {
        let bad = |e: Malformed| Error::Answer(format!("the tree of the outputs: {e}"));
        let raw = re::Tree::decode(tree).map_err(bad)?;
        let mut folders = HashMap::new();
        for child in &raw.children {
            folders.insert(BlobId::of(child), re::Directory::decode(child).map_err(bad)?);
        }
        let root = re::Directory::decode(&raw.root).map_err(bad)?;
        Ok(Self { root, folders, files: Vec::new(), count: 0 })
    }

    /// Makes the folders and links of those outputs that have a place; gives the files to be fetched.
    fn outputs(mut self, places: &BTreeMap<String, PathBuf>) -> Result<Vec<Wanted>> {
        let root = std::mem::take(&mut self.root);
        self.folder(&root, 0, &|name| places.get(name).cloned())?;
        Ok(self.files)
    }

    fn folder(
        &mut self,
        folder: &re::Directory,
        depth: usize,
        place: &dyn Fn(&str) -> Option<PathBuf>,
    ) -> Result<()> {
        if depth > super::MAX_DEPTH {
            return Err(Error::Answer("the outputs are too deep".into()));
        }
        let mut names = BTreeSet::new();
        let mut plain = |name: &str| -> Result<Option<PathBuf>> {
            if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
                return Err(Error::Answer(format!("an output has a file '{name:?}'")));
            }
            if !names.insert(name.to_owned()) {
                return Err(Error::Answer(format!("an output has two files '{name}'")));
            }
            self.count += 1;
            if self.count > MOST {
                return Err(Error::Answer(format!("the outputs have more than {MOST} files")));
            }
            Ok(place(name))
        };
        for file in &folder.files {
            let Some(path) = plain(&file.name)? else { continue };
            let id = known(file.digest.as_ref())?;
            self.files.push(Wanted { id, path, executable: file.is_executable });
        }
        for link in &folder.symlinks {
            let Some(path) = plain(&link.name)? else { continue };
            if link.target.is_empty() || link.target.contains('\0') {
                return Err(Error::Answer(format!("the link '{}' leads nowhere", link.name)));
            }
            symlink(&link.target, &path).map_err(Error::file("creating", &path))?;
        }
        let mut inside = Vec::new();
        for sub in &folder.directories {
            let Some(path) = plain(&sub.name)? else { continue };
            inside.push((path, known(sub.digest.as_ref())?));
        }
        for (path, id) in inside {
            make_folder(&path)?;
            let found = match id.size {
                0 => re::Directory::default(),
                _ => self.folders.get(&id).cloned().ok_or_else(|| {
                    Error::Answer(format!("the tree of the outputs lacks the folder {id}"))
                })?,
            };
            self.folder(&found, depth + 1, &|name| Some(path.join(name)))?;
        }
        Ok(())
    }
}

fn known(digest: Option<&re::Digest>) -> Result<BlobId> {
    let digest = digest.ok_or_else(|| Error::Answer("an output has no digest".into()))?;
    BlobId::try_from(digest).map_err(Error::Answer)
}

fn make_folder(path: &Path) -> Result<()> {
    std::fs::DirBuilder::new().mode(0o755).create(path).map_err(Error::file("creating", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> re::FileNode {
        re::FileNode {
            name: name.into(),
            digest: Some(BlobId::of(b"x").into()),
            ..re::FileNode::default()
        }
    }

    fn folder(name: &str, of: &re::Directory) -> re::DirectoryNode {
        re::DirectoryNode { name: name.into(), digest: Some(BlobId::of(&of.encode()).into()) }
    }

    fn write(root: re::Directory, children: Vec<re::Directory>) -> Result<Vec<String>> {
        let dir = tempfile::tempdir().unwrap();
        let children = children.iter().map(re::Directory::encode).collect();
        let tree = re::Tree { root: root.encode(), children };
        let places = ["out", "dev"].map(|name| (name.to_owned(), dir.path().join(name))).into();
        let files = Writing::new(&tree.encode())?.outputs(&places)?;
        let shown = |w: &Wanted| w.path.strip_prefix(dir.path()).unwrap().display().to_string();
        Ok(files.iter().map(shown).collect())
    }

    #[test]
    fn outputs_find_their_places() {
        let inner = re::Directory { files: vec![file("f")], ..re::Directory::default() };
        let root = re::Directory {
            files: vec![file("dev"), file("other")],
            directories: vec![folder("out", &inner)],
            ..re::Directory::default()
        };
        assert_eq!(write(root.clone(), vec![inner]).unwrap(), ["dev", "out/f"]);
        let error = write(root, vec![]).unwrap_err().to_string();
        assert!(error.contains("lacks the folder"), "{error}");
    }

    #[test]
    fn names_must_be_plain() {
        for name in ["..", ".", "", "a/b", "/etc/passwd", "a\0"] {
            let inner = re::Directory { files: vec![file(name)], ..re::Directory::default() };
            let root = re::Directory {
                directories: vec![folder("out", &inner)],
                ..re::Directory::default()
            };
            assert!(write(root, vec![inner]).is_err(), "{name:?}");
        }
    }

    #[test]
    fn nothing_is_written_through_a_link() {
        let inner = re::Directory {
            files: vec![file("l")],
            symlinks: vec![re::SymlinkNode { name: "l".into(), target: "/tmp/elsewhere".into() }],
            ..re::Directory::default()
        };
        let root =
            re::Directory { directories: vec![folder("out", &inner)], ..re::Directory::default() };
        let error = write(root, vec![inner]).unwrap_err().to_string();
        assert!(error.contains("two files 'l'"), "{error}");
    }
}
