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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A member with any name and target, also such as no library would write.
    fn member(kind: tar::EntryType, name: &str, target: &str, contents: &[u8]) -> Vec<u8> {
        let mut header = tar::Header::new_ustar();
        let fields = header.as_old_mut();
        fields.name[..name.len()].copy_from_slice(name.as_bytes());
        fields.linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_size(contents.len() as u64);
        header.set_mtime(7);
        header.set_cksum();
        let mut out = header.as_bytes().to_vec();
        out.extend_from_slice(contents);
        out.resize(out.len().next_multiple_of(512), 0);
        out
    }

    #[test]
    fn members_that_lead_out_are_refused() {
        use tar::EntryType::{Directory, Link, Regular, Symlink};
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let outside = root.join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("secret"), "secret").unwrap();
        let away = outside.to_str().unwrap();
        let cases: [(&str, Vec<Vec<u8>>); 6] = [
            ("dots", vec![member(Regular, "../outside/evil", "", b"evil")]),
            ("inner dots", vec![member(Regular, "a/../../outside/evil", "", b"evil")]),
            (
                "through a link",
                vec![member(Symlink, "a", away, b""), member(Regular, "a/evil", "", b"evil")],
            ),
            (
                "a folder through a link",
                vec![member(Symlink, "a", "../outside", b""), member(Directory, "a/evil", "", b"")],
            ),
            (
                "over a link",
                vec![
                    member(Symlink, "a", &format!("{away}/evil"), b""),
                    member(Regular, "a", "", b"evil"),
                ],
            ),
            ("a hard link to something outside", vec![member(Link, "a", "../outside/secret", b"")]),
        ];
        for (name, members) in cases {
            let (out, archive) = (root.join(name), root.join("archive.tar"));
            fs::create_dir(&out).unwrap();
            let mut bytes = members.concat();
            bytes.extend([0; 1024]);
            fs::write(&archive, bytes).unwrap();
            let result = unpack(&archive, &out);
            let there: Vec<_> =
                fs::read_dir(&outside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(there, ["secret"], "{name}");
            // a file in the place of a link replaces it
            assert!(result.is_err() || name == "over a link", "{name}");
            assert!(!fs::read(out.join("a")).is_ok_and(|text| text == b"secret"), "{name}");
        }
        // an absolute name is one below
        let out = root.join("absolute");
        fs::create_dir(&out).unwrap();
        let archive = root.join("archive.tar");
        let inside = format!("{away}/evil");
        fs::write(&archive, [member(Regular, &inside, "", b"evil"), vec![0; 1024]].concat())
            .unwrap();
        assert_eq!(unpack(&archive, &out).unwrap(), 7);
        assert!(!outside.join("evil").exists());
        assert!(out.join(inside.trim_start_matches('/')).exists());
        // a target that is a link itself is the caller's business
        let linked = root.join("linked");
        symlink(&out, &linked).unwrap();
        unpack(&archive, &linked).unwrap();
    }
}
