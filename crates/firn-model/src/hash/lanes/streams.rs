//! Streams that are hashed side by side, piece by piece. Between pieces a stream is nothing but its state, so that it can be in a
//! lane one time and by itself another.

use super::{BLOCK, Lanes, START, State, Tail};

/// Fewer streams than this are hashed one after the other.
const FEW: usize = 3;

/// The SHA-256 of data that comes in whole blocks.
#[derive(Debug, Clone)]
pub struct Sha256Stream {
    state: [u32; 8],
    len: u64,
}

impl Default for Sha256Stream {
    fn default() -> Self {
        Self { state: START, len: 0 }
    }
}

impl Sha256Stream {
    /// The size of a block in bytes.
    pub const BLOCK: usize = BLOCK;

    /// How many streams this processor hashes in hardly more time than one; 1 where side by side is no gain.
    #[must_use]
    pub fn lanes() -> usize {
        Lanes::detect().cost().0
    }

    /// Takes a piece into each stream.
    ///
    /// # Panics
    /// If a piece is no multiple of [`Sha256Stream::BLOCK`] long.
    pub fn update_all(pieces: &mut [(&mut Self, &[u8])]) {
        update_with(Lanes::detect(), pieces);
    }

    /// The hash, with what follows the last whole block.
    #[must_use]
    pub fn finish(mut self, rest: &[u8]) -> [u8; 32] {
        let (whole, _) = rest.split_at(rest.len() / BLOCK * BLOCK);
        alone(&mut self.state, whole);
        let tail = Tail::new(rest, self.len + rest.len() as u64);
        alone(&mut self.state, &tail.bytes[..tail.len]);
        let mut digest = [0; 32];
        for (bytes, word) in digest.as_chunks_mut().0.iter_mut().zip(self.state) {
            *bytes = word.to_be_bytes();
        }
        digest
    }
}

/// Takes whole blocks into a state.
fn alone(state: &mut [u32; 8], data: &[u8]) {
    if data.len() < BLOCK {
        // the function takes no block for one
        return;
    }
    // SAFETY: the function reads that many blocks, which `data` has, and changes eight words.
    unsafe {
        aws_lc_sys::SHA256_TransformBlocks(state.as_mut_ptr(), data.as_ptr(), data.len() / BLOCK);
    }
}

pub(super) fn update_with(lanes: Lanes, pieces: &mut [(&mut Sha256Stream, &[u8])]) {
    for (stream, piece) in &mut *pieces {
        assert!(piece.len().is_multiple_of(BLOCK), "a piece of {} bytes", piece.len());
        stream.len += piece.len() as u64;
    }
    match lanes {
        #[cfg(target_arch = "x86_64")]
        Lanes::Avx2 => {
            // SAFETY: a value of `Lanes` names what the processor was seen to have.
            side_by_side::<8>(pieces, |s, b, n| unsafe { super::avx2::blocks(s, b, n) });
        }
        #[cfg(target_arch = "x86_64")]
        Lanes::Avx512 => {
            // SAFETY: as above.
            side_by_side::<16>(pieces, |s, b, n| unsafe { super::avx512::blocks(s, b, n) });
        }
        Lanes::None => {}
    }
    for (stream, piece) in pieces {
        alone(&mut stream.state, piece);
    }
}

/// Takes pieces in lanes as long as there are enough of them. What is left of each is in `pieces` then.
#[cfg(target_arch = "x86_64")]
fn side_by_side<const N: usize>(
    pieces: &mut [(&mut Sha256Stream, &[u8])],
    blocks: impl Fn(&mut State<N>, &[&[u8]; N], usize),
) {
    // the longest first, so that those in lanes end together
    pieces.sort_unstable_by_key(|(_, piece)| std::cmp::Reverse(piece.len()));
    for pieces in pieces.chunks_mut(N) {
        let mut state: State<N> = [[0; N]; 8];
        for (lane, (stream, _)) in pieces.iter().enumerate() {
            for (words, word) in state.iter_mut().zip(stream.state) {
                words[lane] = word;
            }
        }
        loop {
            // sorted, so that those that are done are at the end
            let left = pieces.iter().take_while(|(_, piece)| !piece.is_empty()).count();
            if left < FEW {
                break;
            }
            // a lane without a piece does again what the first does, for nothing
            let inputs = std::array::from_fn(|l| pieces[if l < left { l } else { 0 }].1);
            let n = pieces[left - 1].1.len() / BLOCK;
            let before = state;
            blocks(&mut state, &inputs, n);
            for words in 0..8 {
                state[words][left..].copy_from_slice(&before[words][left..]);
            }
            for (_, piece) in &mut pieces[..left] {
                *piece = &piece[n * BLOCK..];
            }
        }
        for (lane, (stream, _)) in pieces.iter_mut().enumerate() {
            stream.state = std::array::from_fn(|word| state[word][lane]);
        }
    }
}
