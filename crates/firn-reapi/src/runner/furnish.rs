//! The builder's view of the machine: a root of its own where the kernel grants one, else the machine's own, if that
//! happens to have the inputs in their places.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use firn_build::sandbox::spec::{Builder, Bytes, IdMap, Namespaces, Spec};
use firn_build::sandbox::{Binds, Launcher, Root, etc, support};

use super::{OWN, Task};

/// The account that a builder has inside.
const INSIDE: (u32, u32) = (1000, 100);

/// A builder that can be started.
pub struct Furnished {
    /// What to start.
    pub spec: Spec,
    /// Where its outputs will be, as seen from here.
    pub outputs: BTreeMap<String, PathBuf>,
}

/// Prepares everything. `base` is the folder in which the action runs.
///
/// # Errors
/// Why this machine cannot run it.
pub fn furnish(task: &Task, base: &Path, launcher: &Launcher) -> Result<Furnished, String> {
    let supported = support(launcher);
    if supported.namespaces {
        return private(task, base, supported.user_namespaces);
    }
    direct(task, base)
}

fn staged_store(task: &Task, base: &Path) -> PathBuf {
    base.join(task.store_dir.strip_prefix("/").unwrap_or(&task.store_dir))
}

/// In a root of its own.
fn private(task: &Task, base: &Path, user_namespaces: bool) -> Result<Furnished, String> {
    let text = |e: firn_build::sandbox::RootError| e.to_string();
    let staged = staged_store(task, base);
    let mut root = Root::create(&base.join(OWN).join("sandbox"), None).map_err(text)?;
    let build_dir = base.join(OWN).join("build");
    fs::DirBuilder::new()
        .create(&build_dir)
        .map_err(|e| format!("creating '{}': {e}", build_dir.display()))?;
    write_files(task, &build_dir)?;
    root.directory(&task.store_dir, 0o1775).map_err(text)?;
    root.directory(Path::new("/tmp"), 0o1777).map_err(text)?;
    root.directory(Path::new("/proc"), 0o755).map_err(text)?;
    for (name, contents) in etc(&task.build_dir, INSIDE, true) {
        root.file(&Path::new("/etc").join(name), contents.as_bytes(), 0o644).map_err(text)?;
    }
    // What is mounted, by target: what the build needs wins over what is configured.
    let mut binds = Binds::new();
    for (target, source) in &task.host_paths {
        binds.insert(target.clone(), (base.join(source), true));
    }
    let devices = root.devices(task.kvm, &mut binds).map_err(text)?;
    for input in &task.inputs {
        binds.insert(task.store_dir.join(input), (staged.join(input), true));
    }
    binds.insert(task.build_dir.clone(), (build_dir, false));
    for (target, (source, read_only)) in &binds {
        root.bind(source, target, *read_only).map_err(text)?;
    }
    root.directory(Path::new("/etc"), 0o555).map_err(text)?;
    let map = user_namespaces.then(|| IdMap {
        inside_uid: INSIDE.0,
        outside_uid: rustix::process::geteuid().as_raw(),
        inside_gid: INSIDE.1,
        outside_gid: rustix::process::getegid().as_raw(),
        count: 1,
    });
    if map.is_none() {
        return Err("it grants no user namespaces, which a builder needs to have an account of \
                    its own"
            .into());
    }
    let outputs = task
        .outputs
        .iter()
        .map(|(name, path)| (name.clone(), root.outside(&task.store_dir.join(path))))
        .collect();
    let namespaces = Namespaces {
        root: root.path().to_owned(),
        map,
        private_network: true,
        mounts: root.mounts().to_vec(),
        shm_size: devices.own.then(|| task.shm_size.clone()),
        devpts: devices.terminals,
        sysfs: false,
        late_inputs: None,
    };
    Ok(Furnished { spec: spec(task, Some(namespaces)), outputs })
}

/// On the machine itself, where its root is the folder in which the action runs.
fn direct(task: &Task, base: &Path) -> Result<Furnished, String> {
    let same = |a: &Path, b: &Path| match (fs::metadata(a), fs::metadata(b)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    };
    let in_place = same(&staged_store(task, base), &task.store_dir)
        && task.host_paths.iter().all(|(target, source)| {
            target.exists() || link_host_path(base, source, target).is_ok()
        });
    if !in_place {
        return Err(format!(
            "it grants no namespaces (user, mount, PID), and does not have the action's files as its root, \
             so the inputs cannot be put into '{}'",
            task.store_dir.display()
        ));
    }
    if same(base, Path::new("/")) {
        // what a root of its own would have, if the worker does not have it
        let _ = fs::create_dir("/etc");
        for (name, contents) in etc(&task.build_dir, INSIDE, true) {
            let mut options = fs::OpenOptions::new();
            let file = options.write(true).create_new(true).open(Path::new("/etc").join(name));
            let _ = file.and_then(|mut file| file.write_all(contents.as_bytes()));
        }
        let _ = fs::create_dir("/tmp");
    }
    let dir = &task.build_dir;
    fs::create_dir_all(dir).map_err(|e| format!("creating '{}': {e}", dir.display()))?;
    write_files(task, dir)?;
    let outputs =
        task.outputs.iter().map(|(name, path)| (name.clone(), task.store_dir.join(path))).collect();
    Ok(Furnished { spec: spec(task, None), outputs })
}

fn link_host_path(base: &Path, source: &Path, target: &Path) -> std::io::Result<()> {
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent)?;
    }
    std::os::unix::fs::symlink(base.join(source), target)
}

fn spec(task: &Task, namespaces: Option<Namespaces>) -> Spec {
    let mut env = task.env.clone();
    if task.own_cores {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        for (name, value) in &mut env {
            if name.0 == b"NIX_BUILD_CORES" {
                *value = Bytes::from(&cores.to_string());
            }
        }
    }
    Spec {
        builder: Builder::Program { path: task.builder.clone(), args: task.args.clone() },
        cgroup: None,
        env,
        cwd: task.build_dir.clone(),
        namespaces,
        user: None,
        must_drop_groups: false,
        filter_syscalls: task.filter_syscalls,
        allow_new_privileges: task.allow_new_privileges,
        system: task.system.clone(),
        impersonate_linux_26: task.impersonate_linux_26,
    }
}

fn write_files(task: &Task, dir: &Path) -> Result<(), String> {
    for (name, contents) in &task.files {
        let path = dir.join(name);
        if name.is_empty() || name.contains('/') || name == "." || name == ".." {
            return Err(format!("the file '{name}' of the builder has no plain name"));
        }
        fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o644)
            .open(&path)
            .and_then(|mut file| file.write_all(&contents.0))
            .map_err(|e| format!("writing '{}': {e}", path.display()))?;
    }
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))
        .map_err(|e| format!("changing the permissions of '{}': {e}", dir.display()))
}

/// The inputs and other files that are staged here, which are to look as in a store.
pub fn staged(task: &Task, base: &Path) -> BTreeSet<PathBuf> {
    let store = staged_store(task, base);
    task.inputs.iter().map(|input| store.join(input)).collect()
}
