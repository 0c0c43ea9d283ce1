//! Finding references: which of some store paths' hash parts occur in a stream of bytes.
//!
//! A hash part is 32 base-32 characters. The scanner looks at every 32nd byte first: unless it is a
//! base-32 character, no hash part can lie across it.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, Write};
use std::path::Path;

use firn_model::base32::VALUES;
use firn_model::store_path::{HASH_PART_LEN, StorePath};

use crate::error::Result;
use crate::fs::dump_path;

/// Takes a stream in pieces of any size and notes which hash parts it contains.
#[derive(Debug)]
pub struct ReferenceScanner {
    /// Those that were not seen yet.
    wanted: HashMap<[u8; HASH_PART_LEN], StorePath>,
    found: BTreeSet<StorePath>,
    /// The end of what came before, at most 31 bytes.
    tail: Vec<u8>,
}

impl ReferenceScanner {
    /// A scanner for the hash parts of `paths`.
    #[must_use]
    pub fn new<'p>(paths: impl IntoIterator<Item = &'p StorePath>) -> Self {
        let mut wanted = HashMap::new();
        for path in paths {
            let mut key = [0; HASH_PART_LEN];
            key.copy_from_slice(path.hash_part().as_bytes());
            wanted.insert(key, path.clone());
        }
        Self { wanted, found: BTreeSet::new(), tail: Vec::with_capacity(2 * HASH_PART_LEN) }
    }

    /// Takes more of the stream.
    pub fn update(&mut self, data: &[u8]) {
        if self.wanted.is_empty() || data.is_empty() {
            return;
        }
        // what lies across the border: the old end and enough of the new beginning
        let head = &data[..data.len().min(HASH_PART_LEN - 1)];
        let mut border = std::mem::take(&mut self.tail);
        border.extend_from_slice(head);
        self.search(&border);
        self.search(data);
        let end = if data.len() >= HASH_PART_LEN { data } else { &border };
        let keep = end.len().saturating_sub(HASH_PART_LEN - 1);
        if data.len() >= HASH_PART_LEN {
            border.clear();
            border.extend_from_slice(&data[keep..]);
        } else {
            border.drain(..keep);
        }
        self.tail = border;
    }

    fn search(&mut self, data: &[u8]) {
        let mut at = 0;
        'window: while let Some(window) = data.get(at..at + HASH_PART_LEN) {
            // from the end: the last character that cannot be in a hash part tells how far to go
            for (n, b) in window.iter().enumerate().rev() {
                if VALUES[usize::from(*b)] == 255 {
                    at += n + 1;
                    continue 'window;
                }
            }
            if let Some(path) = self.wanted.remove(window) {
                self.found.insert(path);
                if self.wanted.is_empty() {
                    return;
                }
            }
            at += 1;
        }
    }

    /// The paths whose hash parts were seen.
    #[must_use]
    pub fn finish(self) -> BTreeSet<StorePath> {
        self.found
    }
}

impl Write for ReferenceScanner {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.update(data);
        Ok(data.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Those of `candidates` that the files at `path` refer to.
///
/// # Errors
/// If the files cannot be read.
pub fn scan_path<'p>(
    path: &Path,
    candidates: impl IntoIterator<Item = &'p StorePath>,
) -> Result<BTreeSet<StorePath>> {
    let mut scanner = ReferenceScanner::new(candidates);
    dump_path(path, &mut scanner)?;
    Ok(scanner.finish())
}

/// Writes everything to two sinks.
#[derive(Debug)]
pub struct Tee<A, B>(pub A, pub B);

impl<A: Write, B: Write> Write for Tee<A, B> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.write_all(data)?;
        self.1.write_all(data)?;
        Ok(data.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()?;
        self.1.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(n: u8) -> StorePath {
        StorePath::from_parts(&[n; 20], "x").unwrap()
    }

    #[test]
    fn finds_hash_parts_wherever_they_are_cut() {
        let paths = [path(1), path(2), path(3)];
        let text = format!(
            "aaaa{}/bin\0{}{}",
            paths[0].hash_part(),
            // another base-32 character right before it must not hide it
            "0",
            paths[2].hash_part()
        );
        for cut in 0..text.len() {
            for cut2 in cut..text.len() {
                let mut scanner = ReferenceScanner::new(&paths);
                scanner.update(&text.as_bytes()[..cut]);
                scanner.update(&text.as_bytes()[cut..cut2]);
                scanner.update(&text.as_bytes()[cut2..]);
                let found = scanner.finish();
                assert_eq!(found, [paths[0].clone(), paths[2].clone()].into(), "{cut} {cut2}");
            }
        }
    }

    #[test]
    fn single_bytes_are_enough() {
        let wanted = path(7);
        let mut scanner = ReferenceScanner::new([&wanted]);
        for b in format!("xx{}", wanted.hash_part()).bytes() {
            scanner.update(&[b]);
        }
        assert!(scanner.finish().contains(&wanted));
    }

    proptest! {
        #[test]
        fn agrees_with_a_plain_search(
            parts in proptest::collection::vec(prop_oneof![
                "[0-9a-z/ ]{0,40}".prop_map(String::into_bytes),
                (0u8..6).prop_map(|n| path(n).hash_part().as_bytes().to_vec()),
                proptest::collection::vec(any::<u8>(), 0..50),
            ], 0..12),
            cuts in proptest::collection::vec(1usize..70, 0..20),
        ) {
            let all: Vec<u8> = parts.concat();
            let candidates: Vec<StorePath> = (0u8..6).map(path).collect();
            let mut scanner = ReferenceScanner::new(&candidates);
            let mut rest = &all[..];
            for cut in cuts {
                let (now, later) = rest.split_at(cut.min(rest.len()));
                scanner.update(now);
                rest = later;
            }
            scanner.update(rest);
            let expected: BTreeSet<StorePath> = candidates
                .iter()
                .filter(|p| memchr::memmem::find(&all, p.hash_part().as_bytes()).is_some())
                .cloned()
                .collect();
            prop_assert_eq!(scanner.finish(), expected);
        }
    }
}
