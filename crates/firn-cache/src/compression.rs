//! The compression methods of binary caches, by the names that narinfo files have for them.

use std::io::{self, BufReader, Read, Write};

use firn_store::{Error, Result};

/// Buffer sizes in bytes.
const BUFFER: usize = 64 * 1024;

/// A method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// As it is.
    None,
    /// `xz`
    Xz,
    /// `bzip2`
    Bzip2,
    /// `gzip`
    Gzip,
    /// `zstd`
    Zstd,
    /// `br`
    Brotli,
    /// `lzma`, the old format of `xz`.
    Lzma,
}

/// Names that C++ Nix knows besides ours.
const OTHERS: &[&str] = &["compress", "grzip", "lrzip", "lz4", "lzip", "lzop"];

impl Compression {
    /// The method that a setting or a narinfo file calls so.
    ///
    /// # Errors
    /// If there is none, or none that this program has.
    pub fn parse(name: &str) -> Result<Self> {
        Ok(match name {
            "none" | "" | "identity" => Self::None,
            "xz" => Self::Xz,
            "bzip2" => Self::Bzip2,
            "gzip" => Self::Gzip,
            "zstd" => Self::Zstd,
            "br" => Self::Brotli,
            "lzma" => Self::Lzma,
            _ if OTHERS.contains(&name) => {
                return Err(Error::Usage(format!(
                    "compression method '{name}' is not supported; use one of xz, zstd, br, bzip2, gzip, lzma, none"
                )));
            }
            _ => return Err(Error::Usage(format!("unknown compression method '{name}'"))),
        })
    }

    /// Whether a setting may have this value.
    pub(crate) fn is_known(name: &str) -> bool {
        matches!(name, "none" | "xz" | "bzip2" | "gzip" | "zstd" | "br" | "lzma")
            || OTHERS.contains(&name)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Xz => "xz",
            Self::Bzip2 => "bzip2",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Lzma => "lzma",
        }
    }

    /// What names of archives end with.
    #[must_use]
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Xz => ".xz",
            Self::Bzip2 => ".bz2",
            Self::Zstd => ".zst",
            Self::Brotli => ".br",
            Self::None | Self::Gzip | Self::Lzma => "",
        }
    }

    /// Compresses what is written, to `out`, at `level` or the method's own default. `parallel` is for the methods that
    /// have it, xz and zstd.
    ///
    /// # Errors
    /// If the method has no such level.
    pub fn encoder<W: Write>(
        self,
        out: W,
        level: Option<i32>,
        parallel: bool,
    ) -> Result<Encoder<W>> {
        let within = |least: i32, most: i32, default: i32| match level {
            None => Ok(default),
            Some(level) if (least..=most).contains(&level) => Ok(level),
            Some(level) => Err(Error::Usage(format!(
                "compression level {level} is out of range for '{}' ({least} to {most})",
                self.name()
            ))),
        };
        let failed = |e: io::Error| Error::Stream { action: "beginning to compress", source: e };
        let lzma_failed = |e: liblzma::stream::Error| failed(e.into());
        let threads = if parallel {
            std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(1))
        } else {
            1
        };
        Ok(match self {
            Self::None => Encoder::None(out),
            Self::Xz => {
                let level = within(0, 9, 6)?.unsigned_abs();
                let check = liblzma::stream::Check::Crc64;
                let stream = if threads > 1 {
                    let mut builder = liblzma::stream::MtStreamBuilder::new();
                    builder.threads(threads).preset(level).check(check);
                    builder.encoder().map_err(lzma_failed)?
                } else {
                    liblzma::stream::Stream::new_easy_encoder(level, check).map_err(lzma_failed)?
                };
                Encoder::Xz(liblzma::write::XzEncoder::new_stream(out, stream))
            }
            Self::Lzma => {
                let level = within(0, 9, 6)?.unsigned_abs();
                let options =
                    liblzma::stream::LzmaOptions::new_preset(level).map_err(lzma_failed)?;
                let stream =
                    liblzma::stream::Stream::new_lzma_encoder(&options).map_err(lzma_failed)?;
                Encoder::Xz(liblzma::write::XzEncoder::new_stream(out, stream))
            }
            Self::Bzip2 => {
                let level = within(1, 9, 9)?.unsigned_abs();
                Encoder::Bzip2(bzip2::write::BzEncoder::new(out, bzip2::Compression::new(level)))
            }
            Self::Gzip => {
                let level = within(0, 9, 6)?.unsigned_abs();
                Encoder::Gzip(flate2::write::GzEncoder::new(out, flate2::Compression::new(level)))
            }
            Self::Zstd => {
                let range = zstd::compression_level_range();
                let level = within(*range.start(), *range.end(), zstd::DEFAULT_COMPRESSION_LEVEL)?;
                let mut encoder = zstd::stream::write::Encoder::new(out, level).map_err(failed)?;
                if threads > 1 {
                    encoder.multithread(threads).map_err(failed)?;
                }
                Encoder::Zstd(encoder)
            }
            Self::Brotli => {
                let level = within(0, 11, 11)?.unsigned_abs();
                Encoder::Brotli(Box::new(brotli::CompressorWriter::new(out, BUFFER, level, 22)))
            }
        })
    }

    /// What `source` gives, decompressed. Several compressed streams one after the other are one.
    ///
    /// # Errors
    /// If the method cannot begin.
    pub fn decoder<'s>(
        self,
        source: Box<dyn Read + Send + 's>,
    ) -> Result<Box<dyn Read + Send + 's>> {
        let failed = |e: io::Error| Error::Stream { action: "beginning to decompress", source: e };
        Ok(match self {
            Self::None => source,
            Self::Xz => Box::new(liblzma::bufread::XzDecoder::new_multi_decoder(
                BufReader::with_capacity(BUFFER, source),
            )),
            Self::Lzma => {
                let stream = liblzma::stream::Stream::new_lzma_decoder(u64::MAX)
                    .map_err(|e| failed(e.into()))?;
                Box::new(liblzma::bufread::XzDecoder::new_stream(
                    BufReader::with_capacity(BUFFER, source),
                    stream,
                ))
            }
            Self::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(BufReader::with_capacity(
                BUFFER, source,
            ))),
            Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::with_capacity(
                BUFFER, source,
            ))),
            Self::Zstd => Box::new(zstd::stream::read::Decoder::new(source).map_err(failed)?),
            Self::Brotli => Box::new(brotli::Decompressor::new(source, BUFFER)),
        })
    }
}

/// Compresses what is written.
pub enum Encoder<W: Write> {
    /// As it is.
    None(W),
    /// `xz` and `lzma`
    Xz(liblzma::write::XzEncoder<W>),
    /// `bzip2`
    Bzip2(bzip2::write::BzEncoder<W>),
    /// `gzip`
    Gzip(flate2::write::GzEncoder<W>),
    /// `zstd`
    Zstd(zstd::stream::write::Encoder<'static, W>),
    /// `br`
    Brotli(Box<brotli::CompressorWriter<W>>),
}

impl<W: Write> std::fmt::Debug for Encoder<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Encoder")
    }
}

impl<W: Write> Encoder<W> {
    /// Writes what is still held back; gives what it wrote to.
    ///
    /// # Errors
    /// If that fails.
    pub fn finish(self) -> io::Result<W> {
        match self {
            Self::None(out) => Ok(out),
            Self::Xz(encoder) => encoder.finish(),
            Self::Bzip2(encoder) => encoder.finish(),
            Self::Gzip(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
            Self::Brotli(mut encoder) => {
                encoder.flush()?;
                Ok(encoder.into_inner())
            }
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        match self {
            Self::None(out) => out.write(data),
            Self::Xz(encoder) => encoder.write(data),
            Self::Bzip2(encoder) => encoder.write(data),
            Self::Gzip(encoder) => encoder.write(data),
            Self::Zstd(encoder) => encoder.write(data),
            Self::Brotli(encoder) => encoder.write(data),
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::None(out) => out.flush(),
            Self::Xz(encoder) => encoder.flush(),
            Self::Bzip2(encoder) => encoder.flush(),
            Self::Gzip(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
            Self::Brotli(encoder) => encoder.flush(),
        }
    }
}

/// Compresses bytes in one go.
///
/// # Errors
/// As [`Compression::encoder`].
pub fn compress(method: Compression, data: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = method.encoder(Vec::new(), None, false)?;
    encoder
        .write_all(data)
        .and_then(|()| encoder.finish())
        .map_err(|source| Error::Stream { action: "compressing", source })
}

/// Decompresses bytes in one go, at most `limit` of them.
///
/// # Errors
/// If they are not compressed so, or there are more.
pub fn decompress(method: Compression, data: &[u8], limit: u64) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    method
        .decoder(Box::new(data))?
        .take(limit + 1)
        .read_to_end(&mut out)
        .map_err(|source| Error::Stream { action: "decompressing", source })?;
    if out.len() as u64 > limit {
        return Err(Error::Format(format!("decompressing gives more than {limit} bytes")));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Compression; 7] = [
        Compression::None,
        Compression::Xz,
        Compression::Bzip2,
        Compression::Gzip,
        Compression::Zstd,
        Compression::Brotli,
        Compression::Lzma,
    ];

    #[test]
    fn every_method_gives_back_what_it_took() {
        let data: Vec<u8> = (0..300_000u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
        for method in ALL {
            assert_eq!(Compression::parse(method.name()).unwrap(), method);
            for parallel in [false, true] {
                let level = if method == Compression::Brotli { Some(3) } else { None };
                let mut encoder = method.encoder(Vec::new(), level, parallel).unwrap();
                encoder.write_all(&data).unwrap();
                let packed = encoder.finish().unwrap();
                if method != Compression::None {
                    assert!(packed.len() < data.len() / 2, "{method:?}");
                }
                let back = decompress(method, &packed, data.len() as u64).unwrap();
                assert!(back == data, "{method:?}");
                let short = decompress(method, &packed, 1000).unwrap_err();
                assert!(short.to_string().contains("more than 1000 bytes"), "{method:?}");
            }
        }
    }

    #[test]
    fn a_cut_stream_is_an_error() {
        let data: Vec<u8> = (0..50_000u32).flat_map(u32::to_le_bytes).collect();
        for method in ALL.into_iter().filter(|m| *m != Compression::None) {
            let packed = compress(method, &data).unwrap();
            let cut = &packed[..packed.len() / 2];
            assert!(decompress(method, cut, u64::MAX / 2).is_err(), "{method:?}");
        }
    }

    #[test]
    fn names_and_levels_are_checked() {
        let error = |name: &str| Compression::parse(name).unwrap_err().to_string();
        assert_eq!(error("nope"), "unknown compression method 'nope'");
        assert!(error("lz4").contains("is not supported"));
        let error = Compression::Xz.encoder(Vec::new(), Some(10), false).unwrap_err();
        assert_eq!(error.to_string(), "compression level 10 is out of range for 'xz' (0 to 9)");
    }
}
