//! Contents that a client sends, in the ways of the protocol's versions.

use std::io::{self, Read, Seek as _, Write};
use std::sync::Arc;

use firn_model::nar::{self, Contents, NarVisitor};

use super::tunnel::Tunnel;
use crate::client::connection::copy_nar;
use crate::error::{Error, Result};
use crate::protocol::log;
use crate::wire::framed::FramedReader;
use crate::wire::{WireRead, WireWrite as _};

/// How many bytes of contents without an end mark are kept in memory before they go to a file.
const IN_MEMORY: usize = 8 * 1024 * 1024;

/// Runs `take` on a stream in frames, and skips what it leaves of it: after that the next request can be read,
/// whether `take` succeeded or not.
pub(super) fn framed<'r, T>(
    reader: &mut WireRead<'r>,
    take: impl FnOnce(&mut (dyn Read + Send)) -> Result<T>,
) -> Result<T> {
    let mut frames = FramedReader::new(reader.raw());
    let result = take(&mut frames);
    match frames.finish() {
        Ok(()) => result,
        Err(e) => Err(Error::Disconnected(format!("reading a stream from the client: {e}"))),
    }
}

/// A stream that the client sends piece by piece when it is asked to (up to version 1.22).
pub(super) struct Pieces<'a, 'r> {
    reader: &'a mut WireRead<'r>,
    tunnel: Arc<Tunnel>,
    left: usize,
    piece: Vec<u8>,
}

impl<'a, 'r> Pieces<'a, 'r> {
    pub fn new(reader: &'a mut WireRead<'r>, tunnel: Arc<Tunnel>) -> Self {
        Self { reader, tunnel, left: 0, piece: Vec::new() }
    }
}

impl Read for Pieces<'_, '_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        if self.left == 0 {
            self.tunnel
                .write(|w| {
                    w.number(log::READ)?;
                    w.number(32 * 1024)?;
                    w.flush()
                })
                .map_err(io::Error::other)?;
            self.reader.begin();
            self.piece = self.reader.bytes().map_err(io::Error::other)?;
            if self.piece.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.left = self.piece.len();
        }
        let start = self.piece.len() - self.left;
        let got = self.left.min(into.len());
        into[..got].copy_from_slice(&self.piece[start..start + got]);
        self.left -= got;
        Ok(got)
    }
}

/// Takes one NAR that comes without anything that says where it ends, so that it has to be read for that.
pub(super) fn whole_nar(reader: &mut WireRead<'_>) -> Result<tempfile::SpooledTempFile> {
    let mut kept = tempfile::spooled_tempfile(IN_MEMORY);
    copy_nar(reader.raw(), &mut kept)?;
    kept.rewind().map_err(Error::io("reading a temporary file"))?;
    Ok(kept)
}

/// The one regular file of a NAR.
pub(super) fn only_file(nar: &mut dyn Read) -> Result<tempfile::SpooledTempFile> {
    let mut taker = OnlyFile { contents: tempfile::spooled_tempfile(IN_MEMORY), found: false };
    nar::read(nar, &mut taker).map_err(Error::model)?;
    if !taker.found {
        return Err(Error::protocol("regular file expected"));
    }
    taker.contents.rewind().map_err(Error::io("reading a temporary file"))?;
    Ok(taker.contents)
}

struct OnlyFile {
    contents: tempfile::SpooledTempFile,
    found: bool,
}

impl NarVisitor for OnlyFile {
    type Error = nar::Error;
    fn file(&mut self, _: bool, _: u64, contents: &mut Contents<'_>) -> Result<(), nar::Error> {
        io::copy(contents, &mut self.contents)?;
        self.contents.flush()?;
        self.found = true;
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
        self.found = false;
        Ok(())
    }
}
