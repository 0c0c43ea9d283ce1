//! The root that a builder sees: a skeleton of directories, mount points and small files, made
//! below a directory that nobody else can enter.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, chown, symlink};
use std::path::{Component, Path, PathBuf};

use super::spec::{BuildUser, Mount};

/// Why a root could not be prepared.
#[derive(Debug, thiserror::Error)]
#[error("cannot prepare '{}' for the sandbox: {source}", .path.display())]
pub struct RootError {
    path: PathBuf,
    source: io::Error,
}

type Result<T> = std::result::Result<T, RootError>;

fn at(path: &Path) -> impl FnOnce(io::Error) -> RootError + '_ {
    move |source| RootError { path: path.to_owned(), source }
}

/// What is to be mounted: the source and whether it is read-only, by target.
pub type Binds = BTreeMap<PathBuf, (PathBuf, bool)>;

/// What a sandbox has for devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Devices {
    /// Whether its `/dev` is its own, which then needs a `/dev/shm`.
    pub own: bool,
    /// Whether it needs pseudo terminals of its own in it.
    pub terminals: bool,
}

/// The files in `/etc` of a builder with this account and home: their names and contents.
#[must_use]
pub fn etc(
    home: &Path,
    (uid, gid): (u32, u32),
    private_network: bool,
) -> [(&'static str, String); 3] {
    let home = home.display();
    [
        (
            "passwd",
            format!(
                "root:x:0:0:Nix build user:{home}:/noshell\n\
                 nixbld:x:{uid}:{gid}:Nix build user:{home}:/noshell\n\
                 nobody:x:65534:65534:Nobody:/:/noshell\n"
            ),
        ),
        ("group", format!("root:x:0:\nnixbld:!:{gid}:\nnogroup:x:65534:\n")),
        match private_network {
            true => ("hosts", "127.0.0.1 localhost\n::1 localhost\n".to_owned()),
            // Names are looked up in files and by DNS, not in whatever the host is set up for.
            false => ("nsswitch.conf", "hosts: files dns\nservices: files\n".to_owned()),
        },
    ]
}

/// A root being prepared.
#[derive(Debug)]
pub struct Root {
    root: PathBuf,
    mounts: Vec<Mount>,
}

impl Root {
    /// Makes `parent` (which must not exist), that only this account can enter, and in it the root.
    /// `user` is the builder's account, if it has one of its own; one with a range of numbers owns its root.
    ///
    /// # Errors
    /// When they cannot be made.
    pub fn create(parent: &Path, user: Option<&BuildUser>) -> Result<Self> {
        fs::DirBuilder::new().mode(0o700).create(parent).map_err(at(parent))?;
        let root = parent.join("root");
        fs::DirBuilder::new().mode(0o750).create(&root).map_err(at(&root))?;
        if let Some(user) = user {
            let range = user.count != 1;
            let owner = if range { user.uid } else { 0 };
            chown(&root, Some(owner), Some(user.gid)).map_err(at(&root))?;
            if range {
                fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).map_err(at(&root))?;
            }
        }
        Ok(Self { root, mounts: Vec::new() })
    }

    /// A `/dev` of its own, unless `binds` (target, source and whether it is read-only) has one: makes what is not a
    /// device, and adds this machine's devices to `binds`.
    ///
    /// # Errors
    /// When something cannot be made.
    pub fn devices(&self, kvm: bool, binds: &mut Binds) -> Result<Devices> {
        if binds.contains_key(Path::new("/dev")) {
            return Ok(Devices { own: false, terminals: false });
        }
        let terminals =
            Path::new("/dev/pts/ptmx").exists() && !binds.contains_key(Path::new("/dev/pts"));
        if terminals {
            self.link(Path::new("/dev/ptmx"), "/dev/pts/ptmx".as_ref())?;
        }
        self.directory(Path::new("/dev/shm"), 0o755)?;
        self.directory(Path::new("/dev/pts"), 0o755)?;
        for device in ["full", "null", "random", "tty", "urandom", "zero", "kvm"] {
            let path = Path::new("/dev").join(device);
            if (kvm || device != "kvm") && path.exists() {
                binds.entry(path.clone()).or_insert((path, false));
            }
        }
        for (name, target) in [
            ("fd", "/proc/self/fd"),
            ("stdin", "/proc/self/fd/0"),
            ("stdout", "/proc/self/fd/1"),
            ("stderr", "/proc/self/fd/2"),
        ] {
            self.link(&Path::new("/dev").join(name), target.as_ref())?;
        }
        Ok(Devices { own: true, terminals })
    }

    /// Its path outside of the sandbox.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Where `inside`, an absolute path, is outside of the sandbox.
    #[must_use]
    pub fn outside(&self, inside: &Path) -> PathBuf {
        self.root.join(inside.strip_prefix("/").unwrap_or(inside))
    }

    /// Makes a directory and those above it.
    ///
    /// # Errors
    /// When it cannot be made, or when a link is in the way: nothing here follows links.
    pub fn directory(&self, inside: &Path, mode: u32) -> Result<PathBuf> {
        let mut path = self.root.clone();
        for part in inside.components() {
            match part {
                Component::RootDir => continue,
                Component::Normal(part) => path.push(part),
                _ => return Err(at(inside)(io::Error::other("it is not a plain absolute path"))),
            }
            match fs::DirBuilder::new().mode(0o755).create(&path) {
                Ok(()) => fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
                    .map_err(at(&path))?,
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                    if !fs::symlink_metadata(&path).map_err(at(&path))?.is_dir() {
                        return Err(at(&path)(io::Error::from(io::ErrorKind::NotADirectory)));
                    }
                }
                Err(e) => return Err(at(&path)(e)),
            }
        }
        if path != self.root && mode != 0o755 {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).map_err(at(&path))?;
        }
        Ok(path)
    }

    /// Writes a new file.
    ///
    /// # Errors
    /// When it cannot be written or is there already.
    pub fn file(&self, inside: &Path, contents: &[u8], mode: u32) -> Result<PathBuf> {
        let path = self.place(inside)?;
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&path)
            .map_err(at(&path))?;
        io::Write::write_all(&mut file, contents).map_err(at(&path))?;
        file.set_permissions(fs::Permissions::from_mode(mode)).map_err(at(&path))?;
        Ok(path)
    }

    /// Makes a symbolic link.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn link(&self, inside: &Path, target: &OsStr) -> Result<()> {
        let path = self.place(inside)?;
        symlink(target, &path).map_err(at(&path))
    }

    /// Will mount `source` at `inside`. A link is copied instead, for links cannot be mounted on.
    ///
    /// # Errors
    /// When the mount point cannot be made, or there is no `source`.
    pub fn bind(&mut self, source: &Path, inside: &Path, read_only: bool) -> Result<()> {
        let kind = fs::symlink_metadata(source).map_err(at(source))?.file_type();
        if kind.is_symlink() {
            let target = fs::read_link(source).map_err(at(source))?;
            return self.link(inside, target.as_os_str());
        }
        if kind.is_dir() {
            self.directory(inside, 0o755)?;
        } else if !self.outside(inside).exists() {
            self.file(inside, b"", 0o644)?;
        }
        self.mounts.push(Mount { source: source.into(), target: inside.into(), read_only });
        Ok(())
    }

    /// What is to be mounted, in this order.
    #[must_use]
    pub fn mounts(&self) -> &[Mount] {
        &self.mounts
    }

    fn place(&self, inside: &Path) -> Result<PathBuf> {
        let name = inside
            .file_name()
            .ok_or_else(|| at(inside)(io::Error::other("it is not the path of a file")))?;
        let parent = inside.parent().unwrap_or(Path::new("/"));
        Ok(self.directory(parent, 0o755)?.join(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_written_through_a_planted_link() {
        let dir = tempfile::tempdir().unwrap();
        let outside = dir.path().join("outside");
        fs::create_dir(&outside).unwrap();
        let mut root = Root::create(&dir.path().join("x.chroot"), None).unwrap();
        let mode = fs::metadata(dir.path().join("x.chroot")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        root.link(Path::new("/evil"), outside.as_os_str()).unwrap();
        assert!(root.file(Path::new("/evil/file"), b"", 0o644).is_err());
        assert!(root.directory(Path::new("/evil/dir"), 0o755).is_err());
        assert!(root.bind(&outside, Path::new("/evil/dir"), true).is_err());
        assert!(root.directory(Path::new("/a/../../b"), 0o755).is_err());
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
        assert!(Root::create(&dir.path().join("x.chroot"), None).is_err(), "never reused");
    }

    #[test]
    fn mount_points_fit_what_is_mounted() {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("s");
        fs::create_dir(&source).unwrap();
        fs::write(source.join("f"), "x").unwrap();
        symlink("f", source.join("l")).unwrap();
        let mut root = Root::create(&dir.path().join("x"), None).unwrap();
        root.bind(&source, Path::new("/nix/store/d"), true).unwrap();
        root.bind(&source.join("f"), Path::new("/nix/store/f"), true).unwrap();
        root.bind(&source.join("l"), Path::new("/nix/store/l"), true).unwrap();
        assert!(root.bind(&source.join("none"), Path::new("/nix/store/n"), true).is_err());
        assert_eq!(root.mounts().len(), 2);
        assert!(root.path().join("nix/store/d").is_dir());
        assert!(root.path().join("nix/store/f").is_file());
        assert_eq!(fs::read_link(root.path().join("nix/store/l")).unwrap(), Path::new("f"));
    }
}
