//! All files of a source tree that is copied to the store whole. What evaluation sees of such a tree begins with
//! the hash of everything in it, so all of it is an input.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::input::{Input, hash};
use crate::stamp::Stamp;

/// More files than this are not worth a look at each of them.
const MOST_FILES: usize = 500_000;

/// The hash of what is in a file, symlink or folder with this stamp.
pub(crate) fn contents(path: &Path, stamp: &Stamp) -> io::Result<String> {
    if stamp.is_file() {
        return Ok(hash(&std::fs::read(path)?));
    }
    if stamp.is_dir() {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(path)? {
            names.push(entry?.file_name());
        }
        names.sort();
        let mut text = Vec::new();
        for name in names {
            text.extend_from_slice(name.as_bytes());
            text.push(0);
        }
        return Ok(hash(&text));
    }
    Ok(hash(std::fs::read_link(path)?.as_os_str().as_bytes()))
}

/// A file of a tree as an input; `timed` if the time of its last change is one too. A regular file is read only if
/// it was changed a moment ago: then the stamp proves nothing.
pub(crate) fn member(path: &Path, timed: bool) -> io::Result<Input> {
    let found = match Stamp::at(path)? {
        None => None,
        Some(stamp) if stamp.is_file() && stamp.proves(&stamp) => Some((stamp, None)),
        Some(stamp) => Some((stamp, Some(contents(path, &stamp)?))),
    };
    Ok(Input::Member { path: path.to_owned(), timed, found })
}

/// All that is in a folder, or the one file; see [`member`] for `timed`.
///
/// # Errors
/// If something cannot be read, or there is too much of it.
pub(crate) fn folder(path: &Path, timed: bool) -> io::Result<Vec<Input>> {
    let mut inputs = Vec::new();
    let mut todo = vec![path.to_owned()];
    while let Some(path) = todo.pop() {
        if inputs.len() > MOST_FILES {
            return Err(io::Error::other("too many files"));
        }
        let input = member(&path, timed)?;
        if let Input::Member { found: Some((stamp, _)), .. } = &input
            && stamp.is_dir()
        {
            for entry in std::fs::read_dir(&path)? {
                todo.push(entry?.path());
            }
        }
        inputs.push(input);
    }
    Ok(inputs)
}

/// Git's list of the files that it tracks, with what it knows of each.
pub(crate) fn tracked_files(root: &Path) -> Option<Vec<u8>> {
    let mut git = Command::new("git");
    for name in [
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_COMMON_DIR",
        "GIT_NAMESPACE",
        "GIT_PREFIX",
    ] {
        git.env_remove(name);
    }
    git.arg("-C").arg(root);
    git.args(["-c", "core.fsmonitor=false", "ls-files", "-z", "--stage", "-v"]);
    git.stdin(Stdio::null()).stderr(Stdio::null());
    let output = git.output().ok()?;
    output.status.success().then_some(output.stdout)
}

/// A Git working tree: what is tracked, what the files are, which commit is checked out. `None` if that cannot
/// be told without knowing more of Git.
///
/// # Errors
/// If something cannot be read.
pub(crate) fn git(root: &Path, attributes: bool) -> io::Result<Option<Vec<Input>>> {
    let Some(git_dir) = git_dir(root)? else { return Ok(None) };
    let common = match std::fs::read(git_dir.join("commondir")) {
        Ok(text) => git_dir.join(OsStr::from_bytes(text.trim_ascii())),
        Err(_) => git_dir.clone(),
    };
    // another format of references
    if common.join("reftable").exists() {
        return Ok(None);
    }
    let head_file = git_dir.join("HEAD");
    let index = git_dir.join("index");
    let mut inputs = vec![
        file(&head_file)?,
        file(&common.join("packed-refs"))?,
        file(&common.join("config"))?,
        file(&common.join("shallow"))?,
    ];
    let head = std::fs::read(&head_file)?;
    if let Some(name) = head.trim_ascii().strip_prefix(b"ref: ") {
        inputs.push(file(&common.join(OsStr::from_bytes(name)))?);
    }
    let stamp = Stamp::at(&index)?;
    let Some(list) = tracked_files(root) else { return Ok(None) };
    let mut folders: BTreeSet<PathBuf> = BTreeSet::new();
    for line in list.split(|b| *b == 0).filter(|line| !line.is_empty()) {
        // TAG MODE ID STAGE<tab>PATH
        let Some(tab) = line.iter().position(|b| *b == b'\t') else { return Ok(None) };
        // a submodule's folder is not part of the tree
        if line.get(2..8) == Some(b"160000") {
            continue;
        }
        let path = root.join(OsStr::from_bytes(&line[tab + 1..]));
        if attributes {
            let inside = path.ancestors().skip(1).take_while(|above| above.starts_with(root));
            folders.extend(inside.map(Path::to_owned));
        }
        inputs.push(member(&path, false)?);
    }
    if attributes {
        inputs.push(file(&common.join("info/attributes"))?);
        for folder in folders {
            inputs.push(file(&folder.join(".gitattributes"))?);
        }
    }
    inputs.push(Input::Tracked { path: root.to_owned(), index, stamp, hash: hash(&list) });
    Ok(Some(inputs))
}

/// Where Git keeps what it knows of a working tree.
fn git_dir(root: &Path) -> io::Result<Option<PathBuf>> {
    let entry = root.join(".git");
    match Stamp::behind(&entry)? {
        Some(stamp) if stamp.is_dir() => Ok(Some(entry)),
        Some(stamp) if stamp.is_file() => {
            let text = std::fs::read(&entry)?;
            let target = text.trim_ascii().strip_prefix(b"gitdir:").map(<[u8]>::trim_ascii);
            Ok(target.map(|target| root.join(OsStr::from_bytes(target))))
        }
        _ => Ok(None),
    }
}

/// The contents of a file, or that there is none, as an input.
pub(crate) fn file(path: &Path) -> io::Result<Input> {
    let found = match Stamp::behind(path)? {
        None => None,
        Some(stamp) => Some((stamp, hash(&std::fs::read(path)?))),
    };
    Ok(Input::File { path: path.to_owned(), found })
}
