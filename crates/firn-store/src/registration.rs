//! The text form of registrations, as `nix-store --dump-db` writes and `--load-db` and
//! `--register-validity` read it: path, hash, size, deriver, number of references, references, each
//! on a line.

use std::io::BufRead;

use firn_model::hash::{Hash, HashAlgo};
use firn_model::path_info::PathInfo;
use firn_model::store_path::StorePath;

use crate::error::{Error, Result};
use crate::store::Store;

/// The text that registers `path`; without `hash`, hash and size are left out.
///
/// # Errors
/// If it is not valid.
pub fn print(store: &dyn Store, path: &StorePath, derivers: bool, hash: bool) -> Result<String> {
    let info = store.path_info(path)?;
    let dir = store.store_dir();
    let mut text = dir.print(path) + "\n";
    if hash {
        text += &format!("{}\n{}\n", info.nar_hash.to_base16(), info.nar_size);
    }
    if let Some(deriver) = info.deriver.as_ref().filter(|_| derivers) {
        text += &dir.print(deriver);
    }
    text += &format!("\n{}\n", info.references.len());
    for reference in &info.references {
        text += &dir.print(reference);
        text.push('\n');
    }
    Ok(text)
}

/// Reads the next registration; `None` at the end.
///
/// With `with_hash` false the text has no hash and size, and neither has the result: its hash is all
/// zeros and its size 0, for the caller to fill in.
///
/// # Errors
/// If the text is malformed.
pub fn read(
    store: &dyn Store,
    source: &mut dyn BufRead,
    with_hash: bool,
) -> Result<Option<PathInfo>> {
    let Some(path) = line(source)? else { return Ok(None) };
    let mut next = || {
        line(source)?.ok_or_else(|| Error::Format("unexpected end of the registrations".to_owned()))
    };
    let (hash, size) = if with_hash {
        let hash = Hash::parse_any(&next()?, Some(HashAlgo::Sha256)).map_err(Error::model)?;
        (hash, number(&next()?)?)
    } else {
        (Hash::from_bytes(HashAlgo::Sha256, &[0; 32]).map_err(Error::model)?, 0)
    };
    let dir = store.store_dir();
    let parse = |text: &str| dir.parse(text).map_err(Error::model);
    let mut info = PathInfo::new(parse(&path)?, hash, size);
    let deriver = next()?;
    if !deriver.is_empty() {
        info.deriver = Some(parse(&deriver)?);
    }
    for _ in 0..number(&next()?)? {
        info.references.insert(parse(&next()?)?);
    }
    Ok(Some(info))
}

fn number(text: &str) -> Result<u64> {
    text.parse().map_err(|_| Error::Format("number expected".to_owned()))
}

fn line(source: &mut dyn BufRead) -> Result<Option<String>> {
    let mut text = String::new();
    let got = source.read_line(&mut text).map_err(Error::stream("reading registrations"))?;
    if got == 0 {
        return Ok(None);
    }
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(Some(text))
}
