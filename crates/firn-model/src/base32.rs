//! Nix's base-32: the digits and lower-case letters without `e`, `o`, `u` and `t`, least significant
//! bits last. Defined in the Nix manual under "Store path: digest".

/// The 32 characters, by value.
pub const ALPHABET: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";

/// The value of each byte, 255 for those outside the alphabet.
pub const VALUES: [u8; 256] = {
    let mut table = [255; 256];
    let mut i = 0;
    while i < 32 {
        table[ALPHABET[i] as usize] = i as u8;
        i += 1;
    }
    table
};

/// Why a text is not base-32.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A character outside the alphabet.
    #[error("invalid character in Nix32 (Nix's Base32 variation) string: '{0}'")]
    Character(char),
    /// Bits set beyond the last whole byte, so the text is no encoding of anything.
    #[error("invalid Nix32 (Nix's Base32 variation) string '{0}': it does not encode whole bytes")]
    Overhang(String),
}

/// How many characters `bytes` bytes take.
#[must_use]
pub const fn encoded_len(bytes: usize) -> usize {
    (bytes * 8).div_ceil(5)
}

/// Encodes `bytes`.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    let len = encoded_len(bytes.len());
    let mut out = String::with_capacity(len);
    for n in (0..len).rev() {
        let bit = n * 5;
        let (byte, shift) = (bit / 8, bit % 8);
        let low = u16::from(bytes[byte]);
        let high = bytes.get(byte + 1).map_or(0, |b| u16::from(*b));
        let value = ((low | high << 8) >> shift) & 31;
        out.push(ALPHABET[usize::from(value)] as char);
    }
    out
}

/// Decodes `text`.
///
/// # Errors
/// If a character is outside the alphabet or the bits do not fill whole bytes.
pub fn decode(text: &str) -> Result<Vec<u8>, Error> {
    let mut out = vec![0u8; text.len() * 5 / 8];
    for (n, c) in text.bytes().rev().enumerate() {
        let value = VALUES[usize::from(c)];
        if value == 255 {
            let at = text.len() - 1 - n;
            let c = text.get(at..).and_then(|t| t.chars().next()).unwrap_or('\u{fffd}');
            return Err(Error::Character(c));
        }
        let bit = n * 5;
        let (byte, shift) = (bit / 8, bit % 8);
        let wide = u16::from(value) << shift;
        if let Some(b) = out.get_mut(byte) {
            *b |= (wide & 255) as u8;
        } else if wide & 255 != 0 {
            return Err(Error::Overhang(text.to_owned()));
        }
        if wide >> 8 != 0 {
            match out.get_mut(byte + 1) {
                Some(b) => *b |= (wide >> 8) as u8,
                None => return Err(Error::Overhang(text.to_owned())),
            }
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_values() {
        assert_eq!(encode(&[]), "");
        assert_eq!(encode(&[0xff]), "7z");
        // sha256 of the empty string, as nix-hash prints it
        let empty = crate::Hash::digest(crate::HashAlgo::Sha256, b"");
        assert_eq!(empty.to_base32(), "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73");
    }

    #[test]
    fn rejects_what_encodes_nothing() {
        assert_eq!(decode("e"), Err(Error::Character('e')));
        assert_eq!(decode("zz"), Err(Error::Overhang("zz".into())));
        assert!(decode("é").is_err());
    }

    proptest! {
        #[test]
        fn round_trip(bytes: Vec<u8>) {
            prop_assert_eq!(decode(&encode(&bytes)).unwrap(), bytes);
        }
        #[test]
        fn any_text_is_no_panic(text: String) {
            if let Ok(bytes) = decode(&text) {
                // a text may be longer than the shortest one, never ambiguous
                prop_assert!(encode(&bytes).len() <= text.len());
            }
        }
    }
}
