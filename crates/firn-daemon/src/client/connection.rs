//! One connection to a daemon: the greeting, requests, and the log messages that come before answers.

use std::any::Any;
use std::collections::HashMap;
use std::io::{BufReader, BufWriter, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use firn_event::{Activity, Event, Logger};
use firn_model::store_path::StoreDir;

use crate::error::{Error, Result};
use crate::protocol::log::{self, Message};
use crate::protocol::{Codec, LATEST, MINIMUM, Op, Version, WORKER_MAGIC_1, WORKER_MAGIC_2};
use crate::wire::framed::FramedWriter;
use crate::wire::{WireRead, WireReader, WireWrite as _};

/// The two directions of a connection.
pub struct Streams {
    /// What comes from the daemon.
    pub reader: Box<dyn Read + Send>,
    /// What goes to it.
    pub writer: Box<dyn Write + Send>,
    /// Ends what goes to it, so that a program that is no daemon ends too.
    pub close_write: Box<dyn FnOnce() + Send>,
    /// What has to live as long as the connection, such as a process.
    pub guard: Box<dyn Any + Send>,
}

/// How many activities of a daemon are shown at a time.
const MOST_ACTIVITIES: usize = 100_000;

/// How much of a wrong greeting an error shows, in bytes.
const SHOWN_GREETING: u64 = 2000;

/// A connection to a daemon.
pub struct Connection {
    reader: WireRead<'static>,
    writer: BufWriter<Box<dyn Write + Send>>,
    codec: Codec,
    trusted: Option<bool>,
    daemon_version: Option<String>,
    log: Log,
    _guard: Box<dyn Any + Send>,
}

/// What becomes of a daemon's messages.
struct Log {
    logger: Logger,
    /// The daemon's running activities by its own numbers.
    activities: HashMap<u64, Activity>,
}

impl Log {
    fn event(&mut self, event: Event) {
        match event {
            Event::Start { id, parent, level, kind, text, fields } => {
                if self.activities.len() < MOST_ACTIVITIES {
                    let parent = self.activities.get(&parent).map_or(0, Activity::id);
                    let activity = self.logger.start(kind, level, text, fields, parent);
                    self.activities.insert(id, activity);
                }
            }
            Event::Stop { id } => {
                self.activities.remove(&id);
            }
            Event::Result { id, report } => {
                if let Some(activity) = self.activities.get(&id) {
                    activity.report(report);
                }
            }
            message @ Event::Message { .. } => self.logger.event(message),
        }
    }
}

/// What goes along with a request.
#[derive(Default)]
struct Along<'a> {
    /// The stream that the daemon asks for piece by piece.
    source: Option<&'a mut (dyn Read + Send)>,
    /// Where the pieces go that it sends.
    sink: Option<&'a mut dyn Write>,
}

impl Connection {
    /// Greets the daemon. The error says what came instead of a greeting.
    ///
    /// # Errors
    /// If it is no daemon, or speaks no version that is spoken here.
    pub fn open(streams: Streams, dir: StoreDir, logger: Logger) -> Result<Self> {
        let Streams { reader, writer, close_write, guard } = streams;
        let reader: Box<dyn Read + Send> = Box::new(BufReader::with_capacity(64 * 1024, reader));
        let mut connection = Self {
            reader: WireReader::new(reader),
            writer: BufWriter::with_capacity(64 * 1024, writer),
            codec: Codec::new(dir, LATEST),
            trusted: None,
            daemon_version: None,
            log: Log { logger, activities: HashMap::new() },
            _guard: guard,
        };
        connection.greet(close_write)?;
        Ok(connection)
    }

    fn greet(&mut self, close_write: Box<dyn FnOnce() + Send>) -> Result<()> {
        let greeted = self
            .writer
            .number(WORKER_MAGIC_1)
            .and_then(|()| self.writer.number(LATEST.wire()))
            .and_then(|()| self.writer.flush());
        match greeted {
            // what is no daemon may have ended already, but not without saying why
            Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
                return Err(Error::io("writing to the daemon")(e));
            }
            _ => {}
        }
        let mut first = [0; 8];
        let mut have = 0;
        while have < first.len() {
            match self.reader.raw().read(&mut first[have..]) {
                Ok(0) => break,
                Ok(got) => have += got,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Error::io("reading from the daemon")(e)),
            }
        }
        if have < first.len() || u64::from_le_bytes(first) != WORKER_MAGIC_2 {
            if have == 0 {
                return Err(Error::Disconnected(
                    "Nix daemon disconnected unexpectedly (maybe it crashed?)".into(),
                ));
            }
            // most likely a message for people
            close_write();
            let mut text = first[..have].to_vec();
            let _ = self.reader.raw().take(SHOWN_GREETING).read_to_end(&mut text);
            return Err(Error::protocol(format!(
                "protocol mismatch, got '{}'",
                String::from_utf8_lossy(&text).trim_end()
            )));
        }
        let theirs = Version::from_wire(self.reader.number()?)
            .ok_or_else(|| Error::protocol("Nix daemon protocol version not supported"))?;
        if theirs < MINIMUM {
            return Err(Error::protocol("the Nix daemon version is too old"));
        }
        let version = theirs.min(LATEST);
        self.codec.version = version;
        if version >= Version(38) {
            self.writer
                .texts::<&str>([])
                .and_then(|()| self.writer.flush())
                .map_err(Error::io("writing to the daemon"))?;
            self.reader.texts::<Vec<String>>()?;
        }
        // once the processor to run on, and whether to keep space free
        self.writer
            .number(0)
            .and_then(|()| self.writer.number(0))
            .and_then(|()| self.writer.flush())
            .map_err(Error::io("writing to the daemon"))?;
        if version >= Version(33) {
            self.daemon_version = Some(self.reader.text()?);
        }
        if version >= Version(35) {
            self.trusted = self.codec.trust(&mut self.reader)?;
        }
        self.messages(Along::default())
    }

    /// The version that is spoken.
    #[must_use]
    pub fn version(&self) -> Version {
        self.codec.version
    }

    /// Whether the daemon trusts this process, if it tells.
    #[must_use]
    pub fn trusted(&self) -> Option<bool> {
        self.trusted
    }

    /// The daemon's own version, if it tells.
    #[must_use]
    pub fn daemon_version(&self) -> Option<&str> {
        self.daemon_version.as_deref()
    }

    /// Sends a request and waits for the daemon to say that it succeeded; then `answer` reads the answer.
    ///
    /// # Errors
    /// If the daemon says that it failed, or the connection breaks.
    pub fn request<T>(
        &mut self,
        op: Op,
        ask: impl FnOnce(&Codec, &mut dyn Write) -> Result<()>,
        answer: impl FnOnce(&Codec, &mut WireRead<'static>) -> Result<T>,
    ) -> Result<T> {
        self.request_along(op, ask, Along::default(), answer)
    }

    /// As [`Connection::request`], with a stream that the daemon asks for piece by piece.
    ///
    /// # Errors
    /// As [`Connection::request`], or if `source` fails.
    pub fn request_reading<T>(
        &mut self,
        op: Op,
        ask: impl FnOnce(&Codec, &mut dyn Write) -> Result<()>,
        source: &mut (dyn Read + Send),
        answer: impl FnOnce(&Codec, &mut WireRead<'static>) -> Result<T>,
    ) -> Result<T> {
        self.request_along(op, ask, Along { source: Some(source), sink: None }, answer)
    }

    fn request_along<T>(
        &mut self,
        op: Op,
        ask: impl FnOnce(&Codec, &mut dyn Write) -> Result<()>,
        along: Along<'_>,
        answer: impl FnOnce(&Codec, &mut WireRead<'static>) -> Result<T>,
    ) -> Result<T> {
        self.send(op, ask)?;
        self.writer.flush().map_err(Error::io("writing to the daemon"))?;
        self.messages(along)?;
        self.reader.begin();
        answer(&self.codec, &mut self.reader)
    }

    fn send(
        &mut self,
        op: Op,
        ask: impl FnOnce(&Codec, &mut dyn Write) -> Result<()>,
    ) -> Result<()> {
        self.writer.number(op as u64).map_err(Error::io("writing to the daemon"))?;
        ask(&self.codec, &mut self.writer)
    }

    /// Sends a request with a stream in frames, which `stream` writes, while the daemon's messages are read.
    ///
    /// # Errors
    /// If the daemon says that it failed (the stream ends early then), `stream` fails, or the connection breaks.
    pub fn request_framed<T>(
        &mut self,
        op: Op,
        ask: impl FnOnce(&Codec, &mut dyn Write) -> Result<()>,
        stream: impl FnOnce(&mut dyn Write) -> Result<()>,
        answer: impl FnOnce(&Codec, &mut WireRead<'static>) -> Result<T>,
    ) -> Result<T> {
        self.send(op, ask)?;
        let Self { reader, writer, codec, log, .. } = self;
        let failed = AtomicBool::new(false);
        let (sent, messages) = std::thread::scope(|scope| {
            let listening = scope.spawn(|| {
                let result = messages(reader, None, codec.version, log, Along::default());
                if result.is_err() {
                    failed.store(true, Ordering::Relaxed);
                }
                result
            });
            let mut frames = Stoppable { frames: FramedWriter::new(&mut *writer), stop: &failed };
            let sent = stream(&mut frames);
            let ended = match &sent {
                Ok(()) => frames.frames.finish(),
                Err(_) => frames.frames.abandon(),
            };
            let sent = sent.and(ended.map_err(Error::io("writing to the daemon")));
            let messages = listening
                .join()
                .unwrap_or_else(|_| Err(Error::Refused("a bug stopped the connection".into())));
            (sent, messages)
        });
        // what the daemon says is the reason why sending failed, unless it complains about a stream that was cut
        match (sent, messages) {
            (Ok(()), messages) => messages?,
            (Err(e), Ok(())) => return Err(e),
            (Err(e), Err(theirs)) => {
                return Err(if is_stopped(&e) { theirs } else { e });
            }
        }
        self.reader.begin();
        answer(&self.codec, &mut self.reader)
    }

    /// Takes messages until the daemon says that the request succeeded or failed.
    fn messages(&mut self, along: Along<'_>) -> Result<()> {
        messages(&mut self.reader, Some(&mut self.writer), self.codec.version, &mut self.log, along)
    }

    /// The bytes of an answer that is a stream, and what it is written by.
    pub fn stream(&mut self) -> (&Codec, &mut WireRead<'static>) {
        (&self.codec, &mut self.reader)
    }
}

fn messages(
    reader: &mut WireRead<'static>,
    mut writer: Option<&mut BufWriter<Box<dyn Write + Send>>>,
    version: Version,
    log: &mut Log,
    along: Along<'_>,
) -> Result<()> {
    let Along { mut source, mut sink } = along;
    loop {
        match log::read(reader, version).map_err(disconnected)? {
            Message::Last => return Ok(()),
            Message::Error { message, status } => return Err(Error::Remote { message, status }),
            Message::Line(line) => log.event(log::line_as_message(&line)),
            Message::Event(event) => log.event(event),
            Message::Ignored => {}
            Message::Write(piece) => match &mut sink {
                Some(sink) => sink.write_all(&piece).map_err(Error::io("writing"))?,
                None => {
                    return Err(Error::protocol("the daemon sent a stream without being asked"));
                }
            },
            Message::Read(most) => {
                let (Some(source), Some(writer)) = (&mut source, &mut writer) else {
                    return Err(Error::protocol("the daemon asked for a stream that there is not"));
                };
                let most = usize::try_from(most).unwrap_or(usize::MAX).min(64 * 1024);
                let mut piece = vec![0; most];
                let got = source.read(&mut piece).map_err(Error::io("reading"))?;
                WireWriteBytes::send(&mut **writer, &piece[..got])?;
            }
        }
    }
}

/// Sends a piece of a stream at once.
trait WireWriteBytes: Write {
    fn send(&mut self, piece: &[u8]) -> Result<()>;
}

impl<W: Write> WireWriteBytes for W {
    fn send(&mut self, piece: &[u8]) -> Result<()> {
        use crate::wire::WireWrite;
        WireWrite::bytes(self, piece)
            .and_then(|()| self.flush())
            .map_err(Error::io("writing to the daemon"))
    }
}

fn disconnected(error: Error) -> Error {
    match error {
        Error::Disconnected(_) => {
            Error::Disconnected("Nix daemon disconnected unexpectedly (maybe it crashed?)".into())
        }
        other => other,
    }
}

/// The error by which [`Stoppable`] ends a stream.
const STOPPED: &str = "the daemon has stopped the stream";

fn is_stopped(error: &Error) -> bool {
    match error {
        // a daemon that is gone says so at the reading end
        Error::Io { .. } | Error::Disconnected(_) => true,
        other => {
            let text = other.to_string().to_ascii_lowercase();
            text.contains(STOPPED) || text.contains("broken pipe")
        }
    }
}

/// A stream in frames that ends with an error once the daemon has failed.
struct Stoppable<'a, W: Write> {
    frames: FramedWriter<W>,
    stop: &'a AtomicBool,
}

impl<W: Write> Write for Stoppable<'_, W> {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(std::io::Error::other(STOPPED));
        }
        self.frames.write(data)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        self.frames.flush()
    }
}

/// Copies one NAR, no byte more.
///
/// # Errors
/// If it is no NAR, or `sink` fails.
pub fn copy_nar(source: &mut (dyn Read + Send), sink: &mut dyn Write) -> Result<()> {
    struct Tee<'a>(&'a mut (dyn Read + Send), &'a mut dyn Write);
    impl Read for Tee<'_> {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            let got = self.0.read(into)?;
            self.1.write_all(&into[..got])?;
            Ok(got)
        }
    }
    firn_model::nar::read(&mut Tee(source, sink), &mut Nothing).map_err(Error::model)
}

/// Takes a NAR and does nothing with it.
struct Nothing;

impl firn_model::nar::NarVisitor for Nothing {
    type Error = firn_model::nar::Error;
    fn file(
        &mut self,
        _: bool,
        _: u64,
        _: &mut firn_model::nar::Contents<'_>,
    ) -> Result<(), Self::Error> {
        Ok(())
    }
    fn symlink(&mut self, _: &[u8]) -> Result<(), Self::Error> {
        Ok(())
    }
    fn begin_directory(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
    fn begin_entry(&mut self, _: &[u8]) -> Result<(), Self::Error> {
        Ok(())
    }
    fn end_entry(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
    fn end_directory(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}
