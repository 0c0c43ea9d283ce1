//! glibc's `gconv-modules.cache`: the table from which `iconv` takes what it converts and with which
//! module. It holds the modules' folder as an absolute path, which becomes the one in the store.
//!
//! Format (glibc's `iconv/gconv_int.h` describes it): a header of a 32-bit magic number and 16-bit offsets of the
//! strings, hash table, its size, module entries and further conversions; each entry has six 16-bit
//! numbers, of which the second and fourth are the folders' places in the strings.

use crate::elf::{string_at, u16_at, u32_at};

const MAGIC: u32 = 0x2001_0324;
const ENTRY_SIZE: usize = 12;

/// The cache with its folders changed by `locate`, or `None` when it is not a cache, there is nothing to
/// change, or the new paths do not fit.
#[must_use]
pub fn relocate(data: &[u8], locate: impl Fn(&str) -> Option<String>) -> Option<Vec<u8>> {
    if u32_at(data, 0)? != MAGIC {
        return None;
    }
    let strings = usize::from(u16_at(data, 4)?);
    let modules = usize::from(u16_at(data, 10)?);
    let end = usize::from(u16_at(data, 12)?);
    let mut new = data.to_vec();
    let mut moved: Vec<(u16, Option<u16>)> = Vec::new();
    for entry in (modules..end.min(data.len())).step_by(ENTRY_SIZE) {
        for field in [entry + 2, entry + 6] {
            let old = u16_at(data, field)?;
            let known = moved.iter().find(|(from, _)| *from == old).map(|(_, to)| *to);
            let to = match known {
                Some(to) => to,
                None => {
                    let folder = string_at(data, strings + usize::from(old))?;
                    let found = std::str::from_utf8(folder).ok().and_then(&locate);
                    let to = match found {
                        Some(path) => {
                            let at = u16::try_from(new.len() - strings).ok()?;
                            new.extend_from_slice(path.as_bytes());
                            new.push(0);
                            Some(at)
                        }
                        None => None,
                    };
                    moved.push((old, to));
                    to
                }
            };
            if let Some(to) = to {
                new[field..field + 2].copy_from_slice(&to.to_le_bytes());
            }
        }
    }
    moved.iter().any(|(_, to)| to.is_some()).then_some(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_move_and_the_rest_stays() {
        // Header, strings "\0/usr/gconv/\0X.so\0", one module entry.
        let strings = b"\0/usr/gconv/\0X.so\0";
        let modules = 16 + strings.len() as u16;
        let mut cache = MAGIC.to_le_bytes().to_vec();
        for offset in [16, 16, 0, modules, modules + 12, 0] {
            cache.extend_from_slice(&u16::to_le_bytes(offset));
        }
        cache.extend_from_slice(strings);
        for number in [0_u16, 1, 13, 0, 0, 0] {
            cache.extend_from_slice(&number.to_le_bytes());
        }
        let new =
            relocate(&cache, |path| (path == "/usr/gconv/").then(|| "/s/glibc/gconv/".into()))
                .unwrap();
        let at = usize::from(u16_at(&new, usize::from(modules) + 2).unwrap());
        assert_eq!(string_at(&new, 16 + at), Some(&b"/s/glibc/gconv/"[..]));
        assert_eq!(u16_at(&new, usize::from(modules) + 4), Some(13));
        assert_eq!(&new[..16], &cache[..16]);
        assert_eq!(relocate(&cache, |_| None), None);
        assert_eq!(relocate(b"text", |_| None), None);
        for length in 0..cache.len() {
            let _ = relocate(&cache[..length], |_| Some("/x".into()));
        }
    }
}
