//! From what a builder left to registered store paths: permissions, metadata, references, hashes,
//! checks, the final place, one transaction.
//!
//! When this begins, nothing of the builder runs any more, and the outputs are below a directory
//! that only this program can enter.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use firn_event::Logger;
use firn_model::content_address::{ContentAddress, Method};
use firn_model::derivation::{Derivation, Output};
use firn_model::hash::{Hash, HashAlgo, Hasher};
use firn_model::path_info::PathInfo;
use firn_model::signature::SecretKey;
use firn_model::store_path::{References, StorePath, output_path_name};
use firn_store::fs::{Canonicalise, Restore, copy_path, delete_path, dump_path, restore_path};
use firn_store::references::{ReferenceScanner, Tee};
use firn_store::rewrite::{HashModulo, Rewriter};
use firn_store::{LocalStore, Store};

use super::checks::check_outputs;
use crate::drv_options::DrvOptions;
use crate::error::{Failure, FailureKind, io};
use crate::options::{BuildOptions, Mode};

/// An output of a derivation in work.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// Its path when done.
    pub path: StorePath,
    /// The path that the builder was told; differs where the real one is taken.
    pub scratch: StorePath,
    /// Where the builder's result is.
    pub actual: PathBuf,
    /// Whether it was valid before.
    pub valid: bool,
}

/// Everything that registering needs.
pub(super) struct Registration<'a> {
    pub store: &'a LocalStore,
    pub logger: &'a Logger,
    pub options: &'a BuildOptions,
    pub drv_path: &'a StorePath,
    pub drv: &'a Derivation,
    pub drv_options: &'a DrvOptions,
    /// The closure of the inputs.
    pub inputs: &'a BTreeSet<StorePath>,
    pub outputs: &'a BTreeMap<String, Wanted>,
    /// The account that the builder had, if not this one.
    pub build_uid: Option<u32>,
}

/// What a pass over an output gave.
struct Scanned {
    references: BTreeSet<StorePath>,
    nar_hash: Hash,
    nar_size: u64,
}

impl Registration<'_> {
    fn rejected(message: String) -> Failure {
        Failure::new(FailureKind::OutputRejected, message)
    }

    /// Checks, registers and moves all outputs; gives their paths.
    pub fn run(&self) -> Result<BTreeMap<String, StorePath>, Failure> {
        let mut canonicalise = Canonicalise {
            uid_range: self.build_uid.map(|uid| (uid, uid)),
            ..Canonicalise::default()
        };
        let mut scanned = BTreeMap::new();
        let mut kinds = BTreeMap::new();
        for (name, wanted) in self.outputs {
            if wanted.valid && self.options.mode == Mode::Normal {
                continue;
            }
            kinds.insert(name, self.check_file(name, wanted)?);
            self.store.canonicalise(&wanted.actual, &mut canonicalise)?;
            scanned.insert(name.clone(), self.scan(name, wanted)?);
        }
        let order = self.order(&scanned)?;

        let mut infos: BTreeMap<String, PathInfo> = BTreeMap::new();
        // The place of each output now: hash mismatches lead elsewhere than was planned.
        let mut places: BTreeMap<String, PathBuf> = BTreeMap::new();
        for name in order {
            let Some(wanted) = self.outputs.get(&name) else { continue };
            let Some(found) = scanned.remove(&name) else { continue };
            let file = kinds.get(&name);
            let mut info = match self.drv.outputs.get(&name) {
                Some(Output::InputAddressed(_)) => self.input_addressed(wanted, found)?,
                Some(Output::Fixed(ca)) => self.fixed(&name, wanted, ca, found, file)?,
                _ => {
                    return Err(Failure::new(
                        FailureKind::InputRejected,
                        format!(
                            "derivation '{}' has outputs whose paths are not known before the build, which this version cannot build",
                            self.print(self.drv_path)
                        ),
                    ));
                }
            };
            info.deriver = Some(self.drv_path.clone());
            info.ultimate = true;
            self.sign(&mut info)?;
            places.insert(name.clone(), wanted.actual.clone());
            infos.insert(name, info);
        }

        if self.options.mode == Mode::Check {
            return self.compare(&infos, &places);
        }
        let outcome = check_outputs(self.store, self.drv_path, self.drv, self.drv_options, &infos);
        if let Err(failure) = &outcome {
            // What a fixed output really is stays, under the name of its own hash: once the
            // derivation is corrected, it need not be fetched again.
            if failure.kind == FailureKind::HashMismatch {
                for (name, info) in &infos {
                    if info.ca.is_some() && info.references.is_empty() {
                        self.keep_stray(&places[name], info)?;
                    }
                }
            }
        }
        outcome?;
        for (name, info) in &infos {
            let target = self.store.real_path(&info.path);
            // Without a sandbox the builder has made it in its final place.
            if places[name] != target {
                delete_path(&target)?;
                move_path(&places[name], &target)?;
                self.canonical_again(&target)?;
            }
        }
        let all: Vec<PathInfo> = infos.into_values().collect();
        self.store.register_valid(&all)?;
        for info in &all {
            self.store.optimise_new(&info.path)?;
        }
        Ok(self.outputs.iter().map(|(name, w)| (name.clone(), w.path.clone())).collect())
    }

    fn print(&self, path: &StorePath) -> String {
        self.store.store_dir().print(path)
    }

    fn check_file(&self, name: &str, wanted: &Wanted) -> Result<Metadata, Failure> {
        let shown = self.print(&wanted.scratch);
        let meta = match fs::symlink_metadata(&wanted.actual) {
            Ok(meta) => meta,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(Self::rejected(format!(
                    "builder for '{}' failed to produce output path for output '{name}' at \"{shown}\"",
                    self.print(self.drv_path),
                )));
            }
            Err(e) => return Err(io(format!("getting status of '{shown}'"))(e)),
        };
        let mode = meta.mode();
        let writable = !meta.file_type().is_symlink() && mode & 0o022 != 0;
        if writable || self.build_uid.is_some_and(|uid| uid != meta.uid()) {
            return Err(Self::rejected(format!(
                "suspicious ownership or permission on \"{shown}\" for output '{name}'; rejecting this build output"
            )));
        }
        Ok(meta)
    }

    /// Finds references and computes the NAR's hash, in one pass.
    fn scan(&self, name: &str, wanted: &Wanted) -> Result<Scanned, Failure> {
        let discard = self.drv_options.discard_references.contains(name);
        let candidates = self.inputs.iter().chain(self.outputs.values().map(|w| &w.scratch));
        let scanner = ReferenceScanner::new(candidates.filter(|_| !discard));
        let mut tee = Tee(scanner, Hasher::new(HashAlgo::Sha256));
        dump_path(&wanted.actual, &mut tee)?;
        let nar_size = tee.1.len();
        Ok(Scanned { references: tee.0.finish(), nar_hash: tee.1.finish(), nar_size })
    }

    /// The outputs so that each comes after those it refers to.
    fn order(&self, scanned: &BTreeMap<String, Scanned>) -> Result<Vec<String>, Failure> {
        fn visit(
            this: &Registration<'_>,
            scanned: &BTreeMap<String, Scanned>,
            name: &str,
            parent: &str,
            path: &mut Vec<String>,
            done: &mut Vec<String>,
        ) -> Result<(), Failure> {
            if done.iter().any(|d| d == name) {
                return Ok(());
            }
            if path.iter().any(|p| p == name) {
                return Err(Registration::rejected(format!(
                    "cycle detected in build of '{}' in the references of output '{name}' from output '{parent}'",
                    this.print(this.drv_path)
                )));
            }
            path.push(name.to_owned());
            if let Some(found) = scanned.get(name) {
                for (other, wanted) in this.outputs {
                    if other != name && found.references.contains(&wanted.scratch) {
                        visit(this, scanned, other, name, path, done)?;
                    }
                }
            }
            path.pop();
            done.push(name.to_owned());
            Ok(())
        }
        let mut done = Vec::new();
        for name in scanned.keys() {
            visit(self, scanned, name, name, &mut Vec::new(), &mut done)?;
        }
        Ok(done)
    }

    /// Hash parts that the builder was told instead of the real ones.
    fn rewrites(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.outputs
            .values()
            .filter(|w| w.scratch != w.path)
            .map(|w| (w.scratch.hash_part().into(), w.path.hash_part().into()))
            .collect()
    }

    fn final_references(&self, found: BTreeSet<StorePath>) -> BTreeSet<StorePath> {
        let real = |path: StorePath| match self.outputs.values().find(|w| w.scratch == path) {
            Some(wanted) => wanted.path.clone(),
            None => path,
        };
        found.into_iter().map(real).collect()
    }

    fn input_addressed(&self, wanted: &Wanted, mut found: Scanned) -> Result<PathInfo, Failure> {
        let rewrites = self.rewrites();
        if !rewrites.is_empty() {
            self.rewrite(&wanted.actual, rewrites)?;
            let mut hasher = Hasher::new(HashAlgo::Sha256);
            dump_path(&wanted.actual, &mut hasher)?;
            found.nar_size = hasher.len();
            found.nar_hash = hasher.finish();
        }
        let mut info = PathInfo::new(wanted.path.clone(), found.nar_hash, found.nar_size);
        info.references = self.final_references(found.references);
        Ok(info)
    }

    fn rewrite(&self, path: &Path, rewrites: Vec<(Vec<u8>, Vec<u8>)>) -> Result<(), Failure> {
        let temporary = beside(path, "rewritten");
        let (mut reader, writer) = io::pipe().map_err(io("making a pipe"))?;
        std::thread::scope(|scope| {
            let dump = scope.spawn(move || -> Result<(), Failure> {
                let mut rewriter = Rewriter::new(rewrites, writer);
                dump_path(path, &mut rewriter)?;
                let (mut writer, _) = rewriter.finish().map_err(io("rewriting an output"))?;
                writer.flush().map_err(io("rewriting an output"))
            });
            let restored = restore_path(&mut reader, &temporary, Restore::Canonical);
            drop(reader);
            let dumped =
                dump.join().unwrap_or_else(|_| Err(Failure::misc("rewriting an output failed")));
            restored.map_err(Failure::from).and(dumped)
        })?;
        delete_path(path)?;
        move_path(&temporary, path)
    }

    fn fixed(
        &self,
        name: &str,
        wanted: &Wanted,
        ca: &ContentAddress,
        found: Scanned,
        file: Option<&Metadata>,
    ) -> Result<PathInfo, Failure> {
        if matches!(ca.method, Method::Flat | Method::Text) {
            let plain = file.is_some_and(|m| m.is_file() && m.permissions().mode() & 0o100 == 0);
            if !plain {
                return Err(Self::rejected(format!(
                    "output path \"{}\" should be a non-executable regular file since recursive hashing is not enabled (one of outputHashMode={{flat,text}} is true)",
                    self.print(&wanted.scratch)
                )));
            }
        }
        // A fixed output's builder shared the network with the host, so a process outside may hold
        // one of its files open for writing: what is hashed and kept is a fresh copy.
        let copy = beside(&wanted.actual, "copy");
        copy_path(&wanted.actual, &copy, Restore::Canonical, None)?;
        delete_path(&wanted.actual)?;
        move_path(&copy, &wanted.actual)?;

        let mut nar = Hasher::new(HashAlgo::Sha256);
        dump_path(&wanted.actual, &mut nar)?;
        let nar_size = nar.len();
        let nar_hash = nar.finish();
        let hash = match ca.method {
            Method::Flat | Method::Text => {
                let mut hasher = Hasher::new(ca.hash.algo());
                let mut file = fs::File::open(&wanted.actual)
                    .map_err(io(format!("opening '{}'", wanted.actual.display())))?;
                io::copy(&mut file, &mut hasher)
                    .map_err(io(format!("reading '{}'", wanted.actual.display())))?;
                hasher.finish()
            }
            Method::Nar if ca.hash.algo() == HashAlgo::Sha256 => {
                // The same bytes as the NAR's own hash, unless it contains its own path.
                if found.references.contains(&wanted.scratch) {
                    self.hash_modulo(wanted, HashAlgo::Sha256)?
                } else {
                    nar_hash
                }
            }
            Method::Nar => self.hash_modulo(wanted, ca.hash.algo())?,
            Method::Git => {
                return Err(Failure::new(
                    FailureKind::InputRejected,
                    "outputs that are hashed as Git does are not supported",
                ));
            }
        };
        let got = ContentAddress { method: ca.method, hash };
        let path = self.store.store_dir().make_fixed_output_path(
            &output_path_name(&self.drv.name, name),
            &got,
            &References::default(),
        )?;
        let mut info = PathInfo::new(path, nar_hash, nar_size);
        info.references = self.final_references(found.references);
        info.ca = Some(got);
        Ok(info)
    }

    fn hash_modulo(&self, wanted: &Wanted, algo: HashAlgo) -> Result<Hash, Failure> {
        let mut sink = HashModulo::new(algo, wanted.scratch.hash_part());
        dump_path(&wanted.actual, &mut sink)?;
        Ok(sink.finish().0)
    }

    fn sign(&self, info: &mut PathInfo) -> Result<(), Failure> {
        for file in &self.options.secret_key_files {
            let text = fs::read_to_string(file)
                .map_err(io(format!("reading the secret key in '{}'", file.display())))?;
            let key: SecretKey = text
                .trim()
                .parse()
                .map_err(|e| Failure::misc(format!("in '{}': {e}", file.display())))?;
            let signature = key.sign(info.fingerprint(self.store.store_dir()).as_bytes());
            info.signatures.insert(signature);
        }
        Ok(())
    }

    fn keep_stray(&self, from: &Path, info: &PathInfo) -> Result<(), Failure> {
        if self.store.is_valid(&info.path)? {
            return Ok(());
        }
        let target = self.store.real_path(&info.path);
        if from == target {
            return Ok(());
        }
        let mut lock = firn_store::fs::lock::PathLocks::lock([target.as_path()])?;
        self.store.add_temp_root(&info.path)?;
        delete_path(&target)?;
        move_path(from, &target)?;
        self.canonical_again(&target)?;
        self.store.register_valid(std::slice::from_ref(info))?;
        lock.set_removal(true);
        Ok(())
    }

    /// Puts back the modification time that a rename of a directory by an ordinary user needs to
    /// touch; contents are canonical already.
    fn canonical_again(&self, path: &Path) -> Result<(), Failure> {
        if rustix::process::geteuid().is_root() {
            return Ok(());
        }
        let meta = fs::symlink_metadata(path).map_err(io("getting status of an output"))?;
        if meta.is_dir() && (meta.mode() & 0o7777 != 0o555 || meta.mtime() != 1) {
            self.store.canonicalise(path, &mut Canonicalise::default())?;
        }
        Ok(())
    }

    /// `--check`: the outputs must be what is valid already.
    fn compare(
        &self,
        infos: &BTreeMap<String, PathInfo>,
        places: &BTreeMap<String, PathBuf>,
    ) -> Result<BTreeMap<String, StorePath>, Failure> {
        check_outputs(self.store, self.drv_path, self.drv, self.drv_options, infos)?;
        for (name, info) in infos {
            let Some(old) = self.store.query_path_info(&info.path)? else { continue };
            if old.nar_hash == info.nar_hash {
                continue;
            }
            let real = self.store.real_path(&info.path);
            let mut message = format!(
                "derivation '{}' may not be deterministic: output \"{}\" differs",
                self.print(self.drv_path),
                real.display()
            );
            if self.options.keep_failed {
                let mut kept = real.into_os_string();
                kept.push(".check");
                let kept = PathBuf::from(kept);
                delete_path(&kept)?;
                move_path(&places[name], &kept)?;
                message.push_str(&format!(" from \"{}\"", kept.display()));
            }
            return Err(Failure::new(FailureKind::NotDeterministic, message));
        }
        let _ = self.logger;
        Ok(self.outputs.iter().map(|(name, w)| (name.clone(), w.path.clone())).collect())
    }
}

fn beside(path: &Path, what: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{what}-{}", firn_store::fs::unique_suffix()));
    name.into()
}

/// Renames `from` to `to`. An ordinary user may rename only directories that are writable.
pub(super) fn move_path(from: &Path, to: &Path) -> Result<(), Failure> {
    let failed = |e| io(format!("renaming '{}' to '{}'", from.display(), to.display()))(e);
    let meta = fs::symlink_metadata(from).map_err(failed)?;
    let touch = !rustix::process::geteuid().is_root() && meta.is_dir() && meta.mode() & 0o200 == 0;
    if touch {
        fs::set_permissions(from, fs::Permissions::from_mode(meta.mode() | 0o200))
            .map_err(failed)?;
    }
    fs::rename(from, to).map_err(failed)?;
    if touch {
        fs::set_permissions(to, meta.permissions()).map_err(failed)?;
    }
    Ok(())
}
