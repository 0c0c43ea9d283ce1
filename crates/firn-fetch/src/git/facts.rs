//! What is known of commits and never changes: their time and the number of their ancestors, which takes seconds
//! to count in a large repository.
//!
//! A file of lines `WHAT COMMIT NUMBER`, to which new ones are appended. That it cannot be read or written only
//! costs the counting.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use super::GitOptions;
use super::program::GitError;

/// The file beside the clones.
const NAME: &str = "fetcher-cache-firn-v1";

/// A number that is known of a commit, or is found by `work` and noted if `keep`.
pub(super) fn of(
    options: &GitOptions,
    what: &str,
    rev: &str,
    keep: bool,
    work: impl FnOnce() -> Result<u64, GitError>,
) -> Result<u64, GitError> {
    let file = options.cache_dir.with_file_name(NAME);
    let key = format!("{what} {rev} ");
    if let Some(known) = find(&file, &key) {
        return Ok(known);
    }
    let found = work()?;
    if keep {
        note(&file, &format!("{key}{found}\n"));
    }
    Ok(found)
}

fn find(file: &Path, key: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| line.strip_prefix(key))?.parse().ok()
}

fn note(file: &Path, line: &str) {
    if let Some(dir) = file.parent() {
        let _ = fs::create_dir_all(dir);
    }
    // one write, so that lines of several processes do not mix
    let _ = fs::File::options()
        .create(true)
        .append(true)
        .open(file)
        .and_then(|mut file| file.write_all(line.as_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_is_kept_is_not_asked_again() {
        let dir = tempfile::tempdir().unwrap();
        let options = GitOptions {
            cache_dir: dir.path().join("gitv3"),
            ttl: Duration::ZERO,
            allow_dirty: true,
            warn_dirty: true,
            fetch: crate::FetchSettings::default(),
        };
        let of =
            |rev: &str, keep: bool, n: u64| of(&options, "revCount", rev, keep, || Ok(n)).unwrap();
        assert_eq!(of("a", false, 1), 1);
        assert_eq!(of("a", true, 2), 2);
        assert_eq!(of("a", true, 3), 2);
        assert_eq!(of("ab", true, 4), 4);
    }
}
