//! narinfo files: what a binary cache says about a path (Nix manual, "Binary Cache NAR Info Format").

use std::fmt::Write as _;

use crate::content_address::ContentAddress;
use crate::hash::{Hash, HashAlgo};
use crate::path_info::PathInfo;
use crate::store_path::{StoreDir, StorePath};

/// What a binary cache says about a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NarInfo {
    /// The path itself.
    pub info: PathInfo,
    /// Where the compressed NAR is, relative to the cache.
    pub url: String,
    /// How it is compressed: `none`, `xz`, `bzip2`, `zstd`, `br`, …
    pub compression: String,
    /// Hash of the compressed file, if told.
    pub file_hash: Option<Hash>,
    /// Size of the compressed file in bytes, 0 if not told.
    pub file_size: u64,
}

/// Why a text is no narinfo.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("NAR info file '{file}' is corrupt: {what}{}", if *line > 0 { format!(" at line {line}") } else { String::new() })]
pub struct Error {
    file: String,
    what: String,
    line: usize,
}

impl NarInfo {
    /// Parses the content of `file` (only for messages).
    ///
    /// # Errors
    /// If a line is malformed or one that must be there is missing.
    pub fn parse(text: &str, dir: &StoreDir, file: &str) -> Result<Self, Error> {
        let mut line = 0;
        let fail =
            |line: usize, what: &str| Error { file: file.to_owned(), what: what.to_owned(), line };
        let (mut path, mut nar_hash, mut nar_size) = (None, None, 0);
        let (mut deriver, mut ca) = (None, None);
        let (mut references, mut signatures) =
            (std::collections::BTreeSet::new(), std::collections::BTreeSet::new());
        let (mut url, mut compression, mut file_hash, mut file_size) =
            (String::new(), String::new(), None, 0);
        let mut rest = text;
        while !rest.is_empty() {
            line += 1;
            let (current, after) =
                rest.split_once('\n').ok_or_else(|| fail(line, "expecting '\\n'"))?;
            rest = after;
            let (name, value) =
                current.split_once(':').ok_or_else(|| fail(line, "expecting ':'"))?;
            let value = value.strip_prefix(' ').unwrap_or(value);
            let hash = |text: &str| Hash::parse_prefixed(text).map_err(|_| fail(line, "bad hash"));
            let base = |text: &str| {
                StorePath::from_base_name(text).map_err(|e| fail(line, &e.to_string()))
            };
            match name {
                "StorePath" => {
                    path = Some(dir.parse(value).map_err(|e| fail(line, &e.to_string()))?);
                }
                "URL" => value.clone_into(&mut url),
                "Compression" => value.clone_into(&mut compression),
                "FileHash" => file_hash = Some(hash(value)?),
                "FileSize" => {
                    file_size = value.parse().map_err(|_| fail(line, "invalid FileSize"))?;
                }
                "NarHash" => {
                    let hash = hash(value)?;
                    if hash.algo() != HashAlgo::Sha256 {
                        return Err(fail(line, "bad hash"));
                    }
                    nar_hash = Some(hash);
                }
                "NarSize" => {
                    nar_size = value.parse().map_err(|_| fail(line, "invalid NarSize"))?;
                }
                "References" => {
                    if !references.is_empty() {
                        return Err(fail(line, "extra References"));
                    }
                    for reference in value.split(' ').filter(|r| !r.is_empty()) {
                        references.insert(base(reference)?);
                    }
                }
                "Deriver" if value != "unknown-deriver" => deriver = Some(base(value)?),
                "Sig" => {
                    signatures.insert(
                        value
                            .parse()
                            .map_err(|e: crate::signature::Error| fail(line, &e.to_string()))?,
                    );
                }
                "CA" => {
                    if ca.is_some() {
                        return Err(fail(line, "extra CA"));
                    }
                    if !value.is_empty() {
                        ca = Some(
                            value
                                .parse::<ContentAddress>()
                                .map_err(|e| fail(line, &e.to_string()))?,
                        );
                    }
                }
                _ => {}
            }
        }
        let path = path.ok_or_else(|| fail(0, "StorePath missing"))?;
        let nar_hash = nar_hash.ok_or_else(|| fail(0, "NarHash missing"))?;
        if url.is_empty() {
            return Err(fail(0, "URL missing"));
        }
        if nar_size == 0 {
            return Err(fail(0, "NarSize missing or zero"));
        }
        if compression.is_empty() {
            "bzip2".clone_into(&mut compression);
        }
        let info = PathInfo {
            deriver,
            references,
            ca,
            signatures,
            ..PathInfo::new(path, nar_hash, nar_size)
        };
        Ok(Self { info, url, compression, file_hash, file_size })
    }

    /// The content of the narinfo file.
    #[must_use]
    pub fn print(&self, dir: &StoreDir) -> String {
        let mut out = String::new();
        let info = &self.info;
        let _ = writeln!(out, "StorePath: {}", dir.print(&info.path));
        let _ = writeln!(out, "URL: {}", self.url);
        let _ = writeln!(out, "Compression: {}", self.compression);
        if let Some(hash) = &self.file_hash {
            let _ = writeln!(out, "FileHash: {hash}");
            let _ = writeln!(out, "FileSize: {}", self.file_size);
        }
        let _ = writeln!(out, "NarHash: {}", info.nar_hash);
        let _ = writeln!(out, "NarSize: {}", info.nar_size);
        let references: Vec<&str> = info.references.iter().map(StorePath::base_name).collect();
        let _ = writeln!(out, "References: {}", references.join(" "));
        if let Some(deriver) = &info.deriver {
            let _ = writeln!(out, "Deriver: {deriver}");
        }
        for signature in &info.signatures {
            let _ = writeln!(out, "Sig: {signature}");
        }
        if let Some(ca) = &info.ca {
            let _ = writeln!(out, "CA: {ca}");
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = "StorePath: /nix/store/ac4j2y5m5ssrs2k7sg2i5rhrmwnwc0h2-hello-2.12\n\
        URL: nar/0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73.nar.xz\n\
        Compression: xz\n\
        FileHash: sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73\n\
        FileSize: 50\n\
        NarHash: sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73\n\
        NarSize: 100\n\
        References: ac4j2y5m5ssrs2k7sg2i5rhrmwnwc0h2-hello-2.12 bc4j2y5m5ssrs2k7sg2i5rhrmwnwc0h2-glibc\n\
        Deriver: cc4j2y5m5ssrs2k7sg2i5rhrmwnwc0h2-hello-2.12.drv\n";

    #[test]
    fn prints_what_it_parsed() {
        let info = NarInfo::parse(TEXT, &StoreDir::default(), "x.narinfo").unwrap();
        assert_eq!(info.info.references.len(), 2);
        assert_eq!(info.print(&StoreDir::default()), TEXT);
    }

    #[test]
    fn errors_name_file_and_line() {
        let err =
            |t: &str| NarInfo::parse(t, &StoreDir::default(), "x.narinfo").unwrap_err().to_string();
        assert_eq!(err("foo\n"), "NAR info file 'x.narinfo' is corrupt: expecting ':' at line 1");
        assert_eq!(
            err("A: b\nNarHash: x\n"),
            "NAR info file 'x.narinfo' is corrupt: bad hash at line 2"
        );
        assert_eq!(err(""), "NAR info file 'x.narinfo' is corrupt: StorePath missing");
        let zero = TEXT.replace("NarSize: 100", "NarSize: 0");
        assert!(err(&zero).ends_with("NarSize missing or zero"));
    }

    proptest! {
        #[test]
        fn damage_is_no_panic(at: prop::sample::Index, byte in 0u8..128) {
            let mut text = TEXT.as_bytes().to_vec();
            let at = at.index(text.len());
            text[at] = byte;
            let _ = NarInfo::parse(&String::from_utf8(text).unwrap(), &StoreDir::default(), "x");
        }
    }
}
