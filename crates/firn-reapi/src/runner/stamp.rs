//! Inputs get the permissions and the time that files in a store have: the protocol carries neither, and builders see
//! both.

use std::ffi::CString;
use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use firn_store::fs::STORE_TIME;

/// Stamps `path` and all below it.
///
/// A file that belongs to somebody else cannot be stamped; a copy takes its place. That happens where a machine
/// shares files between actions.
///
/// # Errors
/// When something can neither be stamped nor copied.
pub fn stamp(path: &Path) -> io::Result<()> {
    let meta = fs::symlink_metadata(path)?;
    if meta.is_dir() {
        for entry in fs::read_dir(path)? {
            stamp(&entry?.path())?;
        }
    }
    let done = set(path, &meta);
    match done {
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied && meta.is_file() => {
            let copy = path.with_file_name(format!(".firn-{}", std::process::id()));
            fs::copy(path, &copy)?;
            fs::rename(&copy, path)?;
            set(path, &fs::symlink_metadata(path)?)
        }
        done => done,
    }
}

fn set(path: &Path, meta: &Metadata) -> io::Result<()> {
    if !meta.is_symlink() {
        let mode = if meta.is_dir() || meta.mode() & 0o100 != 0 { 0o555 } else { 0o444 };
        if meta.mode() & 0o7777 != mode {
            fs::set_permissions(path, Permissions::from_mode(mode))?;
        }
    }
    if (meta.mtime(), meta.mtime_nsec()) == (STORE_TIME, 0) {
        return Ok(());
    }
    let name = CString::new(path.as_os_str().as_bytes())?;
    let time = libc::timespec { tv_sec: STORE_TIME, tv_nsec: 0 };
    let times = [time, time];
    // SAFETY: the name ends with NUL, and there are two times as the call wants.
    let result = unsafe {
        libc::utimensat(libc::AT_FDCWD, name.as_ptr(), times.as_ptr(), libc::AT_SYMLINK_NOFOLLOW)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Lets folders below `path` be emptied again, for whoever clears up after the action.
pub fn release(path: &Path) {
    let Ok(meta) = fs::symlink_metadata(path) else { return };
    if !meta.is_dir() {
        return;
    }
    let _ = fs::set_permissions(path, Permissions::from_mode(0o755));
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        release(&entry.path());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_look_like_a_store() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("top");
        fs::create_dir(&top).unwrap();
        fs::write(top.join("plain"), "").unwrap();
        fs::write(top.join("program"), "").unwrap();
        fs::set_permissions(top.join("program"), Permissions::from_mode(0o700)).unwrap();
        std::os::unix::fs::symlink("nowhere", top.join("link")).unwrap();
        stamp(&top).unwrap();
        for (name, mode) in [("", 0o555), ("plain", 0o444), ("program", 0o555), ("link", 0o777)] {
            let meta = fs::symlink_metadata(top.join(name)).unwrap();
            assert_eq!((meta.mode() & 0o777, meta.mtime()), (mode, STORE_TIME), "{name}");
        }
        release(&top);
        assert_eq!(fs::metadata(&top).unwrap().mode() & 0o777, 0o755);
    }
}
