//! The world without a store: paths are computed, nothing is written.

use super::{AddPath, Contents, EvalIo, Fetch, Filter, tree};
use crate::context::DerivedPath;
use crate::error::{Error, Kind, Result};
use firn_model::content_address::ContentAddress;
use firn_model::store_path::References;
use firn_model::{Derivation, Hash, Method, StoreDir, StorePath};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// An [`EvalIo`] that only reads.
#[derive(Default)]
pub struct DryIo {
    store_dir: StoreDir,
    silent: AtomicBool,
}

impl DryIo {
    /// With store paths of this directory.
    pub fn new(store_dir: StoreDir) -> DryIo {
        DryIo { store_dir, silent: AtomicBool::new(false) }
    }
}

fn store_error(e: impl std::fmt::Display) -> Error {
    Error::new(Kind::Io, e.to_string())
}

/// The store path that adding a file or tree gives, without adding it.
///
/// # Errors
/// What reading or the filter raise, or a bad name.
pub fn computed_path(
    io: &dyn EvalIo,
    what: &AddPath<'_>,
    filter: Option<Filter<'_>>,
) -> Result<StorePath> {
    let hash = match what.method {
        Method::Nar => tree::hash(io, what.path, filter, what.algo)?,
        Method::Flat | Method::Text => {
            let bytes = io
                .read_file(what.path)
                .map_err(|e| tree::file_error("reading file", what.path, &e))?;
            Hash::digest(what.algo, &bytes)
        }
        Method::Git => {
            return Err(Error::other("adding a path by its git hash is not supported"));
        }
    };
    let references = References { paths: what.references.clone(), self_reference: false };
    io.store_dir()
        .make_fixed_output_path(
            what.name,
            &ContentAddress { method: what.method, hash },
            &references,
        )
        .map_err(store_error)
}

impl EvalIo for DryIo {
    fn store_dir(&self) -> &StoreDir {
        &self.store_dir
    }

    fn add_path(&self, what: &AddPath<'_>, filter: Option<Filter<'_>>) -> Result<StorePath> {
        computed_path(self, what, filter)
    }

    fn add_text(
        &self,
        name: &str,
        text: &[u8],
        references: &BTreeSet<StorePath>,
        _dry: bool,
    ) -> Result<StorePath> {
        let hash = Hash::digest(firn_model::HashAlgo::Sha256, text);
        self.store_dir.make_text_path(name, &hash, references).map_err(store_error)
    }

    fn write_derivation(
        &self,
        _derivation: &Derivation,
        _path: &StorePath,
        _contents: Contents,
    ) -> Result<()> {
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        Ok(())
    }

    fn read_derivation(&self, path: &StorePath) -> Result<Derivation> {
        let file = self.store_dir.print(path);
        let text = std::fs::read(&file)
            .map_err(|e| tree::file_error("opening file", Path::new(&file), &e))?;
        let name = path.name().strip_suffix(".drv").unwrap_or(path.name());
        Derivation::parse(name, &text, &self.store_dir).map_err(store_error)
    }

    fn is_valid(&self, path: &StorePath) -> bool {
        std::fs::symlink_metadata(self.store_dir.print(path)).is_ok()
    }

    fn ensure(&self, path: &StorePath) -> Result<()> {
        if self.is_valid(path) {
            return Ok(());
        }
        Err(Error::new(
            Kind::Io,
            format!("path '{}' does not exist and cannot be created", self.store_dir.print(path)),
        ))
    }

    fn references(&self, _path: &StorePath) -> BTreeSet<StorePath> {
        BTreeSet::new()
    }

    fn closure(&self, path: &StorePath) -> Result<BTreeSet<StorePath>> {
        Ok(BTreeSet::from([path.clone()]))
    }

    fn realise(&self, outputs: &[(DerivedPath, Box<str>)]) -> Result<Vec<StorePath>> {
        let first = outputs.first().map_or_else(String::new, |(drv, output)| {
            format!("{}^{output}", drv.print(&self.store_dir))
        });
        Err(Error::new(
            Kind::ImportFromDerivation,
            format!(
                "cannot build '{first}' during evaluation because there is no store to build in"
            ),
        ))
    }

    fn fetch(&self, what: &Fetch<'_>) -> Result<StorePath> {
        Err(Error::new(
            Kind::Io,
            format!("cannot fetch '{}' because there is no store to fetch into", what.url),
        ))
    }

    fn message(&self, text: &[u8]) {
        use std::io::Write;
        if self.silent.load(Ordering::Relaxed) {
            return;
        }
        let mut out = std::io::stderr().lock();
        let _ = out.write_all(text);
        let _ = out.write_all(b"\n");
    }

    fn silence(&self) {
        self.silent.store(true, Ordering::Relaxed);
    }
}
