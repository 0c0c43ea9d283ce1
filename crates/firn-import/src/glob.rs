//! The globs of the importer's parameters: `*` and `?` within a name, `**` across folders.

/// Whether the glob matches the path, or a folder that the path is below.
#[must_use]
pub fn matches(glob: &str, path: &str) -> bool {
    let glob = glob.trim_end_matches('/');
    if full(glob.as_bytes(), path.as_bytes()) {
        return true;
    }
    path.match_indices('/').any(|(end, _)| full(glob.as_bytes(), &path.as_bytes()[..end]))
}

/// Whether one of the globs matches.
#[must_use]
pub fn any(globs: &[String], path: &str) -> bool {
    globs.iter().any(|glob| matches(glob, path))
}

fn full(glob: &[u8], path: &[u8]) -> bool {
    match glob {
        [] => path.is_empty(),
        [b'*', b'*', b'/', rest @ ..] => {
            full(rest, path)
                || (0..path.len()).any(|at| path[at] == b'/' && full(rest, &path[at + 1..]))
        }
        [b'*', b'*', rest @ ..] => (0..=path.len()).any(|at| full(rest, &path[at..])),
        [b'*', rest @ ..] => {
            let name = path.iter().position(|&byte| byte == b'/').unwrap_or(path.len());
            (0..=name).any(|at| full(rest, &path[at..]))
        }
        [b'?', rest @ ..] => {
            path.first().is_some_and(|&byte| byte != b'/') && full(rest, &path[1..])
        }
        [byte, rest @ ..] => path.first() == Some(byte) && full(rest, &path[1..]),
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn stars_stay_within_a_name_and_double_stars_do_not() {
        assert!(matches("share/man", "share/man/man1/a.1"));
        assert!(matches("lib/*.a", "lib/libx.a"));
        assert!(!matches("lib/*.a", "lib/x/libx.a"));
        assert!(matches("lib/**/*.a", "lib/x/y/libx.a"));
        assert!(matches("lib/**/*.a", "lib/libx.a"));
        assert!(matches("**/doc", "share/vim/doc/a.txt"));
        assert!(matches("**", "anything/at/all"));
        assert!(!matches("share/ma", "share/man"));
        assert!(matches("bin/?", "bin/["));
    }
}
