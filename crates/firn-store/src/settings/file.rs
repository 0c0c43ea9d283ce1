//! The syntax of `nix.conf`: `name = value…`, `include FILE`, `!include FILE`, `# comment`.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// How deep files may include each other.
const MAX_DEPTH: u32 = 32;

/// The settings in `text`, in order; `path` is the file it came from.
pub fn parse(text: &str, path: &Path) -> Result<Vec<(String, String)>> {
    let mut out = Vec::new();
    parse_into(text, path, 0, &mut out)?;
    Ok(out)
}

fn parse_into(text: &str, path: &Path, depth: u32, out: &mut Vec<(String, String)>) -> Result<()> {
    if depth > MAX_DEPTH {
        return Err(Error::Usage(format!("configuration file {path:?} includes itself")));
    }
    for line in text.split('\n') {
        let line = line.split('#').next().unwrap_or_default();
        let syntax =
            || Error::Usage(format!("syntax error in configuration line '{line}' in {path:?}"));
        let mut words = line.split([' ', '\t', '\r']).filter(|w| !w.is_empty());
        let Some(first) = words.next() else { continue };
        let second = words.next().ok_or_else(syntax)?;
        match first {
            "include" | "!include" => {
                if words.next().is_some() {
                    return Err(syntax());
                }
                include(&resolve(path, second), path, first == "!include", depth, out)?;
            }
            _ if second != "=" => return Err(syntax()),
            name => out.push((name.to_owned(), words.collect::<Vec<_>>().join(" "))),
        }
    }
    Ok(())
}

fn include(
    file: &Path,
    from: &Path,
    optional: bool,
    depth: u32,
    out: &mut Vec<(String, String)>,
) -> Result<()> {
    if file.symlink_metadata().is_err() {
        if optional {
            return Ok(());
        }
        return Err(Error::Usage(format!("file {file:?} included from {from:?} not found")));
    }
    match std::fs::read(file) {
        Ok(bytes) => parse_into(&String::from_utf8_lossy(&bytes), file, depth + 1, out),
        // there but unreadable: ignored, as the files themselves are
        Err(_) => Ok(()),
    }
}

fn resolve(from: &Path, file: &str) -> PathBuf {
    from.parent().unwrap_or(Path::new("/")).join(file)
}
