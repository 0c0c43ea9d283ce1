//! How the serve protocol writes what the worker protocol writes otherwise.

use std::io::{self, Write};

use firn_build::BuildResult;
use firn_model::hash::Hash;
use firn_model::path_info::PathInfo;
use firn_model::store_path::{StoreDir, StorePath};

use super::Version;
use crate::error::{Error, Result};
use crate::protocol::{self, Codec};
use crate::wire::{WireRead, WireWrite as _};

/// How a build is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BuildSettings {
    /// How long it may be silent, in seconds; 0 for no limit.
    pub max_silent_time: u64,
    /// How long it may take, in seconds; 0 for no limit.
    pub timeout: u64,
    /// How long its log may be, in bytes; 0 for no limit.
    pub max_log_size: u64,
    /// Keep the build directory if it fails.
    pub keep_failed: bool,
}

/// Writes and reads for a store folder in a version of the serve protocol.
#[derive(Debug, Clone)]
pub(super) struct ServeCodec {
    /// For what both protocols write in the same way.
    pub common: Codec,
    pub version: Version,
}

impl ServeCodec {
    pub fn new(dir: StoreDir, version: Version) -> Self {
        // derivations alone mean what they build here, as in old worker protocols
        Self { common: Codec::new(dir, protocol::Version(29)), version }
    }

    fn at_least(&self, minor: u8) -> bool {
        self.version >= Version(minor)
    }

    pub fn path_info(&self, r: &mut WireRead<'_>, path: StorePath) -> Result<PathInfo> {
        let codec = &self.common;
        let deriver = codec.optional_path(r)?;
        let references = codec.paths(r)?;
        // once the size to download
        r.number()?;
        let nar_size = r.number()?;
        if !self.at_least(4) {
            return Err(Error::protocol(
                "the other side is too old: it does not tell the hashes of paths",
            ));
        }
        let hash = r.text()?;
        let nar_hash = Hash::parse_prefixed(&hash)
            .map_err(|e| Error::protocol(format!("NAR hash is now mandatory: {e}")))?;
        let mut info = PathInfo::new(path, nar_hash, nar_size);
        info.deriver = deriver;
        info.references = references;
        info.ca = codec.content_address(r)?;
        info.signatures = codec.signatures(r)?;
        Ok(info)
    }

    pub fn put_path_info(&self, w: &mut dyn Write, info: &PathInfo) -> io::Result<()> {
        let codec = &self.common;
        codec.put_optional_path(w, info.deriver.as_ref())?;
        codec.put_paths(w, &info.references)?;
        w.number(info.nar_size)?;
        w.number(info.nar_size)?;
        if self.at_least(4) {
            w.text(&info.nar_hash.to_string())?;
            codec.put_content_address(w, info.ca.as_ref())?;
            codec.put_signatures(w, &info.signatures)?;
        }
        Ok(())
    }

    pub fn settings(&self, r: &mut WireRead<'_>) -> Result<BuildSettings> {
        let mut settings = BuildSettings {
            max_silent_time: r.number()?,
            timeout: r.number()?,
            ..BuildSettings::default()
        };
        if self.at_least(2) {
            settings.max_log_size = r.number()?;
        }
        if self.at_least(3) {
            if r.number()? != 0 {
                return Err(Error::protocol(
                    "client requested repeating builds, but this is not currently implemented",
                ));
            }
            // whether to insist on equal results, of which there is one
            r.number()?;
        }
        if self.at_least(7) {
            settings.keep_failed = r.bool()?;
        }
        Ok(settings)
    }

    pub fn put_settings(&self, w: &mut dyn Write, settings: &BuildSettings) -> io::Result<()> {
        w.number(settings.max_silent_time)?;
        w.number(settings.timeout)?;
        if self.at_least(2) {
            w.number(settings.max_log_size)?;
        }
        if self.at_least(3) {
            w.number(0)?;
            w.number(0)?;
        }
        if self.at_least(7) {
            w.bool(settings.keep_failed)?;
        }
        Ok(())
    }

    pub fn build_result(&self, r: &mut WireRead<'_>) -> Result<BuildResult> {
        let mut result = BuildResult::new(Codec::status(r)?);
        result.error = r.message()?;
        if self.at_least(3) {
            self.common.times(r, &mut result)?;
        }
        if self.at_least(6) {
            result.built_outputs = self.common.built_outputs(r)?;
        }
        Ok(result)
    }

    pub fn put_build_result(&self, w: &mut dyn Write, result: &BuildResult) -> io::Result<()> {
        w.number(u64::from(result.status.wire()))?;
        w.text(&result.error)?;
        if self.at_least(3) {
            self.common.put_times(w, result)?;
        }
        if self.at_least(6) {
            self.common.put_built_outputs(w, &result.built_outputs)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use firn_build::BuildStatus;
    use firn_model::hash::HashAlgo;
    use proptest::prelude::*;

    use super::*;
    use crate::wire::WireReader;

    fn codec(minor: u8) -> ServeCodec {
        ServeCodec::new(StoreDir::default(), Version(minor))
    }

    fn path() -> StorePath {
        StorePath::from_parts(&[1; 20], "a").unwrap()
    }

    #[test]
    fn path_infos_settings_and_results_come_back() {
        let mut info = PathInfo::new(path(), Hash::digest(HashAlgo::Sha256, b""), 9);
        info.references = [path()].into();
        let mut out = Vec::new();
        codec(7).put_path_info(&mut out, &info).unwrap();
        let mut r: WireRead<'_> = WireReader::new(Box::new(&*out));
        assert_eq!(codec(7).path_info(&mut r, path()).unwrap(), info);

        let settings =
            BuildSettings { max_silent_time: 1, timeout: 2, max_log_size: 3, keep_failed: true };
        for (minor, expected) in [
            (7, settings),
            (6, BuildSettings { keep_failed: false, ..settings }),
            (1, BuildSettings { keep_failed: false, max_log_size: 0, ..settings }),
        ] {
            let mut out = Vec::new();
            codec(minor).put_settings(&mut out, &settings).unwrap();
            let mut r: WireRead<'_> = WireReader::new(Box::new(&*out));
            assert_eq!(codec(minor).settings(&mut r).unwrap(), expected, "2.{minor}");
            assert_eq!(r.number_or_end().unwrap(), None);
        }
        let mut result = BuildResult::new(BuildStatus::TimedOut);
        result.error = "e".into();
        for minor in [1, 3, 6, 7] {
            let mut out = Vec::new();
            codec(minor).put_build_result(&mut out, &result).unwrap();
            let mut r: WireRead<'_> = WireReader::new(Box::new(&*out));
            assert_eq!(codec(minor).build_result(&mut r).unwrap(), result);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_no_panic(bytes: Vec<u8>, minor in 1u8..8) {
            let codec = codec(minor);
            let reader = || -> WireRead<'_> { WireReader::new(Box::new(&*bytes)) };
            let _ = codec.path_info(&mut reader(), path());
            let _ = codec.settings(&mut reader());
            let _ = codec.build_result(&mut reader());
        }
    }
}
