//! Builders that are part of this program: derivations whose builder is `builtin:NAME`.
//!
//! They run in the sandbox's process like any other builder, with its account, its mounts and its
//! system call filter, so they see only the derivation's inputs. What they need of the host (which
//! mirrors there are, certificates, credentials) is looked up beforehand, by [`BuiltinSpec::prepare`].

mod buildenv;
mod fetchurl;
mod import;
mod log;
mod registry;
mod unpack_channel;
mod zip;

use std::collections::BTreeMap;

use bstr::{BStr, BString};
use firn_fetch::FetchSettings;
use serde::{Deserialize, Serialize};

pub use buildenv::{Conflict, build as build_environment};
pub use fetchurl::FetchUrl;
pub use unpack_channel::unpack as unpack_tarball;

/// Everything that a built-in builder needs to know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum BuiltinSpec {
    /// `builtin:fetchurl`
    FetchUrl(FetchUrl),
    /// `builtin:buildenv`
    BuildEnv(buildenv::BuildEnv),
    /// `builtin:unpack-channel`
    UnpackChannel(unpack_channel::UnpackChannel),
    /// `builtin:firn-import`
    FirnImport(import::FirnImport),
}

/// An error of a built-in builder, for the build's log.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// What a built-in builder is prepared from.
#[derive(Debug)]
pub struct Context<'a> {
    /// The derivation's environment.
    pub env: &'a BTreeMap<BString, BString>,
    /// Where each output is to be made, as the builder sees it.
    pub outputs: &'a BTreeMap<String, String>,
    /// The hash of the fixed output and whether it is that of a flat file.
    pub fixed: Option<(firn_model::hash::Hash, bool)>,
    /// Whether the derivation is impure: then it may use the network though no output is fixed.
    pub impure: bool,
    /// The store directory as it is written into files.
    pub store_dir: &'a str,
    /// How many threads a builder may use.
    pub cores: usize,
    /// How to download.
    pub fetch: &'a FetchSettings,
    /// `hashed-mirrors`
    pub hashed_mirrors: &'a [String],
}

impl Context<'_> {
    fn attribute(&self, name: &str) -> Result<String, Error> {
        self.optional(name)?.ok_or_else(|| format!("attribute '{name}' missing").into())
    }

    fn optional(&self, name: &str) -> Result<Option<String>, Error> {
        match self.env.get(BStr::new(name)) {
            Some(value) => match String::from_utf8(value.to_vec()) {
                Ok(value) => Ok(Some(value)),
                Err(_) => Err(format!("attribute '{name}' is not UTF-8").into()),
            },
            None => Ok(None),
        }
    }

    fn output(&self, builder: &str) -> Result<String, Error> {
        self.outputs
            .get("out")
            .cloned()
            .ok_or_else(|| format!("'{builder}' requires an 'out' output").into())
    }
}

impl BuiltinSpec {
    /// Whether there is a builder of this name (`builtin:NAME`).
    #[must_use]
    pub fn exists(builder: &[u8]) -> bool {
        matches!(
            builder,
            b"builtin:fetchurl"
                | b"builtin:buildenv"
                | b"builtin:unpack-channel"
                | b"builtin:firn-import"
        )
    }

    /// Prepares the run of `builder`.
    ///
    /// # Errors
    /// When there is no such builder, or the derivation does not say what it needs.
    pub fn prepare(builder: &[u8], context: &Context<'_>) -> Result<Self, Error> {
        Ok(match builder {
            b"builtin:fetchurl" => Self::FetchUrl(FetchUrl::prepare(context)?),
            b"builtin:buildenv" => Self::BuildEnv(buildenv::BuildEnv::prepare(context)?),
            b"builtin:unpack-channel" => {
                Self::UnpackChannel(unpack_channel::UnpackChannel::prepare(context)?)
            }
            b"builtin:firn-import" => Self::FirnImport(import::FirnImport::prepare(context)?),
            other => {
                let name = other.strip_prefix(b"builtin:").unwrap_or(other);
                return Err(format!("unsupported builtin builder '{}'", BStr::new(name)).into());
            }
        })
    }
}

/// Runs a built-in builder in this process and gives its exit code; what it has to say goes to
/// standard error.
#[must_use]
pub(crate) fn run(spec: &BuiltinSpec) -> i32 {
    let result = match spec {
        BuiltinSpec::FetchUrl(spec) => spec.run(),
        BuiltinSpec::BuildEnv(spec) => spec.run(),
        BuiltinSpec::UnpackChannel(spec) => spec.run(),
        BuiltinSpec::FirnImport(spec) => spec.run(),
    };
    match result {
        Ok(()) => 0,
        Err(error) => {
            log::line(&format!("error: {error}"));
            1
        }
    }
}
