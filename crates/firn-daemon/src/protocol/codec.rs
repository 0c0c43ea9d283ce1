//! How the protocols write what stores are made of.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::time::Duration;

use firn_build::plain::without_colours;
use firn_build::{BuildResult, BuildStatus, DerivedPath, OutputsSpec};
use firn_model::content_address::{ContentAddress, Method};
use firn_model::derivation::{Derivation, Output};
use firn_model::hash::{Hash, HashAlgo};
use firn_model::path_info::PathInfo;
use firn_model::realisation::{DrvOutput, Realisation};
use firn_model::signature::Signature;
use firn_model::store_path::{StoreDir, StorePath};

use super::{BuildMode, KeyedResult, Version};
use crate::error::{Error, Result};
use crate::wire::{WireRead, WireWrite as _};

/// The version in which [`Codec::path_info`] has all that is known of a path; it is also the one in which many
/// paths are added at once, whatever version is spoken.
const WITH_SIGNATURES: Version = Version(16);

/// Writes and reads for a store folder in a version of the worker protocol.
#[derive(Debug, Clone)]
pub struct Codec {
    /// The store's folder, which printed paths begin with.
    pub dir: StoreDir,
    /// The version that is spoken.
    pub version: Version,
}

impl Codec {
    /// For this store folder and version.
    #[must_use]
    pub fn new(dir: StoreDir, version: Version) -> Self {
        Self { dir, version }
    }

    fn at_least(&self, minor: u8) -> bool {
        self.version >= Version(minor)
    }

    fn parse(&self, text: &str) -> Result<StorePath> {
        self.dir.parse(text).map_err(Error::model)
    }

    /// Reads a store path.
    ///
    /// # Errors
    /// If it is none.
    pub fn path(&self, r: &mut WireRead<'_>) -> Result<StorePath> {
        let text = r.text()?;
        self.parse(&text)
    }

    /// Writes a store path.
    ///
    /// # Errors
    /// If the sink fails.
    pub fn put_path(&self, w: &mut dyn Write, path: &StorePath) -> io::Result<()> {
        w.text(&self.dir.print(path))
    }

    /// Reads a store path, or the empty text for none.
    ///
    /// # Errors
    /// If it is neither.
    pub fn optional_path(&self, r: &mut WireRead<'_>) -> Result<Option<StorePath>> {
        match r.text()?.as_str() {
            "" => Ok(None),
            text => self.parse(text).map(Some),
        }
    }

    /// Writes a store path or none.
    ///
    /// # Errors
    /// If the sink fails.
    pub fn put_optional_path(&self, w: &mut dyn Write, path: Option<&StorePath>) -> io::Result<()> {
        w.text(&path.map(|p| self.dir.print(p)).unwrap_or_default())
    }

    /// Reads a set of store paths.
    ///
    /// # Errors
    /// If one is none.
    pub fn paths(&self, r: &mut WireRead<'_>) -> Result<BTreeSet<StorePath>> {
        r.list(|r| self.path(r))
    }

    /// Writes a set of store paths.
    ///
    /// # Errors
    /// If the sink fails.
    pub fn put_paths<'p>(
        &self,
        w: &mut dyn Write,
        paths: impl IntoIterator<Item = &'p StorePath, IntoIter: ExactSizeIterator>,
    ) -> io::Result<()> {
        let paths = paths.into_iter();
        w.number(paths.len() as u64)?;
        for path in paths {
            self.put_path(w, path)?;
        }
        Ok(())
    }

    /// Reads signatures.
    ///
    /// # Errors
    /// If one is none.
    pub fn signatures(&self, r: &mut WireRead<'_>) -> Result<BTreeSet<Signature>> {
        r.list(|r| r.text()?.parse().map_err(Error::model))
    }

    /// Writes signatures.
    ///
    /// # Errors
    /// If the sink fails.
    pub fn put_signatures(
        &self,
        w: &mut dyn Write,
        signatures: &BTreeSet<Signature>,
    ) -> io::Result<()> {
        w.number(signatures.len() as u64)?;
        for signature in signatures {
            w.text(&signature.to_string())?;
        }
        Ok(())
    }

    /// Reads a content address, or the empty text for none.
    ///
    /// # Errors
    /// If it is neither.
    pub fn content_address(&self, r: &mut WireRead<'_>) -> Result<Option<ContentAddress>> {
        match r.text()?.as_str() {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(Error::model),
        }
    }

    /// Writes a content address or none.
    ///
    /// # Errors
    /// If the sink fails.
    pub fn put_content_address(
        &self,
        w: &mut dyn Write,
        ca: Option<&ContentAddress>,
    ) -> io::Result<()> {
        w.text(&ca.map(ToString::to_string).unwrap_or_default())
    }

    /// Reads how contents are hashed that are to be added: a content address without its digest.
    ///
    /// # Errors
    /// If it is nothing known.
    pub fn hashing(&self, r: &mut WireRead<'_>) -> Result<(Method, HashAlgo)> {
        let text = r.text()?;
        let parsed = match text.split_once(':') {
            Some(("text", algo)) => algo.parse().map(|algo| (Method::Text, algo)),
            Some(("fixed", rest)) => Method::parse_with_algo(rest),
            _ => {
                return Err(Error::protocol(format!(
                    "content address prefix of '{text}' is unrecognized: it is neither 'text' nor 'fixed'"
                )));
            }
        };
        parsed.map_err(Error::model)
    }

    /// Writes how contents are hashed that are to be added.
    ///
    /// # Errors
    /// If the sink fails.
    pub fn put_hashing(
        &self,
        w: &mut dyn Write,
        (method, algo): (Method, HashAlgo),
    ) -> io::Result<()> {
        w.text(&match method {
            Method::Text => format!("text:{algo}"),
            method => format!("fixed:{}{algo}", method.prefix()),
        })
    }

    /// Reads what is known of `path`, without the path itself.
    ///
    /// # Errors
    /// If it makes no sense.
    pub fn path_info(&self, r: &mut WireRead<'_>, path: StorePath) -> Result<PathInfo> {
        let deriver = self.optional_path(r)?;
        let nar_hash = Hash::parse_any(&r.text()?, Some(HashAlgo::Sha256)).map_err(Error::model)?;
        let mut info = PathInfo::new(path, nar_hash, 0);
        info.deriver = deriver;
        info.references = self.paths(r)?;
        info.registration_time = i64::try_from(r.number()?).unwrap_or(i64::MAX);
        info.nar_size = r.number()?;
        if self.version >= WITH_SIGNATURES {
            info.ultimate = r.bool()?;
            info.signatures = self.signatures(r)?;
            info.ca = self.content_address(r)?;
        }
        Ok(info)
    }

    /// Writes what is known of a path, without the path itself.
    ///
    /// # Errors
    /// If the sink fails.
    pub fn put_path_info(&self, w: &mut dyn Write, info: &PathInfo) -> io::Result<()> {
        self.put_optional_path(w, info.deriver.as_ref())?;
        w.text(&info.nar_hash.to_base16())?;
        self.put_paths(w, &info.references)?;
        w.number(u64::try_from(info.registration_time).unwrap_or(0))?;
        w.number(info.nar_size)?;
        if self.version >= WITH_SIGNATURES {
            w.bool(info.ultimate)?;
            self.put_signatures(w, &info.signatures)?;
            self.put_content_address(w, info.ca.as_ref())?;
        }
        Ok(())
    }

    /// Reads a derivation without its input derivations, whose outputs are among its input sources.
    ///
    /// # Errors
    /// If it makes no sense.
    pub fn derivation(&self, r: &mut WireRead<'_>, name: &str) -> Result<Derivation> {
        let mut drv = Derivation { name: name.to_owned(), ..Derivation::default() };
        drv.outputs = r.list(|r| {
            let output = r.text()?;
            Ok((output, self.output(r)?))
        })?;
        drv.input_srcs = self.paths(r)?;
        drv.system = r.bytes()?.into();
        drv.builder = r.bytes()?.into();
        drv.args = r.list(|r| Ok(r.bytes()?.into()))?;
        drv.env = r.list(|r| {
            let name = r.bytes()?;
            Ok((name.into(), r.bytes()?.into()))
        })?;
        Ok(drv)
    }

    fn output(&self, r: &mut WireRead<'_>) -> Result<Output> {
        let (path, algo, hash) = (r.text()?, r.text()?, r.text()?);
        if algo.is_empty() {
            return match path.as_str() {
                "" => Ok(Output::Deferred),
                path => Ok(Output::InputAddressed(self.parse(path)?)),
            };
        }
        let (method, algo) = Method::parse_with_algo(&algo).map_err(Error::model)?;
        let floating = match hash.as_str() {
            "" => Output::Floating { method, algo },
            "impure" => Output::Impure { method, algo },
            hash => {
                // the path follows from the hash and is not believed
                self.parse(&path)?;
                let hash = Hash::parse_unprefixed(hash, algo).map_err(Error::model)?;
                return Ok(Output::Fixed(ContentAddress { method, hash }));
            }
        };
        if !path.is_empty() {
            return Err(Error::protocol(format!(
                "content-addressing derivation output should not specify output path, but has '{path}'"
            )));
        }
        Ok(floating)
    }

    /// Writes a derivation without its input derivations.
    ///
    /// # Errors
    /// If the sink fails, or an output's name does not fit into a path.
    pub fn put_derivation(&self, w: &mut dyn Write, drv: &Derivation) -> Result<()> {
        let mut write = || -> io::Result<()> {
            w.number(drv.outputs.len() as u64)?;
            for (name, output) in &drv.outputs {
                w.text(name)?;
                let path = output.path(&self.dir, &drv.name, name).map_err(io::Error::other)?;
                let (algo, hash) = match output {
                    Output::InputAddressed(_) | Output::Deferred => (String::new(), String::new()),
                    Output::Fixed(ca) => (ca.method_and_algo(), ca.hash.to_base16()),
                    Output::Floating { method, algo } => {
                        (format!("{}{algo}", method.prefix()), String::new())
                    }
                    Output::Impure { method, algo } => {
                        (format!("{}{algo}", method.prefix()), "impure".to_owned())
                    }
                };
                self.put_optional_path(w, path.as_ref())?;
                w.text(&algo)?;
                w.text(&hash)?;
            }
            self.put_paths(w, &drv.input_srcs)?;
            w.bytes(&drv.system)?;
            w.bytes(&drv.builder)?;
            w.number(drv.args.len() as u64)?;
            for arg in &drv.args {
                w.bytes(arg)?;
            }
            w.number(drv.env.len() as u64)?;
            for (name, value) in &drv.env {
                w.bytes(name)?;
                w.bytes(value)?;
            }
            Ok(())
        };
        write().map_err(Error::io("writing a derivation"))
    }

    /// Reads something to build.
    ///
    /// # Errors
    /// If it is nothing that can be built.
    pub fn derived_path(&self, r: &mut WireRead<'_>) -> Result<DerivedPath> {
        let text = r.text()?;
        self.parse_derived_path(&text)
    }

    /// Parses something to build. Up to version 1.29 a derivation alone means all that it builds.
    ///
    /// # Errors
    /// If it is nothing that can be built.
    pub fn parse_derived_path(&self, text: &str) -> Result<DerivedPath> {
        let parsed = DerivedPath::parse(text, &self.dir).map_err(Error::model)?;
        match parsed {
            DerivedPath::Opaque(path) if path.is_derivation() && !self.at_least(30) => {
                Ok(DerivedPath::all_outputs(path))
            }
            other => Ok(other),
        }
    }

    /// The text for something to build.
    ///
    /// # Errors
    /// If the version cannot say it.
    pub fn print_derived_path(&self, path: &DerivedPath) -> Result<String> {
        match path {
            DerivedPath::Opaque(path) => {
                if path.is_derivation() && !self.at_least(30) {
                    return Err(Error::protocol(format!(
                        "trying to request '{}', but daemon protocol {} is too old (< 1.29) to request a derivation file",
                        self.dir.print(path),
                        self.version
                    )));
                }
                Ok(self.dir.print(path))
            }
            DerivedPath::Built { drv, outputs } => {
                let drv = self.dir.print(drv);
                Ok(match outputs {
                    OutputsSpec::All if !self.at_least(30) => drv,
                    outputs => format!("{drv}!{outputs}"),
                })
            }
            DerivedPath::Dynamic { drv, via, outputs } if self.at_least(30) => {
                Ok(format!("{}!{}!{outputs}", self.dir.print(drv), via.join("!")))
            }
            DerivedPath::Dynamic { .. } => Err(Error::protocol(
                "wanted to build a derivation that is itself a build product, but protocols do not support that. Try upgrading the Nix on the other end of this connection",
            )),
        }
    }

    /// Writes things to build.
    ///
    /// # Errors
    /// If the version cannot say one, or the sink fails.
    pub fn put_derived_paths(&self, w: &mut dyn Write, paths: &[DerivedPath]) -> Result<()> {
        let texts =
            paths.iter().map(|path| self.print_derived_path(path)).collect::<Result<Vec<_>>>()?;
        let mut write = || -> io::Result<()> {
            w.number(texts.len() as u64)?;
            texts.iter().try_for_each(|text| w.text(text))
        };
        write().map_err(Error::io("writing what to build"))
    }

    /// Reads what a build is for.
    ///
    /// # Errors
    /// If it is nothing known.
    pub fn build_mode(&self, r: &mut WireRead<'_>) -> Result<BuildMode> {
        match r.number()? {
            0 => Ok(BuildMode::Normal),
            1 => Ok(BuildMode::Repair),
            2 => Ok(BuildMode::Check),
            _ => Err(Error::protocol("Invalid build mode")),
        }
    }

    /// Reads whether the other side trusts this one, if it knows.
    ///
    /// # Errors
    /// If it is no answer.
    pub fn trust(&self, r: &mut WireRead<'_>) -> Result<Option<bool>> {
        match r.number()? {
            0 => Ok(None),
            1 => Ok(Some(true)),
            2 => Ok(Some(false)),
            _ => Err(Error::protocol("Invalid trusted status from remote")),
        }
    }

    /// Writes whether this side trusts the other.
    ///
    /// # Errors
    /// If the sink fails.
    pub fn put_trust(&self, w: &mut dyn Write, trusted: Option<bool>) -> io::Result<()> {
        w.number(match trusted {
            None => 0,
            Some(true) => 1,
            Some(false) => 2,
        })
    }

    fn duration(r: &mut WireRead<'_>) -> Result<Option<Duration>> {
        match r.number()? {
            0 => Ok(None),
            1 => Ok(Some(Duration::from_micros(r.number()?))),
            _ => Err(Error::protocol("Invalid optional tag from remote")),
        }
    }

    fn put_duration(w: &mut dyn Write, duration: Option<Duration>) -> io::Result<()> {
        match duration {
            None => w.number(0),
            Some(duration) => {
                w.number(1)?;
                w.number(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
            }
        }
    }

    /// Reads a realisation.
    ///
    /// # Errors
    /// If it is none.
    pub fn realisation(&self, r: &mut WireRead<'_>) -> Result<Realisation> {
        let json = serde_json::from_slice(&r.bytes()?).map_err(|e| {
            Error::protocol(format!("a realisation in the remote protocol is no JSON: {e}"))
        })?;
        Realisation::from_json(&json).map_err(Error::model)
    }

    /// Writes a realisation.
    ///
    /// # Errors
    /// If the sink fails.
    pub fn put_realisation(&self, w: &mut dyn Write, realisation: &Realisation) -> io::Result<()> {
        w.text(&realisation.to_json().to_string())
    }

    /// Reads the name of an output of a derivation.
    ///
    /// # Errors
    /// If it is none.
    pub fn drv_output(&self, r: &mut WireRead<'_>) -> Result<DrvOutput> {
        r.text()?.parse().map_err(Error::model)
    }

    /// Reads the outputs that a build gave.
    ///
    /// # Errors
    /// If they make no sense.
    pub fn built_outputs(&self, r: &mut WireRead<'_>) -> Result<BTreeMap<String, Realisation>> {
        r.list(|r| {
            let id = self.drv_output(r)?;
            Ok((id.output_name, self.realisation(r)?))
        })
    }

    /// Writes the outputs that a build gave.
    ///
    /// # Errors
    /// If the sink fails.
    pub fn put_built_outputs(
        &self,
        w: &mut dyn Write,
        outputs: &BTreeMap<String, Realisation>,
    ) -> io::Result<()> {
        w.number(outputs.len() as u64)?;
        for realisation in outputs.values() {
            w.text(&realisation.id.to_string())?;
            self.put_realisation(w, realisation)?;
        }
        Ok(())
    }

    /// Reads the number that says how a build ended.
    ///
    /// # Errors
    /// If it says nothing known.
    pub fn status(r: &mut WireRead<'_>) -> Result<BuildStatus> {
        let number = r.number()?;
        BuildStatus::from_wire(number).ok_or_else(|| {
            Error::protocol(format!("Invalid BuildResult status {number} from remote"))
        })
    }

    /// Reads what came of a build.
    ///
    /// # Errors
    /// If it makes no sense.
    pub fn build_result(&self, r: &mut WireRead<'_>) -> Result<BuildResult> {
        let mut result = BuildResult::new(Self::status(r)?);
        result.error = without_colours(&r.message()?);
        if self.at_least(29) {
            self.times(r, &mut result)?;
        }
        if self.at_least(37) {
            result.cpu_user = Self::duration(r)?;
            result.cpu_system = Self::duration(r)?;
        }
        if self.at_least(28) {
            result.built_outputs = self.built_outputs(r)?;
        }
        Ok(result)
    }

    /// Reads how often and when something was built.
    ///
    /// # Errors
    /// If the connection ends.
    pub fn times(&self, r: &mut WireRead<'_>, result: &mut BuildResult) -> Result<()> {
        result.times_built = r.number()?;
        result.non_deterministic = r.bool()?;
        result.start_time = i64::try_from(r.number()?).unwrap_or(0);
        result.stop_time = i64::try_from(r.number()?).unwrap_or(0);
        Ok(())
    }

    /// Writes how often and when something was built.
    ///
    /// # Errors
    /// If the sink fails.
    pub fn put_times(&self, w: &mut dyn Write, result: &BuildResult) -> io::Result<()> {
        w.number(result.times_built)?;
        w.bool(result.non_deterministic)?;
        w.number(u64::try_from(result.start_time).unwrap_or(0))?;
        w.number(u64::try_from(result.stop_time).unwrap_or(0))
    }

    /// Writes what came of a build.
    ///
    /// # Errors
    /// If the sink fails.
    pub fn put_build_result(&self, w: &mut dyn Write, result: &BuildResult) -> io::Result<()> {
        w.number(u64::from(result.status.wire()))?;
        w.text(&result.error)?;
        if self.at_least(29) {
            self.put_times(w, result)?;
        }
        if self.at_least(37) {
            Self::put_duration(w, result.cpu_user)?;
            Self::put_duration(w, result.cpu_system)?;
        }
        if self.at_least(28) {
            self.put_built_outputs(w, &result.built_outputs)?;
        }
        Ok(())
    }

    /// Reads what came of several things that were asked for.
    ///
    /// # Errors
    /// If it makes no sense.
    pub fn keyed_results(&self, r: &mut WireRead<'_>) -> Result<Vec<KeyedResult>> {
        r.list(|r| Ok(KeyedResult { path: self.derived_path(r)?, result: self.build_result(r)? }))
    }

    /// Writes what came of several things that were asked for.
    ///
    /// # Errors
    /// If the sink fails.
    pub fn put_keyed_results(&self, w: &mut dyn Write, results: &[KeyedResult]) -> Result<()> {
        w.number(results.len() as u64).map_err(Error::io("writing results"))?;
        for each in results {
            let path = self.print_derived_path(&each.path)?;
            w.text(&path)
                .and_then(|()| self.put_build_result(w, &each.result))
                .map_err(Error::io("writing results"))?;
        }
        Ok(())
    }
}
