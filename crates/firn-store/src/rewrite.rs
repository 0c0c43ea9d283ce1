//! Rewriting fixed strings in a stream, and hashing a stream as if it did not contain its own hash.

use std::io::{self, Write};

use firn_model::hash::{Hash, HashAlgo, Hasher};

/// Replaces byte strings by others of the same length on the way to `sink`.
///
/// Call [`Rewriter::finish`] at the end: the last bytes are held back until it is known that no
/// occurrence begins in them.
#[derive(Debug)]
pub struct Rewriter<W> {
    sink: W,
    rewrites: Vec<(Vec<u8>, Vec<u8>)>,
    longest: usize,
    held: Vec<u8>,
    /// Bytes given to `sink`.
    written: u64,
}

impl<W: Write> Rewriter<W> {
    /// A rewriter for pairs of what to find and what to put there; empty ones and those of different
    /// lengths are left out.
    pub fn new(rewrites: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>, sink: W) -> Self {
        let rewrites: Vec<_> =
            rewrites.into_iter().filter(|(a, b)| !a.is_empty() && a.len() == b.len()).collect();
        let longest = rewrites.iter().map(|(a, _)| a.len()).max().unwrap_or(0);
        Self { sink, rewrites, longest, held: Vec::new(), written: 0 }
    }

    /// Writes what was held back; gives the sink and the number of bytes.
    ///
    /// # Errors
    /// If the sink fails.
    pub fn finish(mut self) -> io::Result<(W, u64)> {
        self.sink.write_all(&self.held)?;
        self.written += self.held.len() as u64;
        Ok((self.sink, self.written))
    }
}

impl<W: Write> Write for Rewriter<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.longest == 0 {
            self.sink.write_all(data)?;
            self.written += data.len() as u64;
            return Ok(data.len());
        }
        self.held.extend_from_slice(data);
        for (from, to) in &self.rewrites {
            let mut at = 0;
            while let Some(found) = memchr::memmem::find(&self.held[at..], from) {
                at += found;
                self.held[at..at + from.len()].copy_from_slice(to);
                at += from.len();
            }
        }
        let ready = self.held.len().saturating_sub(self.longest - 1);
        self.sink.write_all(&self.held[..ready])?;
        self.written += ready as u64;
        self.held.drain(..ready);
        Ok(data.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

/// Hashes a stream with all occurrences of one hash part replaced by zeros, which is how contents
/// that contain their own path are addressed.
///
/// Where the occurrences were is no part of the hash, since it is none in C++ Nix 2.34. So contents
/// with zeros in place of some of them have the same address; whoever builds contents must refuse
/// those that contain 32 zeros where a hash part could be, if that matters.
#[derive(Debug)]
pub struct HashModulo {
    rewriter: Rewriter<HasherSink>,
}

struct HasherSink(Hasher);

impl std::fmt::Debug for HasherSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HasherSink({} bytes)", self.0.len())
    }
}

impl Write for HasherSink {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.update(data);
        Ok(data.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl HashModulo {
    /// A hash of `algo` modulo `hash_part`.
    #[must_use]
    pub fn new(algo: HashAlgo, hash_part: &str) -> Self {
        let rewrite = (hash_part.as_bytes().to_vec(), vec![0; hash_part.len()]);
        Self { rewriter: Rewriter::new([rewrite], HasherSink(Hasher::new(algo))) }
    }

    /// The hash, and the number of bytes seen.
    #[must_use]
    pub fn finish(self) -> (Hash, u64) {
        let Rewriter { mut sink, held, written, .. } = self.rewriter;
        sink.0.update(&held);
        (sink.0.finish(), written + held.len() as u64)
    }
}

impl Write for HashModulo {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.rewriter.write(data)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rewrite(pieces: &[&[u8]]) -> Vec<u8> {
        let pairs = [(b"abcd".to_vec(), b"WXYZ".to_vec()), (b"ef".to_vec(), b"12".to_vec())];
        let mut rewriter = Rewriter::new(pairs, Vec::new());
        for piece in pieces {
            rewriter.write_all(piece).unwrap();
        }
        rewriter.finish().unwrap().0
    }

    #[test]
    fn occurrences_across_borders_are_rewritten() {
        assert_eq!(rewrite(&[b"xab", b"cde", b"f abc"]), b"xWXYZ12 abc");
    }

    #[test]
    fn a_hash_modulo_ignores_which_path_it_is() {
        let hash = |me: &str| {
            let mut sink = HashModulo::new(HashAlgo::Sha256, me);
            sink.write_all(format!("see {me}/bin and other").as_bytes()).unwrap();
            sink.finish()
        };
        let (a, b) = ("a".repeat(32), "b".repeat(32));
        assert_eq!(hash(&a), hash(&b));
        assert_eq!(hash(&a).1, 4 + 32 + 14);
    }

    proptest! {
        #[test]
        fn cuts_do_not_matter(text in "[a-f ]{0,60}", cuts in proptest::collection::vec(0usize..9, 0..20)) {
            let mut pieces = Vec::new();
            let mut rest = text.as_bytes();
            for cut in cuts {
                let (now, later) = rest.split_at(cut.min(rest.len()));
                pieces.push(now);
                rest = later;
            }
            pieces.push(rest);
            prop_assert_eq!(rewrite(&pieces), text.replace("abcd", "WXYZ").replace("ef", "12").into_bytes());
        }
    }
}
