//! Build logs: `LOGDIR/drvs/ab/cdef…-name.drv`, plain or compressed with bzip2.

use std::io::{ErrorKind, Read as _, Write as _};

use firn_model::store_path::StorePath;

use super::LocalStore;
use crate::error::{Error, Result};
use crate::fs::{create_dirs, write_atomically};
use crate::layout::StoreLayout;

impl LocalStore {
    /// The log of a derivation's last build here, if it was kept.
    pub(super) fn read_log(&self, drv: &StorePath) -> Result<Option<Vec<u8>>> {
        read_build_log(&self.layout, drv)
    }

    /// Keeps the log of a build, unless there is one already.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn add_build_log(&self, drv: &StorePath, log: &[u8]) -> Result<()> {
        let mut file = self.layout.log_file(drv).into_os_string();
        file.push(".bz2");
        let file = std::path::PathBuf::from(file);
        if file.exists() {
            return Ok(());
        }
        if let Some(dir) = file.parent() {
            create_dirs(dir)?;
        }
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
        let compressed = encoder
            .write_all(log)
            .and_then(|()| encoder.finish())
            .map_err(Error::stream("compressing a build log"))?;
        write_atomically(&file, &compressed, 0o644, false)
    }
}

/// The log of a derivation's last build in the store with these directories, if it was kept.
///
/// # Errors
/// If there is one that cannot be read.
pub fn read_build_log(layout: &StoreLayout, drv: &StorePath) -> Result<Option<Vec<u8>>> {
    let split = layout.log_file(drv);
    let whole = layout.log_dir.join("drvs").join(drv.base_name());
    for file in [split, whole] {
        match std::fs::read(&file) {
            Ok(log) => return Ok(Some(log)),
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(Error::io("reading file", &file)(e)),
        }
        let mut compressed = file.into_os_string();
        compressed.push(".bz2");
        let file = std::path::PathBuf::from(compressed);
        match std::fs::File::open(&file) {
            Ok(open) => {
                let mut log = Vec::new();
                bzip2::read::MultiBzDecoder::new(open)
                    .read_to_end(&mut log)
                    .map_err(Error::io("decompressing file", &file))?;
                return Ok(Some(log));
            }
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(Error::io("opening file", &file)(e)),
        }
    }
    Ok(None)
}
