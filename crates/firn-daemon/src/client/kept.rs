//! Hashing a source on its way by, and keeping it if it is small.

use std::io::{self, Write};

use firn_model::hash::{Hash, HashAlgo, Hasher};

/// A sink that hashes what it gets, and keeps it as long as that is not more than a limit.
pub(super) struct Kept {
    hasher: Hasher,
    kept: Option<Vec<u8>>,
    limit: usize,
}

impl Kept {
    /// A sink that keeps up to `limit` bytes.
    pub(super) fn new(algo: HashAlgo, limit: usize) -> Self {
        Self { hasher: Hasher::new(algo), kept: Some(Vec::new()), limit }
    }

    /// The hash, and all that came unless it was too much.
    pub(super) fn finish(self) -> (Hash, Option<Vec<u8>>) {
        (self.hasher.finish(), self.kept)
    }
}

impl Write for Kept {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.hasher.update(data);
        match &mut self.kept {
            Some(kept) if kept.len() + data.len() <= self.limit => kept.extend_from_slice(data),
            _ => self.kept = None,
        }
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_is_hashed_and_not_kept() {
        let hash = |data: &[u8]| Hash::digest(HashAlgo::Sha256, data);
        let fed = |pieces: &[&[u8]]| {
            let mut kept = Kept::new(HashAlgo::Sha256, 5);
            for piece in pieces {
                kept.write_all(piece).unwrap();
            }
            kept.finish()
        };
        assert_eq!(fed(&[]), (hash(b""), Some(Vec::new())));
        assert_eq!(fed(&[b"abc", b"de"]), (hash(b"abcde"), Some(b"abcde".to_vec())));
        assert_eq!(fed(&[b"abc", b"def", b"g"]), (hash(b"abcdefg"), None));
        assert_eq!(fed(&[b"abcdef", b""]), (hash(b"abcdef"), None));
    }
}
