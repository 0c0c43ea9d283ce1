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

use firn_event::{Level, Logger};
use firn_model::content_address::{ContentAddress, Method};
use firn_model::derivation::{Derivation, Kind, Output};
use firn_model::hash::{Hash, HashAlgo, Hasher};
use firn_model::path_info::PathInfo;
use firn_model::realisation::Realisation;
use firn_model::signature::SecretKey;
use firn_model::store_path::{References, StorePath, output_path_name};
use firn_store::fs::lock::PathLocks;
use firn_store::fs::{
    Canonicalise, Restore, copy_path, delete_path, dump_path, hash_path, restore_path,
};
use firn_store::references::{ReferenceScanner, Tee};
use firn_store::rewrite::{HashModulo, Rewriter};
use firn_store::{LocalStore, Store};

use super::checks::check_outputs;
use crate::derivations::Derivations;
use crate::drv_options::DrvOptions;
use crate::error::{Failure, FailureKind, io};
use crate::options::{BuildOptions, Mode};
use crate::sandbox::spec::BuildUser;

/// An output of a derivation in work.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// Its path when done, if that is known.
    pub path: Option<StorePath>,
    /// The path that the builder was told; differs where the real one is taken or not known.
    pub scratch: StorePath,
    /// Where the builder's result is.
    pub actual: PathBuf,
    /// Whether it was valid before.
    pub valid: bool,
}

/// Everything that registering needs.
pub(super) struct Registration<'a> {
    pub store: &'a LocalStore,
    pub options: &'a BuildOptions,
    pub drv_path: &'a StorePath,
    pub drv: &'a Derivation,
    pub drv_options: &'a DrvOptions,
    /// The closure of the inputs.
    pub inputs: &'a BTreeSet<StorePath>,
    pub outputs: &'a BTreeMap<String, Wanted>,
    /// The account that the builder had, if not this one.
    pub user: Option<&'a BuildUser>,
    pub logger: &'a Logger,
    /// Where the builder worked.
    pub build_dir: &'a Path,
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
            uid_range: self.user.map(|user| (user.uid, user.uid + (user.count - 1))),
            ..Canonicalise::default()
        };
        let mut finals = Finals::default();
        let mut scanned = BTreeMap::new();
        let mut kinds = BTreeMap::new();
        for (name, wanted) in self.outputs {
            if let (Some(path), true, Mode::Normal | Mode::Repair) =
                (&wanted.path, wanted.valid, self.options.mode)
            {
                finals.add(name, wanted, path.clone());
                continue;
            }
            kinds.insert(name, self.check_file(name, wanted)?);
            self.store.canonicalise(&wanted.actual, &mut canonicalise)?;
            scanned.insert(name.clone(), self.scan(name, wanted)?);
        }
        let order = self.order(&scanned)?;

        let mut infos: BTreeMap<String, PathInfo> = BTreeMap::new();
        for name in order {
            let Some(wanted) = self.outputs.get(&name) else { continue };
            let Some(found) = scanned.remove(&name) else { continue };
            let file = kinds.get(&name);
            let mut info = match self.drv.outputs.get(&name) {
                Some(Output::InputAddressed(path)) => {
                    finals.add(&name, wanted, path.clone());
                    self.input_addressed(wanted, path, found, &finals)?
                }
                Some(Output::Fixed(ca)) => {
                    let how = (ca.method, ca.hash.algo());
                    self.renew(wanted)?;
                    self.content_addressed(&name, wanted, how, found, file, &finals)?
                }
                Some(Output::Floating { method, algo } | Output::Impure { method, algo }) => {
                    let how = (*method, *algo);
                    self.content_addressed(&name, wanted, how, found, file, &finals)?
                }
                Some(Output::Deferred) | None => {
                    return Err(Failure::new(
                        FailureKind::InputRejected,
                        format!(
                            "derivation '{}' cannot be built before the outputs that it needs are put into it",
                            self.print(self.drv_path)
                        ),
                    ));
                }
            };
            finals.add(&name, wanted, info.path.clone());
            info.deriver = Some(self.drv_path.clone());
            info.ultimate = true;
            self.sign(&mut info)?;
            if self.options.mode != Mode::Check && self.is_unforeseen(&name) {
                // Nobody had a lock on it until now, so it is registered before another may want it.
                self.keep_unforeseen(wanted, &info)?;
            }
            infos.insert(name, info);
        }

        if self.options.mode == Mode::Check {
            return self.compare(&infos, finals);
        }
        let outcome = check_outputs(self.store, self.drv_path, self.drv, self.drv_options, &infos);
        if let Err(failure) = &outcome {
            // What a fixed output really is stays, under the name of its own hash: once the
            // derivation is corrected, it need not be fetched again.
            if failure.kind == FailureKind::HashMismatch {
                for (name, info) in &infos {
                    if info.ca.is_some() && info.references.is_empty() {
                        self.keep_unforeseen(&self.outputs[name], info)?;
                    }
                }
            }
        }
        outcome?;
        let mut new = Vec::new();
        for (name, info) in infos {
            let (target, actual) = (self.store.real_path(&info.path), &self.outputs[&name].actual);
            if self.is_unforeseen(&name) {
                continue;
            }
            // Without a sandbox the builder has made it in its final place.
            if *actual != target {
                self.put_in_place(actual, &target)?;
            }
            new.push(info);
        }
        self.store.register_valid(&new)?;
        for info in &new {
            self.store.optimise_new(&info.path)?;
        }
        self.register_realisations(&finals)?;
        Ok(finals.paths)
    }

    /// Whether the path of an output was not known before the build.
    fn is_unforeseen(&self, name: &str) -> bool {
        !matches!(self.drv.outputs.get(name), Some(Output::InputAddressed(_) | Output::Fixed(_)))
    }

    fn put_in_place(&self, actual: &Path, target: &Path) -> Result<(), Failure> {
        if self.options.mode == Mode::Repair && target.symlink_metadata().is_ok() {
            // The old contents go only once the new ones are there.
            let old = beside(target, "old");
            move_path(target, &old)?;
            if let Err(failure) = move_path(actual, target) {
                move_path(&old, target)?;
                return Err(failure);
            }
            delete_path(&old)?;
        } else {
            delete_path(target)?;
            move_path(actual, target)?;
        }
        self.canonical_again(target)
    }

    /// Notes what outputs came to be, where the store keeps that.
    fn register_realisations(&self, finals: &Finals) -> Result<(), Failure> {
        let keeps = self.store.options().ca_derivations;
        if !keeps || self.drv.kind()? == Kind::Impure {
            return Ok(());
        }
        for (name, id) in Derivations::new(self.store, self.options).output_ids(self.drv)? {
            let Some(path) = finals.paths.get(&name) else { continue };
            let mut realisation = Realisation::new(id, path.clone());
            sign_realisation(&mut realisation, self.options)?;
            self.store.register_realisation(&realisation)?;
        }
        Ok(())
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
        if writable || self.user.is_some_and(|user| user.uid != meta.uid()) {
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

    fn input_addressed(
        &self,
        wanted: &Wanted,
        path: &StorePath,
        mut found: Scanned,
        finals: &Finals,
    ) -> Result<PathInfo, Failure> {
        if !finals.rewrites.is_empty() {
            self.rewrite(&wanted.actual, finals.rewrites.clone())?;
            (found.nar_hash, found.nar_size) = hash_path(&wanted.actual, HashAlgo::Sha256)?;
        }
        let mut info = PathInfo::new(path.clone(), found.nar_hash, found.nar_size);
        let references = finals.references(found.references, &wanted.scratch);
        info.references = references.paths;
        if references.self_reference {
            info.references.insert(path.clone());
        }
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

    /// Puts a fresh copy in an output's place: a fixed output's builder shared the network with the host, so a
    /// process outside may hold one of its files open for writing.
    fn renew(&self, wanted: &Wanted) -> Result<(), Failure> {
        let copy = beside(&wanted.actual, "copy");
        copy_path(&wanted.actual, &copy, Restore::Canonical, None)?;
        delete_path(&wanted.actual)?;
        move_path(&copy, &wanted.actual)
    }

    /// Finds the path that follows from the contents, which may refer to it, and puts it into them.
    fn content_addressed(
        &self,
        name: &str,
        wanted: &Wanted,
        (method, algo): (Method, HashAlgo),
        found: Scanned,
        file: Option<&Metadata>,
        finals: &Finals,
    ) -> Result<PathInfo, Failure> {
        if matches!(method, Method::Flat | Method::Text) {
            let plain = file.is_some_and(|m| m.is_file() && m.permissions().mode() & 0o100 == 0);
            if !plain {
                return Err(Self::rejected(format!(
                    "output path \"{}\" should be a non-executable regular file since recursive hashing is not enabled (one of outputHashMode={{flat,text}} is true)",
                    self.print(&wanted.scratch)
                )));
            }
        }
        let fixed = matches!(self.drv.outputs.get(name), Some(Output::Fixed(_)));
        let mut changed = fixed;
        if !finals.rewrites.is_empty() {
            self.rewrite(&wanted.actual, finals.rewrites.clone())?;
            changed = true;
        }
        let references = finals.references(found.references, &wanted.scratch);
        let hash = self.content_hash(wanted, method, algo)?;
        let ca = ContentAddress { method, hash };
        let path = self.store.store_dir().make_fixed_output_path(
            &output_path_name(&self.drv.name, name),
            &ca,
            &references,
        )?;
        // Where references are not looked for there may still be some.
        let itself =
            references.self_reference || self.drv_options.discard_references.contains(name);
        if itself && path != wanted.scratch {
            let own = (wanted.scratch.hash_part().into(), path.hash_part().into());
            self.rewrite(&wanted.actual, vec![own])?;
            changed = true;
        }
        let (nar_hash, nar_size) = match changed {
            true => hash_path(&wanted.actual, HashAlgo::Sha256)?,
            false => (found.nar_hash, found.nar_size),
        };
        let mut info = PathInfo::new(path.clone(), nar_hash, nar_size);
        info.references = references.paths;
        if references.self_reference {
            info.references.insert(path);
        }
        info.ca = Some(ca);
        Ok(info)
    }

    /// The hash that addresses contents, in which the scratch path counts as zeros.
    fn content_hash(
        &self,
        wanted: &Wanted,
        method: Method,
        algo: HashAlgo,
    ) -> Result<Hash, Failure> {
        let mut sink = HashModulo::new(algo, wanted.scratch.hash_part());
        match method {
            Method::Flat | Method::Text => {
                let mut file = fs::File::open(&wanted.actual)
                    .map_err(io(format!("opening '{}'", wanted.actual.display())))?;
                io::copy(&mut file, &mut sink)
                    .map_err(io(format!("reading '{}'", wanted.actual.display())))?;
            }
            Method::Nar => dump_path(&wanted.actual, &mut sink)?,
            Method::Git => return Ok(firn_store::fs::git_hash(&wanted.actual, algo, None)?),
        }
        Ok(sink.finish().0)
    }

    fn sign(&self, info: &mut PathInfo) -> Result<(), Failure> {
        for key in secret_keys(self.options)? {
            let signature = key.sign(info.fingerprint(self.store.store_dir()).as_bytes());
            info.signatures.insert(signature);
        }
        Ok(())
    }

    /// Keeps an output under a path that nobody could know before, unless that is valid.
    fn keep_unforeseen(&self, wanted: &Wanted, info: &PathInfo) -> Result<(), Failure> {
        let (from, target) = (&wanted.actual, self.store.real_path(&info.path));
        // What was known before the build is locked already, for as long as the build lasts.
        let mut lock = match wanted.path.as_ref() == Some(&info.path) {
            true => None,
            false => Some(PathLocks::lock([target.as_path()])?),
        };
        self.store.add_temp_root(&info.path)?;
        if self.store.is_valid(&info.path)? && self.options.mode != Mode::Repair {
            if *from != target {
                delete_path(from)?;
            }
        } else {
            if *from != target {
                self.put_in_place(from, &target)?;
            }
            self.store.register_valid(std::slice::from_ref(info))?;
            self.store.optimise_new(&info.path)?;
        }
        if let Some(lock) = &mut lock {
            lock.set_removal(true);
        }
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
        mut finals: Finals,
    ) -> Result<BTreeMap<String, StorePath>, Failure> {
        check_outputs(self.store, self.drv_path, self.drv, self.drv_options, infos)?;
        for (name, info) in infos {
            let wanted = &self.outputs[name];
            // Of contents that address themselves, others are elsewhere, and nothing is wrong with them.
            let before = match (&wanted.path, self.is_unforeseen(name)) {
                (Some(path), false) => path,
                (Some(path), true) => {
                    finals.paths.insert(name.clone(), path.clone());
                    &info.path
                }
                (None, _) => &info.path,
            };
            let Some(old) = self.store.query_path_info(before)? else { continue };
            if old.nar_hash == info.nar_hash {
                continue;
            }
            let real = self.store.real_path(before);
            let mut message = format!(
                "derivation '{}' may not be deterministic: output \"{}\" differs",
                self.print(self.drv_path),
                real.display()
            );
            if self.options.keep_failed || self.options.diff_hook.is_some() {
                let mut kept = real.clone().into_os_string();
                kept.push(".check");
                let kept = PathBuf::from(kept);
                delete_path(&kept)?;
                move_path(&wanted.actual, &kept)?;
                if let Some(hook) = &self.options.diff_hook {
                    self.show_difference(hook, before, &kept);
                }
                message.push_str(&format!(" from \"{}\"", kept.display()));
            }
            return Err(Failure::new(FailureKind::NotDeterministic, message));
        }
        Ok(finals.paths)
    }

    /// Runs the program that shows how what was built now differs from what is valid, as the builder's user.
    fn show_difference(&self, hook: &Path, valid: &StorePath, built: &Path) {
        use std::os::unix::process::CommandExt;
        let mut command = std::process::Command::new(hook);
        command
            .args([Path::new(&self.print(valid)), built, Path::new(&self.print(self.drv_path))])
            .arg(self.build_dir)
            .current_dir("/")
            .stdin(std::process::Stdio::null());
        if let Some(user) = self.user {
            command.uid(user.uid).gid(user.gid);
        }
        let failed = match command.output() {
            Ok(output) => {
                let text = String::from_utf8_lossy(&output.stdout);
                if !text.trim_end().is_empty() {
                    self.logger.message(Level::Error, text.trim_end());
                }
                (!output.status.success()).then(|| output.status.to_string())
            }
            Err(error) => Some(firn_store::error::errno_text(&error)),
        };
        if let Some(why) = failed {
            self.logger.message(
                Level::Error,
                format!("diff hook execution failed: program {hook:?}: {why}"),
            );
        }
    }
}

/// The paths that outputs have in the end.
#[derive(Default)]
struct Finals {
    paths: BTreeMap<String, StorePath>,
    /// Hash parts that the builder was told, and the real ones.
    rewrites: Vec<(Vec<u8>, Vec<u8>)>,
    /// Scratch paths, and what they became.
    scratch: BTreeMap<StorePath, StorePath>,
}

impl Finals {
    fn add(&mut self, name: &str, wanted: &Wanted, path: StorePath) {
        if wanted.scratch != path {
            let pair = (wanted.scratch.hash_part().into(), path.hash_part().into());
            if !self.rewrites.contains(&pair) {
                self.rewrites.push(pair);
            }
            self.scratch.insert(wanted.scratch.clone(), path.clone());
        }
        self.paths.insert(name.to_owned(), path);
    }

    /// What an output with this scratch path refers to in the end.
    fn references(&self, found: BTreeSet<StorePath>, scratch: &StorePath) -> References {
        let mut references = References::default();
        for path in found {
            if path == *scratch {
                references.self_reference = true;
            } else {
                references.paths.insert(self.scratch.get(&path).cloned().unwrap_or(path));
            }
        }
        references
    }
}

/// The keys to sign what is built with.
fn secret_keys(options: &BuildOptions) -> Result<Vec<SecretKey>, Failure> {
    let read = |file: &PathBuf| {
        let text = fs::read_to_string(file)
            .map_err(io(format!("reading the secret key in '{}'", file.display())))?;
        text.trim()
            .parse::<SecretKey>()
            .map_err(|e| Failure::misc(format!("in '{}': {e}", file.display())))
    };
    options.secret_key_files.iter().map(read).collect()
}

/// Signs what an output came to be.
pub(crate) fn sign_realisation(
    realisation: &mut Realisation,
    options: &BuildOptions,
) -> Result<(), Failure> {
    for key in secret_keys(options)? {
        realisation.sign(&key);
    }
    Ok(())
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
