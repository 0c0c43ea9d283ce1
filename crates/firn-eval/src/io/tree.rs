//! File trees as archives, with a filter.

use super::{EvalIo, FileKind, Filter};
use crate::error::{Error, Kind, Result};
use firn_model::nar::NarWriter;
use firn_model::{Hash, HashAlgo, Hasher};
use std::fs::File;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// An error about a file, worded as C++ Nix does.
pub fn file_error(what: &str, path: &Path, e: &std::io::Error) -> Error {
    if let Some(forbidden) = e.get_ref().and_then(|e| e.downcast_ref::<super::Forbidden>()) {
        return Error::new(Kind::Restricted, forbidden.0.clone());
    }
    let reason = match e.raw_os_error() {
        Some(code) => {
            let text = std::io::Error::from_raw_os_error(code).to_string();
            text.split(" (os error").next().unwrap_or("").to_owned()
        }
        None => e.to_string(),
    };
    Error::new(Kind::Io, format!("{what} \"{}\": {reason}", path.display()))
}

/// Writes the archive of a file or tree.
///
/// # Errors
/// What reading, writing or the filter raise.
pub fn dump(
    io: &dyn EvalIo,
    path: &Path,
    filter: Option<Filter<'_>>,
    out: &mut dyn Write,
) -> Result<()> {
    let writing = |e: std::io::Error| file_error("cannot archive", path, &e);
    let mut nar = NarWriter::new(out).map_err(writing)?;
    let mut filter = filter;
    entry(io, path, &mut filter, &mut nar, 0)?;
    nar.into_inner().flush().map_err(writing)
}

fn entry(
    io: &dyn EvalIo,
    path: &Path,
    filter: &mut Option<Filter<'_>>,
    nar: &mut NarWriter<&mut dyn Write>,
    depth: u32,
) -> Result<()> {
    let failed = |e: std::io::Error| file_error("cannot archive", path, &e);
    if depth > 500 {
        return Err(Error::new(
            Kind::Io,
            format!("the tree at \"{}\" is nested too deeply to archive", path.display()),
        ));
    }
    let kind = io
        .kind(path)
        .map_err(|e| file_error("getting status of", path, &e))?
        .ok_or_else(|| Error::new(Kind::Io, crate::trees::absent(path)))?;
    match kind {
        FileKind::Regular => {
            let mut file =
                File::open(io.real(path)).map_err(|e| file_error("opening file", path, &e))?;
            let meta = file.metadata().map_err(failed)?;
            let executable = meta.permissions().mode() & 0o100 != 0;
            nar.file(executable, meta.len(), &mut file)
                .map_err(|e| file_error("cannot archive", path, &std::io::Error::other(e)))
        }
        FileKind::Symlink => {
            let target = io.read_link(path).map_err(failed)?;
            nar.symlink(target.as_os_str().as_bytes()).map_err(failed)
        }
        FileKind::Directory => {
            nar.begin_directory().map_err(failed)?;
            let mut entries =
                io.read_dir(path).map_err(|e| file_error("reading directory", path, &e))?;
            entries.sort_by(|a, b| a.0.as_bytes().cmp(b.0.as_bytes()));
            for (name, kind) in entries {
                let child = path.join(&name);
                if let Some(filter) = filter
                    && !filter(&child, kind)?
                {
                    continue;
                }
                nar.begin_entry(name.as_bytes()).map_err(failed)?;
                entry(io, &child, filter, nar, depth + 1)?;
                nar.end_entry().map_err(failed)?;
            }
            nar.end_directory().map_err(failed)
        }
        FileKind::Other => {
            Err(Error::new(Kind::Io, format!("file '{}' has an unsupported type", path.display())))
        }
    }
}

/// The hash of a tree's archive.
///
/// # Errors
/// What reading or the filter raise.
pub fn hash(
    io: &dyn EvalIo,
    path: &Path,
    filter: Option<Filter<'_>>,
    algo: HashAlgo,
) -> Result<Hash> {
    let mut hasher = std::io::BufWriter::with_capacity(1 << 16, Hasher::new(algo));
    dump(io, path, filter, &mut hasher)?;
    let hasher = hasher.into_inner().map_err(|e| file_error("cannot hash", path, e.error()))?;
    Ok(hasher.finish())
}
