//! `builtin:unpack-channel`: the one folder in a channel's tarball, under the channel's name.
//!
//! Attributes: `src`, the tarball; `channelName`.

use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Context, Error};

/// A prepared channel.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UnpackChannel {
    out: PathBuf,
    name: String,
    source: PathBuf,
}

impl UnpackChannel {
    pub(super) fn prepare(context: &Context<'_>) -> Result<Self, Error> {
        let name = context.attribute("channelName")?;
        if name.is_empty() || name.contains('/') || name == "." || name == ".." {
            return Err(format!(
                "channelName is not allowed to contain filesystem separators, got {name}"
            )
            .into());
        }
        Ok(Self {
            out: context.output("builtin:unpack-channel")?.into(),
            name,
            source: context.attribute("src")?.into(),
        })
    }

    pub(super) fn run(&self) -> Result<(), Error> {
        let source = self.source.display();
        fs::create_dir_all(&self.out)?;
        unpack(&self.source, &self.out)?;
        let mut entries = fs::read_dir(&self.out)?;
        let Some(first) = entries.next() else {
            return Err(format!("channel tarball '{source}' is empty").into());
        };
        if entries.next().is_some() {
            return Err(format!("channel tarball '{source}' contains more than one file").into());
        }
        fs::rename(first?.path(), self.out.join(&self.name))?;
        Ok(())
    }
}

/// Unpacks a tarball, compressed or not, beneath `out`. Gives the time of the newest member, in seconds since
/// 1970.
///
/// # Errors
/// When it cannot be read, or a member leads out of `out`.
pub fn unpack(source: &Path, out: &Path) -> Result<u64, Error> {
    let mut file = BufReader::new(File::open(source)?);
    let mut magic = [0; 6];
    let read = file.read(&mut magic)?;
    let file = BufReader::new(File::open(source)?);
    let magic = &magic[..read];
    if magic.is_empty() {
        return Err(format!("archive '{}' is empty", source.display()).into());
    }
    if magic.starts_with(b"PK\x03\x04") {
        return super::zip::unpack(source, out);
    }
    let plain: Box<dyn Read> = if magic.starts_with(&[0x1f, 0x8b]) {
        Box::new(flate2::read::MultiGzDecoder::new(file))
    } else if magic.starts_with(b"\xfd7zXZ\0") {
        Box::new(liblzma::read::XzDecoder::new(file))
    } else if magic.starts_with(b"BZh") {
        Box::new(bzip2::read::MultiBzDecoder::new(file))
    } else if magic.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        Box::new(zstd::stream::read::Decoder::new(file)?)
    } else {
        Box::new(file)
    };
    let mut archive = tar::Archive::new(plain);
    archive.set_preserve_permissions(false);
    archive.set_preserve_mtime(false);
    let mut newest = 0;
    for entry in archive.entries()? {
        let mut entry = entry?;
        newest = newest.max(entry.header().mtime()?);
        // Refuses to go through links and `..`; such a member is an attack, not a file to skip.
        if !entry.unpack_in(out)? {
            return Err(format!(
                "'{}' in '{}' leads out of the archive",
                entry.path()?.display(),
                source.display()
            )
            .into());
        }
    }
    Ok(newest)
}
