//! Text files: finds the FHS paths in them and rewrites those that somebody has. Knows scripts' first
//! lines and pkg-config files; anything else (units, udev rules, linker scripts, configuration) is
//! just text with paths in it.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::flatten;
use crate::index::Index;

/// The largest text file that is looked into, in bytes.
const MAX_TEXT: usize = 8 << 20;

/// Folders whose texts are for people, compilers or translators, not paths to be followed.
const SKIPPED: [&str; 14] = [
    "share/doc/",
    "share/man/",
    "share/info/",
    "share/locale/",
    "share/i18n/",
    "share/zoneinfo/",
    "share/terminfo/",
    "share/misc/",
    "share/ca-certificates/",
    "share/applications/",
    "share/metainfo/",
    "share/icons/",
    "include/",
    "lib/firmware/",
];

/// Whether the file is one whose paths are rewritten.
#[must_use]
pub fn is_text(path: &str, data: &[u8]) -> bool {
    data.len() <= MAX_TEXT
        && !SKIPPED.iter().any(|folder| path.starts_with(folder))
        && !path.contains("/doc/")
        // m4's frozen state counts its bytes.
        && !path.ends_with(".m4f")
        && memchr::memchr(0, data).is_none()
        && memchr::memchr(b'/', data).is_some()
}

/// What rewriting a file gave.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Rewritten {
    /// The new contents, if they differ.
    pub data: Option<Vec<u8>>,
    /// FHS paths that nobody has.
    pub unresolved: BTreeSet<String>,
    /// The first line's interpreter, if nobody has it.
    pub interpreter: Option<String>,
}

/// A first line `#! interpreter argument`.
#[derive(Debug, PartialEq, Eq)]
pub struct Shebang<'a> {
    /// The length of the line, without its end.
    pub len: usize,
    /// The interpreter's path.
    pub interpreter: &'a str,
    /// What follows it.
    pub rest: &'a str,
}

/// The first line of a script.
#[must_use]
pub fn shebang(data: &[u8]) -> Option<Shebang<'_>> {
    let line = data.split(|&byte| byte == b'\n').next()?;
    let text = std::str::from_utf8(line.strip_prefix(b"#!")?).ok()?.trim_start();
    let (interpreter, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
    interpreter.starts_with('/').then(|| Shebang {
        len: line.len(),
        interpreter,
        rest: rest.trim(),
    })
}

/// The program that a script's first line means: the interpreter, or what `env` is asked to find.
#[must_use]
pub fn shebang_program(shebang: &Shebang<'_>) -> String {
    if shebang.interpreter.ends_with("/env") {
        let name = shebang.rest.trim_start_matches("-S").split_whitespace().next();
        if let Some(name) = name.filter(|name| !name.contains(['=', '/']) && !name.starts_with('-'))
        {
            return format!("/usr/bin/{name}");
        }
    }
    shebang.interpreter.to_owned()
}

fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_+.-/@%~".contains(&byte) || byte >= 0x80
}

/// Whether a path can begin at `at`, judged by what is before it.
fn begins_path(data: &[u8], at: usize) -> bool {
    let Some(before) = at.checked_sub(1).map(|at| data[at]) else { return true };
    let earlier = |n: usize| at.checked_sub(n).map(|at| data[at]);
    match before {
        // A closing quote after a variable: "$DESTDIR"/usr/…
        b'"' | b'\'' => {
            !earlier(2).is_some_and(|byte| byte.is_ascii_alphanumeric() || b"})_".contains(&byte))
        }
        b'}' | b')' | b']' | b'$' | b'\\' | b'*' | b'?' => false,
        // Options of compilers: -I/usr/include
        b'I' | b'L' | b'B' | b'R' => earlier(2) == Some(b'-'),
        // Prefixes of commands in units: ExecStart=-/usr/bin/x
        b'-' | b'+' | b'@' => {
            let mut at = at - 1;
            while at > 0 && b"-+@!:".contains(&data[at]) {
                at -= 1;
            }
            data[at] == b'='
        }
        byte => !is_path_byte(byte),
    }
}

/// Whether a path is in a folder of the FHS that packages fill: not `/usr/local`, which is the machine's.
#[must_use]
pub fn is_fhs(path: &str) -> bool {
    if path.starts_with("/usr/local/") {
        return false;
    }
    ["/usr/", "/bin/", "/sbin/", "/lib/", "/lib64/"]
        .iter()
        .any(|folder| path.len() > folder.len() && path.starts_with(folder))
}

/// The places of FHS paths in a text, in order, as byte ranges.
pub fn paths(data: &[u8]) -> impl Iterator<Item = std::ops::Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let start = at + memchr::memchr(b'/', data.get(at..)?)?;
            let end = data[start..]
                .iter()
                .position(|&byte| !is_path_byte(byte))
                .map_or(data.len(), |length| start + length);
            at = end.max(start + 1);
            if begins_path(data, start)
                && std::str::from_utf8(&data[start..end])
                    .is_ok_and(|path| is_fhs(path) || path.len() > 1)
            {
                return Some(start..end);
            }
        }
    })
}

/// Rewrites a text file's paths. `fixed` is asked before the index.
#[must_use]
pub fn rewrite(
    path: &str,
    data: &[u8],
    index: &Index<'_>,
    fixed: &BTreeMap<String, String>,
) -> Rewritten {
    let mut result = Rewritten::default();
    let mut new = Vec::with_capacity(data.len() + 256);
    let mut copied = 0;
    let locate = |fhs: &str| match fixed.get(fhs) {
        Some(fixed) => Some(fixed.clone()),
        None if is_fhs(fhs) => index.locate(fhs),
        None => None,
    };

    if let Some(line) = shebang(data) {
        let program = shebang_program(&line);
        let found = locate(&program);
        if let Some(found) = &found {
            let rest = if program == line.interpreter {
                line.rest
            } else {
                line.rest
                    .trim_start_matches("-S")
                    .trim_start()
                    .split_once(' ')
                    .map_or("", |(_, rest)| rest)
            };
            new.extend_from_slice(b"#!");
            new.extend_from_slice(found.as_bytes());
            if !rest.is_empty() {
                new.push(b' ');
                new.extend_from_slice(rest.as_bytes());
            }
        } else {
            new.extend_from_slice(&data[..line.len]);
            if !fixed.contains_key(line.interpreter) {
                result.interpreter = Some(program);
            }
        }
        copied = line.len;
    }

    let is_pkg_config = path.ends_with(".pc");
    for range in paths(&data[copied..])
        .map(|range| range.start + copied..range.end + copied)
        .collect::<Vec<_>>()
    {
        let Ok(token) = std::str::from_utf8(&data[range.clone()]) else { continue };
        let replacement = if is_pkg_config && !fixed.contains_key(token) {
            pkg_config(token, index).map(|new| (token.len(), new))
        } else {
            token_replacement(token, index, &locate)
        };
        match replacement {
            Some((length, replacement)) => {
                new.extend_from_slice(&data[copied..range.start]);
                new.extend_from_slice(replacement.as_bytes());
                copied = range.start + length;
            }
            None if is_fhs(token) && is_reported(token) => {
                result.unresolved.insert(token.to_owned());
            }
            None => {}
        }
    }
    new.extend_from_slice(&data[copied..]);
    if is_pkg_config {
        new = without_multiarch(&new);
    }
    if new != data {
        result.data = Some(new);
    }
    result
}

/// How many bytes of a token are replaced, and by what.
fn token_replacement(
    token: &str,
    index: &Index<'_>,
    locate: &impl Fn(&str) -> Option<String>,
) -> Option<(usize, String)> {
    if let Some(found) = locate(token) {
        return Some((token.len(), found));
    }
    // The end of a sentence.
    let trimmed = token.trim_end_matches(['.', '-']);
    if trimmed.len() < token.len()
        && let Some(found) = locate(trimmed)
    {
        return Some((trimmed.len(), found));
    }
    if !is_fhs(token) {
        return None;
    }
    // A file that is not there (yet), in a folder that is the package's own.
    let mut folder = token;
    while let Some((parent, _)) = folder.rsplit_once('/') {
        folder = parent;
        let placed = flatten::place(folder.strip_prefix('/')?)?;
        if index.own_folder(&placed) {
            return Some((folder.len(), index.print(crate::index::Owner::Own, &placed)));
        }
    }
    None
}

/// Whether an unresolved path is worth a line: it names a file, not just a well-known folder.
fn is_reported(path: &str) -> bool {
    let Some(placed) = flatten::place(path.trim_start_matches('/').trim_end_matches('/')) else {
        return false;
    };
    placed.matches('/').count() >= 1 && !path.contains(['%', '@']) && !path.ends_with('/')
}

/// In pkg-config files even `/usr` and the plain library folder are the package's own.
fn pkg_config(token: &str, index: &Index<'_>) -> Option<String> {
    let placed = match token {
        "/usr" | "/usr/" => String::new(),
        _ if is_fhs(token) => flatten::place(token.trim_start_matches('/').trim_end_matches('/'))?,
        _ => return None,
    };
    index.locate(token).or_else(|| Some(index.print(crate::index::Owner::Own, &placed)))
}

fn without_multiarch(data: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(data);
    let mut new = text.into_owned();
    for folder in ["lib", "include"] {
        for variable in ["${prefix}", "${exec_prefix}"] {
            let from = format!("{variable}/{folder}/x86_64-linux-gnu");
            new = new.replace(&from, &format!("{variable}/{folder}"));
        }
    }
    new.replace("${libdir}/x86_64-linux-gnu", "${libdir}").into_bytes()
}
