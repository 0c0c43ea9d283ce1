//! The export format: paths with their NARs and what is known of them, one after the other.
//!
//! Numbers are little-endian 64-bit, strings as in NARs: a 1 before each path, its NAR, the magic
//! number, its store path, its references, its deriver or the empty string, and a 0; a 0 ends it all.

use std::collections::BTreeSet;
use std::io::{Read, Write};

use firn_model::hash::{HashAlgo, Hasher};
use firn_model::nar::{self, Contents, NarVisitor};
use firn_model::path_info::PathInfo;
use firn_model::store_path::StorePath;

use crate::error::{Error, Result};
use crate::references::Tee;
use crate::store::{Repair, Store};

/// What stands between a NAR and its path ("NIXE").
pub const MAGIC: u64 = 0x4558_494e;

/// The longest string that is believed in, in bytes.
const MAX_STRING: u64 = 64 * 1024;

/// The most references that are believed in.
const MAX_REFERENCES: u64 = 1 << 20;

/// Writes `paths`, those that others refer to first.
///
/// # Errors
/// If a path is not valid, its contents have changed, or `sink` fails.
pub fn export_paths(
    store: &dyn Store,
    paths: &BTreeSet<StorePath>,
    sink: &mut dyn Write,
) -> Result<()> {
    let mut sorted = store.topo_sort(paths)?;
    sorted.reverse();
    for path in &sorted {
        number(sink, 1)?;
        export_path(store, path, sink)?;
    }
    number(sink, 0)
}

fn export_path(store: &dyn Store, path: &StorePath, sink: &mut dyn Write) -> Result<()> {
    let info = store.path_info(path)?;
    let dir = store.store_dir();
    let mut tee = Tee(&mut *sink, Hasher::new(info.nar_hash.algo()));
    store.nar_from_path(path, &mut tee)?;
    let hash = tee.1.finish();
    let unknown = info.nar_hash.as_bytes().iter().all(|b| *b == 0);
    if hash != info.nar_hash && !unknown {
        return Err(Error::PathModified {
            path: dir.print(path),
            registered: info.nar_hash.to_string(),
            actual: hash.to_string(),
        });
    }
    number(sink, MAGIC)?;
    string(sink, &dir.print(path))?;
    number(sink, info.references.len() as u64)?;
    for reference in &info.references {
        string(sink, &dir.print(reference))?;
    }
    string(sink, &info.deriver.as_ref().map(|d| dir.print(d)).unwrap_or_default())?;
    number(sink, 0)
}

/// Adds the paths in `source` to `store`; gives them in their order there.
///
/// # Errors
/// If the stream is malformed, or a path cannot be added; those before it have been then.
pub fn import_paths(store: &dyn Store, source: &mut dyn Read) -> Result<Vec<StorePath>> {
    let mut imported = Vec::new();
    loop {
        match read_number(source)? {
            0 => return Ok(imported),
            1 => {}
            _ => {
                return Err(Error::Format(
                    "input doesn't look like something created by 'nix-store --export'".to_owned(),
                ));
            }
        }
        imported.push(import_path(store, source)?);
    }
}

fn import_path(store: &dyn Store, source: &mut dyn Read) -> Result<StorePath> {
    // what it is called comes after the NAR, which therefore has to wait somewhere
    let mut kept = tempfile::spooled_tempfile(32 * 1024 * 1024);
    let mut hasher = Hasher::new(HashAlgo::Sha256);
    let mut copy = Copying { source, sink: &mut Tee(&mut kept, &mut hasher) };
    nar::read(&mut copy, &mut Nothing).map_err(Error::model)?;
    let size = hasher.len();
    let hash = hasher.finish();
    if read_number(source)? != MAGIC {
        return Err(Error::Format("Nix archive cannot be imported; wrong format".to_owned()));
    }
    let dir = store.store_dir();
    let parse = |text: &str| dir.parse(text).map_err(Error::model);
    let mut info = PathInfo::new(parse(&read_string(source)?)?, hash, size);
    let count = read_number(source)?;
    if count > MAX_REFERENCES {
        return Err(Error::Format(format!("'{}' claims {count} references", info.path)));
    }
    for _ in 0..count {
        info.references.insert(parse(&read_string(source)?)?);
    }
    let deriver = read_string(source)?;
    if !deriver.is_empty() {
        info.deriver = Some(parse(&deriver)?);
    }
    // a signature of a kind that is no longer used
    if read_number(source)? == 1 {
        read_string(source)?;
    }
    std::io::Seek::rewind(&mut kept).map_err(Error::stream("reading a temporary file"))?;
    store.add_nar(&info, &mut kept, Repair::No)?;
    Ok(info.path)
}

/// Hands on what is read from `source` to `sink`.
struct Copying<'a, W> {
    source: &'a mut dyn Read,
    sink: &'a mut W,
}

impl<W: Write> Read for Copying<'_, W> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let got = self.source.read(into)?;
        self.sink.write_all(&into[..got])?;
        Ok(got)
    }
}

/// Takes a NAR and does nothing with it.
struct Nothing;

impl NarVisitor for Nothing {
    type Error = nar::Error;
    fn file(&mut self, _: bool, _: u64, _: &mut Contents<'_>) -> Result<(), nar::Error> {
        Ok(())
    }
    fn symlink(&mut self, _: &[u8]) -> Result<(), nar::Error> {
        Ok(())
    }
    fn begin_directory(&mut self) -> Result<(), nar::Error> {
        Ok(())
    }
    fn begin_entry(&mut self, _: &[u8]) -> Result<(), nar::Error> {
        Ok(())
    }
    fn end_entry(&mut self) -> Result<(), nar::Error> {
        Ok(())
    }
    fn end_directory(&mut self) -> Result<(), nar::Error> {
        Ok(())
    }
}

fn number(sink: &mut dyn Write, value: u64) -> Result<()> {
    sink.write_all(&value.to_le_bytes()).map_err(Error::stream("writing an export"))
}

fn string(sink: &mut dyn Write, text: &str) -> Result<()> {
    number(sink, text.len() as u64)?;
    let mut bytes = text.as_bytes().to_vec();
    bytes.resize(text.len().next_multiple_of(8), 0);
    sink.write_all(&bytes).map_err(Error::stream("writing an export"))
}

fn cut(error: std::io::Error) -> Error {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => Error::Format("unexpected end-of-file".to_owned()),
        _ => Error::stream("reading an export")(error),
    }
}

fn read_number(source: &mut dyn Read) -> Result<u64> {
    let mut bytes = [0; 8];
    source.read_exact(&mut bytes).map_err(cut)?;
    Ok(u64::from_le_bytes(bytes))
}

fn read_string(source: &mut dyn Read) -> Result<String> {
    let len = read_number(source)?;
    if len > MAX_STRING {
        return Err(Error::Format(format!("a string of {len} bytes in an export is too long")));
    }
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(0).next_multiple_of(8)];
    source.read_exact(&mut bytes).map_err(cut)?;
    if bytes[usize::try_from(len).unwrap_or(0)..].iter().any(|b| *b != 0) {
        return Err(Error::Format("non-zero padding".to_owned()));
    }
    bytes.truncate(usize::try_from(len).unwrap_or(0));
    String::from_utf8(bytes)
        .map_err(|_| Error::Format("a string in an export is not UTF-8".to_owned()))
}
