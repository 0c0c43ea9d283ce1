//! A cache in a folder of this machine (`file://`).

use std::fs::File;
use std::io::{ErrorKind, Read, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

use firn_model::store_path::HASH_PART_LEN;
use firn_store::fs::{create_dirs, write_atomically};
use firn_store::{Error, Result};

use super::{Body, Transport};

/// A cache in a folder.
#[derive(Debug)]
pub struct FileTransport {
    root: PathBuf,
}

impl FileTransport {
    /// The cache in `root`.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Where a file is. What comes from a narinfo must not lead out of the folder.
    fn place(&self, name: &str) -> Result<PathBuf> {
        if name.is_empty() {
            return Err(Error::Format("local binary cache path must not be empty".to_owned()));
        }
        for component in Path::new(name).components() {
            match component {
                Component::Normal(_) => {}
                Component::RootDir | Component::Prefix(_) => {
                    return Err(Error::Format(format!(
                        "local binary cache path '{name}' must not be absolute"
                    )));
                }
                Component::CurDir | Component::ParentDir => {
                    return Err(Error::Format(format!(
                        "local binary cache path '{name}' must not contain '..' or '.' segments"
                    )));
                }
            }
        }
        Ok(self.root.join(name))
    }
}

fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { action, path, source }
}

impl Transport for FileTransport {
    fn uri(&self) -> String {
        format!("file://{}", self.root.display())
    }

    fn prepare(&self, debug_info: bool) -> Result<()> {
        for dir in ["nar", "realisations", "log"] {
            create_dirs(&self.root.join(dir))?;
        }
        if debug_info {
            create_dirs(&self.root.join("debuginfo"))?;
        }
        Ok(())
    }

    fn exists(&self, name: &str) -> Result<bool> {
        Ok(self.place(name)?.exists())
    }

    fn get(&self, name: &str, _: u64) -> Result<Option<Vec<u8>>> {
        let path = self.place(name)?;
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(io("opening file", &path)(e)),
        }
    }

    fn open(&self, name: &str, _: u64) -> Result<Option<Box<dyn Read + Send>>> {
        let path = self.place(name)?;
        match File::open(&path) {
            Ok(file) => Ok(Some(Box::new(file))),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(io("opening file", &path)(e)),
        }
    }

    fn put(&self, name: &str, body: Body<'_>, _: &str) -> Result<()> {
        let path = self.place(name)?;
        if let Some(parent) = path.parent() {
            create_dirs(parent)?;
        }
        match body {
            Body::Bytes(bytes) => write_atomically(&path, bytes, 0o644, false),
            Body::Temporary(mut file) => {
                file.flush().map_err(io("writing file", &path))?;
                std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o644))
                    .map_err(io("changing mode of", &path))?;
                file.persist(&path).map_err(|e| io("renaming to", &path)(e.error))?;
                Ok(())
            }
        }
    }

    fn hash_parts(&self) -> Result<Option<Vec<String>>> {
        let mut parts = Vec::new();
        let failed = |e| io("reading directory", &self.root)(e);
        for entry in std::fs::read_dir(&self.root).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            if let Some(part) = name.to_str().and_then(|n| n.strip_suffix(".narinfo"))
                && part.len() == HASH_PART_LEN
            {
                parts.push(part.to_owned());
            }
        }
        parts.sort_unstable();
        Ok(Some(parts))
    }

    fn scratch(&self) -> Option<PathBuf> {
        Some(self.root.join("nar"))
    }

    fn parallel(&self) -> usize {
        1
    }

    fn is_remote(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_lead_out_of_the_folder() {
        let transport = FileTransport::new("/c".into());
        assert_eq!(transport.place("nar/x.nar").unwrap(), PathBuf::from("/c/nar/x.nar"));
        for name in ["", "/etc/passwd", "../x", "nar/../../x", "./x"] {
            assert!(transport.place(name).is_err(), "{name}");
        }
    }
}
