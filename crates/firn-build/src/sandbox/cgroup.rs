//! Control groups (version 2) of builders: made by the side that launches, joined, read and removed by the guard.
//!
//! Nothing here knows what a build is.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Processor time that a cgroup had.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CpuTimes {
    /// In its processes' own code.
    pub user: Duration,
    /// In the kernel.
    pub system: Duration,
}

/// How often it is looked whether killed processes are gone; the waits in between double up to a second.
const ROUNDS: u32 = 20;
/// How many levels of cgroups below a builder's are cleared away.
const DEPTH: u32 = 64;

/// The cgroup (of version 2) that this process is in, as a directory.
///
/// # Errors
/// When there are no cgroups of version 2 here, or this process's is not to be seen.
pub(crate) fn current() -> io::Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/mounts")?;
    let Some(root) = file_system(&mounts) else {
        return Err(io::Error::other("cannot determine the cgroups file system"));
    };
    let own = fs::read_to_string("/proc/self/cgroup")?;
    let Some(own) = own_group(&own) else {
        return Err(io::Error::other("cannot determine cgroup name from /proc/self/cgroup"));
    };
    let path = root.join(own.trim_start_matches('/'));
    if !path.is_dir() {
        return Err(io::Error::other(format!("expected cgroup directory \"{}\"", path.display())));
    }
    Ok(path)
}

/// Where version 2 is mounted, from the text of `/proc/mounts`.
fn file_system(mounts: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ');
        let (_, place, kind) = (fields.next()?, fields.next()?, fields.next()?);
        // the kernel writes white space and backslashes as octal numbers
        (kind == "cgroup2").then(|| place.replace("\\040", " ").replace("\\134", "\\").into())
    })
}

/// The cgroup of version 2, from the text of `/proc/PID/cgroup`.
fn own_group(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.strip_prefix("0::")).filter(|path| path.starts_with('/'))
}

/// Moves this process into a cgroup of its own below the one that it is in, so that cgroups of builds can be made
/// beside it: where processes are, no cgroups may be that controllers are given to.
///
/// # Errors
/// When there are no cgroups of version 2 here, or this one may not be divided.
pub fn enter_own(name: &str) -> io::Result<()> {
    let own = current()?;
    if own.ends_with(name) {
        return Ok(());
    }
    let path = own.join(name);
    let named = |what: &str, e: io::Error| {
        io::Error::new(e.kind(), format!("{what} cgroup \"{}\": {e}", path.display()))
    };
    match fs::create_dir(&path) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(named("creating", e)),
        _ => {}
    }
    fs::write(path.join("cgroup.procs"), std::process::id().to_string())
        .map_err(|e| named("moving into", e))
}

/// Moves a process into a cgroup.
pub(super) fn join(cgroup: &Path, pid: libc::pid_t) -> io::Result<()> {
    fs::write(cgroup.join("cgroup.procs"), pid.to_string())
}

/// Kills all that is in a cgroup and below, removes it, and gives the processor time that it had. Nothing if it is
/// not there.
///
/// # Errors
/// When a process does not end, or the directory cannot be removed or is no cgroup.
pub(crate) fn destroy(cgroup: &Path) -> io::Result<CpuTimes> {
    destroy_level(cgroup, DEPTH)
}

fn destroy_level(cgroup: &Path, depth: u32) -> io::Result<CpuTimes> {
    let named = |what: &str, e: io::Error| {
        io::Error::new(e.kind(), format!("{what} cgroup \"{}\": {e}", cgroup.display()))
    };
    match fs::symlink_metadata(cgroup) {
        Ok(meta) if meta.is_dir() => {}
        Ok(_) => return Err(io::Error::other(format!("\"{}\" is not a cgroup", cgroup.display()))),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(CpuTimes::default()),
        Err(e) => return Err(named("looking at", e)),
    }
    let list = cgroup.join("cgroup.procs");
    if !list.exists() {
        return Err(io::Error::other(format!("\"{}\" is not a cgroup", cgroup.display())));
    }
    if depth == 0 {
        return Err(named("deleting", io::Error::other("there are too many others in it")));
    }
    let kill = cgroup.join("cgroup.kill");
    if kill.exists() {
        fs::write(&kill, "1").map_err(|e| named("killing", e))?;
    }
    for entry in fs::read_dir(cgroup).map_err(|e| named("reading", e))? {
        let entry = entry.map_err(|e| named("reading", e))?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            destroy_level(&entry.path(), depth - 1)?;
        }
    }
    for round in 0.. {
        let pids = fs::read_to_string(&list).map_err(|e| named("reading", e))?;
        let pids: BTreeSet<libc::pid_t> = pids.lines().filter_map(|l| l.parse().ok()).collect();
        if pids.is_empty() {
            break;
        }
        if round == ROUNDS {
            return Err(named("killing", io::Error::other("its processes do not end")));
        }
        // zero stands for a process that this namespace does not show, and would mean this one's own group
        for pid in pids.into_iter().filter(|pid| *pid > 0) {
            // SAFETY: no memory is passed. The number is that of a member, seen just now.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
        std::thread::sleep(Duration::from_millis(1 << round.min(10)));
    }
    let times = fs::read_to_string(cgroup.join("cpu.stat"))
        .map_or_else(|_| CpuTimes::default(), |t| read_times(&t));
    fs::remove_dir(cgroup).map_err(|e| named("deleting", e))?;
    Ok(times)
}

/// From the text of `cpu.stat`.
fn read_times(text: &str) -> CpuTimes {
    let of = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Duration::from_micros(line.and_then(|n| n.trim().parse().ok()).unwrap_or(0))
    };
    CpuTimes { user: of("user_usec"), system: of("system_usec") }
}

#[cfg(test)]
#[allow(clippy::print_stderr, reason = "a test says that it was skipped")]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kernel_writes() {
        let mounts = "proc /proc proc rw 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n\
                      cgroup2 /sys/fs/cgroup/a\\040b cgroup2 rw 0 0\n";
        assert_eq!(file_system(mounts), Some("/sys/fs/cgroup/a b".into()));
        assert_eq!(file_system("tmpfs / tmpfs rw 0 0\n"), None);
        assert_eq!(own_group("3:cpu:/x\n0::/user.slice/y\n"), Some("/user.slice/y"));
        assert_eq!(own_group("3:cpu:/x\n"), None);
        let stat = "usage_usec 30\nuser_usec 10\nsystem_usec 20\nnr_periods 0\n";
        let wanted =
            CpuTimes { user: Duration::from_micros(10), system: Duration::from_micros(20) };
        assert_eq!(read_times(stat), wanted);
        assert_eq!(read_times(""), CpuTimes::default());
    }

    #[test]
    fn all_that_is_in_a_cgroup_goes_with_it() {
        use std::os::unix::process::ExitStatusExt as _;
        let name = format!("firn-test-destroy-{}", std::process::id());
        let made = current().and_then(|own| {
            let path = own.join(name);
            fs::create_dir(&path)?;
            Ok(path)
        });
        let path = match made {
            Ok(path) => path,
            Err(error) => {
                eprintln!("SKIPPED: no cgroup can be made here ({error})");
                return;
            }
        };
        let inner = path.join("inner");
        fs::create_dir(&inner).unwrap();
        let mut children: Vec<_> = [&path, &inner]
            .into_iter()
            .map(|group| {
                let child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
                join(group, i32::try_from(child.id()).unwrap()).unwrap();
                child
            })
            .collect();
        destroy(&path).unwrap();
        assert!(!path.exists());
        for child in &mut children {
            assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
        }
    }

    #[test]
    fn what_is_no_cgroup_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        assert!(destroy(dir.path()).is_err());
        assert!(dir.path().is_dir());
        assert_eq!(destroy(&dir.path().join("none")).unwrap(), CpuTimes::default());
    }
}
