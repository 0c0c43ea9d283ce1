//! The setting `builders`: machines, one a line or between semicolons, or `@FILE` for a file of such lines.
//!
//! A machine is up to eight words: the store's address, systems, SSH key, jobs, speed, features, features that a
//! build must ask for, the host's public key; `-` leaves one out.

use std::collections::BTreeSet;
use std::path::PathBuf;

use base64::Engine as _;
use firn_store::layout::{Environment, StoreReference};

use crate::error::{Error, Result};

/// How many builds a cluster takes at a time, if its line does not say.
const JOBS_OF_A_CLUSTER: u64 = 32;

/// How deep files may name other files.
const MAX_DEPTH: usize = 16;

/// A machine that builds.
#[derive(Debug, Clone, PartialEq)]
pub struct Machine {
    /// Its store's address.
    pub store: StoreReference,
    /// What it can run.
    pub systems: BTreeSet<String>,
    /// The file of the key to log in with.
    pub ssh_key: String,
    /// How many builds at a time.
    pub max_jobs: u64,
    /// How fast it is, compared to others.
    pub speed_factor: f32,
    /// What builds may ask for.
    pub supported: BTreeSet<String>,
    /// What builds must ask for.
    pub mandatory: BTreeSet<String>,
    /// Its public key in base-64.
    pub host_key: String,
}

impl Machine {
    /// Reads machines. `system` is what machines that name none can run; `read` gives the contents of a file,
    /// `None` if it does not exist.
    ///
    /// # Errors
    /// If a line makes no sense or a file cannot be read.
    pub fn parse_all(
        text: &str,
        system: &str,
        env: &Environment,
        read: &dyn Fn(&str) -> std::io::Result<String>,
    ) -> Result<Vec<Self>> {
        let mut entries = Vec::new();
        expand(text, read, 0, &mut entries)?;
        entries.iter().map(|entry| Self::parse(entry, system, env)).collect()
    }

    fn parse(line: &str, system: &str, env: &Environment) -> Result<Self> {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let word = |n: usize| words.get(n).copied().filter(|word| *word != "-");
        let list = |n: usize| -> BTreeSet<String> {
            word(n).map_or_else(BTreeSet::new, |word| {
                word.split(',').filter(|part| !part.is_empty()).map(str::to_owned).collect()
            })
        };
        let bad = |what: String| Error::Refused(format!("bad machine specification: {what}"));
        let column = |n: usize, kind: &str| {
            bad(format!("failed to convert column #{n} in a row: '{line}' to '{kind}'"))
        };
        let uri = word(0).ok_or_else(|| {
            bad(format!("store URL was not found at the first column of a row: '{line}'"))
        })?;
        // a name alone is a host
        let known = ["auto", "daemon", "local"].contains(&uri)
            || ["auto?", "daemon?", "local?", "?"].iter().any(|start| uri.starts_with(start));
        let uri = match uri.contains("://") || uri.contains('/') || known {
            true => uri.to_owned(),
            false => format!("ssh://{uri}"),
        };
        let store = StoreReference::parse(&uri, env)?;
        let max_jobs = match word(3) {
            None if is_cluster(&store) => JOBS_OF_A_CLUSTER,
            None => 1,
            Some(word) => u64::from(word.parse::<u32>().map_err(|_| column(3, "unsigned int"))?),
        };
        let speed_factor = match word(4) {
            None => 1.0,
            Some(word) => word.parse::<f32>().map_err(|_| column(4, "float"))?,
        };
        if speed_factor < 0.0 || !speed_factor.is_finite() {
            return Err(Error::Refused("speed factor must be >= 0".into()));
        }
        let host_key = word(7).unwrap_or_default();
        if base64::engine::general_purpose::STANDARD.decode(host_key).is_err() {
            return Err(bad(format!("column #7 in a row: '{line}' is not in base-64")));
        }
        Ok(Self {
            store,
            systems: match list(1) {
                empty if empty.is_empty() => [system.to_owned()].into(),
                systems => systems,
            },
            ssh_key: word(2).unwrap_or_default().to_owned(),
            max_jobs,
            speed_factor: if speed_factor == 0.0 { 1.0 } else { speed_factor },
            supported: list(5),
            mandatory: list(6),
            host_key: host_key.to_owned(),
        })
    }

    /// Whether it is a cluster that speaks the Remote Execution API. The hook leaves those to others: they have no
    /// stores.
    #[must_use]
    pub fn is_cluster(&self) -> bool {
        is_cluster(&self.store)
    }

    /// Whether it can build for `system` what needs `features`.
    #[must_use]
    pub fn can_build(&self, system: &str, features: &BTreeSet<String>) -> bool {
        (system == "builtin" || self.systems.contains(system))
            && features.iter().all(|f| self.supported.contains(f) || self.mandatory.contains(f))
            && self.mandatory.is_subset(features)
    }

    /// The address with all that the other words say.
    #[must_use]
    pub fn complete(&self) -> StoreReference {
        let mut store = self.store.clone();
        let params = &mut store.params;
        if store.scheme == "ssh" {
            params.insert("max-connections".into(), "1".into());
            params.insert("log-fd".into(), "4".into());
        }
        if matches!(store.scheme.as_str(), "ssh" | "ssh-ng") {
            if !self.ssh_key.is_empty() {
                params.insert("ssh-key".into(), self.ssh_key.clone());
            }
            if !self.host_key.is_empty() {
                params.insert("base64-ssh-public-host-key".into(), self.host_key.clone());
            }
        }
        let features = params.entry("system-features".into()).or_default();
        for feature in self.supported.iter().chain(&self.mandatory) {
            if !features.is_empty() {
                features.push(' ');
            }
            features.push_str(feature);
        }
        store
    }
}

fn is_cluster(store: &StoreReference) -> bool {
    matches!(store.scheme.as_str(), "reapi" | "reapis")
}

fn expand(
    text: &str,
    read: &dyn Fn(&str) -> std::io::Result<String>,
    depth: usize,
    into: &mut Vec<String>,
) -> Result<()> {
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        for entry in line.split(';').map(str::trim).filter(|entry| !entry.is_empty()) {
            let Some(file) = entry.strip_prefix('@').map(str::trim) else {
                into.push(entry.to_owned());
                continue;
            };
            if depth >= MAX_DEPTH {
                return Err(Error::Refused(format!(
                    "in the setting 'builders': '{file}' is named by itself"
                )));
            }
            match read(file) {
                Ok(text) => expand(&text, read, depth + 1, into)?,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => {
                    return Err(Error::Refused(format!(
                        "reading the file '{}' of the setting 'builders': {}",
                        PathBuf::from(file).display(),
                        firn_store::error::errno_text(&e)
                    )));
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vec<Machine>> {
        let env = Environment::from_variables([], true);
        let read = |file: &str| match file {
            "/machines" => Ok("a x86_64-linux # b\n\n@/more".to_owned()),
            "/more" => Ok("c;d".to_owned()),
            "/loop" => Ok("@/loop".to_owned()),
            _ => Err(std::io::ErrorKind::NotFound.into()),
        };
        Machine::parse_all(text, "here-linux", &env, &read)
    }

    fn uris(text: &str) -> Vec<String> {
        parse(text).unwrap().iter().map(|m| m.store.render()).collect()
    }

    #[test]
    fn machines_are_in_lines_and_files() {
        assert_eq!(uris("@/machines; e\n@/none\n#f"), ["ssh://a", "ssh://c", "ssh://d", "ssh://e"]);
        assert_eq!(
            uris("ssh-ng://u@h - - 2; /tmp/root; daemon"),
            ["ssh-ng://u@h", "local:///tmp/root", "daemon"]
        );
        assert!(parse("@/loop").is_err());
        assert!(parse("").unwrap().is_empty());
    }

    #[test]
    fn all_words_count() {
        let key = "c3NoLWVkMjU1MTkgQUFBQQ==";
        let line = format!("ssh://h x86_64-linux,i686-linux /key 4 2.5 kvm,big big {key}");
        let machine = &parse(&line).unwrap()[0];
        assert_eq!((machine.max_jobs, machine.speed_factor), (4, 2.5));
        assert_eq!(machine.systems.len(), 2);
        let complete = machine.complete().render();
        for part in
            ["ssh-key=/key", "log-fd=4", "max-connections=1", "system-features=big%20kvm%20big"]
        {
            assert!(complete.contains(part), "{complete}");
        }
        let plain = &parse("h").unwrap()[0];
        assert!(plain.systems.contains("here-linux"));
        assert_eq!((plain.max_jobs, plain.speed_factor), (1, 1.0));
        assert_eq!(parse("h - - - 0").unwrap()[0].speed_factor, 1.0);
        let cluster = &parse("reapis://h?instance=i").unwrap()[0];
        assert!(cluster.is_cluster() && !plain.is_cluster());
        assert_eq!(cluster.max_jobs, JOBS_OF_A_CLUSTER);
        for line in ["h - - x", "h - - 1 x", "h - - 1 -1", "- x", "h - - 1 1 - - %%"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn features_decide_what_a_machine_builds() {
        let machine = &parse("h x86_64-linux - 1 1 kvm,big must").unwrap()[0];
        let can = |system: &str, features: &[&str]| {
            machine.can_build(system, &features.iter().map(|f| (*f).to_owned()).collect())
        };
        assert!(can("x86_64-linux", &["must"]));
        assert!(can("builtin", &["must", "kvm"]));
        assert!(!can("x86_64-linux", &[]));
        assert!(!can("aarch64-linux", &["must"]));
        assert!(!can("x86_64-linux", &["must", "other"]));
    }
}
