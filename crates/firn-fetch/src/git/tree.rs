//! The files of a commit, written out as they are in the repository: no filters, no line-end conversion.

use super::program::{GitError, Repository, io, run};
use std::collections::{BTreeSet, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};
use std::process::Stdio;

/// What an entry of a commit's tree is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum EntryKind {
    File,
    Executable,
    Symlink,
    Directory,
    Submodule,
}

/// An entry of a commit's tree, directories before what is in them.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub kind: EntryKind,
    pub id: String,
    pub path: PathBuf,
}

/// All entries of a commit's tree.
pub(super) fn entries(repository: &Repository, rev: &str) -> Result<Vec<Entry>, GitError> {
    let listing = repository.output(&["ls-tree", "-r", "-t", "-z", "--full-tree", rev])?;
    let mut out = Vec::new();
    for line in listing.split(|b| *b == 0).filter(|l| !l.is_empty()) {
        let bad = || {
            GitError::Input(format!(
                "cannot understand the tree entry '{}' of commit '{rev}'",
                String::from_utf8_lossy(line)
            ))
        };
        let tab = line.iter().position(|b| *b == b'\t').ok_or_else(bad)?;
        let head = std::str::from_utf8(&line[..tab]).map_err(|_| bad())?;
        let mut words = head.split(' ');
        let (Some(mode), Some(_), Some(id)) = (words.next(), words.next(), words.next()) else {
            return Err(bad());
        };
        let kind = match mode {
            "040000" => EntryKind::Directory,
            "100755" => EntryKind::Executable,
            "120000" => EntryKind::Symlink,
            "160000" => EntryKind::Submodule,
            _ => EntryKind::File,
        };
        let path = PathBuf::from(OsStr::from_bytes(&line[tab + 1..]));
        // A tree object may hold any name; only plain ones are written.
        if !path.components().all(|c| matches!(c, Component::Normal(_))) {
            return Err(GitError::Input(format!(
                "commit '{rev}' has a file with the name '{}', which leads out of the tree",
                path.display()
            )));
        }
        out.push(Entry { kind, id: id.to_owned(), path });
    }
    Ok(out)
}

/// Writes a commit's tree beneath `out`, without what is marked `export-ignore` if `ignore` is set. Submodules
/// become empty folders; they are returned.
pub(super) fn write(
    repository: &Repository,
    rev: &str,
    ignore: bool,
    out: &Path,
) -> Result<Vec<Entry>, GitError> {
    let mut entries = entries(repository, rev)?;
    if ignore {
        let ignored = ignored(repository, rev, &entries)?;
        entries.retain(|e| !e.path.ancestors().any(|above| ignored.contains(above)));
    }
    let mut command = repository.command(&["cat-file", "--batch"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(GitError::Start)?;
    let (Some(mut ask), Some(answer)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(GitError::Input("'git cat-file' has no pipes".into()));
    };
    let mut answer = BufReader::with_capacity(1 << 16, answer);
    let mut written = || -> Result<(), GitError> {
        for entry in &entries {
            let path = out.join(&entry.path);
            match entry.kind {
                EntryKind::Directory | EntryKind::Submodule => {
                    fs::create_dir(&path).map_err(io("creating directory", &path))?;
                }
                _ => {
                    write_blob(entry.kind, &mut blob(&mut ask, &mut answer, &entry.id)?, &path)?;
                    let mut line_end = [0];
                    answer
                        .read_exact(&mut line_end)
                        .map_err(io("reading an object of", &repository.path))?;
                }
            }
        }
        Ok(())
    };
    let result = written();
    drop(ask);
    let status = child.wait().map_err(GitError::Start)?;
    result?;
    if !status.success() {
        return Err(GitError::Failed {
            status: status.to_string(),
            message: format!("cannot read the objects of '{}'", repository.path.display()),
        });
    }
    Ok(entries.into_iter().filter(|e| e.kind == EntryKind::Submodule).collect())
}

/// Asks for an object; gives a reader of its contents.
fn blob<'a, R: BufRead>(
    ask: &mut dyn Write,
    answer: &'a mut R,
    id: &str,
) -> Result<std::io::Take<&'a mut R>, GitError> {
    let path = Path::new(id);
    writeln!(ask, "{id}").and_then(|()| ask.flush()).map_err(io("asking for object", path))?;
    let mut head = String::new();
    answer.read_line(&mut head).map_err(io("reading object", path))?;
    let size = head.trim_end().rsplit(' ').next().and_then(|n| n.parse::<u64>().ok());
    match size {
        Some(size) => Ok(answer.take(size)),
        None => Err(GitError::Input(format!("the object '{id}' is missing from the repository"))),
    }
}

fn write_blob(kind: EntryKind, contents: &mut impl Read, path: &Path) -> Result<(), GitError> {
    if kind == EntryKind::Symlink {
        let mut target = Vec::new();
        contents.read_to_end(&mut target).map_err(io("reading the symlink", path))?;
        return std::os::unix::fs::symlink(OsStr::from_bytes(&target), path)
            .map_err(io("creating symlink", path));
    }
    let mode = if kind == EntryKind::Executable { 0o755 } else { 0o644 };
    // New files only: nothing is written through a symlink.
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .map_err(io("creating file", path))?;
    std::io::copy(contents, &mut file).map_err(io("writing file", path))?;
    Ok(())
}

/// The paths of a commit that its `.gitattributes` mark `export-ignore`.
fn ignored(
    repository: &Repository,
    rev: &str,
    entries: &[Entry],
) -> Result<HashSet<PathBuf>, GitError> {
    with_attribute(repository, rev, entries, "export-ignore", b"set")
}

/// The paths of a commit that have the attribute `name` with this value.
pub(super) fn marked(
    repository: &Repository,
    rev: &str,
    name: &str,
    value: &[u8],
) -> Result<BTreeSet<PathBuf>, GitError> {
    let entries = entries(repository, rev)?;
    Ok(with_attribute(repository, rev, &entries, name, value)?.into_iter().collect())
}

fn with_attribute(
    repository: &Repository,
    rev: &str,
    entries: &[Entry],
    name: &str,
    value: &[u8],
) -> Result<HashSet<PathBuf>, GitError> {
    if !entries.iter().any(|e| e.path.file_name() == Some(OsStr::new(".gitattributes"))) {
        return Ok(HashSet::new());
    }
    // Attributes as the commit has them: from an index of its own.
    let dir = tempfile::tempdir().map_err(io("creating a folder in", Path::new("/tmp")))?;
    let index = dir.path().join("index");
    run(repository.command(&["read-tree", rev]).env("GIT_INDEX_FILE", &index), None)?;
    let paths = entries.iter().map(|e| e.path.as_path());
    check_attribute(repository, Some(&index), paths, name, value)
}

/// Which of these paths have the attribute `name` with this value: by the index, or by the working tree.
pub(super) fn check_attribute<'a>(
    repository: &Repository,
    index: Option<&Path>,
    paths: impl Iterator<Item = &'a Path>,
    name: &str,
    value: &[u8],
) -> Result<HashSet<PathBuf>, GitError> {
    let mut input = Vec::new();
    for path in paths {
        input.extend_from_slice(path.as_os_str().as_bytes());
        input.push(0);
    }
    let mut command = match index {
        Some(index) => {
            let mut command =
                repository.command(&["check-attr", "--cached", "-z", "--stdin", name]);
            command.env("GIT_INDEX_FILE", index);
            command
        }
        None => repository.command(&["check-attr", "-z", "--stdin", name]),
    };
    let output = run(&mut command, Some(&input))?;
    let mut out = HashSet::new();
    let mut fields = output.split(|b| *b == 0);
    while let (Some(path), Some(_), Some(found)) = (fields.next(), fields.next(), fields.next()) {
        if found == value {
            out.insert(PathBuf::from(OsStr::from_bytes(path)));
        }
    }
    Ok(out)
}
