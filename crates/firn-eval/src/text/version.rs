//! Versions as `builtins.compareVersions`, `splitVersion` and `parseDrvName` see them.

use std::cmp::Ordering;

/// The components of a version: runs of digits and runs of other bytes, without the dots and dashes.
pub fn components(version: &[u8]) -> Components<'_> {
    Components(version)
}

/// See [`components`].
#[derive(Clone, Debug)]
pub struct Components<'a>(&'a [u8]);

impl<'a> Iterator for Components<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let start = self.0.iter().position(|c| !is_separator(*c))?;
        let rest = &self.0[start..];
        let same = |c: &u8| c.is_ascii_digit() == rest[0].is_ascii_digit() && !is_separator(*c);
        let len = rest.iter().take_while(|c| same(c)).count();
        self.0 = &rest[len..];
        Some(&rest[..len])
    }
}

fn is_separator(c: u8) -> bool {
    c == b'.' || c == b'-'
}

/// A component as a number; `None` also where it does not fit 32 bits.
fn number(component: &[u8]) -> Option<i32> {
    if !component.first()?.is_ascii_digit() {
        return None;
    }
    std::str::from_utf8(component).ok()?.parse().ok()
}

fn is_older(a: &[u8], b: &[u8]) -> bool {
    match (number(a), number(b)) {
        (Some(a), Some(b)) => a < b,
        (_, Some(_)) if a.is_empty() => true,
        _ if a == b"pre" && b != b"pre" => true,
        _ if b == b"pre" => false,
        // `2.3a` is older than `2.3.1`.
        (_, Some(_)) => true,
        (Some(_), _) => false,
        _ => a < b,
    }
}

/// Compares two versions component by component, as Nix does.
pub fn compare(a: &[u8], b: &[u8]) -> Ordering {
    let (mut a, mut b) = (components(a), components(b));
    loop {
        let (left, right) = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (left, right) => (left.unwrap_or_default(), right.unwrap_or_default()),
        };
        if is_older(left, right) {
            return Ordering::Less;
        }
        if is_older(right, left) {
            return Ordering::Greater;
        }
    }
}

/// Splits a derivation's name into name and version, at the first dash that no letter follows.
pub fn parse_drv_name(name: &[u8]) -> (&[u8], &[u8]) {
    let dash = name.windows(2).position(|w| w[0] == b'-' && !w[1].is_ascii_alphabetic());
    match dash {
        Some(at) => (&name[..at], &name[at + 1..]),
        None => (name, b""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order() {
        let sign = |a: &str, b: &str| compare(a.as_bytes(), b.as_bytes()) as i32;
        for (a, b, expected) in [
            ("1.0", "2.3", -1),
            ("2.1", "2.3", -1),
            ("2.3", "2.3", 0),
            ("2.5", "2.3", 1),
            ("3.1", "2.3", 1),
            ("2.3.1", "2.3", 1),
            ("2.3.1", "2.3a", 1),
            ("2.3pre1", "2.3", -1),
            ("2.3pre3", "2.3pre12", -1),
            ("2.3a", "2.3c", -1),
            ("2.3pre1", "2.3c", -1),
            ("2.3pre1", "2.3q", -1),
            ("99999999999", "2", -1),
            ("", "-", 0),
            ("1", "1.", 0),
            ("007", "7", 0),
        ] {
            assert_eq!(sign(a, b), expected, "{a} {b}");
            assert_eq!(sign(b, a), -expected, "{b} {a}");
        }
    }

    #[test]
    fn parts() {
        let parts: Vec<_> = components(b"1.2pre-3a..b").map(String::from_utf8_lossy).collect();
        assert_eq!(parts, ["1", "2", "pre", "3", "a", "b"]);
        assert_eq!(components(b"..").count(), 0);
    }

    #[test]
    fn names() {
        assert_eq!(parse_drv_name(b"nix-0.12pre12876"), (&b"nix"[..], &b"0.12pre12876"[..]));
        assert_eq!(parse_drv_name(b"a-b-c"), (&b"a-b-c"[..], &b""[..]));
        assert_eq!(parse_drv_name(b"a--1"), (&b"a"[..], &b"-1"[..]));
        assert_eq!(parse_drv_name(b"a-"), (&b"a-"[..], &b""[..]));
    }
}
