//! Roots that running processes are: programs, working folders, open and mapped files, and store
//! paths in environments, as `/proc` shows them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use firn_model::base32;
use firn_model::store_path::{HASH_PART_LEN, StoreDir, StorePath};

/// Paths that processes use, with where that was seen. What cannot be read is not counted: other
/// users' processes, and those that end meanwhile.
pub(super) fn find(dir: &StoreDir) -> BTreeMap<StorePath, BTreeSet<String>> {
    let mut roots = Roots { dir, found: BTreeMap::new() };
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let is_pid = entry.file_name().as_bytes().iter().all(u8::is_ascii_digit);
        if is_pid {
            roots.process(&entry.path());
        }
    }
    for file in ["modprobe", "fbsplash", "poweroff_cmd"] {
        let file = Path::new("/proc/sys/kernel").join(file);
        if let Ok(contents) = std::fs::read(&file) {
            roots.path(contents.trim_ascii(), &file);
        }
    }
    roots.found
}

struct Roots<'a> {
    dir: &'a StoreDir,
    found: BTreeMap<StorePath, BTreeSet<String>>,
}

impl Roots<'_> {
    fn process(&mut self, process: &Path) {
        self.link(&process.join("exe"));
        self.link(&process.join("cwd"));
        for entry in std::fs::read_dir(process.join("fd")).into_iter().flatten().flatten() {
            self.link(&entry.path());
        }
        let maps = process.join("maps");
        if let Ok(text) = std::fs::read(&maps) {
            for line in text.split(|b| *b == b'\n') {
                // the sixth field; the five before it hold no slash
                if let Some(at) = line.iter().position(|b| *b == b'/') {
                    self.path(&line[at..], &maps);
                }
            }
        }
        let environ = process.join("environ");
        if let Ok(text) = std::fs::read(&environ) {
            self.anywhere(&text, &environ);
        }
    }

    fn link(&mut self, link: &Path) {
        if let Ok(target) = std::fs::read_link(link) {
            self.path(target.as_os_str().as_bytes(), link);
        }
    }

    /// `text` may be a path in the store.
    fn path(&mut self, text: &[u8], seen: &Path) {
        let text = String::from_utf8_lossy(text);
        // files that are deleted but open have this added
        let text = text.strip_suffix(" (deleted)").unwrap_or(&text);
        if let Ok((path, _)) = self.dir.parse_prefix(text) {
            self.add(path, seen);
        }
    }

    /// `text` may contain paths in the store.
    fn anywhere(&mut self, text: &[u8], seen: &Path) {
        let dir = self.dir.as_str().as_bytes();
        let mut rest = text;
        while let Some(at) = memchr::memmem::find(rest, dir) {
            rest = &rest[at + dir.len()..];
            let Some(base) = rest.strip_prefix(b"/") else { continue };
            let good = |b: &u8| b.is_ascii_alphanumeric() || b"+-._?=".contains(b);
            let len = base.iter().take_while(|b| good(b)).count();
            let digest_ok = len > HASH_PART_LEN
                && base[..HASH_PART_LEN].iter().all(|b| base32::VALUES[usize::from(*b)] != 255);
            if digest_ok
                && let Ok(text) = std::str::from_utf8(&base[..len])
                && let Ok(path) = StorePath::from_base_name(text)
            {
                self.add(path, seen);
            }
        }
    }

    fn add(&mut self, path: StorePath, seen: &Path) {
        let seen = OsStr::to_string_lossy(seen.as_os_str()).into_owned();
        self.found.entry(path).or_default().insert(seen);
    }
}
