//! Build users: accounts that nobody else uses, one for each running build, from the members of a
//! group or from a range of numbers without accounts. Which are taken is kept by locks in the store's state, shared
//! with C++ Nix.

use std::fs;
use std::path::Path;

use firn_store::fs::lock::{FileLock, LockKind};

use crate::error::{Failure, io};
use crate::options::UidPool;
use crate::sandbox::spec::BuildUser;

/// An account that is this build's as long as this lives.
#[derive(Debug)]
pub(super) struct UserLock {
    pub user: BuildUser,
    _lock: FileLock,
}

/// What asking for an account gives.
pub(super) enum Acquired {
    /// Here it is.
    User(UserLock),
    /// All are taken.
    Busy,
    /// Builds run as the user who runs this program.
    NotConfigured,
}

/// Takes a free account of `group`. A group that does not exist counts as not configured: then
/// builds are confined by a user namespace alone.
pub(super) fn acquire(state_dir: &Path, group: &str) -> Result<Acquired, Failure> {
    if group.is_empty() || !rustix::process::geteuid().is_root() {
        return Ok(Acquired::NotConfigured);
    }
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    let Some((gid, members)) = find_group(&groups, group) else {
        return Ok(Acquired::NotConfigured);
    };
    if members.is_empty() {
        return Err(Failure::misc(format!("the build users group '{group}' has no members")));
    }
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let pool = state_dir.join("userpool");
    fs::create_dir_all(&pool).map_err(io(format!("creating directory '{}'", pool.display())))?;
    for member in members {
        let Some(uid) = find_user(&passwd, &member) else {
            return Err(Failure::misc(format!(
                "the user '{member}' in the group '{group}' does not exist"
            )));
        };
        let mut lock = FileLock::open(&pool.join(uid.to_string()))?;
        if !lock.try_lock(LockKind::Exclusive)? {
            continue;
        }
        if uid == rustix::process::getuid().as_raw() {
            return Err(Failure::misc(format!("the Nix user should not be a member of '{group}'")));
        }
        let groups = groups_of(&groups, &member);
        return Ok(Acquired::User(UserLock {
            user: BuildUser { uid, gid, count: 1, groups },
            _lock: lock,
        }));
    }
    Ok(Acquired::Busy)
}

/// How many numbers a build may have for itself; it uses one, or all of them (`uid-range`).
pub(super) const NUMBERS: u32 = 65_536;

/// Takes free numbers of the range of `auto-allocate-uids`, `count` of them.
pub(super) fn acquire_numbers(
    state_dir: &Path,
    pool: &UidPool,
    count: u32,
) -> Result<Acquired, Failure> {
    if !rustix::process::geteuid().is_root() {
        return Ok(Acquired::NotConfigured);
    }
    let end = u64::from(pool.start) + u64::from(pool.count);
    if pool.start == 0 || pool.count < NUMBERS || end > u64::from(u32::MAX) {
        return Err(Failure::misc(format!(
            "the settings 'start-id' ({}) and 'id-count' ({}) give no range of user IDs for builds",
            pool.start, pool.count
        )));
    }
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let dir = state_dir.join("userpool2");
    fs::create_dir_all(&dir).map_err(io(format!("creating directory '{}'", dir.display())))?;
    for slot in 0..pool.count / NUMBERS {
        let uid = pool.start + slot * NUMBERS;
        let mut lock = FileLock::open(&dir.join(format!("slot-{slot}")))?;
        if !lock.try_lock(LockKind::Exclusive)? {
            continue;
        }
        if let Some(name) = user_with(&passwd, uid) {
            return Err(Failure::misc(format!(
                "auto-allocated UID {uid} clashes with existing user account '{name}'"
            )));
        }
        let user = BuildUser { uid, gid: uid, count, groups: Vec::new() };
        return Ok(Acquired::User(UserLock { user, _lock: lock }));
    }
    Ok(Acquired::Busy)
}

fn user_with(text: &str, uid: u32) -> Option<&str> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then_some(name)
    })
}

/// Number and members of a group in the text of `/etc/group`.
fn find_group(text: &str, name: &str) -> Option<(u32, Vec<String>)> {
    text.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        match fields[..] {
            [n, _, gid, members] if n == name => {
                let members = members.split(',').filter(|m| !m.is_empty()).map(str::to_owned);
                Some((gid.parse().ok()?, members.collect()))
            }
            _ => None,
        }
    })
}

fn find_user(text: &str, name: &str) -> Option<u32> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok())?
    })
}

/// The groups that a user is a member of, such as `kvm`.
fn groups_of(text: &str, user: &str) -> Vec<u32> {
    text.lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            match fields[..] {
                [_, _, gid, members] if members.split(',').any(|m| m == user) => gid.parse().ok(),
                _ => None,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_build_has_a_number_of_its_own() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED: only root has numbers to give");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let pool = UidPool { start: 872_415_232, count: 2 * NUMBERS };
        let take = || acquire_numbers(dir.path(), &pool, 1).unwrap();
        let (Acquired::User(first), Acquired::User(second)) = (take(), take()) else {
            panic!("two are free")
        };
        assert_eq!((first.user.uid, second.user.uid), (pool.start, pool.start + NUMBERS));
        assert!(matches!(take(), Acquired::Busy));
        drop(first);
        assert!(matches!(take(), Acquired::User(user) if user.user.uid == pool.start));
        let none = UidPool { start: 0, count: 7 };
        assert!(acquire_numbers(dir.path(), &none, 1).is_err());
    }

    #[test]
    fn reads_the_account_files() {
        let groups = "root:x:0:\nnixbld:x:30000:nixbld1,nixbld2\nkvm:x:104:nixbld2\n";
        assert_eq!(
            find_group(groups, "nixbld"),
            Some((30000, vec!["nixbld1".into(), "nixbld2".into()]))
        );
        assert_eq!(find_group(groups, "none"), None);
        assert_eq!(groups_of(groups, "nixbld2"), [30000, 104]);
        assert_eq!(user_with("a:x:1:2:::\nb:x:30001:30000:::\n", 30001), Some("b"));
        assert_eq!(find_user("a:x:1:2:::\nnixbld1:x:30001:30000:::\n", "nixbld1"), Some(30001));
    }
}
