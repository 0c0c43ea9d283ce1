//! What the parameters of a cache's address say. Names and defaults are those of C++ Nix (manual, "Store Types").

use std::collections::BTreeMap;
use std::path::PathBuf;

use firn_fetch::ClientCertificate;
use firn_model::signature::SecretKey;
use firn_store::{Error, Result};

use crate::compression::Compression;

/// The parameters of a binary cache.
#[derive(Debug, Clone)]
pub struct CacheConfig {
    /// `compression` of archives.
    pub compression: Compression,
    /// `compression-level`
    pub level: Option<i32>,
    /// `parallel-compression`
    pub parallel: bool,
    /// `write-nar-listing`
    pub write_listing: bool,
    /// `index-debug-info`
    pub index_debug_info: bool,
    /// `secret-key`, `secret-keys`: keys to sign with.
    pub secret_keys: Vec<SecretKey>,
    /// `local-nar-cache`: where archives are kept from which single files are read.
    pub local_nar_cache: Option<PathBuf>,
    /// `narinfo-compression`, on the way over HTTP.
    pub narinfo_compression: Option<Compression>,
    /// `ls-compression`
    pub ls_compression: Option<Compression>,
    /// `log-compression`
    pub log_compression: Option<Compression>,
    /// `priority`, if given.
    pub priority: Option<i64>,
    /// `want-mass-query`, if given.
    pub want_mass_query: Option<bool>,
    /// `trusted`
    pub trusted: bool,
    /// `tls-certificate`: who this client is to servers that ask.
    pub tls_certificate: Option<PathBuf>,
    /// `tls-private-key` of that certificate.
    pub tls_private_key: Option<PathBuf>,
    /// `store`: the folder of the store whose paths it has.
    pub store_dir: Option<String>,
    /// What only some kinds of cache have, by name.
    pub special: BTreeMap<String, String>,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            compression: Compression::Xz,
            level: None,
            parallel: false,
            write_listing: false,
            index_debug_info: false,
            secret_keys: Vec::new(),
            local_nar_cache: None,
            narinfo_compression: None,
            ls_compression: None,
            log_compression: None,
            priority: None,
            want_mass_query: None,
            trusted: false,
            tls_certificate: None,
            tls_private_key: None,
            store_dir: None,
            special: BTreeMap::new(),
        }
    }
}

/// Parameters of `s3://` addresses.
const S3: &[&str] = &[
    "profile",
    "region",
    "scheme",
    "endpoint",
    "addressing-style",
    "multipart-upload",
    "multipart-threshold",
    "multipart-chunk-size",
    "storage-class",
    "versionId",
];

impl CacheConfig {
    /// The files that say who this client is to servers that ask for a certificate.
    ///
    /// # Errors
    /// If there is a key without a certificate.
    pub fn client_certificate(&self) -> Result<Option<ClientCertificate>> {
        match (&self.tls_certificate, &self.tls_private_key) {
            (Some(certificate), key) => Ok(Some(ClientCertificate {
                certificate: certificate.clone(),
                // both may be in one file
                private_key: key.as_ref().unwrap_or(certificate).clone(),
            })),
            (None, Some(_)) => Err(Error::Usage(
                "the setting 'tls-private-key' needs 'tls-certificate' beside it".to_owned(),
            )),
            (None, None) => Ok(None),
        }
    }

    /// Reads the parameters of an address with this scheme; also gives the names of those that there are not.
    ///
    /// # Errors
    /// If a value makes no sense, or a key cannot be read.
    pub fn parse(scheme: &str, params: &BTreeMap<String, String>) -> Result<(Self, Vec<String>)> {
        let mut config = Self::default();
        let mut unknown = Vec::new();
        let remote = scheme != "file";
        for (name, value) in params {
            match name.as_str() {
                "compression" => config.compression = method(name, value)?,
                "compression-level" => {
                    let level: i32 = number(name, value)?;
                    config.level = (level != -1).then_some(level);
                }
                "parallel-compression" => config.parallel = switch(name, value)?,
                "write-nar-listing" => config.write_listing = switch(name, value)?,
                "index-debug-info" => config.index_debug_info = switch(name, value)?,
                "secret-key" if value.is_empty() => {}
                "secret-key" => config.secret_keys.push(read_key(value)?),
                "secret-keys" => {
                    for file in value.split(',').filter(|f| !f.is_empty()) {
                        config.secret_keys.push(read_key(file)?);
                    }
                }
                "local-nar-cache" => {
                    config.local_nar_cache = file_name(value);
                }
                "priority" => config.priority = Some(number(name, value)?),
                "want-mass-query" => config.want_mass_query = Some(switch(name, value)?),
                "trusted" => config.trusted = switch(name, value)?,
                "store" => config.store_dir = Some(value.clone()),
                "path-info-cache-size" => {
                    number::<u64>(name, value)?;
                }
                "system-features" => {}
                "narinfo-compression" if remote => {
                    config.narinfo_compression = optional_method(name, value)?;
                }
                "ls-compression" if remote => config.ls_compression = optional_method(name, value)?,
                "log-compression" if remote => {
                    config.log_compression = optional_method(name, value)?;
                }
                "tls-certificate" if remote => config.tls_certificate = file_name(value),
                "tls-private-key" if remote => config.tls_private_key = file_name(value),
                _ if scheme == "s3" && S3.contains(&name.as_str()) => {
                    config.special.insert(name.clone(), value.clone());
                }
                _ => unknown.push(name.clone()),
            }
        }
        Ok((config, unknown))
    }
}

fn file_name(value: &str) -> Option<PathBuf> {
    (!value.is_empty()).then(|| PathBuf::from(value))
}

fn method(name: &str, value: &str) -> Result<Compression> {
    if !Compression::is_known(value) {
        return Err(Error::Usage(format!("option '{name}' has invalid value '{value}'")));
    }
    Compression::parse(value)
}

fn optional_method(name: &str, value: &str) -> Result<Option<Compression>> {
    if value.is_empty() { Ok(None) } else { method(name, value).map(Some) }
}

fn number<N: std::str::FromStr>(name: &str, value: &str) -> Result<N> {
    value.parse().map_err(|_| Error::Usage(format!("setting '{name}' has invalid value '{value}'")))
}

/// Something that is on or off.
pub(crate) fn switch(name: &str, value: &str) -> Result<bool> {
    match value {
        "true" | "yes" | "1" => Ok(true),
        "false" | "no" | "0" => Ok(false),
        _ => Err(Error::Usage(format!("Boolean setting '{name}' has invalid value '{value}'"))),
    }
}

fn read_key(file: &str) -> Result<SecretKey> {
    let text = std::fs::read_to_string(file).map_err(|source| Error::Io {
        action: "opening file",
        path: file.into(),
        source,
    })?;
    text.trim_end().parse().map_err(|e| Error::InFile {
        path: file.into(),
        source: Box::<firn_model::signature::Error>::new(e),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(scheme: &str, params: &[(&str, &str)]) -> Result<(CacheConfig, Vec<String>)> {
        let params = params.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        CacheConfig::parse(scheme, &params)
    }

    #[test]
    fn parameters_are_those_of_cpp_nix() {
        let (config, unknown) = parse(
            "file",
            &[("compression", "zstd"), ("bogus", "1"), ("region", "x"), ("priority", "7")],
        )
        .unwrap();
        assert_eq!(config.compression, Compression::Zstd);
        assert_eq!(config.priority, Some(7));
        assert_eq!(unknown, ["bogus", "region"]);
        let error = |name, value| parse("file", &[(name, value)]).unwrap_err().to_string();
        assert_eq!(error("compression", "bogus"), "option 'compression' has invalid value 'bogus'");
        assert_eq!(
            error("compression-level", "foo"),
            "setting 'compression-level' has invalid value 'foo'"
        );
        assert_eq!(
            error("write-nar-listing", "foo"),
            "Boolean setting 'write-nar-listing' has invalid value 'foo'"
        );
        assert!(error("secret-key", "/no/such/key").starts_with("opening file \"/no/such/key\""));
        let (config, unknown) = parse("s3", &[("region", "x")]).unwrap();
        assert_eq!(config.special["region"], "x");
        assert!(unknown.is_empty());
    }
}
