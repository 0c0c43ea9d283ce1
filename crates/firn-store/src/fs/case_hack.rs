//! Names for file systems on which `a` and `A` are one (setting `use-case-hack`): what an archive has under a name
//! that differs from an earlier one in case alone gets a suffix when it is unpacked, and loses it when it is packed.
//!
//! Whether that is done holds for a whole process, as it does for the reference: a store that is packed in one way
//! and unpacked in another has other hashes. Nothing here opens files.

use std::collections::{BTreeMap, HashMap};
use std::ffi::CString;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::dir::os_name;
use crate::error::{Error, Result};

/// What comes before the number of a name that was changed.
const SUFFIX: &str = "~nix~case~hack~";

static ENABLED: AtomicBool = AtomicBool::new(false);

/// Says whether trees are unpacked and packed this way from now on, in this whole process.
pub fn use_case_hack(enabled: bool) {
    ENABLED.store(enabled, Ordering::Relaxed);
}

/// Whether it is done.
pub(super) fn enabled() -> bool {
    ENABLED.load(Ordering::Relaxed)
}

/// The names of one directory that is being unpacked.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// By the name in lower case: how it was written first, and how many others there were since.
    seen: HashMap<Vec<u8>, (Vec<u8>, u64)>,
}

impl Names {
    /// The name under which the file system gets the next entry.
    pub fn next(&mut self, name: &[u8]) -> Result<Vec<u8>> {
        let Some((_, others)) = self.seen.get_mut(&name.to_ascii_lowercase()) else {
            self.seen.insert(name.to_ascii_lowercase(), (name.to_owned(), 0));
            return Ok(name.to_owned());
        };
        *others += 1;
        let changed = [name, format!("{SUFFIX}{others}").as_bytes()].concat();
        if let Some((first, _)) = self.seen.get(&changed.to_ascii_lowercase()) {
            let (name, first) = (String::from_utf8_lossy(name), String::from_utf8_lossy(first));
            return Err(Error::Format(format!(
                "bad archive: NAR contains file name '{name}' that collides with case-hacked file name '{first}'"
            )));
        }
        Ok(changed)
    }
}

/// The names that an archive has for those of the directory `dir`, in the archive's order, each with the name on
/// disk.
pub(super) fn packed(names: Vec<CString>, dir: &Path) -> Result<Vec<(Vec<u8>, CString)>> {
    let mut all: BTreeMap<Vec<u8>, CString> = BTreeMap::new();
    for name in names {
        let mut packed = name.to_bytes().to_vec();
        if let Some(at) = packed.windows(SUFFIX.len()).position(|w| w == SUFFIX.as_bytes()) {
            packed.truncate(at);
        }
        if let Some(other) = all.get(&packed) {
            return Err(Error::Format(format!(
                "file name collision between {:?} and {:?}",
                dir.join(os_name(other)),
                dir.join(os_name(&name))
            )));
        }
        all.insert(packed, name);
    }
    Ok(all.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpacked(names: &[&str]) -> Result<Vec<String>> {
        let mut known = Names::default();
        let names = names.iter().map(|name| known.next(name.as_bytes()));
        names.map(|name| name.map(|name| String::from_utf8(name).unwrap())).collect()
    }

    #[test]
    fn names_that_differ_in_case_alone_get_numbers() {
        let names = unpacked(&["FOO", "Foo", "bar", "foo"]).unwrap();
        assert_eq!(names, ["FOO", "Foo~nix~case~hack~1", "bar", "foo~nix~case~hack~2"]);
        let error = unpacked(&["Test", "Test~nix~case~hack~1", "test"]).unwrap_err().to_string();
        let told = "NAR contains file name 'test' that collides with case-hacked file name \
                    'Test~nix~case~hack~1'";
        assert!(error.contains(told), "{error}");
    }

    #[test]
    fn numbers_are_taken_away_and_order_is_that_of_the_archive() {
        let names = |names: &[&str]| {
            let names = names.iter().map(|name| CString::new(*name).unwrap()).collect();
            packed(names, Path::new("/d")).map(|all| {
                let texts = all.into_iter().map(|(name, _)| String::from_utf8(name).unwrap());
                texts.collect::<Vec<_>>()
            })
        };
        assert_eq!(names(&["b", "foo~nix~case~hack~2", "FOO"]).unwrap(), ["FOO", "b", "foo"]);
        let error = names(&["x~nix~case~hack~1", "x"]).unwrap_err().to_string();
        assert_eq!(error, "file name collision between \"/d/x~nix~case~hack~1\" and \"/d/x\"");
    }
}
