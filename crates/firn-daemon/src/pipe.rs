//! Two things done at the same time, one of which reads what the other writes.

use std::io::{BufReader, BufWriter, Read, Write};

use crate::error::{Error, Result};

/// Runs `write` and `read` at the same time, one at each end of a pipe. If both fail, the reader's error is the one
/// that is told, unless it says no more than that the stream was cut.
///
/// # Errors
/// If one of them fails.
pub fn pipe(
    write: impl FnOnce(&mut dyn Write) -> Result<()> + Send,
    read: impl FnOnce(&mut (dyn Read + Send)) -> Result<()>,
) -> Result<()> {
    let (reader, writer) = std::io::pipe().map_err(Error::io("making a pipe"))?;
    std::thread::scope(|scope| {
        let writing = scope.spawn(move || {
            let mut sink = BufWriter::with_capacity(256 * 1024, writer);
            write(&mut sink)?;
            sink.flush().map_err(Error::io("writing to a pipe"))
        });
        let mut source = BufReader::with_capacity(256 * 1024, reader);
        let done = read(&mut source);
        drop(source);
        let wrote = writing
            .join()
            .unwrap_or_else(|_| Err(Error::Refused("a bug stopped the copying".into())));
        match (done, wrote) {
            (Ok(()), Err(e)) if is_broken_pipe(&e) => Ok(()),
            (Ok(()), wrote) => wrote,
            (Err(_), Err(e)) if !is_broken_pipe(&e) => Err(e),
            (Err(e), _) => Err(e),
        }
    })
}

/// Whether the error says only that the reader stopped early.
fn is_broken_pipe(error: &Error) -> bool {
    let kind = match error {
        Error::Io { source, .. } => Some(source.kind()),
        Error::Store(error) => error.io_kind(),
        _ => None,
    };
    kind == Some(std::io::ErrorKind::BrokenPipe)
        || error.to_string().to_ascii_lowercase().contains("broken pipe")
}
