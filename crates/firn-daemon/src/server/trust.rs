//! Who may connect to a daemon, and who is trusted: the settings `allowed-users` and `trusted-users`.
//!
//! Users and groups are those of `/etc/passwd` and `/etc/group`; for others `getent` is asked, which knows what the
//! machine's name services know.

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
    /// Tells the line of what is in neither: of the database `passwd` or `group`, for a name or number.
    pub others: Option<fn(&str, &str) -> Option<String>>,
}

/// Asks the machine's name services.
fn getent(database: &str, key: &str) -> Option<String> {
    // never an option, and nothing that a user chose the path of
    if key.is_empty() || key.starts_with('-') {
        return None;
    }
    let program = ["/usr/bin/getent", "/bin/getent", "/run/current-system/sw/bin/getent"]
        .into_iter()
        .find(|program| std::path::Path::new(program).exists())?;
    let output = std::process::Command::new(program)
        .args([database, key])
        .stdin(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.lines().next().map(str::to_owned))?
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
        Self { passwd: read("/etc/passwd"), group: read("/etc/group"), others: Some(getent) }
    }

    /// The name of a user; its number if it has none.
    #[must_use]
    pub fn user(&self, uid: u32) -> String {
        self.name("passwd", &self.passwd, uid)
    }

    /// The name of a group; its number if it has none.
    #[must_use]
    pub fn group(&self, gid: u32) -> String {
        self.name("group", &self.group, gid)
    }

    fn name(&self, database: &str, text: &str, number: u32) -> String {
        let elsewhere = || name_of(&self.others?(database, &number.to_string())?, number);
        name_of(text, number).or_else(elsewhere).unwrap_or_else(|| number.to_string())
    }

    fn is_member(&self, user: &str, group: &str) -> bool {
        let members = |line: &str| -> Option<bool> {
            let fields: Vec<&str> = line.split(':').collect();
            (fields.first() == Some(&group))
                .then(|| fields.get(3).is_some_and(|all| all.split(',').any(|m| m == user)))
        };
        let elsewhere = || members(&self.others?("group", group)?);
        self.group.lines().find_map(members).or_else(elsewhere).unwrap_or(false)
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
            others: Some(|database, key| {
                let line = match (database, key) {
                    ("passwd", "5000") => "carla:*:5000:6000::/:/bin/sh",
                    ("group", "6000") => "remote:*:6000:",
                    ("group", "staff") => "staff:*:6001:bert,carla",
                    _ => return None,
                };
                Some(line.to_owned())
            }),
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
        // of what is in no file other services know
        assert_eq!(judge("root", "carla", 5000, 6000), Some(Untrusted));
        assert_eq!(judge("@staff", "", 5000, 6000), Some(Trusted));
        assert_eq!(judge("@staff", "", 1000, 100), None);
        assert_eq!(judge("@remote", "", 5000, 6000), Some(Trusted));
        // users without a name go by their number
        assert_eq!(judge("4711", "", 4711, 4711), Some(Trusted));
        assert_eq!(judge("root", "", 1000, 100), None);
    }

    #[test]
    fn build_users_are_never_let_in() {
        assert_eq!(judge("*", "*", 30001, 30000), None);
    }
}
