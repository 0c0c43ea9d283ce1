//! Users and groups: declared ones are merged into `/etc/passwd`, `/etc/group` and `/etc/shadow`,
//! never copied over them; `subids` does the same for `/etc/subuid` and `/etc/subgid`. Numbers once given to a name stay its own (`/var/lib/nixos/uid-map` and
//! `gid-map`, as on NixOS).

mod expiry;
mod subids;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;

use firn_event::Logger;

use super::Roots;
use super::etc::write_atomically;
use crate::manifest::{Manifest, User};
use crate::{Error, IoContext as _, Result};

/// The last number for users and groups of services; they are given out downwards.
const SYSTEM_IDS: std::ops::RangeInclusive<u32> = 400..=999;
/// The numbers for people.
const PEOPLE_IDS: std::ops::RangeInclusive<u32> = 1000..=29999;

/// A line of `/etc/passwd`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Passwd {
    name: String,
    uid: u32,
    gid: u32,
    description: String,
    home: String,
    shell: String,
}

/// A line of `/etc/group`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct GroupLine {
    name: String,
    gid: u32,
    members: BTreeSet<String>,
}

/// Which accounts came and went.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Users that were not there before.
    pub added: Vec<String>,
    /// Users that are gone.
    pub removed: Vec<String>,
}

/// Makes the accounts match the manifest.
///
/// # Errors
/// If a file cannot be read or written, a group is not declared, or numbers run out.
pub fn apply(roots: &Roots, manifest: &Manifest, logger: &Logger) -> Result<Changes> {
    let etc = roots.path("etc");
    let lib = roots.path("var/lib/nixos");
    fs::create_dir_all(&lib).at("create", &lib)?;
    fs::create_dir_all(&etc).at("create", &etc)?;

    let old_groups = read_groups(&etc.join("group"))?;
    let old_users = read_users(&etc.join("passwd"))?;
    let declared_groups_before = read_set(&lib.join("declarative-groups"));
    let declared_users_before = read_set(&lib.join("declarative-users"));
    let mut gid_map = read_map(&lib.join("gid-map"));
    let mut uid_map = read_map(&lib.join("uid-map"));

    // groups
    let mut groups: BTreeMap<String, GroupLine> = BTreeMap::new();
    let mut taken: BTreeSet<u32> = manifest.groups.iter().filter_map(|g| g.gid).collect();
    taken.extend(old_groups.values().map(|g| g.gid));
    taken.extend(gid_map.values());
    for group in &manifest.groups {
        let old = old_groups.get(&group.name);
        let gid = match (group.gid, old, gid_map.get(&group.name)) {
            (Some(gid), Some(old), _) if old.gid != gid => {
                logger.warn(format!(
                    "not applying GID change of group '{}' ({} -> {gid}) in /etc/group",
                    group.name, old.gid
                ));
                old.gid
            }
            (Some(gid), _, _) => gid,
            (None, Some(old), _) => old.gid,
            (None, None, Some(gid)) => *gid,
            (None, None, None) => next_id(&SYSTEM_IDS, true, &mut taken, &group.name)?,
        };
        gid_map.insert(group.name.clone(), gid);
        let mut members: BTreeSet<String> = group.members.iter().cloned().collect();
        if manifest.mutable_users
            && let Some(old) = old
        {
            // members that a person added stay; those of declared users follow the declaration
            members.extend(
                old.members
                    .iter()
                    .filter(|m| {
                        !declared_users_before.contains(*m)
                            && !manifest.users.iter().any(|u| u.name == **m)
                    })
                    .cloned(),
            );
        }
        groups.insert(group.name.clone(), GroupLine { name: group.name.clone(), gid, members });
    }
    if manifest.mutable_users {
        for (name, old) in &old_groups {
            if !groups.contains_key(name) && !declared_groups_before.contains(name) {
                groups.insert(name.clone(), old.clone());
            }
        }
    }
    for user in &manifest.users {
        for group in &user.extra_groups {
            match groups.get_mut(group) {
                Some(group) => {
                    group.members.insert(user.name.clone());
                }
                None => logger.warn(format!(
                    "user '{}' is to be in the group '{group}', which does not exist",
                    user.name
                )),
            }
        }
    }

    // users
    let mut users: BTreeMap<String, Passwd> = BTreeMap::new();
    let mut taken: BTreeSet<u32> = manifest.users.iter().filter_map(|u| u.uid).collect();
    taken.extend(old_users.values().map(|u| u.uid));
    taken.extend(uid_map.values());
    let mut changes = Changes::default();
    for user in &manifest.users {
        let old = old_users.get(&user.name);
        let uid = match (user.uid, old, uid_map.get(&user.name)) {
            (Some(uid), Some(old), _) if old.uid != uid => {
                logger.warn(format!(
                    "not applying UID change of user '{}' ({} -> {uid}) in /etc/passwd",
                    user.name, old.uid
                ));
                old.uid
            }
            (Some(uid), _, _) => uid,
            (None, Some(old), _) => old.uid,
            (None, None, Some(uid)) => *uid,
            (None, None, None) => {
                let (range, down) =
                    if user.is_system_user { (SYSTEM_IDS, true) } else { (PEOPLE_IDS, false) };
                next_id(&range, down, &mut taken, &user.name)?
            }
        };
        uid_map.insert(user.name.clone(), uid);
        let gid = match groups.get(&user.group) {
            Some(group) => group.gid,
            None => user.group.parse().map_err(|_| {
                Error::Other(format!(
                    "the primary group '{}' of user '{}' does not exist; declare it under users.groups",
                    user.group, user.name
                ))
            })?,
        };
        if old.is_none() {
            changes.added.push(user.name.clone());
        }
        let shell = match old {
            Some(old) if manifest.mutable_users && !declared_users_before.contains(&user.name) => {
                old.shell.clone()
            }
            _ => user.shell.clone(),
        };
        users.insert(
            user.name.clone(),
            Passwd {
                name: user.name.clone(),
                uid,
                gid,
                description: plain(&user.description),
                home: user.home.to_string_lossy().into_owned(),
                shell,
            },
        );
    }
    for (name, old) in &old_users {
        if users.contains_key(name) {
            continue;
        }
        if manifest.mutable_users && !declared_users_before.contains(name) {
            users.insert(name.clone(), old.clone());
        } else {
            changes.removed.push(name.clone());
        }
    }

    write_groups(&etc.join("group"), &groups)?;
    write_users(&etc.join("passwd"), &users)?;
    write_shadow(roots, manifest, &users, logger)?;
    subids::apply(&etc, &lib, manifest, &users)?;
    write_set(&lib.join("declarative-groups"), manifest.groups.iter().map(|g| &g.name))?;
    write_set(&lib.join("declarative-users"), manifest.users.iter().map(|u| &u.name))?;
    write_map(&lib.join("gid-map"), &gid_map)?;
    write_map(&lib.join("uid-map"), &uid_map)?;
    for user in &manifest.users {
        if let Some(line) = users.get(&user.name) {
            make_home(roots, user, line)?;
        }
    }
    Ok(changes)
}

/// Fields must not break the line they stand in.
fn plain(text: &str) -> String {
    text.replace([':', '\n'], " ")
}

fn next_id(
    range: &std::ops::RangeInclusive<u32>,
    down: bool,
    taken: &mut BTreeSet<u32>,
    name: &str,
) -> Result<u32> {
    let free = |id: &u32| !taken.contains(id);
    let id = if down { range.clone().rev().find(free) } else { range.clone().find(free) };
    let id = id.ok_or_else(|| {
        Error::Other(format!("no number is free for '{name}' in {}–{}", range.start(), range.end()))
    })?;
    taken.insert(id);
    Ok(id)
}

/// The number of a user (`file` is `passwd`) or group (`group`), by name or as it stands.
pub(super) fn id_of(etc: &Path, file: &str, name: &str) -> Result<u32> {
    if let Ok(id) = name.trim_start_matches('+').parse() {
        return Ok(id);
    }
    let path = etc.join(file);
    let id = if file == "passwd" {
        read_users(&path)?.get(name).map(|u| u.uid)
    } else {
        read_groups(&path)?.get(name).map(|g| g.gid)
    };
    id.ok_or_else(|| Error::Other(format!("'{name}' is not in '{}'", path.display())))
}

fn lines(path: &Path) -> Result<Vec<String>> {
    match fs::read(path) {
        Ok(data) => Ok(String::from_utf8_lossy(&data).lines().map(str::to_owned).collect()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(e).at("read", path),
    }
}

fn read_groups(path: &Path) -> Result<BTreeMap<String, GroupLine>> {
    let mut out = BTreeMap::new();
    for line in lines(path)? {
        let parts: Vec<&str> = line.split(':').collect();
        if let [name, _, gid, members] = parts[..]
            && let Ok(gid) = gid.parse()
        {
            let members = members.split(',').filter(|m| !m.is_empty()).map(str::to_owned).collect();
            out.insert(name.to_owned(), GroupLine { name: name.to_owned(), gid, members });
        }
    }
    Ok(out)
}

fn read_users(path: &Path) -> Result<BTreeMap<String, Passwd>> {
    let mut out = BTreeMap::new();
    for line in lines(path)? {
        let parts: Vec<&str> = line.split(':').collect();
        if let [name, _, uid, gid, description, home, shell] = parts[..]
            && let (Ok(uid), Ok(gid)) = (uid.parse(), gid.parse())
        {
            out.insert(
                name.to_owned(),
                Passwd {
                    name: name.to_owned(),
                    uid,
                    gid,
                    description: description.to_owned(),
                    home: home.to_owned(),
                    shell: shell.to_owned(),
                },
            );
        }
    }
    Ok(out)
}

fn write_groups(path: &Path, groups: &BTreeMap<String, GroupLine>) -> Result<()> {
    let mut sorted: Vec<_> = groups.values().collect();
    sorted.sort_by(|a, b| (a.gid, &a.name).cmp(&(b.gid, &b.name)));
    let mut text = String::new();
    for g in sorted {
        let members: Vec<&str> = g.members.iter().map(String::as_str).collect();
        text += &format!("{}:x:{}:{}\n", g.name, g.gid, members.join(","));
    }
    write_atomically(path, text.as_bytes(), 0o644)
}

fn write_users(path: &Path, users: &BTreeMap<String, Passwd>) -> Result<()> {
    let mut sorted: Vec<_> = users.values().collect();
    sorted.sort_by(|a, b| (a.uid, &a.name).cmp(&(b.uid, &b.name)));
    let mut text = String::new();
    for u in sorted {
        text +=
            &format!("{}:x:{}:{}:{}:{}:{}\n", u.name, u.uid, u.gid, u.description, u.home, u.shell);
    }
    write_atomically(path, text.as_bytes(), 0o644)
}

/// What a user without any password has: no way to log in with one.
const LOCKED: &str = "!";

fn write_shadow(
    roots: &Roots,
    manifest: &Manifest,
    users: &BTreeMap<String, Passwd>,
    logger: &Logger,
) -> Result<()> {
    let path = roots.path("etc/shadow");
    let mut old: BTreeMap<String, (String, String)> = BTreeMap::new();
    for line in lines(&path)? {
        let mut parts = line.splitn(3, ':');
        if let (Some(name), Some(hash), Some(rest)) = (parts.next(), parts.next(), parts.next()) {
            old.insert(name.to_owned(), (hash.to_owned(), rest.to_owned()));
        }
    }
    let mut text = String::new();
    for name in users.keys() {
        let declared = manifest.users.iter().find(|u| u.name == *name);
        let before = old.get(name);
        let hash = match declared {
            None => before.map_or(LOCKED.to_owned(), |b| b.0.clone()),
            Some(user) => match before {
                Some((hash, _)) if manifest.mutable_users => hash.clone(),
                _ => password(user, before.is_none() || !manifest.mutable_users, logger)?
                    .unwrap_or_else(|| before.map_or(LOCKED.to_owned(), |b| b.0.clone())),
            },
        };
        let mut rest = before.map_or("1::::::", |b| b.1.as_str()).to_owned();
        if let Some(user) = declared {
            rest = with_expiry(&rest, user, manifest.mutable_users)?;
        }
        text += &format!("{name}:{}:{rest}\n", plain(&hash));
    }
    write_atomically(&path, text.as_bytes(), 0o600)
}

/// The fields after the hash, with the day that the user is declared to expire on. Without one the day
/// stays as it is where people may set it.
fn with_expiry(rest: &str, user: &User, mutable: bool) -> Result<String> {
    let mut fields: Vec<&str> = rest.split(':').collect();
    fields.resize(7, "");
    let day = match &user.expires {
        Some(date) => {
            let days = expiry::days(date).ok_or_else(|| {
                Error::Other(format!(
                    "users.users.{}.expires is '{date}', which is no day (YYYY-MM-DD)",
                    user.name
                ))
            })?;
            days.to_string()
        }
        None if mutable => return Ok(rest.to_owned()),
        None => String::new(),
    };
    // last change, least and greatest age, warning, inactivity, expiry, reserved
    fields[5] = &day;
    Ok(fields.join(":"))
}

/// The hash that a user is declared to have.
fn password(user: &User, initial: bool, logger: &Logger) -> Result<Option<String>> {
    if let Some(file) = &user.hashed_password_file {
        match fs::read_to_string(file) {
            Ok(text) => return Ok(Some(text.trim().to_owned())),
            Err(e) => logger.warn(format!(
                "the password file '{}' of user '{}' cannot be read: {e}",
                file.display(),
                user.name
            )),
        }
    }
    if let Some(hash) = &user.hashed_password {
        return Ok(Some(hash.clone()));
    }
    if initial {
        if let Some(hash) = &user.initial_hashed_password {
            return Ok(Some(hash.clone()));
        }
        if let Some(plain) = &user.initial_password {
            return Ok(Some(crypt(plain)?));
        }
    }
    Ok(None)
}

/// Hashes a password as `crypt` does with SHA-512 (`$6$`).
fn crypt(plain: &str) -> Result<String> {
    if plain.is_empty() {
        // an empty password, as opposed to none
        return Ok(String::new());
    }
    sha_crypt::sha512_simple(plain, &sha_crypt::Sha512Params::default())
        .map_err(|e| Error::Other(format!("a password cannot be hashed: {e:?}")))
}

fn make_home(roots: &Roots, user: &User, line: &Passwd) -> Result<()> {
    if !user.create_home || user.home == Path::new("/var/empty") {
        return Ok(());
    }
    let home = roots.path(&user.home.to_string_lossy());
    if home.exists() {
        return Ok(());
    }
    fs::create_dir_all(&home).at("create", &home)?;
    let mode = user.home_mode.as_deref().unwrap_or("700");
    let mode = u32::from_str_radix(mode, 8).map_err(|_| {
        Error::Other(format!("the homeMode '{mode}' of user '{}' is not octal", user.name))
    })?;
    fs::set_permissions(&home, fs::Permissions::from_mode(mode)).at("set the mode of", &home)?;
    if rustix::process::geteuid().is_root() {
        chown(&home, Some(line.uid), Some(line.gid)).at("change the owner of", &home)?;
    }
    Ok(())
}

fn read_set(path: &Path) -> BTreeSet<String> {
    fs::read_to_string(path).unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

fn write_set<'a>(path: &Path, names: impl Iterator<Item = &'a String>) -> Result<()> {
    let names: BTreeSet<&str> = names.map(String::as_str).collect();
    let text = names.into_iter().collect::<Vec<_>>().join(" ");
    write_atomically(path, text.as_bytes(), 0o644)
}

fn read_map(path: &Path) -> BTreeMap<String, u32> {
    fs::read(path).ok().and_then(|t| serde_json::from_slice(&t).ok()).unwrap_or_default()
}

fn write_map(path: &Path, map: &BTreeMap<String, u32>) -> Result<()> {
    let text = serde_json::to_vec(map)
        .map_err(|e| Error::Other(format!("'{}' cannot be written: {e}", path.display())))?;
    write_atomically(path, &text, 0o644)
}

#[cfg(test)]
mod tests;
