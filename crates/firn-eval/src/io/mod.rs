//! What evaluation needs from the world: files, the store, the environment.
//!
//! The machine reaches all of it through [`EvalIo`]. [`DryIo`] is the implementation without a store: it
//! computes store paths and writes nothing.

mod dry;
mod guard;
pub mod tree;

pub use dry::{DryIo, computed_path};
pub use guard::{Forbidden, GuardedIo};

use crate::context::DerivedPath;
use crate::error::Result;
use crate::trees::LazyTree;
use firn_model::input::Input;
use firn_model::{Derivation, Hash, HashAlgo, Method, StoreDir, StorePath};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a directory entry is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum FileKind {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A device, socket or pipe.
    Other,
}

impl FileKind {
    /// As `builtins.readFileType` names it.
    pub const fn name(self) -> &'static str {
        match self {
            FileKind::Regular => "regular",
            FileKind::Directory => "directory",
            FileKind::Symlink => "symlink",
            FileKind::Other => "unknown",
        }
    }
}

impl From<std::fs::FileType> for FileKind {
    fn from(t: std::fs::FileType) -> FileKind {
        if t.is_file() {
            FileKind::Regular
        } else if t.is_dir() {
            FileKind::Directory
        } else if t.is_symlink() {
            FileKind::Symlink
        } else {
            FileKind::Other
        }
    }
}

/// Decides which files of a tree are taken: called for each entry below the root, parents first, in the
/// order of names.
pub type Filter<'a> = &'a mut dyn FnMut(&Path, FileKind) -> Result<bool>;

/// A file or tree to put into the store.
pub struct AddPath<'a> {
    /// The name in the store.
    pub name: &'a str,
    /// What to add; a symlink is added as one.
    pub path: &'a Path,
    /// How its address is computed.
    pub method: Method,
    /// The hash of the address.
    pub algo: HashAlgo,
    /// What it refers to in the store.
    pub references: &'a BTreeSet<StorePath>,
    /// Only compute the path.
    pub dry: bool,
}

/// A file to fetch.
#[derive(Clone, Debug)]
pub struct Fetch<'a> {
    /// Where from.
    pub url: &'a str,
    /// The name in the store.
    pub name: &'a str,
    /// Whether to unpack it.
    pub unpack: bool,
    /// What the file (or the unpacked tree's NAR) must hash to.
    pub hash: Option<firn_model::Hash>,
}

/// A tree that was fetched.
#[derive(Clone, Debug)]
pub struct FetchedTree {
    /// Where it is.
    pub place: TreePlace,
    /// What it was fetched from, with all that became known: commit, hash of the tree, time. Of a tree that is not
    /// in the store yet, what follows from its contents is missing.
    pub input: Input,
}

/// Where a fetched tree is.
#[derive(Clone, Debug)]
pub enum TreePlace {
    /// In the store.
    Stored(StorePath),
    /// On this machine, until somebody asks for its store path.
    Lazy(Arc<LazyTree>),
}

impl FetchedTree {
    /// A tree that is in the store.
    pub fn stored(path: StorePath, input: Input) -> FetchedTree {
        FetchedTree { place: TreePlace::Stored(path), input }
    }

    /// The folder by which evaluation knows it.
    pub fn root(&self, store_dir: &StoreDir) -> PathBuf {
        match &self.place {
            TreePlace::Stored(path) => PathBuf::from(store_dir.print(path)),
            TreePlace::Lazy(tree) => tree.root().to_owned(),
        }
    }

    /// Its store path; it is in the store then.
    ///
    /// # Errors
    /// If it cannot be copied.
    pub fn store_path(&self) -> Result<StorePath> {
        match &self.place {
            TreePlace::Stored(path) => Ok(path.clone()),
            TreePlace::Lazy(tree) => Ok(tree.settle()?.path),
        }
    }

    /// The same tree in the store, with all that is known of it.
    ///
    /// # Errors
    /// If it cannot be copied.
    pub fn settled(&self) -> Result<FetchedTree> {
        match &self.place {
            TreePlace::Stored(_) => Ok(self.clone()),
            TreePlace::Lazy(tree) => {
                let settled = tree.settle()?;
                Ok(FetchedTree::stored(settled.path, settled.input))
            }
        }
    }
}

/// Something that evaluation depends on and does not reach through [`EvalIo`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outside<'a> {
    /// A file that was read, or found absent, by other means.
    File(&'a Path),
    /// Something that may be otherwise the next time, in a few words.
    Unrepeatable(&'static str),
}

/// What a derivation's file is to hold.
#[derive(Debug)]
pub struct Contents {
    /// The derivation in the ATerm form.
    pub text: Vec<u8>,
    /// The SHA-256 of that.
    pub hash: Hash,
}

/// The world, as evaluation sees it. File names are absolute.
pub trait EvalIo: Send + Sync {
    /// The store's directory.
    fn store_dir(&self) -> &StoreDir;

    /// The whole contents of a file. Follows symlinks.
    ///
    /// # Errors
    /// As the operating system reports them.
    fn read_file(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(self.real(path))
    }

    /// What is there, without following a symlink; `None` where there is nothing.
    ///
    /// # Errors
    /// As the operating system reports them, but for what means that there is nothing.
    fn kind(&self, path: &Path) -> io::Result<Option<FileKind>> {
        match std::fs::symlink_metadata(self.real(path)) {
            Ok(meta) => Ok(Some(meta.file_type().into())),
            Err(e)
                if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
            {
                Ok(None)
            }
            Err(e) => Err(e),
        }
    }

    /// Where a symlink points.
    ///
    /// # Errors
    /// As the operating system reports them.
    fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        std::fs::read_link(self.real(path))
    }

    /// The entries of a directory, in any order.
    ///
    /// # Errors
    /// As the operating system reports them.
    fn read_dir(&self, path: &Path) -> io::Result<Vec<(OsString, FileKind)>> {
        std::fs::read_dir(self.real(path))?
            .map(|entry| {
                let entry = entry?;
                Ok((entry.file_name(), entry.file_type()?.into()))
            })
            .collect()
    }

    /// Where a path of the store really is, if the store is not at its logical place.
    fn real(&self, path: &Path) -> PathBuf {
        path.to_owned()
    }

    /// Puts a file or tree into the store.
    ///
    /// # Errors
    /// What reading, the filter or the store raise.
    fn add_path(&self, what: &AddPath<'_>, filter: Option<Filter<'_>>) -> Result<StorePath>;

    /// Puts a text into the store.
    ///
    /// # Errors
    /// A bad name, or what the store raises.
    fn add_text(
        &self,
        name: &str,
        text: &[u8],
        references: &BTreeSet<StorePath>,
        dry: bool,
    ) -> Result<StorePath>;

    /// Writes a derivation, whose path is known already, unless it is there.
    ///
    /// # Errors
    /// What the store raises.
    fn write_derivation(
        &self,
        derivation: &Derivation,
        path: &StorePath,
        contents: Contents,
    ) -> Result<()>;

    /// Waits until all that was added to the store is there.
    ///
    /// # Errors
    /// If one could not be.
    fn flush(&self) -> Result<()>;

    /// Reads a derivation from the store.
    ///
    /// # Errors
    /// If it is not there or damaged.
    fn read_derivation(&self, path: &StorePath) -> Result<Derivation>;

    /// Whether a path is in the store.
    fn is_valid(&self, path: &StorePath) -> bool;

    /// Gets a path from a substituter if it is not in the store.
    ///
    /// # Errors
    /// If that cannot be.
    fn ensure(&self, path: &StorePath) -> Result<()>;

    /// What a path in the store refers to; empty if that is not known.
    fn references(&self, path: &StorePath) -> BTreeSet<StorePath>;

    /// All that a path needs, itself included.
    ///
    /// # Errors
    /// If it is not in the store.
    fn closure(&self, path: &StorePath) -> Result<BTreeSet<StorePath>>;

    /// Builds outputs of derivations, and says where they are.
    ///
    /// # Errors
    /// If building is not possible here, or fails.
    fn realise(&self, outputs: &[(DerivedPath, Box<str>)]) -> Result<Vec<StorePath>>;

    /// Fetches a file into the store.
    ///
    /// # Errors
    /// If fetching is not possible here, or fails.
    fn fetch(&self, what: &Fetch<'_>) -> Result<StorePath>;

    /// Fetches a tree into the store.
    ///
    /// # Errors
    /// If fetching is not possible here, or fails.
    fn fetch_tree(&self, input: &Input) -> Result<FetchedTree> {
        Err(crate::error::Error::new(
            crate::error::Kind::Io,
            format!("cannot fetch '{}' because there is no store to fetch into", input.shown()),
        ))
    }

    /// As [`EvalIo::fetch_tree`], but a tree of this machine need not be copied to the store before somebody asks for
    /// its store path.
    ///
    /// # Errors
    /// As [`EvalIo::fetch_tree`].
    fn open_tree(&self, input: &Input) -> Result<FetchedTree> {
        self.fetch_tree(input)
    }

    /// Copies the closure of a path from the store at an address, unless it is valid. With `rewrite` all of it is made
    /// content-addressed on the way. Gives what the path is called here.
    ///
    /// # Errors
    /// If that is not possible here, or fails.
    fn fetch_closure(&self, from: &str, path: &StorePath, rewrite: bool) -> Result<StorePath> {
        let _ = (path, rewrite);
        Err(crate::error::Error::new(
            crate::error::Kind::Io,
            format!("cannot fetch from '{from}' because there is no store to fetch into"),
        ))
    }

    /// Whether a valid path follows from its contents.
    ///
    /// # Errors
    /// If it is not valid, or that cannot be known here.
    fn is_content_addressed(&self, path: &StorePath) -> Result<bool> {
        Err(crate::error::Error::new(
            crate::error::Kind::Io,
            format!("path '{}' is not valid", self.store_dir().print(path)),
        ))
    }

    /// Runs a program and gives what it prints; for `builtins.exec`.
    ///
    /// # Errors
    /// If it cannot be started or fails.
    fn run_program(&self, program: &str, args: &[String]) -> Result<Vec<u8>> {
        let failed = |why: String| {
            crate::error::Error::new(crate::error::Kind::Io, format!("program '{program}' {why}"))
        };
        let output = std::process::Command::new(program)
            .args(args)
            .stdin(std::process::Stdio::null())
            .stderr(std::process::Stdio::inherit())
            .output()
            .map_err(|e| failed(format!("cannot be started: {e}")))?;
        match output.status.code() {
            Some(0) => Ok(output.stdout),
            Some(code) => Err(failed(format!("failed with exit code {code}"))),
            None => Err(failed("was killed by a signal".into())),
        }
    }

    /// Lets a path be read, where evaluation is restricted.
    fn allow(&self, _path: &Path) {}

    /// Whether a path may be read, where evaluation is restricted.
    ///
    /// # Errors
    /// If it may not.
    fn check_path(&self, _path: &Path) -> Result<()> {
        Ok(())
    }

    /// Tells of something that evaluation depends on, for whoever wants to know whether it would come to the
    /// same again.
    fn note(&self, _what: Outside<'_>) {}

    /// An environment variable.
    fn env(&self, name: &str) -> Option<OsString> {
        std::env::var_os(name)
    }

    /// Shows a message of the program: `trace: …`, warnings.
    fn message(&self, text: &[u8]);

    /// Shows no messages from now on: an evaluation is done again.
    fn silence(&self);
}
