//! SHA-256 as fast as the processor can: derivations are hashed three times each, so that an evaluation
//! spends a good part of its time here.
//!
//! Processors with instructions for it use the crate's code. Of the others, those with AVX2 and BMI2 use
//! [`avx2`], which takes little more than half of the time of portable code.

use sha2::Digest as _;

/// A SHA-256 of data that comes in pieces.
pub(super) enum Sha256 {
    /// The crate's.
    Portable(sha2::Sha256),
    /// Ours.
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Stream),
}

impl Sha256 {
    pub(super) fn new() -> Sha256 {
        #[cfg(target_arch = "x86_64")]
        if !is_x86_feature_detected!("sha")
            && let Some(stream) = avx2::Stream::new()
        {
            return Sha256::Avx2(stream);
        }
        Sha256::Portable(sha2::Sha256::new())
    }

    pub(super) fn update(&mut self, data: &[u8]) {
        match self {
            Sha256::Portable(h) => h.update(data),
            #[cfg(target_arch = "x86_64")]
            Sha256::Avx2(stream) => stream.update(data),
        }
    }

    pub(super) fn finish(self) -> [u8; 32] {
        match self {
            Sha256::Portable(h) => h.finalize().into(),
            #[cfg(target_arch = "x86_64")]
            Sha256::Avx2(stream) => stream.finish(),
        }
    }
}

/// FIPS 180-4 with vectors for the message schedule, two blocks at a time, and three-operand rotations for
/// the rounds.
#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::{
        __m128i, __m256i, _mm_loadu_si128, _mm256_add_epi32, _mm256_alignr_epi8,
        _mm256_broadcastsi128_si256, _mm256_castsi128_si256, _mm256_inserti128_si256,
        _mm256_or_si256, _mm256_setr_epi8, _mm256_shuffle_epi8, _mm256_shuffle_epi32,
        _mm256_slli_epi32, _mm256_srli_epi32, _mm256_srli_epi64, _mm256_store_si256,
        _mm256_xor_si256,
    };

    const BLOCK: usize = 64;
    const PAIR: usize = 2 * BLOCK;

    #[rustfmt::skip]
    const K: [u32; 64] = [
        0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
        0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
        0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
        0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
        0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
        0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
        0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
        0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
    ];

    const START: [u32; 8] = [
        0x6a09_e667,
        0xbb67_ae85,
        0x3c6e_f372,
        0xa54f_f53a,
        0x510e_527f,
        0x9b05_688c,
        0x1f83_d9ab,
        0x5be0_cd19,
    ];

    /// A hash under way. That there is one proves that the processor has what [`pair`] needs.
    pub(in super::super) struct Stream {
        state: [u32; 8],
        /// What did not fill two blocks yet.
        rest: [u8; PAIR],
        filled: usize,
        len: u64,
    }

    impl Stream {
        /// One that has seen nothing, if this processor can.
        pub(super) fn new() -> Option<Stream> {
            let able = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("bmi2");
            able.then_some(Stream { state: START, rest: [0; PAIR], filled: 0, len: 0 })
        }

        pub(super) fn update(&mut self, mut data: &[u8]) {
            self.len += data.len() as u64;
            if self.filled > 0 {
                let taken = data.len().min(PAIR - self.filled);
                self.rest[self.filled..self.filled + taken].copy_from_slice(&data[..taken]);
                self.filled += taken;
                data = &data[taken..];
                if self.filled < PAIR {
                    return;
                }
                let rest = self.rest;
                self.compress(&rest);
            }
            let (pairs, rest) = data.as_chunks::<PAIR>();
            for pair in pairs {
                self.compress(pair);
            }
            self.rest[..rest.len()].copy_from_slice(rest);
            self.filled = rest.len();
        }

        fn compress(&mut self, blocks: &[u8; PAIR]) {
            // SAFETY: `new` has asked the processor.
            unsafe { pair(&mut self.state, blocks, 2) };
        }

        pub(super) fn finish(mut self) -> [u8; 32] {
            // A one, zeros, and the number of bits fill one, two or three blocks.
            let mut tail = [0; 2 * PAIR];
            tail[..self.filled].copy_from_slice(&self.rest[..self.filled]);
            tail[self.filled] = 0x80;
            let end = (self.filled + 1 + 8).next_multiple_of(BLOCK);
            tail[end - 8..end].copy_from_slice(&(self.len * 8).to_be_bytes());
            let (pairs, _) = tail.as_chunks::<PAIR>();
            let mut left = end / BLOCK;
            for blocks in pairs {
                // SAFETY: as in `compress`.
                unsafe { pair(&mut self.state, blocks, left.min(2)) };
                left = left.saturating_sub(2);
            }
            let mut out = [0; 32];
            for (bytes, word) in out.as_chunks_mut::<4>().0.iter_mut().zip(self.state) {
                *bytes = word.to_be_bytes();
            }
            out
        }
    }

    macro_rules! rotate {
        ($x:expr, $n:literal) => {
            _mm256_or_si256(_mm256_srli_epi32::<$n>($x), _mm256_slli_epi32::<{ 32 - $n }>($x))
        };
    }

    /// σ1 of the two words that stand twice each in `x`; the results are words 0 and 2 of each half.
    #[inline]
    #[target_feature(enable = "avx2,bmi1,bmi2")]
    fn sigma1(x: __m256i) -> __m256i {
        // Of a word beside itself, a 64-bit shift is a 32-bit rotation.
        _mm256_xor_si256(
            _mm256_xor_si256(_mm256_srli_epi64::<17>(x), _mm256_srli_epi64::<19>(x)),
            _mm256_srli_epi32::<10>(x),
        )
    }

    /// The next four words of both blocks' schedules, from the sixteen before.
    #[inline]
    #[target_feature(enable = "avx2,bmi1,bmi2")]
    fn next(a: __m256i, b: __m256i, c: __m256i, d: __m256i) -> __m256i {
        let low = _mm256_setr_epi8(
            0, 1, 2, 3, 8, 9, 10, 11, -1, -1, -1, -1, -1, -1, -1, -1, 0, 1, 2, 3, 8, 9, 10, 11, -1,
            -1, -1, -1, -1, -1, -1, -1,
        );
        let high = _mm256_setr_epi8(
            -1, -1, -1, -1, -1, -1, -1, -1, 0, 1, 2, 3, 8, 9, 10, 11, -1, -1, -1, -1, -1, -1, -1,
            -1, 0, 1, 2, 3, 8, 9, 10, 11,
        );
        let w15 = _mm256_alignr_epi8::<4>(b, a);
        let w7 = _mm256_alignr_epi8::<4>(d, c);
        let sigma0 = _mm256_xor_si256(
            _mm256_xor_si256(rotate!(w15, 7), rotate!(w15, 18)),
            _mm256_srli_epi32::<3>(w15),
        );
        let sum = _mm256_add_epi32(_mm256_add_epi32(a, w7), sigma0);
        // The last two of the four need the first two.
        let first = sigma1(_mm256_shuffle_epi32::<0b11_11_10_10>(d));
        let sum = _mm256_add_epi32(sum, _mm256_shuffle_epi8(first, low));
        let last = sigma1(_mm256_shuffle_epi32::<0b01_01_00_00>(sum));
        _mm256_add_epi32(sum, _mm256_shuffle_epi8(last, high))
    }

    /// One round; `$bc` is `$b ^ $c` before and `$a ^ $b` after it, which is what the next round needs.
    macro_rules! round {
        ($a:ident, $b:ident, $c:ident, $d:ident, $e:ident, $f:ident, $g:ident, $h:ident, $bc:ident, $wk:expr) => {
            let sigma1 = $e.rotate_right(6) ^ $e.rotate_right(11) ^ $e.rotate_right(25);
            let choice = ($e & $f).wrapping_add(!$e & $g);
            $h = $h.wrapping_add($wk).wrapping_add(choice).wrapping_add(sigma1);
            $d = $d.wrapping_add($h);
            let ab = $a ^ $b;
            let majority = (ab & $bc) ^ $b;
            $bc = ab;
            let sigma0 = $a.rotate_right(2) ^ $a.rotate_right(13) ^ $a.rotate_right(22);
            $h = $h.wrapping_add(majority).wrapping_add(sigma0);
        };
    }

    /// Eight rounds, after which each variable has its own meaning again. (A function is slower.)
    macro_rules! eight {
        ($s:ident, $bc:ident, $sums:ident, $i:expr, $block:literal) => {
            let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = $s;
            round!(a, b, c, d, e, f, g, h, $bc, $sums.0[$i][$block][0]);
            round!(h, a, b, c, d, e, f, g, $bc, $sums.0[$i][$block][1]);
            round!(g, h, a, b, c, d, e, f, $bc, $sums.0[$i][$block][2]);
            round!(f, g, h, a, b, c, d, e, $bc, $sums.0[$i][$block][3]);
            round!(e, f, g, h, a, b, c, d, $bc, $sums.0[$i + 1][$block][0]);
            round!(d, e, f, g, h, a, b, c, $bc, $sums.0[$i + 1][$block][1]);
            round!(c, d, e, f, g, h, a, b, $bc, $sums.0[$i + 1][$block][2]);
            round!(b, c, d, e, f, g, h, a, $bc, $sums.0[$i + 1][$block][3]);
            $s = [a, b, c, d, e, f, g, h];
        };
    }

    /// Sums of schedule and constants: for each four rounds those of the first block, then the second's.
    #[repr(align(32))]
    struct Sums([[[u32; 4]; 2]; 16]);

    impl Sums {
        #[inline]
        #[target_feature(enable = "avx2,bmi1,bmi2")]
        fn put(&mut self, i: usize, words: __m256i) {
            // SAFETY: four constants are 16 bytes, and `i` is below 16.
            let k = unsafe { _mm_loadu_si128(K.as_ptr().add(i * 4).cast()) };
            let sum = _mm256_add_epi32(words, _mm256_broadcastsi128_si256(k));
            // SAFETY: an element has 32 bytes and their alignment.
            unsafe { _mm256_store_si256((&raw mut self.0[i]).cast(), sum) };
        }
    }

    fn add(state: &mut [u32; 8], s: [u32; 8]) {
        for (x, y) in state.iter_mut().zip(s) {
            *x = x.wrapping_add(y);
        }
    }

    /// Takes the first or both of two blocks into the state.
    #[allow(unused_assignments, reason = "what the last round leaves for the next one")]
    #[target_feature(enable = "avx2,bmi1,bmi2")]
    fn pair(state: &mut [u32; 8], blocks: &[u8; PAIR], count: usize) {
        if count == 0 {
            return;
        }
        let swap = _mm256_setr_epi8(
            3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12, 3, 2, 1, 0, 7, 6, 5, 4, 11, 10,
            9, 8, 15, 14, 13, 12,
        );
        let half = |i: usize| -> __m128i {
            let bytes: &[u8; 16] = &blocks.as_chunks::<16>().0[i];
            // SAFETY: sixteen bytes.
            unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
        };
        let load = |i: usize| {
            let both = _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(half(i)), half(i + 4));
            _mm256_shuffle_epi8(both, swap)
        };
        let (mut x0, mut x1, mut x2, mut x3) = (load(0), load(1), load(2), load(3));
        let mut sums = Sums([[[0; 4]; 2]; 16]);
        sums.put(0, x0);
        sums.put(1, x1);
        sums.put(2, x2);
        sums.put(3, x3);
        let (mut s, mut bc) = (*state, state[1] ^ state[2]);
        // The schedule runs sixteen rounds ahead, so that vectors and rounds overlap.
        for i in [0, 4, 8] {
            x0 = next(x0, x1, x2, x3);
            sums.put(i + 4, x0);
            x1 = next(x1, x2, x3, x0);
            sums.put(i + 5, x1);
            eight!(s, bc, sums, i, 0);
            x2 = next(x2, x3, x0, x1);
            sums.put(i + 6, x2);
            x3 = next(x3, x0, x1, x2);
            sums.put(i + 7, x3);
            eight!(s, bc, sums, i + 2, 0);
        }
        eight!(s, bc, sums, 12, 0);
        eight!(s, bc, sums, 14, 0);
        add(state, s);
        if count == 2 {
            let (mut s, mut bc) = (*state, state[1] ^ state[2]);
            for i in [0, 2, 4, 6, 8, 10, 12, 14] {
                eight!(s, bc, sums, i, 1);
            }
            add(state, s);
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use sha2::Digest as _;

        #[test]
        fn same_as_the_crate() {
            // A processor without these instructions has nothing to test.
            let Some(mut pieces) = Stream::new() else { return };
            let data: Vec<u8> =
                (0..5000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
            for n in (0..400).chain([4095, 4096, 4097, 5000]) {
                let mut whole = Stream::new().unwrap();
                whole.update(&data[..n]);
                let expected: [u8; 32] = sha2::Sha256::digest(&data[..n]).into();
                assert_eq!(whole.finish(), expected, "{n} bytes");
            }
            let (mut rest, mut step) = (&data[..], 1);
            while !rest.is_empty() {
                let n = rest.len().min(step);
                pieces.update(&rest[..n]);
                rest = &rest[n..];
                step = (step * 7 + 3) % 301;
            }
            let expected: [u8; 32] = sha2::Sha256::digest(&data).into();
            assert_eq!(pieces.finish(), expected);
        }
    }
}
