//! The daemon's side of the worker protocol.
//!
//! [`serve_connection`] talks to one client, whoever that is; `operations` does what it asks for; [`trust`] decides
//! who may do what; [`listen`] waits for clients. A daemon gives each client a process of its own ([`listen`]), so
//! that no client can hurt another, and what a client keeps from being collected is free again when it leaves.

pub mod hangup;
pub mod listen;
mod operations;
mod receive;
pub mod trust;
mod tunnel;

use std::io::{BufReader, Read, Write};
use std::sync::Arc;

use firn_event::{EventSink, Level, Logger};
use firn_model::store_path::StoreDir;

use crate::error::{Error, Result};
use crate::managed::ManagedStore;
use crate::protocol::{Codec, LATEST, MINIMUM, Op, Version, WORKER_MAGIC_1, WORKER_MAGIC_2};
use crate::wire::{WireRead, WireReader, WireWrite as _};

pub use trust::Trust;

use tunnel::Tunnel;

/// The most features that a client may name.
const MAX_FEATURES: usize = 256;

/// What a server tells and believes.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// The store's folder.
    pub store_dir: StoreDir,
    /// The version of this program.
    pub version: String,
    /// Whether the client is trusted.
    pub trust: Trust,
    /// Whether the client is a builder inside of a build, which must not change how the build goes.
    pub recursive: bool,
}

/// Opens the store that a client is to be served. Messages that are meant for it go to the logger.
pub type Open<'a> = dyn FnOnce(&Logger) -> Result<Arc<dyn ManagedStore>> + 'a;

/// One client's side of things while it is served.
struct Session<'a> {
    reader: WireRead<'a>,
    tunnel: Arc<Tunnel>,
    codec: Codec,
    trust: Trust,
    recursive: bool,
    store: Arc<dyn ManagedStore>,
}

/// Serves a client until it hangs up.
///
/// # Errors
/// If it is no client, speaks no version that is spoken here, or says what makes no sense; it has been told then, as
/// far as that was possible.
pub fn serve_connection(
    reader: impl Read + Send,
    writer: impl Write + Send + 'static,
    options: &ServerOptions,
    open: Box<Open<'_>>,
) -> Result<()> {
    let reader: Box<dyn Read + Send> = Box::new(BufReader::with_capacity(64 * 1024, reader));
    let mut reader = WireReader::new(reader);
    let tunnel = Arc::new(Tunnel::new(Box::new(writer)));
    let version = greet(&mut reader, &tunnel)?;
    tunnel.set_version(version);
    let sink: Arc<dyn EventSink> = tunnel.clone();
    let logger = Logger::new(sink);
    let store = match open(&logger) {
        Ok(store) => store,
        Err(e) => {
            say_hello(&tunnel, options, None, version)?;
            tunnel.fail(&e.to_string())?;
            return Err(e);
        }
    };
    // both this program and the store must trust the client
    let theirs = match options.trust {
        Trust::Trusted => store.trusts_us(),
        Trust::Untrusted => Ok(Some(false)),
    };
    let theirs = match theirs {
        Ok(trust) => trust,
        Err(e) => {
            say_hello(&tunnel, options, None, version)?;
            tunnel.fail(&e.to_string())?;
            return Err(e);
        }
    };
    say_hello(&tunnel, options, theirs, version)?;
    tunnel.start()?;
    tunnel.succeed()?;
    let codec = Codec::new(options.store_dir.clone(), version);
    let mut session = Session {
        reader,
        tunnel,
        codec,
        trust: options.trust,
        recursive: options.recursive,
        store,
    };
    session.run()
}

/// Exchanges greetings; gives the version that is spoken from now on.
fn greet(reader: &mut WireRead<'_>, tunnel: &Tunnel) -> Result<Version> {
    if reader.number()? != WORKER_MAGIC_1 {
        return Err(Error::protocol("protocol mismatch"));
    }
    tunnel.write(|w| {
        w.number(WORKER_MAGIC_2)?;
        w.number(LATEST.wire())?;
        w.flush()
    })?;
    let theirs = Version::from_wire(reader.number()?)
        .filter(|version| *version >= MINIMUM)
        .ok_or_else(|| Error::protocol("the Nix client version is too old"))?;
    let version = theirs.min(LATEST);
    if version >= Version(38) {
        let features: Vec<String> = reader.texts()?;
        if features.len() > MAX_FEATURES {
            return Err(Error::protocol("the client names too many features"));
        }
        tunnel.write(|w| {
            w.number(0)?;
            w.flush()
        })?;
    }
    // once the processor to run on, and whether to keep space free
    if reader.number()? != 0 {
        reader.number()?;
    }
    reader.number()?;
    Ok(version)
}

fn say_hello(
    tunnel: &Tunnel,
    options: &ServerOptions,
    trusted: Option<bool>,
    version: Version,
) -> Result<()> {
    let codec = Codec::new(options.store_dir.clone(), version);
    tunnel.write(|w| {
        if version >= Version(33) {
            w.text(&options.version)?;
        }
        if version >= Version(35) {
            codec.put_trust(w, trusted)?;
        }
        Ok(())
    })
}

impl Session<'_> {
    fn run(&mut self) -> Result<()> {
        loop {
            self.reader.begin();
            let Some(number) = self.reader.number_or_end()? else { return Ok(()) };
            let result = match Op::from_number(number) {
                Some(op) => self.perform(op),
                None => Err(Error::protocol(format!("invalid operation {number}"))),
            };
            match result {
                Ok(()) => self.tunnel.flush()?,
                Err(e) => {
                    // as long as the request was not read to its end, nothing after it can be understood
                    let understood =
                        self.tunnel.is_working() && !matches!(e, Error::Disconnected(_));
                    self.tunnel.fail(&e.to_string())?;
                    if !understood {
                        return Err(e);
                    }
                }
            }
        }
    }

    fn is_trusted(&self) -> bool {
        self.trust == Trust::Trusted
    }

    /// Takes what the client wants to be told.
    fn set_verbosity(&self, level: Level) {
        self.tunnel.set_verbosity(level);
    }
}
