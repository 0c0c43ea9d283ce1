//! Sixteen lanes in registers of 512 bits, with rotation and three-way logic as single instructions.

use std::arch::x86_64::*;

use super::{BLOCK, State, kernel};

/// Defines operations on vectors.
macro_rules! operations {
    ($($name:ident($($x:ident),*) = $body:expr;)*) => {$(
        #[target_feature(enable = "avx512f,avx512bw")]
        #[inline]
        fn $name($($x: __m512i),*) -> __m512i {
            $body
        }
    )*};
}

operations! {
    add(a, b) = _mm512_add_epi32(a, b);
    xor3(a, b, c) = _mm512_ternarylogic_epi32::<0x96>(a, b, c);
    choose(e, f, g) = _mm512_ternarylogic_epi32::<0xca>(e, f, g);
    majority(a, b, c) = _mm512_ternarylogic_epi32::<0xe8>(a, b, c);
    big0(a) = xor3(_mm512_ror_epi32::<2>(a), _mm512_ror_epi32::<13>(a), _mm512_ror_epi32::<22>(a));
    big1(e) = xor3(_mm512_ror_epi32::<6>(e), _mm512_ror_epi32::<11>(e), _mm512_ror_epi32::<25>(e));
    small0(w) = xor3(_mm512_ror_epi32::<7>(w), _mm512_ror_epi32::<18>(w), _mm512_srli_epi32::<3>(w));
    small1(w) = xor3(_mm512_ror_epi32::<17>(w), _mm512_ror_epi32::<19>(w), _mm512_srli_epi32::<10>(w));
}

#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn splat(k: u32) -> __m512i {
    _mm512_set1_epi32(k.cast_signed())
}

kernel::compress!("avx512f,avx512bw", __m512i);

/// A block as words of this processor's byte order.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn load(block: &[u8; BLOCK]) -> __m512i {
    // SAFETY: 64 bytes are read, which is the array's length; no alignment is asked for.
    let bytes = unsafe { _mm512_loadu_si512(block.as_ptr().cast()) };
    let swap = _mm_setr_epi8(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12);
    _mm512_shuffle_epi8(bytes, _mm512_broadcast_i32x4(swap))
}

/// Rows become columns: word `i` of row `j` goes to word `j` of row `i`.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn transpose(rows: [__m512i; 16]) -> [__m512i; 16] {
    // First in each group of four rows within the quarters of a register, then the quarters themselves.
    let mut t = rows;
    for g in 0..4 {
        let [a, b, c, d] = [0, 1, 2, 3].map(|i| rows[4 * g + i]);
        let (ab, cd) = (_mm512_unpacklo_epi32(a, b), _mm512_unpacklo_epi32(c, d));
        t[4 * g] = _mm512_unpacklo_epi64(ab, cd);
        t[4 * g + 1] = _mm512_unpackhi_epi64(ab, cd);
        let (ab, cd) = (_mm512_unpackhi_epi32(a, b), _mm512_unpackhi_epi32(c, d));
        t[4 * g + 2] = _mm512_unpacklo_epi64(ab, cd);
        t[4 * g + 3] = _mm512_unpackhi_epi64(ab, cd);
    }
    let mut columns = t;
    for c in 0..4 {
        let even = _mm512_shuffle_i32x4::<0x88>(t[c], t[4 + c]);
        let odd = _mm512_shuffle_i32x4::<0xdd>(t[c], t[4 + c]);
        let even2 = _mm512_shuffle_i32x4::<0x88>(t[8 + c], t[12 + c]);
        let odd2 = _mm512_shuffle_i32x4::<0xdd>(t[8 + c], t[12 + c]);
        columns[c] = _mm512_shuffle_i32x4::<0x88>(even, even2);
        columns[8 + c] = _mm512_shuffle_i32x4::<0xdd>(even, even2);
        columns[4 + c] = _mm512_shuffle_i32x4::<0x88>(odd, odd2);
        columns[12 + c] = _mm512_shuffle_i32x4::<0xdd>(odd, odd2);
    }
    columns
}

/// Takes the first `n` blocks of each input into its lane of the state.
///
/// # Panics
/// If an input is shorter.
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn blocks(state: &mut State<16>, inputs: &[&[u8]; 16], n: usize) {
    let inputs = inputs.map(|input| &input.as_chunks().0[..n]);
    // SAFETY: 64 bytes are read, which is the array's length; no alignment is asked for.
    let mut words = state.each_ref().map(|w| unsafe { _mm512_loadu_si512(w.as_ptr().cast()) });
    for i in 0..n {
        compress(&mut words, transpose(inputs.map(|input| load(&input[i]))));
    }
    for (to, from) in state.iter_mut().zip(words) {
        // SAFETY: 64 bytes are written, which is the array's length; no alignment is asked for.
        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), from) };
    }
}
