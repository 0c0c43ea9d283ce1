//! `builtin:fetchurl`: downloads one file into a fixed output.
//!
//! Attributes: `url`, or `urls` separated by white space, tried in order; `executable = "1"`;
//! `unpack = "1"` for a NAR (with `.xz` if the URL says so). `mirror://` URLs are resolved
//! beforehand. The scheduler checks the hash of the output; it is checked here too where the file
//! is the output, so that a mirror that lies is passed over.

use std::fs::{self, File};
use std::io::BufReader;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use firn_fetch::{Downloader, FetchError, FetchSettings, Netrc};
use firn_model::hash::Hash;
use serde::{Deserialize, Serialize};

use super::{Context, Error, log};

/// A prepared download.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FetchUrl {
    /// The URLs, the preferred first, none of them a mirror's.
    pub urls: Vec<String>,
    /// Those among them that may fail without a word: content-addressed mirrors.
    pub hashed: Vec<String>,
    /// Where the output goes.
    pub out: String,
    /// The hash of the file as SRI text, if the file is the output.
    pub flat_hash: Option<String>,
    /// Whether the file is a NAR to unpack.
    pub unpack: bool,
    /// Whether the output is executable.
    pub executable: bool,
    /// The certificate authorities as PEM text.
    pub certificates: Option<String>,
    /// The text of the host's `netrc`.
    pub netrc: String,
    /// `connect-timeout` in milliseconds.
    pub connect_timeout: Option<u64>,
    /// `stalled-download-timeout` in milliseconds.
    pub stalled_timeout: Option<u64>,
    /// `http2`
    pub http2: bool,
    /// `download-speed` in bytes a second.
    pub download_speed: Option<u64>,
    /// `download-attempts`
    pub attempts: u32,
    /// `user-agent-suffix`
    pub user_agent_suffix: String,
}

impl FetchUrl {
    pub(super) fn prepare(context: &Context<'_>) -> Result<Self, Error> {
        let out = context.output("builtin:fetchurl")?;
        if context.fixed.is_none() && !context.impure {
            return Err("'builtin:fetchurl' must be a fixed-output or impure derivation".into());
        }
        let flat = context.fixed.as_ref().filter(|(_, flat)| *flat).map(|(hash, _)| hash);
        let mut wanted = Vec::new();
        for name in ["url", "urls"] {
            let value = context.optional(name)?.unwrap_or_default();
            for url in value.split_ascii_whitespace() {
                if !wanted.iter().any(|w| w == url) {
                    wanted.push(url.to_owned());
                }
            }
        }
        if wanted.is_empty() {
            return Err("attribute 'url' missing".into());
        }
        let mut urls = Vec::new();
        let mut no_mirror = None;
        for url in &wanted {
            match super::registry::resolve(context.fetch, url) {
                Ok(found) => urls.extend(found),
                Err(error) => no_mirror = Some(error),
            }
        }
        if let (true, Some(error)) = (urls.is_empty(), no_mirror) {
            return Err(error.into());
        }
        let hashed = match flat {
            Some(hash) => context
                .hashed_mirrors
                .iter()
                .map(|mirror| {
                    format!("{}/{}/{}", mirror.trim_end_matches('/'), hash.algo(), hash.to_base16())
                })
                .collect(),
            None => Vec::new(),
        };
        let unpack = context.optional("unpack")?.as_deref() == Some("1");
        let millis = |d: Option<Duration>| d.and_then(|d| u64::try_from(d.as_millis()).ok());
        let certificates = match &context.fetch.ca_data {
            Some(data) => Some(String::from_utf8_lossy(data).into_owned()),
            None => context
                .fetch
                .ca_file
                .clone()
                .or_else(FetchSettings::host_ca_file)
                .and_then(|path| fs::read_to_string(path).ok()),
        };
        Ok(Self {
            urls,
            hashed,
            out,
            flat_hash: flat.filter(|_| !unpack).map(Hash::to_sri),
            unpack,
            executable: context.optional("executable")?.as_deref() == Some("1"),
            certificates,
            netrc: context.fetch.netrc_text.clone(),
            connect_timeout: millis(context.fetch.connect_timeout),
            stalled_timeout: millis(context.fetch.stalled_timeout),
            http2: context.fetch.http2,
            download_speed: context.fetch.download_speed,
            attempts: context.fetch.attempts,
            user_agent_suffix: context.fetch.user_agent_suffix.clone(),
        })
    }

    pub(super) fn run(&self) -> Result<(), Error> {
        let settings = FetchSettings {
            ca_data: Some(self.certificates.clone().unwrap_or_default().into_bytes()),
            netrc: Netrc::parse(&self.netrc),
            connect_timeout: self.connect_timeout.map(Duration::from_millis),
            stalled_timeout: self.stalled_timeout.map(Duration::from_millis),
            http2: self.http2,
            download_speed: self.download_speed,
            attempts: self.attempts,
            user_agent_suffix: self.user_agent_suffix.clone(),
            ..FetchSettings::default()
        };
        let out = Path::new(&self.out);
        // Beside the output, so that it can be renamed; the working directory for what is unpacked.
        let file = if self.unpack { Path::new("download.nar") } else { out };
        self.download(settings, file)?;
        if self.unpack {
            let packed = BufReader::new(File::open(file)?);
            let xz = self.urls.first().is_some_and(|url| url.ends_with(".xz"));
            let mut nar: Box<dyn std::io::Read> =
                if xz { Box::new(liblzma::read::XzDecoder::new(packed)) } else { Box::new(packed) };
            firn_store::fs::restore_path(&mut nar, out, firn_store::fs::Restore::Plain)?;
        }
        if self.executable {
            fs::set_permissions(out, fs::Permissions::from_mode(0o755))?;
        }
        Ok(())
    }

    fn download(&self, settings: FetchSettings, file: &Path) -> Result<(), Error> {
        let wanted = match &self.flat_hash {
            Some(text) => Some(Hash::parse_sri(text)?),
            None => None,
        };
        for url in &self.hashed {
            let quiet = Downloader::new(
                FetchSettings { attempts: 1, ..settings.clone() },
                firn_event::Logger::silent(),
            )?;
            if quiet.download_file(std::slice::from_ref(url), file, wanted.as_ref(), 0).is_ok() {
                return Ok(());
            }
        }
        let downloader = Downloader::new(settings, log::logger())?;
        match downloader.download_file(&self.urls, file, wanted.as_ref(), 0) {
            Ok(_) => Ok(()),
            // With a single source, the scheduler's own check words it as users know it.
            Err(FetchError::WrongHash { .. }) if self.urls.len() == 1 => {
                downloader.download_file(&self.urls, file, None, 0)?;
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}
