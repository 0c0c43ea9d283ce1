//! Eight lanes in registers of 256 bits.

use std::arch::x86_64::*;

use super::{BLOCK, State, kernel};

/// Defines operations on vectors.
macro_rules! operations {
    ($($name:ident($($x:ident),*) = $body:expr;)*) => {$(
        #[target_feature(enable = "avx2")]
        #[inline]
        fn $name($($x: __m256i),*) -> __m256i {
            $body
        }
    )*};
}

/// Rotation to the right.
macro_rules! ror {
    ($x:ident, $n:literal) => {
        or(_mm256_srli_epi32::<$n>($x), _mm256_slli_epi32::<{ 32 - $n }>($x))
    };
}

operations! {
    add(a, b) = _mm256_add_epi32(a, b);
    and(a, b) = _mm256_and_si256(a, b);
    or(a, b) = _mm256_or_si256(a, b);
    xor(a, b) = _mm256_xor_si256(a, b);
    choose(e, f, g) = xor(and(xor(f, g), e), g);
    majority(a, b, c) = or(and(a, b), and(or(a, b), c));
    big0(a) = xor(xor(ror!(a, 2), ror!(a, 13)), ror!(a, 22));
    big1(e) = xor(xor(ror!(e, 6), ror!(e, 11)), ror!(e, 25));
    small0(w) = xor(xor(ror!(w, 7), ror!(w, 18)), _mm256_srli_epi32::<3>(w));
    small1(w) = xor(xor(ror!(w, 17), ror!(w, 19)), _mm256_srli_epi32::<10>(w));
}

#[target_feature(enable = "avx2")]
#[inline]
fn splat(k: u32) -> __m256i {
    _mm256_set1_epi32(k.cast_signed())
}

kernel::compress!("avx2", __m256i);

/// Half a block as words of this processor's byte order.
#[target_feature(enable = "avx2")]
#[inline]
fn load(half: &[u8; BLOCK / 2]) -> __m256i {
    // SAFETY: 32 bytes are read, which is the array's length; no alignment is asked for.
    let bytes = unsafe { _mm256_loadu_si256(half.as_ptr().cast()) };
    let swap = _mm_setr_epi8(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12);
    _mm256_shuffle_epi8(bytes, _mm256_broadcastsi128_si256(swap))
}

/// Rows become columns: word `i` of row `j` goes to word `j` of row `i`.
#[target_feature(enable = "avx2")]
#[inline]
fn transpose(rows: [__m256i; 8]) -> [__m256i; 8] {
    // First in each group of four rows within the halves of a register, then the halves themselves.
    let mut t = rows;
    for g in 0..2 {
        let [a, b, c, d] = [0, 1, 2, 3].map(|i| rows[4 * g + i]);
        let (ab, cd) = (_mm256_unpacklo_epi32(a, b), _mm256_unpacklo_epi32(c, d));
        t[4 * g] = _mm256_unpacklo_epi64(ab, cd);
        t[4 * g + 1] = _mm256_unpackhi_epi64(ab, cd);
        let (ab, cd) = (_mm256_unpackhi_epi32(a, b), _mm256_unpackhi_epi32(c, d));
        t[4 * g + 2] = _mm256_unpacklo_epi64(ab, cd);
        t[4 * g + 3] = _mm256_unpackhi_epi64(ab, cd);
    }
    let mut columns = t;
    for c in 0..4 {
        columns[c] = _mm256_permute2x128_si256::<0x20>(t[c], t[4 + c]);
        columns[4 + c] = _mm256_permute2x128_si256::<0x31>(t[c], t[4 + c]);
    }
    columns
}

/// Takes the first `n` blocks of each input into its lane of the state.
///
/// # Panics
/// If an input is shorter.
#[target_feature(enable = "avx2")]
pub(super) fn blocks(state: &mut State<8>, inputs: &[&[u8]; 8], n: usize) {
    let inputs = inputs.map(|input| &input.as_chunks::<{ BLOCK / 2 }>().0[..2 * n]);
    // SAFETY: 32 bytes are read, which is the array's length; no alignment is asked for.
    let mut words = state.each_ref().map(|w| unsafe { _mm256_loadu_si256(w.as_ptr().cast()) });
    for i in 0..n {
        let mut w = [_mm256_setzero_si256(); 16];
        w[..8].copy_from_slice(&transpose(inputs.map(|input| load(&input[2 * i]))));
        w[8..].copy_from_slice(&transpose(inputs.map(|input| load(&input[2 * i + 1]))));
        compress(&mut words, w);
    }
    for (to, from) in state.iter_mut().zip(words) {
        // SAFETY: 32 bytes are written, which is the array's length; no alignment is asked for.
        unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), from) };
    }
}
