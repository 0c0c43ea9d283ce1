//! What a tried system keeps in its state folder from one start to the next: which system was offered
//! to it last, a machine's disk, and the images of the store that the disk's layer was written over.
//!
//! The state folder of a machine has `disk.img`, `images` (store paths, the newest first, one a line)
//! and `lock`; that of a container has `offered` beside what [`container`](super::container) makes.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::activate::replace_link;
use crate::{Error, IoContext as _, Result};

/// How large a machine's disk can grow, in bytes. The file is sparse: it takes what was written.
pub const DISK_SIZE: u64 = 16 << 30;

/// How many images of the store a machine may stand on; generations that are in none of them and were
/// not built inside are gone.
const MOST_IMAGES: usize = 6;

/// What a machine keeps; while it is held, no other machine can use the folder.
#[derive(Debug)]
pub struct Disk {
    /// The disk, zeroes at first.
    pub file: PathBuf,
    /// Images of the store, as they are called in the store, the newest first.
    pub images: Vec<PathBuf>,
    _lock: File,
}

impl Disk {
    /// Opens the disk in `state`, or makes one, and remembers that it stands on `image` too.
    ///
    /// # Errors
    /// If a machine runs with it, or a file in `state` cannot be read or written.
    pub fn open(state: &Path, image: &Path) -> Result<Self> {
        fs::create_dir_all(state).at("create", state)?;
        let path = state.join("lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .at("open", &path)?;
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).map_err(
            |_| {
                Error::Other(format!(
                    "another machine runs with the state folder '{}'; stop it, or choose another folder",
                    state.display()
                ))
            },
        )?;
        let file = state.join("disk.img");
        let disk = File::options().create(true).append(true).open(&file).at("open", &file)?;
        if disk.metadata().at("read", &file)?.len() < DISK_SIZE {
            disk.set_len(DISK_SIZE).at("set the size of", &file)?;
        }
        let list = state.join("images");
        let before = match fs::read_to_string(&list) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(e) => return Err(e).at("read", &list),
        };
        let mut images = vec![image.to_owned()];
        images.extend(before.lines().map(PathBuf::from).filter(|p| p != image));
        images.truncate(MOST_IMAGES);
        let text: String = images.iter().map(|p| format!("{}\n", p.display())).collect();
        crate::activate::etc::write_atomically(&list, text.as_bytes(), 0o644)?;
        Ok(Self { file, images, _lock: lock })
    }
}

/// The system that a container is to start: `toplevel`, as a new generation, if it was not offered
/// before; else the present one of its generations, which somebody may have switched to inside.
///
/// `root` is the container's root folder, `stores` are the folders that its store is put together from.
///
/// # Errors
/// If a generation's link cannot be made.
pub fn offer(state: &Path, root: &Path, stores: &[&Path], toplevel: &Path) -> Result<PathBuf> {
    let profiles = root.join("nix/var/nix/profiles");
    let profile = profiles.join("system");
    let record = state.join("offered");
    let present = fs::read_link(&profile).ok().and_then(|g| fs::read_link(profiles.join(g)).ok());
    let exists = |system: &Path| {
        system
            .file_name()
            .is_some_and(|name| stores.iter().any(|s| fs::symlink_metadata(s.join(name)).is_ok()))
    };
    let known = fs::read_to_string(&record).is_ok_and(|t| Path::new(&t) == toplevel);
    match present.filter(|system| exists(system)) {
        Some(system) if known => return Ok(system),
        Some(system) if system == toplevel => {}
        _ => {
            let number = 1 + newest_generation(&profiles)?;
            let generation = format!("system-{number}-link");
            replace_link(toplevel, &profiles.join(&generation))?;
            replace_link(Path::new(&generation), &profile)?;
        }
    }
    let text = toplevel.to_string_lossy();
    crate::activate::etc::write_atomically(&record, text.as_bytes(), 0o644)?;
    Ok(toplevel.to_owned())
}

/// The highest number of a generation of the profile `system`; 0 if there is none.
fn newest_generation(profiles: &Path) -> Result<u64> {
    fs::create_dir_all(profiles).at("create", profiles)?;
    let mut newest = 0;
    for entry in fs::read_dir(profiles).at("read", profiles)? {
        let name = entry.at("read", profiles)?.file_name();
        let number = name
            .to_str()
            .and_then(|n| n.strip_prefix("system-")?.strip_suffix("-link")?.parse().ok());
        newest = newest.max(number.unwrap_or(0));
    }
    Ok(newest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn a_disk_stays_with_the_images_it_stands_on() {
        let dir = tempfile::tempdir().unwrap();
        let image = |n: usize| PathBuf::from(format!("/nix/store/{n}-image"));
        let disk = Disk::open(dir.path(), &image(0)).unwrap();
        let meta = fs::metadata(&disk.file).unwrap();
        assert_eq!(meta.len(), DISK_SIZE);
        assert!(meta.blocks() < 64, "the file is not sparse");
        let err = Disk::open(dir.path(), &image(0)).unwrap_err().to_string();
        assert!(err.contains("another machine runs"), "{err}");
        drop(disk);

        fs::write(dir.path().join("disk.img"), "data").unwrap();
        let disk = Disk::open(dir.path(), &image(1)).unwrap();
        assert_eq!(disk.images, [image(1), image(0)]);
        let mut start = [0; 5];
        let file = File::open(&disk.file).unwrap();
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut start, 0).unwrap();
        assert_eq!(&start, b"data\0", "what was written stays");
        drop(disk);
        // an image that comes again is the newest again
        drop(Disk::open(dir.path(), &image(0)).unwrap());
        for n in 2..9 {
            drop(Disk::open(dir.path(), &image(n)).unwrap());
        }
        let disk = Disk::open(dir.path(), &image(8)).unwrap();
        assert_eq!(disk.images.len(), MOST_IMAGES);
        assert_eq!(disk.images[..2], [image(8), image(7)]);
    }

    #[test]
    fn a_container_starts_its_own_generation_until_it_is_offered_another() {
        let dir = tempfile::tempdir().unwrap();
        let (state, root, store) = (dir.path(), dir.path().join("root"), dir.path().join("store"));
        let profiles = root.join("nix/var/nix/profiles");
        let system = |name: &str| {
            fs::create_dir_all(store.join(name)).unwrap();
            Path::new("/nix/store").join(name)
        };
        let (a, b, c) = (system("a"), system("b"), system("c"));
        let start = |toplevel: &Path| offer(state, &root, &[&store], toplevel).unwrap();
        let present = || fs::read_link(profiles.join("system")).unwrap();
        assert_eq!(start(&a), a);
        assert_eq!(present(), Path::new("system-1-link"));
        // a switch inside
        std::os::unix::fs::symlink(&b, profiles.join("system-2-link")).unwrap();
        replace_link(Path::new("system-2-link"), &profiles.join("system")).unwrap();
        assert_eq!(start(&a), b);
        assert_eq!(present(), Path::new("system-2-link"));
        // the configuration on the host has changed
        assert_eq!(start(&c), c);
        assert_eq!(present(), Path::new("system-3-link"));
        assert_eq!(start(&c), c);
        assert_eq!(present(), Path::new("system-3-link"), "the same system is no new generation");
        // a generation that is not in the store any more cannot be started
        replace_link(Path::new("system-2-link"), &profiles.join("system")).unwrap();
        fs::remove_dir(store.join("b")).unwrap();
        assert_eq!(start(&c), c);
    }
}
