//! The `netrc` file: user names and passwords by host. Its passwords appear in no message.

/// A parsed `netrc` file.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Netrc {
    entries: Vec<Entry>,
}

#[derive(Clone, PartialEq, Eq)]
struct Entry {
    /// `None`: the `default` entry.
    machine: Option<String>,
    login: String,
    password: String,
}

impl std::fmt::Debug for Netrc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Netrc({} entries)", self.entries.len())
    }
}

impl Netrc {
    /// Reads the text of a `netrc` file; words that it does not know are skipped.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut entries: Vec<Entry> = Vec::new();
        let mut in_macro = false;
        for line in text.lines() {
            if in_macro {
                in_macro = !line.trim().is_empty();
                continue;
            }
            let line = if line.trim_start().starts_with('#') { "" } else { line };
            let mut words = line.split_whitespace();
            while let Some(word) = words.next() {
                let new =
                    |machine| Entry { machine, login: String::new(), password: String::new() };
                match word {
                    "machine" => entries.push(new(words.next().map(str::to_owned))),
                    "default" => entries.push(new(None)),
                    "macdef" => {
                        in_macro = true;
                        break;
                    }
                    "login" | "password" | "account" => {
                        let value = words.next().unwrap_or_default();
                        match (word, entries.last_mut()) {
                            ("login", Some(entry)) => value.clone_into(&mut entry.login),
                            ("password", Some(entry)) => value.clone_into(&mut entry.password),
                            _ => {}
                        }
                    }
                    _ => {}
                }
            }
        }
        Self { entries }
    }

    /// The user name and password for `host`.
    #[must_use]
    pub fn credentials(&self, host: &str) -> Option<(&str, &str)> {
        self.entries
            .iter()
            .find(|e| e.machine.as_deref().is_none_or(|m| m.eq_ignore_ascii_case(host)))
            .map(|e| (e.login.as_str(), e.password.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::Netrc;

    #[test]
    fn finds_the_entry_of_a_host_and_the_default() {
        let netrc = Netrc::parse(
            "# machine no login x password y\nmachine a.example login u password p\nmacdef init\n machine evil login m\n\nmachine b.example\n  login v\n  password q\ndefault login d password e",
        );
        assert_eq!(netrc.credentials("A.example"), Some(("u", "p")));
        assert_eq!(netrc.credentials("b.example"), Some(("v", "q")));
        assert_eq!(netrc.credentials("evil"), Some(("d", "e")));
        assert!(!format!("{netrc:?}").contains('p'.to_string().repeat(2).as_str()));
    }
}
