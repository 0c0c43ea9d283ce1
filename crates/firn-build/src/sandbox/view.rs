//! A view of this machine in which a store's contents are where its paths say, for programs from a
//! store that is kept elsewhere. Everything else is as it was; nothing is confined.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::kernel::{self, check};

/// Runs `program` with `args` in this process's place, with `real_store_dir` mounted at
/// `store_dir`. Returns only if that fails. This process must have one thread.
pub fn exec_in_store(
    store_dir: &Path,
    real_store_dir: &Path,
    program: &OsString,
    args: &[OsString],
) -> io::Error {
    match enter(store_dir, real_store_dir) {
        Ok(()) => Command::new(program).args(args).exec(),
        Err(error) => error,
    }
}

fn enter(store_dir: &Path, real_store_dir: &Path) -> io::Result<()> {
    let named = |what: &str| {
        let what = what.to_owned();
        move |e: io::Error| io::Error::new(e.kind(), format!("{what}: {e}"))
    };
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let cwd = std::env::current_dir()?;
    let user = if uid == 0 { 0 } else { libc::CLONE_NEWUSER };
    // SAFETY: no memory is passed; it fails if there are other threads.
    check(unsafe { libc::unshare(libc::CLONE_NEWNS | user) }.into())
        .map_err(named("cannot make a mount namespace"))?;
    if user != 0 {
        fs::write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/gid_map", format!("{gid} {gid} 1"))?;
    }
    kernel::mount("none", Path::new("/"), "", libc::MS_PRIVATE | libc::MS_REC, "")?;
    let contents = kernel::clone_tree(real_store_dir, false)?;
    if !store_dir.is_dir() {
        // The host's root cannot be written to, so a new one is made of its parts.
        new_root(store_dir, real_store_dir)
            .map_err(named("cannot make a root for the store's view"))?;
    }
    kernel::attach_tree(&contents, store_dir)
        .map_err(named("cannot mount the store's contents"))?;
    std::env::set_current_dir(&cwd).or_else(|_| std::env::set_current_dir("/"))
}

/// What the host's root has, in a root that also has `store_dir`. `place` is any directory.
///
/// The parts are copied before the new root is mounted anywhere, so that they do not have it below
/// them: a copy of the whole machine within one of its folders would be deleted with that folder.
fn new_root(store_dir: &Path, place: &Path) -> io::Result<()> {
    enum Part {
        Link(PathBuf),
        Tree { tree: OwnedFd, is_dir: bool },
    }
    let mut parts = Vec::new();
    for entry in fs::read_dir("/")? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let part = if kind.is_symlink() {
            Part::Link(fs::read_link(entry.path())?)
        } else {
            Part::Tree { tree: kernel::clone_tree(&entry.path(), false)?, is_dir: kind.is_dir() }
        };
        parts.push((entry.file_name(), part));
    }
    kernel::mount("none", place, "tmpfs", libc::MS_NOSUID | libc::MS_NODEV, "mode=0755")?;
    for (name, part) in parts {
        let target = place.join(name);
        match part {
            Part::Link(to) => symlink(to, &target)?,
            Part::Tree { tree, is_dir } => {
                if is_dir {
                    fs::create_dir(&target)?;
                } else {
                    fs::File::create(&target)?;
                }
                kernel::attach_tree(&tree, &target)?;
            }
        }
    }
    // A part of the way that the host has is the host's own directory: making something in it takes
    // the right to do so, and is an error without it.
    let mut way = place.to_owned();
    for part in store_dir.strip_prefix("/").unwrap_or(store_dir).components() {
        way.push(part);
        if !way.is_dir() {
            fs::create_dir(&way)?;
        }
    }
    std::env::set_current_dir(place)?;
    kernel::pivot_here()
}
