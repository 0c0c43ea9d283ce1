//! Who may connect to a daemon, and who is trusted: the settings `allowed-users` and `trusted-users`.
//!
//! Users and groups are those of `/etc/passwd` and `/etc/group`.

use firn_store::Settings;

use crate::error::{Error, Result};

/// Whether a client may do what could harm others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// As good as root: it may change any setting and add any path.
    Trusted,
    /// It may do only what others can check.
    Untrusted,
}

/// The process at the other end of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its number.
    pub pid: u32,
    /// Its user.
    pub uid: u32,
    /// Its main group.
    pub gid: u32,
}

/// Who may do what.
#[derive(Debug, Clone, Default)]
pub struct AccessRules {
    /// `trusted-users`
    pub trusted: Vec<String>,
    /// `allowed-users`
    pub allowed: Vec<String>,
    /// The group of build users, who are never let in.
    pub build_group: String,
}

/// The texts of `/etc/passwd` and `/etc/group`.
#[derive(Debug, Clone, Default)]
pub struct Accounts {
    /// The users.
    pub passwd: String,
    /// The groups.
    pub group: String,
}

impl Accounts {
    /// Those of this machine.
    #[must_use]
    pub fn of_host() -> Self {
        let read = |file| {
            std::fs::read(file)
                .map(|b| String::from_utf8_lossy(&b).into_owned())
                .unwrap_or_default()
        };
        Self { passwd: read("/etc/passwd"), group: read("/etc/group") }
    }

    /// The name of a user; its number if it has none.
    #[must_use]
    pub fn user(&self, uid: u32) -> String {
        name_of(&self.passwd, uid).unwrap_or_else(|| uid.to_string())
    }

    /// The name of a group; its number if it has none.
    #[must_use]
    pub fn group(&self, gid: u32) -> String {
        name_of(&self.group, gid).unwrap_or_else(|| gid.to_string())
    }

    fn is_member(&self, user: &str, group: &str) -> bool {
        self.group.lines().any(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            fields.first() == Some(&group)
                && fields.get(3).is_some_and(|members| members.split(',').any(|m| m == user))
        })
    }
}

/// The name that stands before `:x:NUMBER:`.
fn name_of(text: &str, number: u32) -> Option<String> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(number)).then(|| name.to_owned())
    })
}

impl AccessRules {
    /// What the settings say.
    #[must_use]
    pub fn from_settings(settings: &Settings) -> Self {
        Self {
            trusted: settings.words("trusted-users"),
            allowed: settings.words("allowed-users"),
            build_group: settings.text("build-users-group").to_owned(),
        }
    }

    /// Whether a client is trusted; with its user's name.
    ///
    /// # Errors
    /// If it is not allowed to connect.
    pub fn judge(&self, peer: Peer, accounts: &Accounts) -> Result<(Trust, String)> {
        let user = accounts.user(peer.uid);
        let group = accounts.group(peer.gid);
        let matches = |list: &[String]| {
            list.iter().any(|entry| match entry.strip_prefix('@') {
                Some(wanted) => group == wanted || accounts.is_member(&user, wanted),
                None => entry == "*" || *entry == user,
            })
        };
        let trusted = matches(&self.trusted);
        let builds = !self.build_group.is_empty() && group == self.build_group;
        if builds || !(trusted || matches(&self.allowed)) {
            return Err(Error::Refused(format!(
                "user '{user}' is not allowed to connect to the Nix daemon"
            )));
        }
        Ok((if trusted { Trust::Trusted } else { Trust::Untrusted }, user))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(trusted: &str, allowed: &str, uid: u32, gid: u32) -> Option<Trust> {
        let accounts = Accounts {
            passwd: "root:x:0:0::/root:/bin/sh\nanna:x:1000:100::/:/bin/sh\nbert:x:1001:100::/:/bin/sh\n".into(),
            group: "root:x:0:\nusers:x:100:\nwheel:x:10:anna\nnixbld:x:30000:nixbld1\n".into(),
        };
        let words = |text: &str| text.split_ascii_whitespace().map(str::to_owned).collect();
        let rules = AccessRules {
            trusted: words(trusted),
            allowed: words(allowed),
            build_group: "nixbld".into(),
        };
        rules.judge(Peer { pid: 1, uid, gid }, &accounts).ok().map(|(trust, _)| trust)
    }

    #[test]
    fn users_and_groups_are_matched_by_name() {
        use Trust::{Trusted, Untrusted};
        assert_eq!(judge("root", "*", 0, 0), Some(Trusted));
        assert_eq!(judge("root", "*", 1000, 100), Some(Untrusted));
        assert_eq!(judge("root @wheel", "*", 1000, 100), Some(Trusted));
        assert_eq!(judge("root @wheel", "*", 1001, 100), Some(Untrusted));
        assert_eq!(judge("@users", "*", 1001, 100), Some(Trusted));
        assert_eq!(judge("*", "", 4711, 4711), Some(Trusted));
        assert_eq!(judge("root", "anna", 1000, 100), Some(Untrusted));
        assert_eq!(judge("root", "anna", 1001, 100), None);
        assert_eq!(judge("root", "@wheel", 1001, 100), None);
        // users without a name go by their number
        assert_eq!(judge("4711", "", 4711, 4711), Some(Trusted));
        assert_eq!(judge("root", "", 1000, 100), None);
    }

    #[test]
    fn build_users_are_never_let_in() {
        assert_eq!(judge("*", "*", 30001, 30000), None);
    }
}
