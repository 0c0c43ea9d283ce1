//! Connections that are kept and used again, up to a limit.

use parking_lot::{Condvar, Mutex};

use firn_event::Logger;
use firn_model::store_path::StoreDir;

use super::connection::{Connection, Streams};
use crate::error::{Error, Result};

/// Makes connections to a store.
pub trait Connect: Send + Sync {
    /// Connects.
    ///
    /// # Errors
    /// If nobody answers.
    fn connect(&self) -> Result<Streams>;
}

/// Connections to one store.
pub struct Pool {
    connect: Box<dyn Connect>,
    dir: StoreDir,
    logger: Logger,
    uri: String,
    state: Mutex<State>,
    returned: Condvar,
}

struct State {
    idle: Vec<Connection>,
    /// How many there are, those in use among them.
    open: usize,
    limit: usize,
    /// What an earlier attempt to connect failed with: others would too.
    failed: bool,
    /// Connections of an older number are not used again.
    age: u64,
}

/// A place for one more connection while one is busy with a stream whose source may need the store too.
pub struct Extra<'a>(&'a Pool);

impl Drop for Extra<'_> {
    fn drop(&mut self) {
        self.0.state.lock().limit -= 1;
    }
}

impl Pool {
    /// A pool of at most `limit` connections.
    pub fn new(
        connect: Box<dyn Connect>,
        dir: StoreDir,
        uri: String,
        limit: usize,
        logger: Logger,
    ) -> Self {
        Self {
            connect,
            dir,
            logger,
            uri,
            state: Mutex::new(State {
                idle: Vec::new(),
                open: 0,
                limit: limit.max(1),
                failed: false,
                age: 0,
            }),
            returned: Condvar::new(),
        }
    }

    /// Allows one more connection as long as the result lives.
    pub fn extra(&self) -> Extra<'_> {
        self.state.lock().limit += 1;
        self.returned.notify_one();
        Extra(self)
    }

    /// Closes connections that are not in use; those that are will be closed after it.
    pub fn renew(&self) {
        let mut state = self.state.lock();
        state.age += 1;
        let idle = std::mem::take(&mut state.idle);
        state.open -= idle.len();
        drop(state);
        self.returned.notify_all();
    }

    /// Runs `work` with a connection; `prepare` is run first with one that is new. After an error that leaves its
    /// state unknown, the connection is closed.
    ///
    /// # Errors
    /// If no connection can be had, or what `work` fails with.
    pub fn with<T>(
        &self,
        prepare: impl FnOnce(&mut Connection) -> Result<()>,
        work: impl FnOnce(&mut Connection) -> Result<T>,
    ) -> Result<T> {
        let (connection, age) = self.take()?;
        let connection = match connection {
            Some(connection) => Ok(connection),
            None => self.open().and_then(|mut connection| {
                prepare(&mut connection)?;
                Ok(connection)
            }),
        };
        let mut connection = match connection {
            Ok(connection) => connection,
            Err(e) => {
                let mut state = self.state.lock();
                state.failed = true;
                state.open -= 1;
                drop(state);
                self.returned.notify_all();
                return Err(e);
            }
        };
        let slot = Slot { pool: self, age };
        let result = work(&mut connection);
        let good = match &result {
            Ok(_) => true,
            Err(e) => e.leaves_connection_good(),
        };
        slot.finish(good.then_some(connection));
        result
    }

    fn open(&self) -> Result<Connection> {
        let open = || {
            let streams = self.connect.connect()?;
            Connection::open(streams, self.dir.clone(), self.logger.clone())
        };
        open().map_err(|e| match e {
            // the socket's own error needs no more words
            Error::Refused(text) => Error::Refused(text),
            e => Error::Refused(format!(
                "cannot open connection to remote store '{}': {e}",
                self.uri
            )),
        })
    }

    /// Waits for a connection, or for the right to open one.
    fn take(&self) -> Result<(Option<Connection>, u64)> {
        let mut state = self.state.lock();
        loop {
            if let Some(connection) = state.idle.pop() {
                return Ok((Some(connection), state.age));
            }
            if state.failed {
                return Err(Error::Refused(format!(
                    "opening a connection to remote store '{}' previously failed",
                    self.uri
                )));
            }
            if state.open < state.limit {
                state.open += 1;
                return Ok((None, state.age));
            }
            self.returned.wait(&mut state);
        }
    }
}

/// The right to a connection, given back even if its user panics.
struct Slot<'a> {
    pool: &'a Pool,
    age: u64,
}

impl Slot<'_> {
    fn finish(self, connection: Option<Connection>) {
        let mut state = self.pool.state.lock();
        if let Some(connection) = connection
            && state.age == self.age
            && state.open <= state.limit
        {
            state.idle.push(connection);
            // the right stays with the connection
            state.open += 1;
        }
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.pool.state.lock().open -= 1;
        self.pool.returned.notify_one();
    }
}
