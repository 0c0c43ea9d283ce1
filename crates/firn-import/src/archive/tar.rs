//! Tar archives, plain or compressed, into a [`Tree`]. Devices, sockets and FIFOs are left out; modes
//! are reduced to "can be run" (setuid and setgid go with that).

use std::io::Read;
use std::path::Path;

use crate::archive::{MAX_UNPACKED, clean_name};
use crate::error::{Error, Result};
use crate::tree::{Node, Refused, Tree};

/// How members are taken in.
pub struct Options<'a> {
    /// Leading components of each name that are dropped; a member with no more than these is skipped.
    pub strip: usize,
    /// The folder of the tree that takes them, `""` for its root.
    pub target: &'a str,
    /// Refuse links that lead out of the archive. A Debian archive's links are about a root file
    /// system and are interpreted later, so they are not refused.
    pub links_inside: bool,
    /// The place a name has in the tree, or `None` to leave it out. Applied before `target`.
    pub place: &'a dyn Fn(&str) -> Option<String>,
}

/// The magic numbers of the compressions that are known, and a decoder for them.
///
/// # Errors
/// When a decoder cannot be made.
pub fn decompress<'a>(path: &Path, data: &'a [u8]) -> Result<Box<dyn Read + 'a>> {
    Ok(match data {
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => {
            Box::new(liblzma::read::XzDecoder::new_multi_decoder(data))
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            Box::new(zstd::Decoder::new(data).map_err(Error::io("unpack", path))?)
        }
        [0x1f, 0x8b, ..] => Box::new(flate2::read::MultiGzDecoder::new(data)),
        [b'B', b'Z', b'h', ..] => {
            return Err(Error::Archive {
                path: path.to_owned(),
                reason:
                    "is compressed with bzip2, which is not supported here; use .gz, .xz or .zst"
                        .into(),
            });
        }
        _ => Box::new(data),
    })
}

/// Reads a tar archive into the tree. Returns the members that conflict with what is there.
///
/// # Errors
/// When the archive is damaged or a member must not be unpacked.
pub fn read(
    path: &Path,
    data: &[u8],
    options: &Options<'_>,
    tree: &mut Tree,
) -> Result<Vec<String>> {
    let damaged =
        |error: std::io::Error| Error::Archive { path: path.to_owned(), reason: error.to_string() };
    let limited = decompress(path, data)?.take(MAX_UNPACKED);
    let mut archive = tar::Archive::new(limited);
    let mut conflicts = Vec::new();
    // Hard links name other members by their name in the archive.
    let place = |name: &str| -> Option<String> {
        let mut parts = name;
        for _ in 0..options.strip {
            parts = parts.split_once('/')?.1;
        }
        let placed = (options.place)(parts)?;
        Some(match (options.target, placed.as_str()) {
            ("", _) => placed,
            (target, "") => target.to_owned(),
            (target, _) => format!("{target}/{placed}"),
        })
    };
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let raw = entry.path_bytes().into_owned();
        let member = |reason| Error::Member {
            path: path.to_owned(),
            member: String::from_utf8_lossy(&raw).into_owned(),
            reason,
        };
        let name = clean_name(&raw).map_err(member)?;
        let kind = entry.header().entry_type();
        let link = match entry.link_name_bytes() {
            Some(link) => Some(
                String::from_utf8(link.into_owned())
                    .map_err(|_| member("has a target that is not UTF-8"))?,
            ),
            None => None,
        };
        let Some(placed) = place(&name) else { continue };
        let node = if kind.is_dir() {
            Node::Folder
        } else if kind.is_symlink() {
            let target = link.ok_or_else(|| member("is a link without a target"))?;
            if options.links_inside && leads_out(&name, &target) {
                return Err(member("is a link that leads out of the archive"));
            }
            Node::Link(target)
        } else if kind.is_hard_link() {
            let target = link.ok_or_else(|| member("is a link without a target"))?;
            let target = clean_name(target.as_bytes()).map_err(member)?;
            match place(&target).and_then(|target| tree.get(&target).cloned()) {
                Some(node @ Node::File { .. }) => node,
                _ => return Err(member("is a hard link to a file that is not in the archive")),
            }
        } else if kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse() {
            let executable = entry.header().mode().map_err(damaged)? & 0o111 != 0;
            let size = usize::try_from(entry.size()).unwrap_or(0);
            let mut contents = Vec::with_capacity(size.min(1 << 26));
            entry.read_to_end(&mut contents).map_err(damaged)?;
            if contents.len() != size && !kind.is_gnu_sparse() {
                return Err(member("is cut short"));
            }
            Node::file(contents, executable)
        } else {
            continue;
        };
        match tree.add(&placed, node) {
            Ok(()) => {}
            Err(Refused::Conflict) => conflicts.push(placed),
            Err(Refused::ThroughNonFolder) => {
                return Err(member("lies below a file or a symbolic link"));
            }
        }
    }
    Ok(conflicts)
}

/// Whether a link's target is absolute or climbs above the archive's top.
fn leads_out(name: &str, target: &str) -> bool {
    if target.starts_with('/') {
        return true;
    }
    let mut depth = name.matches('/').count();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." if depth == 0 => return true,
            ".." => depth -= 1,
            _ => depth += 1,
        }
    }
    false
}
