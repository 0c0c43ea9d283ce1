//! SHA-256 as fast as the processor can: derivations are hashed three times each and every archive once, so
//! that evaluation and the store spend a good part of their time here.
//!
//! The code is AWS-LC's, which has assembly for processors with and without instructions for it; the `sha2`
//! crate's portable code takes twice as long on the latter. The program has AWS-LC in it anyway, for TLS.

use aws_lc_rs::digest::{Context, SHA256};

/// A SHA-256 of data that comes in pieces.
#[derive(Clone)]
pub(super) struct Sha256(Context);

impl Sha256 {
    pub(super) fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    pub(super) fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    pub(super) fn finish(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.0.finish().as_ref());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use sha2::Digest as _;

    use super::Sha256;

    #[test]
    fn pieces_make_the_same_as_another_implementation() {
        let data: Vec<u8> =
            (0..5000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        for n in (0..400).chain([4095, 4096, 4097, 5000]) {
            let expected: [u8; 32] = sha2::Sha256::digest(&data[..n]).into();
            let mut hasher = Sha256::new();
            for piece in data[..n].chunks(1 + n / 7) {
                hasher.update(piece);
            }
            assert_eq!(hasher.finish(), expected, "{n} bytes");
        }
    }
}
