//! Floating-point numbers as JSON, digit for digit as C++ Nix writes them.
//!
//! Its JSON library uses Loitsch's Grisu2 (<https://doi.org/10.1145/1806596.1806623>), which reads back to the
//! same number but gives one or two digits more than needed, or others, for about one number in 300.

/// The significands of 10^k, rounded to 64 bits, for k = -300, -292, … 324.
const POWERS: [u64; 79] = [
    0xab70fe17c79ac6ca,
    0xff77b1fcbebcdc4f,
    0xbe5691ef416bd60c,
    0x8dd01fad907ffc3c,
    0xd3515c2831559a83,
    0x9d71ac8fada6c9b5,
    0xea9c227723ee8bcb,
    0xaecc49914078536d,
    0x823c12795db6ce57,
    0xc21094364dfb5637,
    0x9096ea6f3848984f,
    0xd77485cb25823ac7,
    0xa086cfcd97bf97f4,
    0xef340a98172aace5,
    0xb23867fb2a35b28e,
    0x84c8d4dfd2c63f3b,
    0xc5dd44271ad3cdba,
    0x936b9fcebb25c996,
    0xdbac6c247d62a584,
    0xa3ab66580d5fdaf6,
    0xf3e2f893dec3f126,
    0xb5b5ada8aaff80b8,
    0x87625f056c7c4a8b,
    0xc9bcff6034c13053,
    0x964e858c91ba2655,
    0xdff9772470297ebd,
    0xa6dfbd9fb8e5b88f,
    0xf8a95fcf88747d94,
    0xb94470938fa89bcf,
    0x8a08f0f8bf0f156b,
    0xcdb02555653131b6,
    0x993fe2c6d07b7fac,
    0xe45c10c42a2b3b06,
    0xaa242499697392d3,
    0xfd87b5f28300ca0e,
    0xbce5086492111aeb,
    0x8cbccc096f5088cc,
    0xd1b71758e219652c,
    0x9c40000000000000,
    0xe8d4a51000000000,
    0xad78ebc5ac620000,
    0x813f3978f8940984,
    0xc097ce7bc90715b3,
    0x8f7e32ce7bea5c70,
    0xd5d238a4abe98068,
    0x9f4f2726179a2245,
    0xed63a231d4c4fb27,
    0xb0de65388cc8ada8,
    0x83c7088e1aab65db,
    0xc45d1df942711d9a,
    0x924d692ca61be758,
    0xda01ee641a708dea,
    0xa26da3999aef774a,
    0xf209787bb47d6b85,
    0xb454e4a179dd1877,
    0x865b86925b9bc5c2,
    0xc83553c5c8965d3d,
    0x952ab45cfa97a0b3,
    0xde469fbd99a05fe3,
    0xa59bc234db398c25,
    0xf6c69a72a3989f5c,
    0xb7dcbf5354e9bece,
    0x88fcf317f22241e2,
    0xcc20ce9bd35c78a5,
    0x98165af37b2153df,
    0xe2a0b5dc971f303a,
    0xa8d9d1535ce3b396,
    0xfb9b7cd9a4a7443c,
    0xbb764c4ca7a44410,
    0x8bab8eefb6409c1a,
    0xd01fef10a657842c,
    0x9b10a4e5e9913129,
    0xe7109bfba19c0c9d,
    0xac2820d9623bf429,
    0x80444b5e7aa7cf85,
    0xbf21e44003acdd2d,
    0x8e679c2f5e44ff8f,
    0xd433179d9c8cb841,
    0x9e19db92b4e31ba9,
];
const FIRST_POWER: i32 = -300;
const STEP: i32 = 8;

/// `f` · 2^`e`.
#[derive(Clone, Copy)]
struct Scaled {
    f: u64,
    e: i32,
}

impl Scaled {
    fn times(self, other: Scaled) -> Scaled {
        let product = u128::from(self.f) * u128::from(other.f) + (1 << 63);
        Scaled { f: (product >> 64) as u64, e: self.e + other.e + 64 }
    }

    fn normalised(self) -> Scaled {
        let shift = self.f.leading_zeros();
        Scaled { f: self.f << shift, e: self.e - shift as i32 }
    }
}

/// The power of ten that brings a number with this binary exponent near 2^-60 to 2^-32, and its exponent.
fn power_for(e: i32) -> (Scaled, i32) {
    let f = -60 - e - 1;
    let k = f * 78913 / (1 << 18) + i32::from(f > 0);
    let index = (k - FIRST_POWER + STEP - 1) / STEP;
    let k = FIRST_POWER + index * STEP;
    let e = ((k * 217_706) >> 16) - 63;
    (Scaled { f: POWERS[index as usize], e }, k)
}

/// The digits of a positive finite number, and the power of ten that they are multiplied with.
fn digits(n: f64) -> (Vec<u8>, i32) {
    let bits = n.to_bits();
    let fraction = bits & ((1 << 52) - 1);
    let exponent = (bits >> 52) as i32;
    let v = match exponent {
        0 => Scaled { f: fraction, e: -1074 },
        _ => Scaled { f: fraction | 1 << 52, e: exponent - 1075 },
    };
    // Half way to the numbers next to it.
    let above = Scaled { f: 2 * v.f + 1, e: v.e - 1 }.normalised();
    let below = match fraction == 0 && exponent > 1 {
        true => Scaled { f: 4 * v.f - 1, e: v.e - 2 },
        false => Scaled { f: 2 * v.f - 1, e: v.e - 1 },
    };
    let below = Scaled { f: below.f << (below.e - above.e), e: above.e };
    let (power, k) = power_for(above.e);
    let w = v.normalised().times(power);
    let low = below.times(power).f + 1;
    let high = above.times(power);
    generate(low, w.f, Scaled { f: high.f - 1, e: high.e }, -k)
}

fn generate(low: u64, w: u64, high: Scaled, mut exponent: i32) -> (Vec<u8>, i32) {
    let mut delta = high.f - low;
    let mut distance = high.f - w;
    let shift = -high.e as u32;
    let one = 1u64 << shift;
    let mut whole = high.f >> shift;
    let mut rest = high.f & (one - 1);
    let mut out = Vec::with_capacity(17);
    let mut count = whole.checked_ilog10().unwrap_or(0) + 1;
    let mut unit = 10u64.pow(count - 1);
    while count > 0 {
        out.push((whole / unit) as u8);
        whole %= unit;
        count -= 1;
        let left = (whole << shift) + rest;
        if left <= delta {
            exponent += count as i32;
            round(&mut out, distance, delta, left, unit << shift);
            return (out, exponent);
        }
        unit /= 10;
    }
    loop {
        rest *= 10;
        out.push((rest >> shift) as u8);
        rest &= one - 1;
        exponent -= 1;
        delta *= 10;
        distance *= 10;
        if rest <= delta {
            round(&mut out, distance, delta, rest, one);
            return (out, exponent);
        }
    }
}

/// Lowers the last digit while that comes nearer to the number.
fn round(digits: &mut [u8], distance: u64, delta: u64, mut rest: u64, unit: u64) {
    let Some(last) = digits.last_mut() else { return };
    while rest < distance
        && delta - rest >= unit
        && (rest + unit < distance || distance - rest > rest + unit - distance)
    {
        *last -= 1;
        rest += unit;
    }
}

/// `n` with a point or an exponent; `null` for what JSON has no numbers for.
pub fn json(n: f64) -> String {
    if !n.is_finite() {
        return "null".into();
    }
    if n == 0.0 {
        return if n.is_sign_negative() { "-0.0" } else { "0.0" }.into();
    }
    let sign = if n < 0.0 { "-" } else { "" };
    let (digits, exponent) = digits(n.abs());
    let digits: String = digits.iter().map(|d| char::from(b'0' + d)).collect();
    let count = digits.len() as i32;
    // The decimal point stands after this many digits.
    let point = count + exponent;
    let text = if count <= point && point <= 15 {
        format!("{digits}{}.0", "0".repeat(exponent as usize))
    } else if 0 < point && point <= 15 {
        let (whole, fraction) = digits.split_at(point as usize);
        format!("{whole}.{fraction}")
    } else if -4 < point && point <= 0 {
        format!("0.{}{digits}", "0".repeat(-point as usize))
    } else {
        let (first, rest) = digits.split_at(1);
        let dot = if rest.is_empty() { "" } else { "." };
        let e = if point > 0 { '+' } else { '-' };
        format!("{first}{dot}{rest}e{e}{:02}", (point - 1).abs())
    };
    format!("{sign}{text}")
}

#[cfg(test)]
mod tests {
    use super::json;

    #[test]
    fn as_the_reference_writes_them() {
        for (n, text) in [
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (0.1, "0.1"),
            (-2.5, "-2.5"),
            (123_456.789, "123456.789"),
            (1e14, "100000000000000.0"),
            (1e15, "1e+15"),
            (1.5e300, "1.5e+300"),
            (1e-4, "0.0001"),
            (1e-5, "1e-05"),
            (f64::NAN, "null"),
            // More or other digits than needed.
            (9246448698804.938, "9246448698804.937"),
            (1179132892590020.2, "1.1791328925900203e+15"),
            (4.812183862368638e16, "4.8121838623686384e+16"),
        ] {
            assert_eq!(json(n), text);
        }
    }

    proptest::proptest! {
        #[test]
        fn reads_back_the_same(n in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL) {
            proptest::prop_assert_eq!(json(n).parse::<f64>().unwrap(), n);
        }
    }
}
