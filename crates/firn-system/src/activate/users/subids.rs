//! Subordinate numbers: `/etc/subuid` and `/etc/subgid` (`subuid(5)`), the numbers that a user may give
//! to others inside a user namespace. A range that is chosen here stays with its user's name, also
//! while the user is gone (`/var/lib/nixos/auto-subuid-map`, as on NixOS).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{Passwd, lines, read_map, write_map};
use crate::activate::etc::write_atomically;
use crate::manifest::{Manifest, SubIdRange, User};
use crate::{Error, Result};

/// Where ranges that are chosen begin.
const FIRST: u64 = 100_000;
/// How many numbers a range has that is chosen.
const COUNT: u64 = 65_536;
/// One beyond the last number; the very last one means "none" to the kernel.
const END: u64 = 0xffff_ffff;

/// A line of one of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    /// A user's name, or its number.
    user: String,
    range: SubIdRange,
}

/// Makes both files match the manifest. `users` are all users that there are now, `lib` is where the
/// choices are kept.
///
/// # Errors
/// If a file cannot be read or written, or no range is free.
pub(super) fn apply(
    etc: &Path,
    lib: &Path,
    manifest: &Manifest,
    users: &BTreeMap<String, Passwd>,
) -> Result<()> {
    let files = [etc.join("subuid"), etc.join("subgid")];
    let old = [read(&files[0])?, read(&files[1])?];
    let declared: BTreeSet<&str> = manifest.users.iter().map(|u| u.name.as_str()).collect();
    // what people gave to users of their own
    let kept = old.each_ref().map(|lines| {
        let by_hand = |line: &&Line| {
            manifest.mutable_users
                && !declared.contains(line.user.as_str())
                && (users.contains_key(&line.user) || line.user.parse::<u32>().is_ok())
        };
        lines.iter().filter(by_hand).cloned().collect::<Vec<_>>()
    });

    let map_file = lib.join("auto-subuid-map");
    let mut chosen = read_map(&map_file);
    let before = chosen.clone();
    let mut taken: Vec<SubIdRange> = kept.iter().flatten().map(|line| line.range).collect();
    for user in &manifest.users {
        taken.extend(user.sub_uid_ranges.iter().chain(&user.sub_gid_ranges));
    }
    taken.extend(chosen.values().map(|start| SubIdRange { start: *start, count: COUNT }));
    for user in manifest.users.iter().filter(|u| u.auto_sub_uid_gid_range) {
        if chosen.contains_key(&user.name) {
            continue;
        }
        let start = match present(&old, user) {
            Some(start) => start,
            None => free(&taken).ok_or_else(|| {
                Error::Other(format!("no range of subordinate numbers is free for '{}'", user.name))
            })?,
        };
        taken.push(SubIdRange { start, count: COUNT });
        chosen.insert(user.name.clone(), start);
    }
    if chosen != before {
        write_map(&map_file, &chosen)?;
    }

    for (n, (file, kept)) in files.iter().zip(kept).enumerate() {
        let mut new = Vec::new();
        for user in &manifest.users {
            let automatic = chosen
                .get(&user.name)
                .filter(|_| user.auto_sub_uid_gid_range)
                .map(|start| SubIdRange { start: *start, count: COUNT });
            let explicit = if n == 0 { &user.sub_uid_ranges } else { &user.sub_gid_ranges };
            for range in explicit.iter().copied().chain(automatic) {
                new.push(Line { user: user.name.clone(), range });
            }
        }
        new.extend(kept);
        if new != old[n] {
            let text: String = new
                .iter()
                .map(|l| format!("{}:{}:{}\n", l.user, l.range.start, l.range.count))
                .collect();
            write_atomically(file, text.as_bytes(), 0o644)?;
        }
    }
    Ok(())
}

/// The range that a user has already, in both files: what it owns there must stay its own.
fn present(old: &[Vec<Line>; 2], user: &User) -> Option<u32> {
    let of = |lines: &Vec<Line>| {
        lines
            .iter()
            .filter(|l| l.user == user.name && l.range.count == COUNT)
            .map(|l| l.range.start)
            .collect::<BTreeSet<_>>()
    };
    of(&old[0]).intersection(&of(&old[1])).next().copied()
}

/// The start of the first range that shares no number with those taken.
fn free(taken: &[SubIdRange]) -> Option<u32> {
    let overlaps = |start: u64| {
        taken
            .iter()
            .any(|r| u64::from(r.start) < start + COUNT && start < u64::from(r.start) + r.count)
    };
    let mut start = FIRST;
    while start + COUNT <= END {
        if !overlaps(start) {
            return u32::try_from(start).ok();
        }
        start += COUNT;
    }
    None
}

/// Reads a file; lines that do not have its form are left out.
fn read(path: &Path) -> Result<Vec<Line>> {
    let mut found = Vec::new();
    for line in lines(path)? {
        let parts: Vec<&str> = line.split(':').collect();
        if let [user, start, count] = parts[..]
            && let (Ok(start), Ok(count)) = (start.parse(), count.trim().parse())
        {
            found.push(Line { user: user.to_owned(), range: SubIdRange { start, count } });
        }
    }
    Ok(found)
}
