//! [`ManagedStore`] for [`RemoteStore`].

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use firn_build::{
    BuildError, BuildOptions, BuildResult, BuildResults, BuildStatus, BuildStore, DerivedPath,
    ExitFlags, FailureKind, Missing, OutputsSpec,
};
use firn_event::{Level, Logger};
use firn_model::derivation::Derivation;
use firn_model::path_info::PathInfo;
use firn_model::realisation::Realisation;
use firn_model::store_path::StorePath;
use firn_store::local::gc::{Action, GcOptions, GcResults};
use firn_store::local::roots::Roots;
use firn_store::{NarSource, Repair, Store};

use super::connection::copy_nar;
use super::remote::{RemoteStore, done, sending};
use crate::error::{Error, Result};
use crate::managed::{ClientOptions, ManagedStore, SubstitutableInfo};
use crate::protocol::{BuildMode, Codec, KeyedResult, Op, Version};
use crate::wire::{WireRead, WireWrite as _};

/// The version in which information about paths is written where many are added at once.
const MANY_PATHS: Version = Version(16);

impl RemoteStore {
    /// Adds a path; with `check` the daemon demands signatures even of whom it trusts.
    pub(super) fn send_nar(
        &self,
        info: &PathInfo,
        nar: &mut dyn Read,
        repair: Repair,
        check: bool,
    ) -> Result<()> {
        let head = |codec: &Codec, w: &mut dyn Write| -> Result<()> {
            let codec = Codec::new(codec.dir.clone(), MANY_PATHS);
            codec.put_path(w, &info.path).map_err(sending)?;
            codec.put_path_info(w, info).map_err(sending)?;
            w.bool(repair == Repair::Yes).and_then(|()| w.bool(!check)).map_err(sending)
        };
        let version = self.protocol()?;
        if version >= Version(23) {
            let _extra = self.pool.extra();
            return self.with(|connection| {
                connection.request_framed(
                    Op::AddToStoreNar,
                    head,
                    |sink| std::io::copy(nar, sink).map(drop).map_err(Error::io("copying a NAR")),
                    |_, _| Ok(()),
                )
            });
        }
        // old daemons want it at once or piece by piece
        let mut kept = Vec::new();
        nar.read_to_end(&mut kept).map_err(Error::io("reading a NAR"))?;
        let mut source = &*kept;
        if version >= Version(21) {
            return self.with(|connection| {
                connection.request_reading(Op::AddToStoreNar, head, &mut source, |_, _| Ok(()))
            });
        }
        self.ask(
            Op::AddToStoreNar,
            |codec, w| {
                head(codec, w)?;
                copy_nar(&mut source, w)
            },
            |_, _| Ok(()),
        )
    }

    fn build_old(&self, wanted: &[DerivedPath], mode: BuildMode) -> Result<Vec<KeyedResult>> {
        self.ask(Op::BuildPaths, |codec, w| put_wanted(codec, w, wanted, mode), done)?;
        wanted
            .iter()
            .map(|path| {
                let result = match path {
                    DerivedPath::Opaque(_) => BuildResult::new(BuildStatus::Substituted),
                    DerivedPath::Built { drv, outputs } => self.built_by_old(drv, outputs)?,
                    // which old versions cannot even be asked for
                    DerivedPath::Dynamic { .. } => BuildResult::new(BuildStatus::MiscFailure),
                };
                Ok(KeyedResult { path: path.clone(), result })
            })
            .collect()
    }

    /// What an old daemon, which does not say it, must have built.
    fn built_by_old(&self, drv: &StorePath, wanted: &OutputsSpec) -> Result<BuildResult> {
        let parsed = self.read_derivation(drv)?;
        let paths = self.query_derivation_outputs(drv)?;
        let built = paths
            .into_iter()
            .filter(|(name, _)| wanted.contains(name))
            .filter_map(|(name, path)| Some((name, path?)))
            .collect();
        let mut result = BuildResult::new(BuildStatus::Built);
        result.built_outputs = crate::local::realisations(self, &parsed, built)?;
        Ok(result)
    }
}

fn put_wanted(
    codec: &Codec,
    w: &mut dyn Write,
    wanted: &[DerivedPath],
    mode: BuildMode,
) -> Result<()> {
    codec.put_derived_paths(w, wanted)?;
    w.number(mode as u64).map_err(sending)
}

fn read_missing(
    codec: &Codec,
    r: &mut WireRead<'static>,
) -> Result<(BTreeSet<StorePath>, Missing)> {
    let will_build = codec.paths(r)?;
    let missing = Missing {
        will_build: Vec::new(),
        will_fetch: codec.paths(r)?,
        unknown: codec.paths(r)?,
        download_size: r.number()?,
        nar_size: r.number()?,
    };
    Ok((will_build, missing))
}

impl ManagedStore for RemoteStore {
    fn store(&self) -> &dyn Store {
        self
    }

    fn trusts_us(&self) -> Result<Option<bool>> {
        self.with(|connection| Ok(connection.trusted()))
    }

    fn version(&self) -> Result<Option<String>> {
        self.with(|connection| Ok(connection.daemon_version().map(str::to_owned)))
    }

    fn protocol_version(&self) -> Result<Option<(String, String)>> {
        Ok(Some((self.protocol()?.to_string(), crate::protocol::LATEST.to_string())))
    }

    fn set_options(&self, options: &ClientOptions, _trusted: bool) -> Result<()> {
        self.replace_options(options);
        Ok(())
    }

    fn build(&self, wanted: &[DerivedPath], mode: BuildMode) -> Result<Vec<KeyedResult>> {
        if self.protocol()? < Version(34) {
            return self.build_old(wanted, mode);
        }
        self.ask(
            Op::BuildPathsWithResults,
            |codec, w| put_wanted(codec, w, wanted, mode),
            Codec::keyed_results,
        )
    }

    fn build_derivation(
        &self,
        path: &StorePath,
        drv: &Derivation,
        mode: BuildMode,
    ) -> Result<BuildResult> {
        self.ask(
            Op::BuildDerivation,
            |codec, w| {
                codec.put_path(w, path).map_err(sending)?;
                codec.put_derivation(w, drv)?;
                w.number(mode as u64).map_err(sending)
            },
            Codec::build_result,
        )
    }

    fn query_missing(&self, wanted: &[DerivedPath]) -> Result<Missing> {
        let (will_build, mut missing) = self.ask(
            Op::QueryMissing,
            |codec, w| codec.put_derived_paths(w, wanted),
            read_missing,
        )?;
        missing.will_build = self.topo_sort(&will_build)?;
        missing.will_build.reverse();
        Ok(missing)
    }

    fn ensure_path(&self, path: &StorePath) -> Result<()> {
        self.ask_path(Op::EnsurePath, path, done)
    }

    fn query_substitutable(
        &self,
        paths: &BTreeSet<StorePath>,
    ) -> Result<BTreeMap<StorePath, SubstitutableInfo>> {
        if paths.is_empty() {
            return Ok(BTreeMap::new());
        }
        self.ask(
            Op::QuerySubstitutablePathInfos,
            |codec, w| {
                if codec.version < Version(22) {
                    return codec.put_paths(w, paths).map_err(sending);
                }
                w.number(paths.len() as u64).map_err(sending)?;
                for path in paths {
                    codec.put_path(w, path).map_err(sending)?;
                    codec.put_content_address(w, None).map_err(sending)?;
                }
                Ok(())
            },
            |codec, r| {
                r.list(|r| {
                    let path = codec.path(r)?;
                    let info = SubstitutableInfo {
                        deriver: codec.optional_path(r)?,
                        references: codec.paths(r)?,
                        download_size: r.number()?,
                        nar_size: r.number()?,
                    };
                    Ok((path, info))
                })
            },
        )
    }

    fn query_valid(
        &self,
        paths: &BTreeSet<StorePath>,
        substitute: bool,
    ) -> Result<BTreeSet<StorePath>> {
        if paths.is_empty() {
            return Ok(BTreeSet::new());
        }
        self.ask(
            Op::QueryValidPaths,
            |codec, w| {
                codec.put_paths(w, paths).map_err(sending)?;
                if codec.version >= Version(27) {
                    w.bool(substitute).map_err(sending)?;
                }
                Ok(())
            },
            Codec::paths,
        )
    }

    fn add_to_store(
        &self,
        info: &PathInfo,
        nar: &mut (dyn Read + Send),
        repair: Repair,
        check: bool,
    ) -> Result<()> {
        self.send_nar(info, nar, repair, check)
    }

    fn add_multiple(
        &self,
        infos: &[PathInfo],
        nars: &NarSource<'_>,
        repair: Repair,
        check: bool,
    ) -> Result<()> {
        if infos.is_empty() {
            return Ok(());
        }
        if self.protocol()? < Version(32) {
            for info in infos {
                crate::pipe::pipe(
                    |sink| nars(info, sink).map_err(Error::from),
                    |source| self.send_nar(info, source, repair, check),
                )?;
            }
            return Ok(());
        }
        let _extra = self.pool.extra();
        self.with(|connection| {
            connection.request_framed(
                Op::AddMultipleToStore,
                |_, w| w.bool(repair == Repair::Yes).and_then(|()| w.bool(!check)).map_err(sending),
                |sink| {
                    let codec = Codec::new(self.store_dir().clone(), MANY_PATHS);
                    sink.number(infos.len() as u64).map_err(sending)?;
                    for info in infos {
                        codec.put_path(sink, &info.path).map_err(sending)?;
                        codec.put_path_info(sink, info).map_err(sending)?;
                        nars(info, sink)?;
                    }
                    Ok(())
                },
                |_, _| Ok(()),
            )
        })
    }

    /// The daemon looks for itself, and at whom it trusts.
    fn trusts_realisation(&self, _realisation: &Realisation) -> Result<bool> {
        Ok(false)
    }

    fn verify_store(&self, check_contents: bool, repair: Repair) -> Result<bool> {
        self.ask_to_verify(check_contents, repair)
    }
}

impl RemoteStore {
    pub(super) fn ask_to_verify(&self, check_contents: bool, repair: Repair) -> Result<bool> {
        let errors = self.ask(
            Op::VerifyStore,
            |_, w| {
                w.bool(check_contents).and_then(|()| w.bool(repair == Repair::Yes)).map_err(sending)
            },
            |_, r| r.bool(),
        );
        self.forget_all();
        errors
    }

    pub(super) fn ask_to_collect(&self, options: &GcOptions) -> Result<GcResults> {
        let none = BTreeSet::new();
        let (number, paths) = match &options.action {
            Action::ReturnLive => (0, &none),
            Action::ReturnDead => (1, &none),
            Action::DeleteDead => (2, &none),
            Action::DeleteSpecific(paths) => (3, paths),
        };
        let results = self.ask(
            Op::CollectGarbage,
            |codec, w| {
                w.number(number).map_err(sending)?;
                codec.put_paths(w, paths).map_err(sending)?;
                w.bool(options.ignore_liveness).map_err(sending)?;
                w.number(options.max_freed.unwrap_or(u64::MAX)).map_err(sending)?;
                // options that were taken out of the protocol
                (0..3).try_for_each(|_| w.number(0)).map_err(sending)
            },
            |_, r| {
                let results = GcResults { paths: r.texts()?, bytes_freed: r.number()? };
                r.number()?;
                Ok(results)
            },
        );
        self.forget_all();
        results
    }

    pub(super) fn ask_for_roots(&self) -> Result<Roots> {
        self.ask(
            Op::FindRoots,
            |_, _| Ok(()),
            |codec, r| {
                let links: Vec<(String, StorePath)> = r.list(|r| {
                    let link = r.message()?;
                    Ok((link, codec.path(r)?))
                })?;
                let mut roots = Roots::new();
                for (link, path) in links {
                    roots.entry(path).or_default().insert(link);
                }
                Ok(roots)
            },
        )
    }

    /// Has the other side make a root, where that is another machine.
    pub(super) fn ask_for_root(&self, path: &StorePath, root: &Path) -> Result<PathBuf> {
        self.ask(
            Op::AddPermRoot,
            |codec, w| {
                codec.put_path(w, path).map_err(sending)?;
                w.text(&root.to_string_lossy()).map_err(sending)
            },
            |_, r| Ok(PathBuf::from(r.text()?)),
        )
    }

    pub(super) fn send_log(&self, drv: &StorePath, mut log: &[u8]) -> Result<()> {
        if self.protocol()? < Version(32) {
            return Err(self.unsupported("addBuildLog").into());
        }
        self.with(|connection| {
            connection.request_framed(
                Op::AddBuildLog,
                |_, w| w.text(drv.base_name()).map_err(sending),
                |sink| std::io::copy(&mut log, sink).map(drop).map_err(Error::io("copying a log")),
                done,
            )
        })
    }
}

impl BuildStore for RemoteStore {
    fn missing(&self, wanted: &[DerivedPath]) -> firn_store::Result<Missing> {
        Ok(self.query_missing(wanted)?)
    }

    fn build_paths(
        &self,
        wanted: &[DerivedPath],
        options: &BuildOptions,
        logger: &Logger,
    ) -> Result<BuildResults, BuildError> {
        let results = self.build(wanted, options.mode.into());
        // a daemon leaves it to its client to tell of each
        if let Ok(results) = &results {
            let failed = || results.iter().filter(|each| !each.result.status.is_success());
            if failed().count() > 1 {
                for each in failed().filter(|each| !each.result.error.is_empty()) {
                    logger.message(Level::Error, each.result.error.clone());
                }
            }
        }
        // how it failed, a daemon's clients do not tell by their exit codes, as in C++ Nix
        as_build_results(self, results).map_err(|error| BuildError { exit_code: 1, ..error })
    }

    fn ensure_path(&self, path: &StorePath) -> firn_store::Result<()> {
        Ok(ManagedStore::ensure_path(self, path)?)
    }
}

/// What came of builds as the commands want it: all outputs, or one error with its exit code.
pub(crate) fn as_build_results(
    store: &dyn Store,
    results: Result<Vec<KeyedResult>>,
) -> Result<BuildResults, BuildError> {
    let results = match results {
        Ok(results) => results,
        Err(e) => {
            let exit_code = match &e {
                Error::Remote { status, .. } => u8::try_from(*status).unwrap_or(1).max(1),
                _ => 1,
            };
            let message = e.to_string();
            return Err(BuildError { message, exit_code, failed: Vec::new(), interrupted: false });
        }
    };
    let failed: Vec<&KeyedResult> =
        results.iter().filter(|each| !each.result.status.is_success()).collect();
    if let [first, rest @ ..] = &failed[..] {
        let mut flags = ExitFlags::default();
        for each in &failed {
            if let Some(kind) = failure_kind(each.result.status) {
                flags.add(kind);
            }
        }
        let paths: Vec<StorePath> = failed.iter().map(|e| e.path.store_path().clone()).collect();
        let message = if rest.is_empty() {
            first.result.error.clone()
        } else {
            let names: BTreeSet<String> =
                paths.iter().map(|p| format!("'{}'", store.store_dir().print(p))).collect();
            let names: Vec<String> = names.into_iter().collect();
            format!("build of {} failed", names.join(", "))
        };
        return Err(BuildError {
            message,
            exit_code: flags.exit_code(),
            failed: paths,
            interrupted: false,
        });
    }
    let mut all = BuildResults::default();
    for KeyedResult { path, result } in results {
        let outputs = match &path {
            DerivedPath::Opaque(path) => {
                if result.status == BuildStatus::Substituted {
                    all.fetched.push(path.clone());
                }
                [("out".to_owned(), path.clone())].into()
            }
            DerivedPath::Built { drv, .. } | DerivedPath::Dynamic { drv, .. } => {
                if result.status == BuildStatus::Built {
                    all.built.push(drv.clone());
                }
                result.built_outputs.into_iter().map(|(name, r)| (name, r.out_path)).collect()
            }
        };
        all.outputs.push((path, outputs));
    }
    Ok(all)
}

/// How a build failed, as far as exit codes tell it.
fn failure_kind(status: BuildStatus) -> Option<FailureKind> {
    Some(match status {
        BuildStatus::PermanentFailure => FailureKind::Permanent,
        BuildStatus::InputRejected => FailureKind::InputRejected,
        BuildStatus::TimedOut => FailureKind::TimedOut,
        BuildStatus::NotDeterministic => FailureKind::NotDeterministic,
        BuildStatus::HashMismatch => FailureKind::HashMismatch,
        _ => return None,
    })
}
