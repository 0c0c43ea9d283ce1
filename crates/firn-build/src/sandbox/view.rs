//! A view of this machine in which a store's contents are where its paths say, for programs from a
//! store that is kept elsewhere. Everything else is as it was; nothing is confined.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::Path;
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
    if !store_dir.is_dir() {
        // The host's root cannot be written to, so a new one is made of its parts.
        new_root(store_dir).map_err(named("cannot make a root for the store's view"))?;
        // A private root is in place; the real store is below it as before.
    }
    kernel::bind(real_store_dir, store_dir, false)
        .map_err(named("cannot mount the store's contents"))?;
    std::env::set_current_dir(&cwd).or_else(|_| std::env::set_current_dir("/"))
}

fn new_root(store_dir: &Path) -> io::Result<()> {
    let root = std::env::temp_dir().join(format!("firn-view-{}", std::process::id()));
    fs::create_dir_all(&root)?;
    kernel::mount("none", &root, "tmpfs", libc::MS_NOSUID | libc::MS_NODEV, "mode=0755")?;
    for entry in fs::read_dir("/")? {
        let entry = entry?;
        let target = root.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_symlink() {
            symlink(fs::read_link(entry.path())?, &target)?;
        } else if kind.is_dir() {
            fs::create_dir(&target)?;
            kernel::bind(&entry.path(), &target, false)?;
        } else {
            fs::File::create(&target)?;
            kernel::bind(&entry.path(), &target, false)?;
        }
    }
    let inside = root.join(store_dir.strip_prefix("/").unwrap_or(store_dir));
    // Only where the host has nothing can something be made.
    fs::create_dir_all(&inside)?;
    std::env::set_current_dir(&root)?;
    kernel::pivot_here()
}
