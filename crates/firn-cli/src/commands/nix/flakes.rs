//! Flakes as installables: locking them, writing their lock files, and finding attributes in them.

use std::path::{Path, PathBuf};

use firn_eval::io::Outside;
use firn_eval::position::PosId;
use firn_eval::{Error, Value, Vm, packages};
use firn_event::{Level, Logger};
use firn_flake::lock::get_flake;
use firn_flake::lock_file::{parse_input_path, url_of};
use firn_flake::registry::{Entry, Use};
use firn_flake::{LockFlags, LockedFlake, Registries, lock_flake, value_of};
use firn_model::input::{FlakeRef, InputUrl};
use firn_syntax::Symbol;

use super::call::{Call, Stop};
use super::flake_settings::Wanted;
use crate::common::eval::{Session, current_dir};
use crate::common::legacy::{Failure, Outcome, fail, stderr_logger};
use crate::common::mercurial;

/// Which outputs of a flake a command takes if the user does not name them in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Targets {
    /// Packages.
    Packages,
    /// Programs to run, or packages with one.
    Apps,
    /// Environments for developers, or packages.
    Shells,
    /// Sets of packages.
    Search,
    /// The formatter.
    Formatter,
    /// Functions that make bundles of programs.
    Bundlers,
    /// All outputs.
    Whole,
}

impl Targets {
    /// The attributes that `fragment` may stand for, the first to be tried first.
    pub fn candidates(self, fragment: &str, system: &str) -> Vec<String> {
        let (defaults, prefixes): (&[&str], &[&str]) = match self {
            Self::Packages => (
                &["packages.SYSTEM.default", "defaultPackage.SYSTEM"],
                &["packages.SYSTEM.", "legacyPackages.SYSTEM."],
            ),
            Self::Apps => (
                &[
                    "apps.SYSTEM.default",
                    "defaultApp.SYSTEM",
                    "packages.SYSTEM.default",
                    "defaultPackage.SYSTEM",
                ],
                &["apps.SYSTEM.", "packages.SYSTEM.", "legacyPackages.SYSTEM."],
            ),
            Self::Shells => (
                &[
                    "devShells.SYSTEM.default",
                    "devShell.SYSTEM",
                    "packages.SYSTEM.default",
                    "defaultPackage.SYSTEM",
                ],
                &["devShells.SYSTEM.", "packages.SYSTEM.", "legacyPackages.SYSTEM."],
            ),
            Self::Search => (&["packages.SYSTEM", "legacyPackages.SYSTEM"], &[""]),
            Self::Formatter => (&["formatter.SYSTEM"], &[]),
            Self::Bundlers => {
                (&["bundlers.SYSTEM.default", "defaultBundler.SYSTEM"], &["bundlers.SYSTEM."])
            }
            Self::Whole => (&[""], &["packages.SYSTEM.", "legacyPackages.SYSTEM."]),
        };
        let full = |text: &str| text.replace("SYSTEM", system);
        if fragment.is_empty() {
            return defaults.iter().map(|d| full(d)).collect();
        }
        if let Some(absolute) = fragment.strip_prefix('.') {
            return vec![absolute.to_owned()];
        }
        let mut all: Vec<String> =
            prefixes.iter().filter(|p| !p.is_empty()).map(|p| full(p) + fragment).collect();
        all.push(fragment.to_owned());
        all
    }
}

/// What locking needs, apart from the evaluator.
#[derive(Clone)]
pub struct Locking {
    /// Where names are looked up.
    pub registries: Registries,
    /// How locks are brought up to date.
    pub flags: LockFlags,
    no_update: bool,
    /// Whether lock files stay as they are.
    pub no_write: bool,
    commit: bool,
    output: Option<PathBuf>,
    allow_dirty: bool,
    /// Whether a lock file that cannot be written is an error.
    pub fail_on_unlocked: bool,
    /// Whether the settings that flakes want are asked for.
    pub apply_settings: bool,
    commit_summary: String,
    accept_settings: bool,
    wanted: Wanted,
    logger: Logger,
}

impl Call<'_> {
    /// What flags and settings say about locking.
    pub fn locking(&mut self, session: &Session) -> Outcome<Locking> {
        let message = |e: Error| Failure::Message(e.message().to_owned());
        let cwd = self.given.base();
        let mut registries = session.registries();
        for values in self.given.all("override-flake") {
            if let [from, to] = values {
                let parse = |text: &str| firn_flake::reference::parse(text, &cwd).map_err(message);
                let entry = Entry { from: parse(from)?.0, to: parse(to)?.0, exact: true };
                registries.flags.entries.push(entry);
            }
        }
        let sources: Vec<FlakeRef> = self
            .given
            .all("inputs-from")
            .flatten()
            .map(|text| Ok(firn_flake::reference::parse(text, &cwd).map_err(message)?.0))
            .collect::<Outcome<_>>()?;
        for reference in sources {
            let entries = self.inputs_of(session, &registries, &reference)?;
            registries.flags.entries.extend(entries);
        }
        let mut flags = LockFlags {
            recreate: self.given.has("recreate-lock-file"),
            no_registries: self.given.has("no-registries")
                || !self.common.settings.bool("use-registries"),
            reference_lock_file: self.given.value("reference-lock-file").map(|file| cwd.join(file)),
            ..LockFlags::default()
        };
        for path in self.given.all("update-input").flatten() {
            flags.updates.insert(input_path(path, "--update-input")?);
        }
        for values in self.given.all("override-input") {
            if let [path, url] = values {
                let path = input_path(path, "--override-input")?;
                let (reference, _) = firn_flake::reference::parse(url, &cwd).map_err(message)?;
                flags.overrides.insert(path, reference);
            }
        }
        if flags.reference_lock_file.is_some() && !self.common.settings.bool("allow-dirty") {
            return fail(
                "reference lock file was provided, but the `allow-dirty` setting is set to false",
            );
        }
        let overridden = !flags.overrides.is_empty();
        Ok(Locking {
            registries,
            flags,
            no_update: self.given.has("no-update-lock-file"),
            no_write: self.given.has("no-write-lock-file") || overridden,
            commit: self.given.has("commit-lock-file"),
            output: self.given.value("output-lock-file").map(|file| cwd.join(file)),
            fail_on_unlocked: false,
            apply_settings: false,
            allow_dirty: self.common.settings.bool("allow-dirty-locks"),
            commit_summary: self.common.settings.text("commit-lock-file-summary").to_owned(),
            accept_settings: self.common.settings.bool("accept-flake-config"),
            wanted: self.wanted.clone(),
            logger: stderr_logger(self.common.verbosity),
        })
    }
}

impl Call<'_> {
    /// The inputs of a flake as names for what they are locked to (`--inputs-from`).
    fn inputs_of(
        &mut self,
        session: &Session,
        registries: &Registries,
        reference: &FlakeRef,
    ) -> Outcome<Vec<Entry>> {
        let base = self.given.base();
        self.evaluate(session, true, |vm, _| {
            let locks =
                lock_flake(vm, registries, reference, &LockFlags::default())?.settled_locks()?;
            let mut entries = Vec::new();
            for name in locks.nodes[0].inputs.keys() {
                let Some(at) = locks.find(std::slice::from_ref(name))? else { continue };
                let Some(lock) = &locks.nodes[at].lock else { continue };
                let (from, _) = firn_flake::reference::parse(&format!("flake:{name}"), &base)?;
                entries.push(Entry { from, to: lock.locked.clone(), exact: false });
            }
            Ok(entries)
        })
    }
}

/// The input that a flag names, which must be one.
fn input_path(text: &str, flag: &str) -> Outcome<firn_flake::lock_file::InputPath> {
    let path = parse_input_path(text).map_err(|e| Failure::Message(e.message().to_owned()))?;
    if path.is_empty() {
        return fail(format!(
            "{flag} was passed a zero-length input path, which would refer to the flake itself, not an input"
        ));
    }
    Ok(path)
}

impl Locking {
    /// Fetches a flake, locks its inputs, and writes its lock file if that has changed.
    pub fn lock(&self, vm: &mut Vm, reference: &FlakeRef) -> Result<LockedFlake, Stop> {
        let mut locked = lock_flake(vm, &self.registries, reference, &self.flags)?;
        if let Err(stop) = self.finish(vm, reference, &mut locked) {
            let error = match stop {
                Stop::Eval(error) => error,
                Stop::Other(Failure::Message(text)) => Error::other(text),
                stop @ Stop::Other(_) => return Err(stop),
            };
            let shown = locked.flake.url().unwrap_or_else(|_| url_of(reference));
            let what = format!("while updating the lock file of flake '{shown}'");
            return Err(error.trace(PosId::NONE, what).into());
        }
        Ok(locked)
    }

    /// Tells what is new in locks, and writes the lock file if that is wanted.
    fn finish(
        &self,
        vm: &mut Vm,
        reference: &FlakeRef,
        locked: &mut LockedFlake,
    ) -> Result<(), Stop> {
        for input in &locked.refetched {
            self.logger.message(
                Level::Debug,
                format!("refetching input '{}' due to self attribute", url_of(input)),
            );
        }
        if self.apply_settings {
            self.wanted.take(&locked.flake.settings, self.accept_settings, &self.logger);
        }
        for warning in &locked.warnings {
            self.logger.warn(warning.clone());
        }
        if locked.changed() || !locked.warnings.is_empty() || self.output.is_some() {
            vm.shared.io.note(Outside::Unrepeatable("a lock file is not up to date"));
        }
        if !locked.changed() && self.output.is_none() {
            return Ok(());
        }
        let shown = url_of(reference);
        let diff = locked.locks.diff(&locked.before);
        if self.no_write {
            self.logger.warn(format!(
                "not writing modified lock file of flake '{shown}':\n{}",
                diff.trim_end()
            ));
            return Ok(());
        }
        let source = source_folder(reference);
        if source.is_none() && self.output.is_none() {
            return Err(Failure::Message(format!(
                "cannot write modified lock file of flake '{shown}' (use '--no-write-lock-file' to ignore)"
            ))
            .into());
        }
        if self.allow_dirty {
            locked.locks = locked.settled_locks()?;
        }
        if let Some(input) = locked.locks.unlocked(self.allow_dirty) {
            if self.fail_on_unlocked {
                return Err(Failure::Message(format!(
                    "Not writing lock file of flake '{shown}' because it has an unlocked input ('{}'). Use '--allow-dirty-locks' to allow this anyway.",
                    url_of(input)
                ))
                .into());
            }
            self.logger.warn(format!(
                "not writing lock file of flake '{shown}' because it has an unlocked input ('{}')",
                url_of(input)
            ));
            return Ok(());
        }
        if self.no_update {
            return Err(Failure::Message(format!(
                "flake '{shown}' requires lock file changes but they're not allowed due to '--no-update-lock-file'"
            ))
            .into());
        }
        locked.locks = locked.settled_locks()?;
        let text = locked.locks.text() + "\n";
        let write = |file: &Path| {
            firn_store::fs::write_atomically(file, text.as_bytes(), 0o644, false)
                .map_err(|e| Stop::Other(e.into()))
        };
        if let Some(file) = &self.output {
            if self.commit {
                return Err(Failure::Message(
                    "'--commit-lock-file' and '--output-lock-file' are incompatible".into(),
                )
                .into());
            }
            write(file)?;
            return Ok(());
        }
        let Some(root) = source else { return Ok(()) };
        let relative = if reference.dir.is_empty() {
            "flake.lock".to_owned()
        } else {
            format!("{}/flake.lock", reference.dir)
        };
        let file = root.join(&relative);
        let exists = file.exists();
        self.logger.warn(match (exists, diff.trim_end()) {
            (true, "") => format!("updating lock file {file:?}"),
            (true, diff) => format!("updating lock file {file:?}:\n{diff}"),
            (false, diff) => format!("creating lock file {file:?}: \n{diff}"),
        });
        write(&file)?;
        match reference.input.kind() {
            "git" => self.tell_git(&root, &relative, exists, &diff)?,
            "hg" => {
                let message = self.commit.then(|| self.message(&relative, exists, &diff));
                mercurial::add(&root, &relative, message.as_deref()).map_err(Failure::Message)?;
            }
            _ => {}
        }
        // with its new lock file the flake is another tree
        let fresh = get_flake(vm, &self.registries, reference, Use::All)?;
        locked.fetched.insert(0, (fresh.tree.clone(), fresh.dir.clone()));
        locked.flake = fresh;
        locked.before = locked.locks.clone();
        Ok(())
    }

    /// Makes Git see a lock file, and commits it if that is wanted.
    fn tell_git(&self, root: &Path, file: &str, exists: bool, diff: &str) -> Result<(), Stop> {
        let git = |args: &[&str]| -> Result<(), Stop> {
            let output = std::process::Command::new("git")
                .arg("-C")
                .arg(root)
                .args(args)
                .stdin(std::process::Stdio::null())
                .output()
                .map_err(|e| Failure::Message(format!("starting 'git': {e}")))?;
            if output.status.success() {
                return Ok(());
            }
            let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Err(Failure::Message(format!("'git {}' failed: {why}", args.join(" "))).into())
        };
        git(&["add", "--intent-to-add", "--force", "--", file])?;
        if self.commit {
            git(&["commit", "-m", &self.message(file, exists, diff), "--", file])?;
        }
        Ok(())
    }

    /// The message of the commit of a lock file.
    fn message(&self, file: &str, exists: bool, diff: &str) -> String {
        let summary = if self.commit_summary.is_empty() {
            format!("{file}: {}", if exists { "Update" } else { "Add" })
        } else {
            self.commit_summary.clone()
        };
        format!("{summary}\n\nFlake lock file updates:\n\n{diff}")
    }
}

/// The folder of a reference to something on this machine that can be changed.
pub fn source_folder(reference: &FlakeRef) -> Option<PathBuf> {
    let input = &reference.input;
    match input.kind() {
        "path" => input.text("path").map(PathBuf::from),
        "git" | "hg" if input.text("ref").is_none() && input.text("rev").is_none() => {
            let url = InputUrl::parse(input.text("url")?, false).ok()?;
            (url.scheme == "file").then(|| PathBuf::from(url.plain_path()))
        }
        _ => None,
    }
}

/// The outputs of a locked flake.
pub fn outputs(vm: &mut Vm, locked: &LockedFlake) -> Result<Value, Stop> {
    let value = value_of(vm, locked)?;
    let set = value.as_set().and_then(|set| set.get(Symbol::intern(b"outputs")));
    match set {
        Some(outputs) => Ok(vm.force(outputs, PosId::NONE)?),
        None => {
            Err(Failure::Message(format!("flake '{}' has no outputs", locked.flake.url()?)).into())
        }
    }
}

/// The first of `candidates` that is there, with its path.
pub fn find(
    vm: &mut Vm,
    outputs: Value,
    shown: &str,
    candidates: &[String],
) -> Result<(Value, String), Stop> {
    let mut near: Vec<String> = Vec::new();
    'next: for path in candidates {
        let mut at = outputs;
        for name in packages::parse_attr_path(path)? {
            at = vm.force(at, PosId::NONE)?;
            let Some(set) = at.as_set() else { continue 'next };
            let Some(next) = set.get(Symbol::intern(name.as_bytes())) else {
                let names: Vec<_> = set.iter(&mut vm.heap).map(|(name, _)| name).collect();
                near.extend(firn_eval::error::best_matches(
                    names.iter().map(|n| n.as_bytes()),
                    name.as_bytes(),
                ));
                continue 'next;
            };
            at = next;
        }
        return Ok((vm.force(at, PosId::NONE)?, path.clone()));
    }
    let quoted: Vec<String> = candidates.iter().map(|c| format!("'{c}'")).collect();
    let list = match &quoted[..] {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        _ => quoted.join(""),
    };
    let mut seen = std::collections::BTreeSet::new();
    near.retain(|name| seen.insert(name.clone()));
    let error = Error::other(format!("flake '{shown}' does not provide attribute {list}"));
    Err(error.suggest(near.into_iter().take(5).collect()).into())
}

/// A flake's reference from the command line, without anything behind `#`.
pub fn plain_reference(text: &str) -> Outcome<FlakeRef> {
    let (reference, fragment) = firn_flake::reference::parse(text, &current_dir())
        .map_err(|e| Failure::Message(e.message().to_owned()))?;
    if fragment.is_empty() {
        return Ok(reference);
    }
    fail(format!("unexpected fragment '{fragment}' in flake reference '{text}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_looked_for_in_their_order() {
        let found = |targets: Targets, text: &str| targets.candidates(text, "s");
        assert_eq!(
            found(Targets::Packages, "a.b"),
            ["packages.s.a.b", "legacyPackages.s.a.b", "a.b"]
        );
        assert_eq!(found(Targets::Packages, ""), ["packages.s.default", "defaultPackage.s"]);
        assert_eq!(found(Targets::Apps, "x")[0], "apps.s.x");
        assert_eq!(found(Targets::Shells, ".x"), ["x"]);
    }
}
