//! The address of a cluster: `reapi://HOST[:PORT]?PARAMETERS`, or `reapis://` by TLS.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use firn_store::layout::StoreReference;

use crate::error::{Error, Result};

/// The port of a server that names none.
const PORT: u16 = 8980;
/// How often a call is tried, if the address does not say.
const ATTEMPTS: u32 = 5;

/// A cluster and what it can do, as the settings say. It has no secrets, only names of files with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterSettings {
    /// As messages name it.
    pub name: String,
    /// The server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether that is by TLS.
    pub tls: bool,
    /// The instance of the server.
    pub instance: String,
    /// What a machine of the cluster must be, in place of what follows from a build's system.
    pub platform: Option<BTreeMap<String, String>>,
    /// A file of headers to send, one a line: `Name: value`.
    pub headers: Option<PathBuf>,
    /// The program to upload as the runner, in place of this one.
    pub runner: Option<PathBuf>,
    /// A file of certificates of those that may certify the server, in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// Files of a certificate and its key that prove who this client is.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The priority of actions; less is sooner.
    pub priority: i32,
    /// How often a call is tried.
    pub attempts: u32,
    /// The systems that it builds for.
    pub systems: BTreeSet<String>,
    /// How many builds at a time.
    pub max_jobs: usize,
    /// What builds may ask for.
    pub supported: BTreeSet<String>,
    /// What builds must ask for.
    pub mandatory: BTreeSet<String>,
}

/// Whether an address is that of a cluster.
#[must_use]
pub fn is_cluster(scheme: &str) -> bool {
    matches!(scheme, "reapi" | "reapis")
}

impl ClusterSettings {
    /// Reads an address; `None` if it is none of a cluster. Systems, jobs and features are not in an address.
    ///
    /// # Errors
    /// If it makes no sense.
    pub fn parse(reference: &StoreReference) -> Result<Option<Self>> {
        if !is_cluster(&reference.scheme) {
            return Ok(None);
        }
        let name = format!("{}://{}", reference.scheme, reference.authority);
        let bad = |what: String| Error::Address(format!("the address '{name}': {what}"));
        let host = reference.authority.trim_end_matches('/');
        if host.is_empty() || host.contains(['/', '@', ' ']) {
            return Err(bad("HOST:PORT is expected after '://'".into()));
        }
        let tls = reference.scheme == "reapis";
        let (host, port) = match host.rsplit_once(':') {
            // a number of version 6 without a port ends with a bracket
            Some((host, port)) if !port.ends_with(']') => {
                (host, port.parse().map_err(|_| bad(format!("'{port}' is no port")))?)
            }
            _ => (host, PORT),
        };
        if host.is_empty() {
            return Err(bad("there is no host before the port".into()));
        }
        let mut settings = Self {
            name: name.clone(),
            host: host.to_owned(),
            port,
            tls,
            instance: String::new(),
            platform: None,
            headers: None,
            runner: None,
            ca_file: None,
            identity: None,
            priority: 0,
            attempts: ATTEMPTS,
            systems: BTreeSet::new(),
            max_jobs: 1,
            supported: BTreeSet::new(),
            mandatory: BTreeSet::new(),
        };
        let (mut certificate, mut key) = (None, None);
        for (param, value) in &reference.params {
            let number = || {
                value.parse().map_err(|_| bad(format!("'{param}' must be a number, not '{value}'")))
            };
            let file = || -> Result<Option<PathBuf>> {
                match value.starts_with('/') {
                    true => Ok(Some(value.into())),
                    false => Err(bad(format!("'{param}' must be an absolute path, not '{value}'"))),
                }
            };
            match param.as_str() {
                "instance" => settings.instance.clone_from(value),
                "platform" => {
                    let pairs = value.split(',').filter(|pair| !pair.is_empty()).map(|pair| {
                        let (name, value) = pair.split_once(':').ok_or_else(|| {
                            bad(format!("'platform' has '{pair}' where NAME:VALUE is expected"))
                        })?;
                        Ok((name.to_owned(), value.to_owned()))
                    });
                    settings.platform = Some(pairs.collect::<Result<_>>()?);
                }
                "headers" => settings.headers = file()?,
                "runner" => settings.runner = file()?,
                "ca-file" => settings.ca_file = file()?,
                "client-cert" => certificate = file()?,
                "client-key" => key = file()?,
                "priority" => settings.priority = number()?,
                "attempts" => settings.attempts = u32::try_from(number()?.max(1)).unwrap_or(1),
                _ => return Err(bad(format!("there is no parameter '{param}'"))),
            }
        }
        settings.identity = match (certificate, key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some((certificate, key)),
            _ => return Err(bad("'client-cert' and 'client-key' belong together".into())),
        };
        Ok(Some(settings))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use firn_store::layout::Environment;

    fn parse(text: &str) -> Result<Option<ClusterSettings>> {
        let env = Environment::from_variables([], true);
        ClusterSettings::parse(&StoreReference::parse(text, &env).unwrap())
    }

    #[test]
    fn addresses_have_servers_and_parameters() {
        assert!(parse("ssh://h").unwrap().is_none());
        let plain = parse("reapi://h").unwrap().unwrap();
        assert_eq!((plain.host.as_str(), plain.port, plain.tls), ("h", 8980, false));
        let full = parse(
            "reapis://h:1?instance=a/b&platform=OSFamily:linux,image:docker://x&headers=/f&attempts=2&priority=-3",
        )
        .unwrap()
        .unwrap();
        assert_eq!((full.tls, full.port, full.instance.as_str()), (true, 1, "a/b"));
        assert_eq!(full.platform.unwrap()["image"], "docker://x");
        assert_eq!((full.attempts, full.priority), (2, -3));
        for (text, port) in [("reapi://[::1]:5", 5), ("reapi://[::1]", 8980)] {
            let found = parse(text).unwrap().unwrap();
            assert_eq!((found.host.as_str(), found.port), ("[::1]", port));
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for text in [
            "reapi://",
            "reapi://u@h",
            "reapi://h:x",
            "reapi://:1",
            "reapi://h?x=1",
            "reapi://h?headers=f",
            "reapi://h?platform=x",
            "reapi://h?attempts=y",
            "reapis://h?client-key=/k",
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains("the address 'reapi"), "{text}: {error}");
        }
    }
}
