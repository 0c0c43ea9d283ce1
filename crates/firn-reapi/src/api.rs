//! The messages of the protocol that are used here, and the names of blobs.

use std::io::{self, Read, Write};

use firn_model::hash::{Hash, HashAlgo, Hasher};

pub use crate::wire::messages as re;

/// The name of a blob: the SHA-256 of its contents and their size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobId {
    hash: [u8; 32],
    /// Its size in bytes.
    pub size: u64,
}

impl BlobId {
    /// The name of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let hash = Hash::digest(HashAlgo::Sha256, bytes);
        Self::new(&hash, bytes.len() as u64)
    }

    /// The name of all that can be read.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of_reader(source: &mut dyn Read) -> io::Result<Self> {
        let mut summing = Summing::new(io::sink());
        io::copy(source, &mut summing)?;
        Ok(summing.finish().0)
    }

    fn new(hash: &Hash, size: u64) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(hash.as_bytes());
        Self { hash: bytes, size }
    }

    /// Its hash in base 16.
    pub fn hex(&self) -> String {
        self.hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl std::fmt::Display for BlobId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.hex(), self.size)
    }
}

impl From<BlobId> for re::Digest {
    fn from(id: BlobId) -> Self {
        // no file is as large as a signed number of this size allows
        Self { hash: id.hex(), size_bytes: i64::try_from(id.size).unwrap_or(i64::MAX) }
    }
}

impl TryFrom<&re::Digest> for BlobId {
    type Error = String;

    fn try_from(digest: &re::Digest) -> Result<Self, String> {
        let bad = || format!("'{}/{}' is no digest by SHA-256", digest.hash, digest.size_bytes);
        let size = u64::try_from(digest.size_bytes).map_err(|_| bad())?;
        let text = digest.hash.as_bytes();
        if text.len() != 64 {
            return Err(bad());
        }
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(text.chunks_exact(2)) {
            let digit = |c: u8| char::from(c).to_digit(16).and_then(|d| u8::try_from(d).ok());
            match (digit(pair[0]), digit(pair[1])) {
                (Some(high), Some(low)) => *byte = high << 4 | low,
                _ => return Err(bad()),
            }
        }
        Ok(Self { hash, size })
    }
}

/// Names what passes through.
pub struct Summing<W> {
    out: W,
    hasher: Hasher,
}

impl<W: Write> Summing<W> {
    /// Passes everything on to `out`.
    pub fn new(out: W) -> Self {
        Self { out, hasher: Hasher::new(HashAlgo::Sha256) }
    }

    /// The name of all that passed, and what it was passed to.
    pub fn finish(self) -> (BlobId, W) {
        let size = self.hasher.len();
        (BlobId::new(&self.hasher.finish(), size), self.out)
    }
}

impl<W: Write> Write for Summing<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let written = self.out.write(data)?;
        self.hasher.write_all(&data[..written])?;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blobs_are_named_by_hash_and_size() {
        let id = BlobId::of(b"");
        assert_eq!(
            id.to_string(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855/0"
        );
        assert_eq!(BlobId::of_reader(&mut &b"abc"[..]).unwrap(), BlobId::of(b"abc"));
        let digest: re::Digest = BlobId::of(b"abc").into();
        assert_eq!(BlobId::try_from(&digest), Ok(BlobId::of(b"abc")));
        for (hash, size_bytes) in [("", 0), ("e3b0", 4), (&*"g".repeat(64), 0)] {
            assert!(BlobId::try_from(&re::Digest { hash: hash.into(), size_bytes }).is_err());
        }
        let negative = re::Digest { size_bytes: -1, ..digest };
        assert!(BlobId::try_from(&negative).is_err());
    }
}
