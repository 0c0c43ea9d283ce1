//! The sandbox of one build: what its root has and what is mounted there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use firn_fetch::FetchSettings;
use firn_model::derivation::Kind;
use firn_model::store_path::StorePath;
use firn_store::fs::delete_path;
use firn_store::{ClosureOptions, Store};

use super::outputs::Wanted;
use super::users::UserLock;
use super::{Job, Temporary};
use crate::drv_options::DrvOptions;
use crate::error::{Failure, io};
use crate::recursive::FEATURE;
use crate::sandbox::spec::{IdMap, Namespaces};
use crate::sandbox::{Binds, Root, RootError, etc, support};

impl From<RootError> for Failure {
    fn from(error: RootError) -> Self {
        Self::misc(error)
    }
}

/// The account that a builder has inside.
const INSIDE: (u32, u32) = (1000, 100);

/// The account inside of a builder that has a range of them.
const FIRST: (u32, u32) = (0, 0);

impl Job<'_> {
    /// Prepares the root and says what is to be mounted; `outputs` learn where they will be.
    pub(super) fn sandbox(
        &self,
        drv_options: &DrvOptions,
        inputs: &BTreeSet<StorePath>,
        outputs: &mut BTreeMap<String, Wanted>,
        build_dir: &Path,
        user: Option<&UserLock>,
    ) -> Result<(Temporary, Namespaces), Failure> {
        let (store, options) = (self.store, self.options);
        let store_dir = Path::new(store.store_dir().as_str());
        if options.sandbox_build_dir.starts_with(store_dir)
            || store_dir.starts_with(&options.sandbox_build_dir)
        {
            return Err(Failure::misc("`sandbox-build-dir` must not contain the storeDir"));
        }
        // In the store's folder, so that outputs can be moved out by renaming.
        let mut parent = store.real_path(self.drv_path).into_os_string();
        parent.push(".chroot");
        let parent = PathBuf::from(parent);
        delete_path(&parent)?;
        let user = user.map(|lock| &lock.user);
        let group = user.map(|u| u.gid);
        let mut root = Root::create(&parent, user)?;
        let temporary = Temporary(parent);

        let private_network = !matches!(self.drv.kind()?, Kind::Fixed | Kind::Impure);
        let user_namespaces = support(&options.launcher).user_namespaces;
        let range = user.is_some_and(|u| u.count != 1);
        if range && !user_namespaces {
            return Err(Failure::misc(format!(
                "derivation '{}' needs the feature 'uid-range', for which this system grants no user namespaces; check /proc/sys/user/max_user_namespaces",
                store.store_dir().print(self.drv_path)
            )));
        }
        let inside = if range { FIRST } else { INSIDE };
        let map = user_namespaces.then(|| IdMap {
            inside_uid: inside.0,
            outside_uid: user.map_or(rustix::process::geteuid().as_raw(), |u| u.uid),
            inside_gid: inside.1,
            outside_gid: user.map_or(rustix::process::getegid().as_raw(), |u| u.gid),
            count: user.map_or(1, |u| u.count),
        });
        let (uid, gid) = match (&map, user) {
            (None, Some(user)) => (user.uid, user.gid),
            _ => inside,
        };
        let in_store = root.directory(store_dir, 0o1775)?;
        if group.is_some() {
            std::os::unix::fs::chown(&in_store, Some(0), group)
                .map_err(io(format!("changing owner of '{}'", in_store.display())))?;
        }
        root.directory(Path::new("/tmp"), 0o1777)?;
        root.directory(Path::new("/proc"), 0o755)?;
        for (name, text) in etc(&options.sandbox_build_dir, (uid, gid), private_network) {
            root.file(&Path::new("/etc").join(name), text.as_bytes(), 0o644)?;
        }

        // What is mounted, by target: what the build needs wins over what is configured.
        let mut binds = Binds::new();
        self.configured(drv_options, outputs, root.path(), &mut binds)?;
        if !private_network {
            for file in ["/etc/resolv.conf", "/etc/services", "/etc/hosts"] {
                if let Ok(source) = fs::canonicalize(file) {
                    binds.entry(file.into()).or_insert((source, true));
                }
            }
            let certificates = options.fetch.ca_file.clone().or_else(FetchSettings::host_ca_file);
            if let Some(source) = certificates.and_then(|f| fs::canonicalize(f).ok()) {
                binds.entry("/etc/ssl/certs/ca-certificates.crt".into()).or_insert((source, true));
            }
        }
        let devices = root.devices(options.system_features.contains("kvm"), &mut binds)?;
        for input in inputs {
            binds.insert(store_dir.join(input.base_name()), (store.real_path(input), true));
        }
        binds.insert(options.sandbox_build_dir.clone(), (build_dir.to_owned(), false));
        for (target, (source, read_only)) in &binds {
            // Older configurations name it; a sandbox has its own.
            if source != Path::new("/proc") {
                root.bind(source, target, *read_only)?;
            }
        }
        match user.filter(|_| range) {
            // As the first account it may have accounts of its own.
            Some(user) => {
                let etc = root.outside(Path::new("/etc"));
                std::os::unix::fs::chown(&etc, Some(user.uid), Some(user.gid))
                    .map_err(io(format!("changing owner of '{}'", etc.display())))?;
                root.directory(Path::new("/sys"), 0o755)?;
            }
            None => drop(root.directory(Path::new("/etc"), 0o555)?),
        }

        for wanted in outputs.values_mut() {
            wanted.actual = root.outside(&store_dir.join(wanted.scratch.base_name()));
        }
        let namespaces = Namespaces {
            root: root.path().to_owned(),
            map,
            private_network,
            mounts: root.mounts().to_vec(),
            shm_size: devices.own.then(|| options.shm_size.clone()),
            devpts: devices.terminals,
            sysfs: range,
            late_inputs: drv_options
                .required_features
                .contains(FEATURE)
                .then(|| store_dir.to_owned()),
        };
        Ok((temporary, namespaces))
    }

    /// Paths of the host that the settings or the derivation ask for.
    fn configured(
        &self,
        drv_options: &DrvOptions,
        outputs: &BTreeMap<String, Wanted>,
        root: &Path,
        binds: &mut Binds,
    ) -> Result<(), Failure> {
        let (store, options) = (self.store, self.options);
        let store_dir = store.store_dir();
        let mut roots = BTreeSet::new();
        for path in &options.sandbox_paths {
            let source = match path.source.to_str().and_then(|s| store_dir.parse_prefix(s).ok()) {
                Some((in_store, rest)) => {
                    roots.insert(in_store.clone());
                    store.real_path(&in_store).join(rest.trim_start_matches('/'))
                }
                None => path.source.clone(),
            };
            if source.symlink_metadata().is_err() {
                if path.optional {
                    continue;
                }
                return Err(Failure::misc(format!(
                    "path '{}' in the setting 'sandbox-paths' does not exist",
                    path.source.display()
                )));
            }
            let source = fs::canonicalize(&source).unwrap_or(source);
            binds.insert(path.target.clone(), (source, path.read_only));
        }
        for path in store.compute_closure(&roots, ClosureOptions::default())? {
            // What is being built again must not be there already.
            if !outputs.values().any(|w| w.path.as_ref() == Some(&path)) {
                let target = Path::new(store_dir.as_str()).join(path.base_name());
                binds.insert(target, (store.real_path(&path), true));
            }
        }
        for wanted in &drv_options.impure_host_paths {
            let path = PathBuf::from(wanted);
            let plain = path.is_absolute()
                && !path.components().any(|c| c == std::path::Component::ParentDir);
            if !plain || !options.allowed_host_paths.iter().any(|a| path.starts_with(a)) {
                return Err(Failure::misc(format!(
                    "derivation '{}' requested impure path '{wanted}', but it was not in allowed-impure-host-deps",
                    store_dir.print(self.drv_path)
                )));
            }
            if path.exists() {
                binds.insert(path.clone(), (path, false));
            }
        }
        for path in self.pre_build_hook(root)? {
            if path.source.symlink_metadata().is_err() {
                return Err(Failure::misc(format!(
                    "path '{}', which the pre-build-hook named, does not exist",
                    path.source.display()
                )));
            }
            binds.insert(path.target, (path.source, path.read_only));
        }
        Ok(())
    }
}
