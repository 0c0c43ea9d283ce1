//! File names as bytes: normalising, last parts, replacing.

/// An absolute name without empty parts, `.` and `..` (resolved textually; `..` of the root is the root).
pub fn canonical(path: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::with_capacity(path.len() + 1);
    for part in path.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                let cut = out.iter().rposition(|b| *b == b'/').unwrap_or(0);
                out.truncate(cut);
            }
            _ => {
                out.push(b'/');
                out.extend_from_slice(part);
            }
        }
    }
    if out.is_empty() {
        out.push(b'/');
    }
    out
}

/// Whether a text stands for something to download rather than for a path: `channel:…` and URLs.
pub fn is_pseudo_url(text: &str) -> bool {
    let scheme = text.split_once("://").map(|(scheme, _)| scheme);
    text.starts_with("channel:")
        || matches!(scheme, Some("http" | "https" | "file" | "channel" | "git" | "s3" | "ssh"))
}

/// What follows the last slash of a normalised name.
pub fn base_name(path: &[u8]) -> &[u8] {
    let at = path.iter().rposition(|b| *b == b'/').map_or(0, |i| i + 1);
    &path[at..]
}

/// The name that a file gets in the store unless another is given: its own, and `source` for the root.
pub fn store_name(path: &[u8]) -> String {
    match base_name(path) {
        b"" => "source".to_owned(),
        name => String::from_utf8_lossy(name).into_owned(),
    }
}

/// `text` with each `from` replaced by `to`.
pub fn replace_all(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut last = 0;
    for at in memchr::memmem::find_iter(text, from) {
        out.extend_from_slice(&text[last..at]);
        out.extend_from_slice(to);
        last = at + from.len();
    }
    out.extend_from_slice(&text[last..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_normalised() {
        for (from, to) in [
            ("/", "/"),
            ("//a//b/", "/a/b"),
            ("/a/./b/../c", "/a/c"),
            ("/../..", "/"),
            ("/a/..", "/"),
        ] {
            assert_eq!(canonical(from.as_bytes()), to.as_bytes(), "{from}");
        }
    }

    #[test]
    fn last_parts() {
        assert_eq!(base_name(b"/a/bc"), b"bc");
        assert_eq!(base_name(b"/"), b"");
    }

    #[test]
    fn all_occurrences_are_replaced() {
        assert_eq!(replace_all(b"xabxab", b"ab", b"-"), b"x-x-");
    }
}
