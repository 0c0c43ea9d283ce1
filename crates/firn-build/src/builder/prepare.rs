//! What has to be there before a builder starts: an account, a private build directory, scratch paths for
//! outputs, the environment, the sandbox's root.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use firn_event::{ActivityKind, Level};
use firn_model::derivation::placeholder::placeholder;
use firn_model::derivation::{Kind, Output};
use firn_model::hash::{Hash, HashAlgo};
use firn_model::store_path::{StorePath, output_path_name};
use firn_store::fs::delete_path;
use firn_store::{ClosureOptions, Store};

use super::environment::{self, Rewrites, environment, write_file};
use super::outputs::Wanted;
use super::users::{self, Acquired, NUMBERS, UserLock};
use super::{Job, KnownOutputs, POLL, Prepared, Temporary};
use crate::builtin::{BuiltinSpec, Context};
use crate::derivations::Derivations;
use crate::drv_options::DrvOptions;
use crate::error::{Failure, FailureKind, io};
use crate::options::{DAEMON_CGROUP, SandboxMode};
use crate::recursive::{Admit, FEATURE, RecursiveRequest, RecursiveServer, SOCKET};
use crate::sandbox::spec::{Builder, Bytes, Spec};
use crate::sandbox::{LateInputs, cgroup, support};

/// What serves a builder, and the guard's end of what makes paths appear in its sandbox.
type Served = (Option<Box<dyn RecursiveServer>>, Option<OwnedFd>);

/// The feature of builds that have a range of accounts.
const UID_RANGE: &str = "uid-range";

impl Job<'_> {
    fn acquire_user(&self, count: u32) -> Result<Option<UserLock>, Failure> {
        let mut activity = None;
        loop {
            let state = &self.store.layout().state_dir;
            let acquired = match &self.options.uid_pool {
                Some(pool) => users::acquire_numbers(state, pool, count),
                None => users::acquire(state, &self.options.build_users_group),
            };
            match acquired? {
                Acquired::User(user) => return Ok(Some(user)),
                Acquired::NotConfigured => return Ok(None),
                Acquired::Busy => {}
            }
            if activity.is_none() {
                self.give_turn();
                activity = Some(self.logger.start(
                    ActivityKind::BuildWaiting,
                    Level::Warn,
                    format!("waiting for a free build user ID for '{}'", self.print(self.drv_path)),
                    vec![],
                    self.parent,
                ));
            }
            self.check_stop()?;
            std::thread::sleep(POLL);
        }
    }

    /// The closure of the inputs, which the builder may see.
    pub(super) fn input_closure(&self) -> Result<BTreeSet<StorePath>, Failure> {
        let mut start = self.drv.input_srcs.clone();
        for (input, wanted) in &self.drv.input_drvs {
            let derivations = Derivations::new(self.store, self.options);
            let outputs = derivations.known_outputs(&derivations.read(input)?)?;
            for name in &wanted.outputs {
                match outputs.get(name) {
                    Some(Some(path)) => {
                        start.insert(path.clone());
                    }
                    _ => {
                        return Err(Failure::misc(format!(
                            "derivation '{}' requires non-existent output '{name}' from input derivation '{}'",
                            self.print(self.drv_path),
                            self.print(input)
                        )));
                    }
                }
            }
        }
        Ok(self.store.compute_closure(&start, ClosureOptions::default())?)
    }

    /// Whether this build is sandboxed. Fails where it must be and cannot.
    fn wants_sandbox(&self, drv_options: &DrvOptions) -> Result<bool, Failure> {
        let options = self.options;
        let pure = !matches!(self.drv.kind()?, Kind::Fixed | Kind::Impure);
        let chroot_store = self.store.layout().is_chroot();
        let wants = match options.sandbox {
            SandboxMode::On if drv_options.no_sandbox => {
                return Err(Failure::misc(format!(
                    "derivation '{}' has '__noChroot' set, but that's not allowed when 'sandbox' is 'true'",
                    self.print(self.drv_path)
                )));
            }
            SandboxMode::On => true,
            SandboxMode::Off => false,
            SandboxMode::Relaxed => pure && !drv_options.no_sandbox,
        };
        if !wants && !chroot_store {
            return Ok(false);
        }
        if support(&options.launcher).namespaces {
            return Ok(true);
        }
        if chroot_store {
            return Err(Failure::misc(format!(
                "builds in a store whose contents are elsewhere ('{}' holds '{}') need kernel namespaces, which this system does not grant; check /proc/sys/user/max_user_namespaces",
                self.store.layout().real_store_dir.display(),
                self.store.store_dir().as_str()
            )));
        }
        if options.sandbox_fallback {
            self.logger.message(
                Level::Debug,
                "auto-disabling sandboxing because the prerequisite namespaces are not available",
            );
            return Ok(false);
        }
        Err(Failure::misc(
            "this system does not support the kernel namespaces that are required for sandboxing; use '--no-sandbox' to disable sandboxing",
        ))
    }

    pub(super) fn prepare(
        &self,
        drv_options: &DrvOptions,
        known: &KnownOutputs,
        valid: &BTreeSet<String>,
    ) -> Result<Prepared, Failure> {
        let (store, options) = (self.store, self.options);
        let system = self.drv.system.to_string();
        let external = options.external_builder(&system);
        let sandboxed = external.is_none() && self.wants_sandbox(drv_options)?;
        let inputs = self.input_closure()?;
        let range = drv_options.required_features.contains(UID_RANGE);
        if range && !sandboxed {
            return Err(Failure::misc("feature 'uid-range' is only supported in sandboxed builds"));
        }
        let user = self.acquire_user(if range { NUMBERS } else { 1 })?;
        if range && user.as_ref().is_none_or(|u| u.user.count < NUMBERS) {
            return Err(Failure::misc(
                "feature 'uid-range' requires the setting 'auto-allocate-uids' to be enabled",
            ));
        }
        let owner = user.as_ref().map(|u| (u.user.uid, u.user.gid));

        let parent = match &options.build_dir {
            Some(dir) => dir.clone(),
            None => store.layout().state_dir.join("builds"),
        };
        fs::create_dir_all(&parent)
            .map_err(io(format!("creating directory '{}'", parent.display())))?;
        if let (Some(_), Some(open)) = (&user, environment::world_writable(&parent)) {
            return Err(Failure::misc(format!(
                "Path \"{}\" is world-writable or a symlink. That's not allowed for security.",
                open.display()
            )));
        }
        let top_dir = Temporary(private_directory(&parent)?);
        // In a sandbox, the builder's own directory is below one that nobody outside can enter.
        let build_dir = if sandboxed || external.is_some() {
            let dir = top_dir.0.join("build");
            DirBuilder::new()
                .mode(0o700)
                .create(&dir)
                .map_err(io(format!("creating directory '{}'", dir.display())))?;
            dir
        } else {
            top_dir.0.clone()
        };
        if let Some((uid, gid)) = owner {
            chown(&build_dir, Some(uid), Some(gid))
                .map_err(io(format!("changing owner of '{}'", build_dir.display())))?;
        }
        let seen_dir =
            if sandboxed || external.is_some() { &options.sandbox_build_dir } else { &build_dir };

        let mut outputs = BTreeMap::new();
        let mut rewrites = Rewrites::default();
        for (name, path) in known {
            let registered = match path {
                Some(path) => store.is_valid(path)?,
                None => false,
            };
            let taken = registered && !sandboxed;
            let scratch = match path {
                None => self.scratch_path_of(name)?,
                Some(path) if taken => self.scratch_path(path)?,
                Some(path) => path.clone(),
            };
            let real = store.real_path(&scratch);
            if let (Some(path), true) = (path, taken) {
                rewrites.0.push((path.hash_part().into(), scratch.hash_part().into()));
            }
            if path.as_ref() != Some(&scratch) {
                store.add_temp_root(&scratch)?;
                delete_path(&real)?;
            }
            rewrites.0.push((placeholder(name).into(), self.print(&scratch).into()));
            let valid = valid.contains(name);
            let path = path.clone();
            outputs.insert(name.clone(), Wanted { path, scratch, actual: real, valid });
        }
        let env = environment(store, self.drv, drv_options, &inputs, options, seen_dir, &rewrites)?;
        for (name, contents) in &env.files {
            write_file(&build_dir, name, contents, owner)?;
        }
        let mut variables: Vec<(Bytes, Bytes)> =
            env.variables.iter().map(|(n, v)| ((&**n).into(), (&**v).into())).collect();
        let (recursive, requests) =
            self.serve_builder(drv_options, &build_dir, sandboxed, &inputs)?;
        if recursive.is_some() {
            let socket = seen_dir.join(SOCKET);
            if owner.is_some() {
                chown(build_dir.join(SOCKET), owner.map(|o| o.0), owner.map(|o| o.1))
                    .map_err(io(format!("changing owner of '{}'", socket.display())))?;
            }
            let remote = [b"unix://", socket.as_os_str().as_bytes()].concat();
            variables.push(("NIX_REMOTE".into(), Bytes(remote)));
        }
        let builder = match external {
            None => self.builder(&outputs, &rewrites, drv_options)?,
            Some(external) => {
                let (top, vars) = (&top_dir.0, &env.variables);
                if let Some((uid, gid)) = owner {
                    chown(top, Some(uid), Some(gid))
                        .map_err(io(format!("changing owner of '{}'", top.display())))?;
                }
                self.external(external, vars, &rewrites, &inputs, &outputs, top, &build_dir, owner)?
            }
        };
        let (root, namespaces) = if sandboxed {
            let (root, namespaces) =
                self.sandbox(drv_options, &inputs, &mut outputs, &build_dir, user.as_ref())?;
            (Some(root), Some(namespaces))
        } else {
            if Path::new("/homeless-shelter").symlink_metadata().is_ok() {
                return Err(Failure::misc(
                    "home directory '/homeless-shelter' exists; please remove it to assure purity of builds without sandboxing",
                ));
            }
            (None, None)
        };
        let cgroup = match sandboxed && (options.use_cgroups || range) {
            true => Some(self.make_cgroup(user.as_ref())?),
            false => None,
        };
        let spec = Spec {
            builder,
            cgroup,
            env: match external {
                None => variables,
                Some(_) => std::env::vars_os()
                    .map(|(n, v)| (n.as_bytes().into(), v.as_bytes().into()))
                    .collect(),
            },
            cwd: if external.is_some() { build_dir.clone() } else { seen_dir.clone() },
            namespaces,
            user: user.as_ref().map(|u| u.user.clone()),
            must_drop_groups: options.must_drop_groups,
            filter_syscalls: options.filter_syscalls,
            allow_new_privileges: options.allow_new_privileges,
            system,
            impersonate_linux_26: options.impersonate_linux_26,
        };
        let top_dir = Some(top_dir);
        Ok(Prepared { spec, outputs, inputs, build_dir, top_dir, root, user, recursive, requests })
    }

    /// Serves a builder that uses the store itself, if its derivation asks for that. In a sandbox, also gives the
    /// guard's end of what makes paths appear there.
    fn serve_builder(
        &self,
        drv_options: &DrvOptions,
        build_dir: &Path,
        sandboxed: bool,
        inputs: &BTreeSet<StorePath>,
    ) -> Result<Served, Failure> {
        if !drv_options.required_features.contains(FEATURE) {
            return Ok((None, None));
        }
        let Some(server) = &self.options.recursive else {
            return Err(firn_store::Error::FeatureOff(FEATURE).into());
        };
        let (admit, requests): (Arc<Admit>, _) = if sandboxed {
            let (late, requests) =
                LateInputs::new().map_err(io("making a way into the sandbox"))?;
            let layout = self.store.layout().clone();
            let admit = move |path: &StorePath| {
                late.add(&layout.real_path(path), path.base_name()).map_err(|e| {
                    let shown = layout.store_dir.print(path);
                    Failure::misc(format!("could not add path '{shown}' to sandbox: {e}"))
                })
            };
            (Arc::new(admit), Some(requests))
        } else {
            (Arc::new(|_: &StorePath| Ok(())), None)
        };
        let request = RecursiveRequest {
            store: self.store.layout(),
            socket: &build_dir.join(SOCKET),
            inputs,
            admit,
            logger: self.logger,
        };
        Ok((Some(server.serve(&request)?), requests))
    }

    /// Makes the builder's cgroup, a neighbour of this process's, or of the daemon's where that has one of its own.
    /// Which one an account had last is noted, so that what was left there by an interrupted build is killed.
    fn make_cgroup(&self, user: Option<&UserLock>) -> Result<PathBuf, Failure> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        if !self.options.has_feature("cgroups") {
            return Err(firn_store::Error::FeatureOff("cgroups").into());
        }
        let own = cgroup::current().map_err(Failure::misc)?;
        let base = match own.parent().filter(|_| own.ends_with(DAEMON_CGROUP)) {
            Some(parent) => parent.to_owned(),
            None => own,
        };
        let name = match user {
            Some(user) => format!("nix-build-uid-{}", user.user.uid),
            None => format!(
                "nix-build-pid-{}-{}",
                std::process::id(),
                COUNTER.fetch_add(1, Ordering::Relaxed)
            ),
        };
        let path = base.join(name);
        if let Some(user) = user {
            let dir = self.store.layout().state_dir.join("cgroups");
            fs::create_dir_all(&dir)
                .map_err(io(format!("creating directory '{}'", dir.display())))?;
            let note = dir.join(user.user.uid.to_string());
            match fs::read(&note) {
                Ok(last) if !last.is_empty() => {
                    let last = Path::new(std::ffi::OsStr::from_bytes(&last)).to_owned();
                    cgroup::destroy(&last).map_err(Failure::misc)?;
                }
                _ => {}
            }
            fs::write(&note, path.as_os_str().as_bytes())
                .map_err(io(format!("writing '{}'", note.display())))?;
        }
        fs::create_dir(&path).map_err(io(format!("creating cgroup \"{}\"", path.display())))?;
        if let Some(user) = user {
            for name in ["", "cgroup.procs", "cgroup.threads"] {
                let file = path.join(name);
                if let Err(e) = chown(&file, Some(user.user.uid), Some(user.user.gid)) {
                    let _ = cgroup::destroy(&path);
                    return Err(io(format!("changing owner of '{}'", file.display()))(e));
                }
            }
        }
        Ok(path)
    }

    /// A path that stands for that of an output while it is not known.
    pub(super) fn scratch_path_of(&self, output: &str) -> Result<StorePath, Failure> {
        let kind = format!("rewrite:{}:name:{output}", self.drv_path.base_name());
        let zero = Hash::from_bytes(HashAlgo::Sha256, &[0; 32]).map_err(Failure::misc)?;
        let name = output_path_name(&self.drv.name, output);
        Ok(self.store.store_dir().make_path(&kind, &zero, &name)?)
    }

    /// A path that stands for `path` while that is taken by valid contents.
    fn scratch_path(&self, path: &StorePath) -> Result<StorePath, Failure> {
        let kind = format!("rewrite:{}:{}", self.drv_path.base_name(), path.base_name());
        let zero = Hash::from_bytes(HashAlgo::Sha256, &[0; 32]).map_err(Failure::misc)?;
        Ok(self.store.store_dir().make_path(&kind, &zero, path.name())?)
    }

    fn builder(
        &self,
        outputs: &BTreeMap<String, Wanted>,
        rewrites: &Rewrites,
        drv_options: &DrvOptions,
    ) -> Result<Builder, Failure> {
        if !self.drv.builder.starts_with(b"builtin:") {
            let name = environment::program_name(self.drv.builder.as_ref());
            let args = self.drv.args.iter().map(|arg| (&rewrites.apply(arg)).into());
            return Ok(Builder::Program {
                path: (&**self.drv.builder).into(),
                args: std::iter::once(name.into()).chain(args).collect(),
            });
        }
        let places = outputs.iter().map(|(n, w)| (n.clone(), self.print(&w.scratch))).collect();
        let fixed = self.drv.outputs.get("out").and_then(|output| match output {
            Output::Fixed(ca) => {
                Some((ca.hash, ca.method == firn_model::content_address::Method::Flat))
            }
            _ => None,
        });
        let env = match &drv_options.structured {
            Some(attrs) => plain_env(attrs),
            None => self.drv.env.clone(),
        };
        let context = Context {
            env: &env,
            outputs: &places,
            fixed,
            impure: self.drv.kind()? == Kind::Impure,
            store_dir: self.store.store_dir().as_str(),
            cores: self.options.effective_cores(),
            fetch: &self.options.fetch,
            hashed_mirrors: &self.options.hashed_mirrors,
        };
        let spec = BuiltinSpec::prepare(&self.drv.builder, &context).map_err(|e| {
            Failure::new(
                FailureKind::Permanent,
                format!("Cannot build '{}'.\nReason: {e}.", self.print(self.drv_path)),
            )
        })?;
        Ok(Builder::Builtin(Box::new(spec)))
    }
}

/// Structured attributes for a built-in builder, which reads plain ones.
fn plain_env(
    attrs: &serde_json::Map<String, serde_json::Value>,
) -> BTreeMap<bstr::BString, bstr::BString> {
    use serde_json::Value;
    fn plain(value: &Value) -> Option<String> {
        match value {
            Value::String(text) => Some(text.clone()),
            Value::Bool(true) => Some("1".into()),
            Value::Bool(false) | Value::Null => Some(String::new()),
            Value::Number(number) => Some(number.to_string()),
            Value::Array(items) => {
                items.iter().map(plain).collect::<Option<Vec<_>>>().map(|words| words.join(" "))
            }
            Value::Object(_) => None,
        }
    }
    attrs
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().into(), plain(value)?.into())))
        .collect()
}

/// Makes a directory that only this account can enter, under a name that nobody could foresee.
fn private_directory(parent: &Path) -> Result<PathBuf, Failure> {
    for _ in 0..1000 {
        let mut random = [0; 8];
        rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())
            .map_err(|e| io("getting random bytes")(e.into()))?;
        let name = format!("nix-{}-{}", std::process::id(), u64::from_le_bytes(random));
        let dir = parent.join(name);
        match DirBuilder::new().mode(0o700).create(&dir) {
            Ok(()) => return Ok(dir),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(io(format!("creating directory '{}'", dir.display()))(e)),
        }
    }
    Err(Failure::misc(format!("cannot make a new directory in '{}'", parent.display())))
}
