//! One connection to a `nix-store --serve`.

use std::any::Any;
use std::io::{BufReader, BufWriter, Read, Write};

use firn_event::Logger;
use firn_model::store_path::StoreDir;

use super::codec::ServeCodec;
use super::{Command, LATEST, SERVE_MAGIC_1, SERVE_MAGIC_2, Version};
use crate::client::{Pooled, Streams};
use crate::error::{Error, Result};
use crate::wire::{WireRead, WireReader, WireWrite as _};

/// How much of a wrong greeting an error shows, in bytes.
const SHOWN_GREETING: u64 = 2000;

pub(super) struct ServeConnection {
    pub reader: WireRead<'static>,
    pub writer: BufWriter<Box<dyn Write + Send>>,
    pub codec: ServeCodec,
    _guard: Box<dyn Any + Send>,
}

/// Makes the function that turns an error of writing into one of the connection.
pub(super) fn sending(error: std::io::Error) -> Error {
    Error::io("writing to the other side")(error)
}

impl Pooled for ServeConnection {
    fn greet(streams: Streams, dir: StoreDir, _logger: Logger) -> Result<Self> {
        let Streams { reader, writer, close_write, guard } = streams;
        let reader: Box<dyn Read + Send> = Box::new(BufReader::with_capacity(64 * 1024, reader));
        let mut connection = Self {
            reader: WireReader::new(reader),
            writer: BufWriter::with_capacity(64 * 1024, writer),
            codec: ServeCodec::new(dir, LATEST),
            _guard: guard,
        };
        let w = &mut connection.writer;
        w.number(SERVE_MAGIC_1)
            .and_then(|()| w.number(LATEST.wire()))
            .and_then(|()| w.flush())
            .map_err(sending)?;
        match connection.reader.number_or_end()? {
            None => return Err(Error::Disconnected("the other side has hung up".into())),
            Some(SERVE_MAGIC_2) => {}
            Some(other) => {
                close_write();
                let mut text = other.to_le_bytes().to_vec();
                let _ = connection.reader.raw().take(SHOWN_GREETING).read_to_end(&mut text);
                return Err(Error::protocol(format!(
                    "'nix-store --serve' protocol mismatch, got '{}'",
                    String::from_utf8_lossy(&text).trim_end()
                )));
            }
        }
        let theirs = Version::from_wire(connection.reader.number()?)
            .filter(|version| *version >= Version(1))
            .ok_or_else(|| Error::protocol("unsupported 'nix-store --serve' protocol version"))?;
        connection.codec.version = theirs.min(LATEST);
        Ok(connection)
    }
}

impl ServeConnection {
    /// Sends a command, and reads its answer.
    pub fn request<T>(
        &mut self,
        command: Command,
        ask: impl FnOnce(&ServeCodec, &mut dyn Write) -> Result<()>,
        answer: impl FnOnce(&ServeCodec, &mut WireRead<'static>) -> Result<T>,
    ) -> Result<T> {
        self.writer.number(command as u64).map_err(sending)?;
        ask(&self.codec, &mut self.writer)?;
        self.writer.flush().map_err(sending)?;
        self.reader.begin();
        answer(&self.codec, &mut self.reader).map_err(|e| match e {
            // it says why on its standard error
            Error::Disconnected(_) => {
                Error::Disconnected("the other side has hung up instead of answering".into())
            }
            other => other,
        })
    }
}
