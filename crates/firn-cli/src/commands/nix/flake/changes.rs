//! What makes a Git working tree another than its commit, as one text: a part of a flake's fingerprint.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use firn_model::hash::{HashAlgo, Hasher};
use firn_store::fs::dump_path;

/// The commit that is checked out in `tree` (zeros if there is none), and a hash of the names and contents of
/// files that Git tracks and that are other than in it. `None` if Git does not tell, or there are submodules,
/// about which nothing is known here.
pub fn changes(tree: &Path) -> Option<(String, String)> {
    if tree.join(".gitmodules").exists() {
        return None;
    }
    let head = git(tree, &["rev-parse", "--verify", "--quiet", "HEAD"])
        .map_or_else(|| "0".repeat(40), |out| String::from_utf8_lossy(&out).trim().to_owned());
    let status = [
        "status",
        "--porcelain=v1",
        "-z",
        "--no-renames",
        "--untracked-files=no",
        "--ignore-submodules=all",
    ];
    let (mut modified, mut deleted) = (Vec::new(), Vec::new());
    for entry in git(tree, &status)?.split(|byte| *byte == 0).filter(|entry| entry.len() > 3) {
        let (state, name) = (&entry[..2], entry[3..].to_owned());
        if state.contains(&b'D') { deleted.push(name) } else { modified.push(name) }
    }
    // C++ Nix sorts what is in a folder before what has the folder's name as the beginning of its own.
    let order = |name: &Vec<u8>| -> Vec<i8> {
        name.iter().map(|byte| if *byte == b'/' { 0 } else { byte.cast_signed() }).collect()
    };
    modified.sort_by_key(order);
    deleted.sort_by_key(order);
    let mut hasher = Hasher::new(HashAlgo::Sha512);
    for name in &modified {
        string(&mut hasher, b"modified:");
        string(&mut hasher, &[b"/", &name[..]].concat());
        dump_path(&tree.join(OsStr::from_bytes(name)), &mut hasher).ok()?;
    }
    for name in &deleted {
        string(&mut hasher, b"deleted:");
        string(&mut hasher, &[b"/", &name[..]].concat());
    }
    Some((head, hasher.finish().to_base16()))
}

/// Hashes a string as it is in archives: its length, and itself up to a multiple of eight bytes.
fn string(hasher: &mut Hasher, text: &[u8]) {
    hasher.update(&(text.len() as u64).to_le_bytes());
    hasher.update(text);
    hasher.update(&[0; 8][..text.len().next_multiple_of(8) - text.len()]);
}

/// What Git prints, if it succeeds.
fn git(tree: &Path, args: &[&str]) -> Option<Vec<u8>> {
    let mut command = Command::new("git");
    command.arg("-C").arg(tree).args(args).stdin(Stdio::null()).stderr(Stdio::null());
    // the caller may work in another repository
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        command.env_remove(name);
    }
    let output = command.output().ok()?;
    output.status.success().then_some(output.stdout)
}
