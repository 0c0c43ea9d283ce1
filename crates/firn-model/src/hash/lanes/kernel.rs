//! The rounds of SHA-256 (FIPS 180-4, section 6.2.2) over vectors: one macro, since a function with the processor's features
//! cannot take a trait's operations without losing them.

/// The constants of the rounds, sixteen at a time.
pub(super) const K: [[u32; 16]; 4] = [
    [
        0x428a_2f98,
        0x7137_4491,
        0xb5c0_fbcf,
        0xe9b5_dba5,
        0x3956_c25b,
        0x59f1_11f1,
        0x923f_82a4,
        0xab1c_5ed5,
        0xd807_aa98,
        0x1283_5b01,
        0x2431_85be,
        0x550c_7dc3,
        0x72be_5d74,
        0x80de_b1fe,
        0x9bdc_06a7,
        0xc19b_f174,
    ],
    [
        0xe49b_69c1,
        0xefbe_4786,
        0x0fc1_9dc6,
        0x240c_a1cc,
        0x2de9_2c6f,
        0x4a74_84aa,
        0x5cb0_a9dc,
        0x76f9_88da,
        0x983e_5152,
        0xa831_c66d,
        0xb003_27c8,
        0xbf59_7fc7,
        0xc6e0_0bf3,
        0xd5a7_9147,
        0x06ca_6351,
        0x1429_2967,
    ],
    [
        0x27b7_0a85,
        0x2e1b_2138,
        0x4d2c_6dfc,
        0x5338_0d13,
        0x650a_7354,
        0x766a_0abb,
        0x81c2_c92e,
        0x9272_2c85,
        0xa2bf_e8a1,
        0xa81a_664b,
        0xc24b_8b70,
        0xc76c_51a3,
        0xd192_e819,
        0xd699_0624,
        0xf40e_3585,
        0x106a_a070,
    ],
    [
        0x19a4_c116,
        0x1e37_6c08,
        0x2748_774c,
        0x34b0_bcb5,
        0x391c_0cb3,
        0x4ed8_aa4a,
        0x5b9c_ca4f,
        0x682e_6ff3,
        0x748f_82ee,
        0x78a5_636f,
        0x84c8_7814,
        0x8cc7_0208,
        0x90be_fffa,
        0xa450_6ceb,
        0xbef9_a3f7,
        0xc671_78f2,
    ],
];

/// Defines `compress`, which takes a block of each lane into the state, for vectors of type `$v` and a module that has the operations
/// `add`, `splat`, `choose`, `majority`, `big0`, `big1`, `small0` and `small1` on them.
macro_rules! compress {
    ($features:literal, $v:ty) => {
        #[target_feature(enable = $features)]
        #[inline]
        fn compress(state: &mut [$v; 8], mut w: [$v; 16]) {
            let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *state;
            macro_rules! round {
                ($a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident, $k:ident, $i:literal) => {
                    let t = add($h, add(w[$i], splat($k[$i])));
                    let t = add(add(t, choose($e, $f, $g)), big1($e));
                    $d = add($d, t);
                    $h = add(t, add(big0($a), majority($a, $b, $c)));
                };
            }
            for (i, k) in super::kernel::K.iter().enumerate() {
                if i > 0 {
                    for j in 0..16 {
                        let s = add(small0(w[(j + 1) % 16]), small1(w[(j + 14) % 16]));
                        w[j] = add(add(w[j], w[(j + 9) % 16]), s);
                    }
                }
                round!(a b c d e f g h, k, 0);
                round!(h a b c d e f g, k, 1);
                round!(g h a b c d e f, k, 2);
                round!(f g h a b c d e, k, 3);
                round!(e f g h a b c d, k, 4);
                round!(d e f g h a b c, k, 5);
                round!(c d e f g h a b, k, 6);
                round!(b c d e f g h a, k, 7);
                round!(a b c d e f g h, k, 8);
                round!(h a b c d e f g, k, 9);
                round!(g h a b c d e f, k, 10);
                round!(f g h a b c d e, k, 11);
                round!(e f g h a b c d, k, 12);
                round!(d e f g h a b c, k, 13);
                round!(c d e f g h a b, k, 14);
                round!(b c d e f g h a, k, 15);
            }
            for (old, new) in state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
                *old = add(*old, new);
            }
        }
    };
}

pub(super) use compress;
