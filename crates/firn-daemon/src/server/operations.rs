//! The operations: each reads its request to the end, then works, then answers.
//!
//! What an untrusted client may not do is refused here, in one place for all versions of the protocol.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use firn_build::{BuildResult, BuildStatus, DerivedPath};
use firn_event::{Event, EventSink as _, Level};
use firn_model::content_address::{ContentAddress, Method};
use firn_model::derivation::Kind;
use firn_model::hash::HashAlgo;
use firn_model::path_info::PathInfo;
use firn_model::realisation::Realisation;
use firn_model::store_path::StorePath;
use firn_store::local::gc::{Action, GcOptions};
use firn_store::local::roots::Roots;
use firn_store::{Repair, Store};

use super::Session;
use super::receive::{Pieces, framed, only_file, whole_nar};
use super::tunnel::Answer;
use crate::error::{Error, Result};
use crate::managed::ClientOptions;
use crate::protocol::{BuildMode, Codec, KeyedResult, Op, Version, log};
use crate::wire::{WireReader, WireWrite as _};

/// The version in which information about paths is written where many are added at once.
const MANY_PATHS: Version = Version(16);

/// The most paths that are added at once, or settings that are set.
const MAX_ITEMS: u64 = 1 << 20;

/// The longest log that is taken from a client, in bytes.
const MAX_LOG: u64 = 256 * 1024 * 1024;

/// Roots without what other users' processes do.
fn censored(roots: Roots) -> Roots {
    let hide = |link: String| match link.starts_with("/proc/") || link.starts_with("{temp:") {
        true => "{censored}".to_owned(),
        false => link,
    };
    roots.into_iter().map(|(path, links)| (path, links.into_iter().map(hide).collect())).collect()
}

fn repair(value: bool) -> Repair {
    if value { Repair::Yes } else { Repair::No }
}

fn absolute(path: &str) -> Result<PathBuf> {
    std::path::absolute(path).map_err(Error::io("finding the current directory"))
}

impl Session<'_> {
    /// Works on a request that has been read to its end, and answers.
    fn answer<T>(
        &self,
        work: impl FnOnce(&Self) -> Result<T>,
        write: impl FnOnce(&Codec, &mut dyn Write, &T) -> std::io::Result<()>,
    ) -> Result<()> {
        self.tunnel.start()?;
        let result = work(self)?;
        self.tunnel.succeed()?;
        self.tunnel.write(|w| write(&self.codec, w, &result))
    }

    /// The same where the answer says nothing but that all went well.
    fn acknowledge(&self, work: impl FnOnce(&Self) -> Result<()>) -> Result<()> {
        self.answer(work, |_, w, ()| w.number(1))
    }

    fn path(&mut self) -> Result<StorePath> {
        self.codec.path(&mut self.reader)
    }

    fn paths(&mut self) -> Result<BTreeSet<StorePath>> {
        self.codec.paths(&mut self.reader)
    }

    fn at_least(&self, minor: u8) -> bool {
        self.codec.version >= Version(minor)
    }

    /// Repairing replaces contents that others may be using.
    fn may_repair(&self, mode: BuildMode) -> Result<()> {
        if mode == BuildMode::Repair && !self.is_trusted() {
            return Err(Error::Refused(
                "repairing is not allowed because you are not in 'trusted-users'".into(),
            ));
        }
        Ok(())
    }

    fn answer_paths(
        &self,
        work: impl FnOnce(&dyn Store) -> firn_store::Result<BTreeSet<StorePath>>,
    ) -> Result<()> {
        self.answer(|s| Ok(work(s.store.store())?), |codec, w, paths| codec.put_paths(w, paths))
    }

    pub(super) fn perform(&mut self, op: Op) -> Result<()> {
        match op {
            Op::IsValidPath => {
                let path = self.path()?;
                self.answer(|s| Ok(s.store.store().is_valid(&path)?), |_, w, valid| w.bool(*valid))
            }
            Op::QueryValidPaths => {
                let paths = self.paths()?;
                let substitute = self.at_least(27) && self.reader.bool()?;
                self.answer(
                    |s| s.store.query_valid(&paths, substitute),
                    |codec, w, valid| codec.put_paths(w, valid),
                )
            }
            Op::QuerySubstitutablePaths => {
                let paths = self.paths()?;
                self.answer(
                    |s| s.store.query_substitutable(&paths),
                    |codec, w, found| codec.put_paths(w, found.keys()),
                )
            }
            Op::QueryReferrers => {
                let path = self.path()?;
                self.answer_paths(|store| store.query_referrers(&path))
            }
            Op::QueryValidDerivers => {
                let path = self.path()?;
                self.answer_paths(|store| store.query_valid_derivers(&path))
            }
            Op::QueryDerivationOutputs => {
                let path = self.path()?;
                self.answer_paths(|store| {
                    Ok(store.query_derivation_outputs(&path)?.into_values().flatten().collect())
                })
            }
            Op::QueryDerivationOutputNames => {
                let path = self.path()?;
                self.answer(
                    |s| Ok(s.store.store().read_derivation(&path)?),
                    |_, w, drv| {
                        w.number(drv.outputs.len() as u64)?;
                        drv.outputs.keys().try_for_each(|name| w.text(name))
                    },
                )
            }
            Op::QueryDerivationOutputMap => {
                let path = self.path()?;
                self.answer(
                    |s| Ok(s.store.store().query_derivation_outputs(&path)?),
                    |codec, w, outputs| {
                        w.number(outputs.len() as u64)?;
                        for (name, path) in outputs {
                            w.text(name)?;
                            codec.put_optional_path(w, path.as_ref())?;
                        }
                        Ok(())
                    },
                )
            }
            Op::QueryDeriver => {
                let path = self.path()?;
                self.answer(
                    |s| Ok(s.store.store().path_info(&path)?),
                    |codec, w, info| codec.put_optional_path(w, info.deriver.as_ref()),
                )
            }
            Op::QueryPathFromHashPart => {
                let hash_part = self.reader.text()?;
                self.answer(
                    |s| Ok(s.store.store().query_path_from_hash_part(&hash_part)?),
                    |codec, w, path| codec.put_optional_path(w, path.as_ref()),
                )
            }
            Op::QueryAllValidPaths => self.answer_paths(|store| store.query_all_valid_paths()),
            Op::QueryPathInfo => {
                let path = self.path()?;
                self.answer(
                    |s| Ok(s.store.store().query_path_info(&path)?),
                    |codec, w, info| match info {
                        None => w.bool(false),
                        Some(info) => {
                            w.bool(true)?;
                            codec.put_path_info(w, info)
                        }
                    },
                )
            }
            Op::QuerySubstitutablePathInfo | Op::QuerySubstitutablePathInfos => {
                self.query_substitutable(op)
            }
            Op::QueryMissing => {
                let wanted = self.wanted()?;
                self.answer(
                    |s| s.store.query_missing(&wanted),
                    |codec, w, missing| {
                        codec.put_paths(w, &missing.will_build)?;
                        codec.put_paths(w, &missing.will_fetch)?;
                        codec.put_paths(w, &missing.unknown)?;
                        w.number(missing.download_size)?;
                        w.number(missing.nar_size)
                    },
                )
            }
            Op::AddToStore if self.at_least(25) => self.add_to_store(),
            Op::AddToStore => self.add_to_store_old(),
            Op::AddTextToStore => {
                let (name, text) = (self.reader.text()?, self.reader.bytes()?);
                let references = self.paths()?;
                self.answer(
                    |s| Ok(s.store.store().add_text(&name, &text, &references, Repair::No)?),
                    |codec, w, path| codec.put_path(w, path),
                )
            }
            Op::AddToStoreNar => self.add_nar(),
            Op::AddMultipleToStore => self.add_multiple(),
            Op::AddSignatures => {
                let path = self.path()?;
                let signatures = self.codec.signatures(&mut self.reader)?;
                self.acknowledge(|s| Ok(s.store.store().add_signatures(&path, &signatures)?))
            }
            Op::NarFromPath => self.nar_from_path(),
            Op::BuildPaths | Op::BuildPathsWithResults => self.build_paths(op),
            Op::BuildDerivation => self.build_derivation(),
            Op::EnsurePath => {
                let path = self.path()?;
                self.acknowledge(|s| s.store.ensure_path(&path))
            }
            Op::RegisterDrvOutput => self.register_realisation(),
            Op::QueryRealisation => {
                let id = self.codec.drv_output(&mut self.reader)?;
                self.answer(
                    |s| Ok(s.store.store().query_realisation(&id)?),
                    |codec, w, found| {
                        w.number(u64::from(found.is_some()))?;
                        match found {
                            None => Ok(()),
                            Some(found) if codec.version < Version(31) => {
                                codec.put_path(w, &found.out_path)
                            }
                            Some(found) => codec.put_realisation(w, found),
                        }
                    },
                )
            }
            Op::AddTempRoot => {
                let path = self.path()?;
                self.acknowledge(|s| Ok(s.store.store().add_temp_root(&path)?))
            }
            Op::AddIndirectRoot => {
                let root = absolute(&self.reader.text()?)?;
                self.acknowledge(|s| Ok(s.store.store().add_indirect_root(&root)?))
            }
            Op::AddPermRoot => {
                let path = self.path()?;
                let root = absolute(&self.reader.text()?)?;
                self.add_perm_root(&path, &root)
            }
            Op::SyncWithGc => self.acknowledge(|_| Ok(())),
            Op::FindRoots => {
                let censor = !self.is_trusted();
                self.answer(
                    |s| {
                        let roots = s.store.store().find_roots()?;
                        Ok(if censor { censored(roots) } else { roots })
                    },
                    |codec, w, roots| {
                        let count: usize = roots.values().map(BTreeSet::len).sum();
                        w.number(count as u64)?;
                        for (path, links) in roots {
                            for link in links {
                                w.text(link)?;
                                codec.put_path(w, path)?;
                            }
                        }
                        Ok(())
                    },
                )
            }
            Op::CollectGarbage => self.collect_garbage(),
            Op::OptimiseStore => self.acknowledge(|s| Ok(s.store.store().optimise().map(drop)?)),
            Op::VerifyStore => {
                let (contents, mend) = (self.reader.bool()?, self.reader.bool()?);
                self.answer(
                    |s| {
                        if mend && !s.is_trusted() {
                            return Err(Error::Refused(
                                "you are not privileged to repair paths".into(),
                            ));
                        }
                        s.store.verify_store(contents, repair(mend))
                    },
                    |_, w, errors| w.bool(*errors),
                )
            }
            Op::AddBuildLog => self.add_build_log(),
            Op::SetOptions => self.set_options(),
        }
    }

    fn wanted(&mut self) -> Result<Vec<DerivedPath>> {
        let codec = &self.codec;
        self.reader.list(|r| codec.derived_path(r))
    }

    fn query_substitutable(&mut self, op: Op) -> Result<()> {
        let mut paths = BTreeSet::new();
        if op == Op::QuerySubstitutablePathInfo {
            paths.insert(self.path()?);
        } else if self.at_least(22) {
            let codec = &self.codec;
            let with_addresses: Vec<(StorePath, Option<ContentAddress>)> =
                self.reader.list(|r| Ok((codec.path(r)?, codec.content_address(r)?)))?;
            paths.extend(with_addresses.into_iter().map(|(path, _)| path));
        } else {
            paths = self.paths()?;
        }
        let single = op == Op::QuerySubstitutablePathInfo;
        self.answer(
            |s| s.store.query_substitutable(&paths),
            |codec, w, found| {
                w.number(found.len() as u64)?;
                for (path, info) in found {
                    if !single {
                        codec.put_path(w, path)?;
                    }
                    codec.put_optional_path(w, info.deriver.as_ref())?;
                    codec.put_paths(w, &info.references)?;
                    w.number(info.download_size)?;
                    w.number(info.nar_size)?;
                }
                Ok(())
            },
        )
    }

    fn add_to_store(&mut self) -> Result<()> {
        let name = self.reader.text()?;
        let (method, algo) = self.codec.hashing(&mut self.reader)?;
        let references = self.paths()?;
        let mend = self.reader.bool()?;
        self.tunnel.start()?;
        let store = self.store.clone();
        let path = framed(&mut self.reader, |source| {
            let store = store.store();
            Ok(store.add_dump(&name, source, method, algo, &references, repair(mend))?)
        })?;
        let info = self.store.store().path_info(&path)?;
        self.tunnel.succeed()?;
        self.tunnel.write(|w| {
            self.codec.put_path(w, &info.path)?;
            self.codec.put_path_info(w, &info)
        })
    }

    /// Up to version 1.24 all contents come as a NAR, with nothing around it.
    fn add_to_store_old(&mut self) -> Result<()> {
        let name = self.reader.text()?;
        let (fixed, recursive) = (self.reader.bool()?, self.reader.number()?);
        let algo = self.reader.text()?;
        if recursive > 1 {
            return Err(Error::protocol(format!(
                "unsupported FileIngestionMethod with value of {recursive}; you may need to upgrade nix-daemon"
            )));
        }
        // what is not fixed was always hashed this way
        let (method, algo) = match fixed {
            false => (Method::Nar, HashAlgo::Sha256),
            true => (
                if recursive == 1 { Method::Nar } else { Method::Flat },
                algo.parse().map_err(Error::model)?,
            ),
        };
        let mut nar = whole_nar(&mut self.reader)?;
        self.answer(
            |s| {
                let store = s.store.store();
                let none = BTreeSet::new();
                Ok(if method == Method::Nar {
                    store.add_dump(&name, &mut nar, method, algo, &none, Repair::No)?
                } else {
                    let mut file = only_file(&mut nar)?;
                    store.add_dump(&name, &mut file, method, algo, &none, Repair::No)?
                })
            },
            |codec, w, path| codec.put_path(w, path),
        )
    }

    /// Whether signatures are demanded of what the client adds: an untrusted one has no say in that.
    fn checks(&self, dont_check: bool) -> bool {
        !(dont_check && self.is_trusted())
    }

    fn add_nar(&mut self) -> Result<()> {
        let path = self.path()?;
        let codec = Codec::new(self.codec.dir.clone(), MANY_PATHS);
        let mut info = codec.path_info(&mut self.reader, path)?;
        let (mend, dont_check) = (self.reader.bool()?, self.reader.bool()?);
        let check = self.checks(dont_check);
        if !self.is_trusted() {
            info.ultimate = false;
        }
        let store = self.store.clone();
        let add =
            |source: &mut (dyn Read + Send)| store.add_to_store(&info, source, repair(mend), check);
        if self.at_least(23) {
            self.tunnel.start()?;
            framed(&mut self.reader, add)?;
            return self.tunnel.succeed();
        }
        if self.at_least(21) {
            self.tunnel.start()?;
            // the client sends no more than it is asked for, so nothing has to be skipped
            let mut pieces = Pieces::new(&mut self.reader, self.tunnel.clone());
            add(&mut pieces)?;
            return self.tunnel.succeed();
        }
        let mut nar = whole_nar(&mut self.reader)?;
        self.tunnel.start()?;
        add(&mut nar)?;
        self.tunnel.succeed()
    }

    fn add_multiple(&mut self) -> Result<()> {
        let (mend, dont_check) = (self.reader.bool()?, self.reader.bool()?);
        let check = self.checks(dont_check);
        let codec = Codec::new(self.codec.dir.clone(), MANY_PATHS);
        self.tunnel.start()?;
        let store = self.store.clone();
        framed(&mut self.reader, |source| {
            let source: Box<dyn Read + Send + '_> = Box::new(source);
            let mut items = WireReader::new(source);
            let count = items.number()?;
            if count > MAX_ITEMS {
                return Err(Error::protocol(format!("{count} paths at once were refused")));
            }
            for _ in 0..count {
                items.begin();
                let path = codec.path(&mut items)?;
                let mut info: PathInfo = codec.path_info(&mut items, path)?;
                info.ultimate = false;
                // the store does not read what it has already
                let mut nar = items.raw().take(info.nar_size);
                store.add_to_store(&info, &mut nar, repair(mend), check)?;
                std::io::copy(&mut nar, &mut std::io::sink())
                    .map_err(Error::io("reading a NAR from the client"))?;
            }
            Ok(())
        })?;
        self.tunnel.succeed()
    }

    fn nar_from_path(&mut self) -> Result<()> {
        let path = self.path()?;
        self.tunnel.start()?;
        // after this only the NAR can follow
        self.store.store().path_info(&path)?;
        self.tunnel.succeed()?;
        // in case of a failure the client has a part of the NAR and waits for the rest: only hanging up tells it
        Ok(self.store.store().nar_from_path(&path, &mut Answer(&self.tunnel))?)
    }

    fn build_paths(&mut self, op: Op) -> Result<()> {
        let wanted = self.wanted()?;
        let mode = self.codec.build_mode(&mut self.reader)?;
        self.tunnel.start()?;
        self.may_repair(mode)?;
        let results = self.store.build(&wanted, mode)?;
        if op == Op::BuildPathsWithResults {
            self.tunnel.succeed()?;
            let mut out = Vec::new();
            self.codec.put_keyed_results(&mut out, &results)?;
            return self.tunnel.write(|w| w.write_all(&out));
        }
        if let Some(error) = all_failures(&self.codec, &results) {
            // whoever asks this way is not told otherwise
            let failed = results.iter().filter(|each| !each.result.status.is_success());
            if failed.clone().count() > 1 {
                for each in failed {
                    let (level, text) = (Level::Error, each.result.error.clone());
                    self.tunnel.event(Event::Message { level, text });
                }
            }
            return Err(error);
        }
        self.tunnel.succeed()?;
        self.tunnel.write(|w| w.number(1))
    }

    /// A derivation from the client. Only what a trusted client sends may be input-addressed: nothing proves that
    /// its output paths are those that it leads to.
    fn build_derivation(&mut self) -> Result<()> {
        let mut path = self.path()?;
        let name = path.derivation_name().map_err(Error::model)?.to_owned();
        let drv = self.codec.derivation(&mut self.reader, &name)?;
        let mode = self.codec.build_mode(&mut self.reader)?;
        self.tunnel.start()?;
        self.may_repair(mode)?;
        if !self.is_trusted() {
            let kind = drv.kind().map_err(Error::model)?;
            if !matches!(kind, Kind::Fixed | Kind::Floating | Kind::Impure) {
                return Err(Error::Refused(
                    "you are not privileged to build input-addressed derivations".into(),
                ));
            }
            // nor is its path believed
            path = self.store.store().add_derivation(&drv, Repair::No)?;
        }
        let result: BuildResult = self.store.build_derivation(&path, &drv, mode)?;
        self.tunnel.succeed()?;
        self.tunnel.write(|w| self.codec.put_build_result(w, &result))
    }

    /// Nobody can check what an input-addressed output is, so that others' word for it needs their signature.
    fn register_realisation(&mut self) -> Result<()> {
        let realisation = if self.at_least(31) {
            self.codec.realisation(&mut self.reader)?
        } else {
            let id = self.codec.drv_output(&mut self.reader)?;
            let path = StorePath::from_base_name(&self.reader.text()?).map_err(Error::model)?;
            Realisation::new(id, path)
        };
        self.tunnel.start()?;
        if !self.is_trusted() && !self.store.trusts_realisation(&realisation)? {
            return Err(Error::Refused(format!(
                "cannot register realisation '{}' because it lacks a signature by a trusted key",
                realisation.out_path.base_name()
            )));
        }
        self.store.store().register_realisation(&realisation)?;
        self.tunnel.succeed()
    }

    fn add_perm_root(&self, path: &StorePath, root: &Path) -> Result<()> {
        self.answer(
            |s| {
                if !s.is_trusted() {
                    return Err(Error::Refused(
                        "you are not privileged to create perm roots\n\n\
                         hint: you can just do this client-side without special privileges, and probably want to do that instead."
                            .into(),
                    ));
                }
                Ok(s.store.store().add_perm_root(path, root)?)
            },
            |_, w, root| w.text(&root.to_string_lossy()),
        )
    }

    fn collect_garbage(&mut self) -> Result<()> {
        let action = self.reader.number()?;
        let paths = self.paths()?;
        let (ignore_liveness, most) = (self.reader.bool()?, self.reader.number()?);
        for _ in 0..3 {
            self.reader.number()?;
        }
        let action = match action {
            0 => Action::ReturnLive,
            1 => Action::ReturnDead,
            2 => Action::DeleteDead,
            3 => Action::DeleteSpecific(paths),
            _ => return Err(Error::protocol("Invalid GC action")),
        };
        self.answer(
            |s| {
                if ignore_liveness {
                    return Err(Error::Refused("you are not allowed to ignore liveness".into()));
                }
                let max_freed = (most != u64::MAX).then_some(most);
                s.store.collect(&GcOptions { action, ignore_liveness, max_freed })
            },
            |_, w, results| {
                w.number(results.paths.len() as u64)?;
                results.paths.iter().try_for_each(|path| w.text(path))?;
                w.number(results.bytes_freed)?;
                w.number(0)
            },
        )
    }

    fn add_build_log(&mut self) -> Result<()> {
        let drv = StorePath::from_base_name(&self.reader.text()?).map_err(Error::model)?;
        self.tunnel.start()?;
        let (store, trusted) = (self.store.clone(), self.is_trusted());
        framed(&mut self.reader, |source| {
            if !trusted {
                return Err(Error::Refused("you are not privileged to add logs".into()));
            }
            let mut log = Vec::new();
            source
                .take(MAX_LOG)
                .read_to_end(&mut log)
                .map_err(Error::io("reading a build log from the client"))?;
            Ok(store.store().add_build_log(&drv, &log)?)
        })?;
        self.tunnel.succeed()?;
        self.tunnel.write(|w| w.number(1))
    }

    fn set_options(&mut self) -> Result<()> {
        let r = &mut self.reader;
        let (keep_failed, keep_going, fallback) = (r.bool()?, r.bool()?, r.bool()?);
        let verbosity = log::level(r.number()?);
        let (max_jobs, max_silent_time) = (r.number()?, r.number()?);
        r.number()?;
        let verbose_build = r.number()? == 0;
        r.number()?;
        r.number()?;
        let (cores, substitute) = (r.number()?, r.bool()?);
        let overrides = r.list(|r| Ok((r.text()?, r.message()?)))?;
        let options = ClientOptions {
            keep_failed,
            keep_going,
            fallback,
            verbosity,
            max_jobs,
            max_silent_time,
            verbose_build,
            cores,
            substitute,
            overrides,
        };
        self.tunnel.start()?;
        if !self.recursive {
            self.set_verbosity(verbosity);
            self.store.set_options(&options, self.is_trusted())?;
        }
        self.tunnel.succeed()
    }
}

/// The one error that old clients are told of failed builds.
fn all_failures(codec: &Codec, results: &[KeyedResult]) -> Option<Error> {
    let failed: Vec<&KeyedResult> =
        results.iter().filter(|each| !each.result.status.is_success()).collect();
    let [first, rest @ ..] = &failed[..] else { return None };
    let message = if rest.is_empty() {
        first.result.error.clone()
    } else {
        let names: BTreeSet<String> = failed
            .iter()
            .map(|each| format!("'{}'", codec.dir.print(each.path.store_path())))
            .collect();
        let names: Vec<String> = names.into_iter().collect();
        format!("build of {} failed", names.join(", "))
    };
    let status = if first.result.status == BuildStatus::TimedOut { 101 } else { 100 };
    Some(Error::Remote { message, status })
}
