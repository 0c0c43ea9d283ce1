//! The SQLite database of valid paths: opening, schema versions, transactions, and the statements.
//!
//! Rows in, rows out: this module knows no files in the store. One connection behind a lock serves
//! all threads; statements are prepared once.

mod rows;
pub mod schema;
#[cfg(test)]
mod tests;

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Transaction, TransactionBehavior};

pub use rows::{PathRow, Rows};

use crate::error::{Error, Result};
use crate::fs::lock::{FileLock, LockKind};

/// How long SQLite waits for another process's transaction before we wait and ask again.
const BUSY: Duration = Duration::from_secs(60);

/// How the database is opened.
#[derive(Debug, Clone, Copy)]
pub struct OpenOptions {
    /// Never write, not even locks; the database must exist.
    pub read_only: bool,
    /// Use a write-ahead log (setting `use-sqlite-wal`).
    pub wal: bool,
    /// Let SQLite wait for the disk (setting `fsync-metadata`).
    pub sync: bool,
    /// Make the tables of realisations if there are none (experimental feature `ca-derivations`).
    pub realisations: bool,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self { read_only: false, wal: true, sync: true, realisations: false }
    }
}

/// The open database of one store.
#[derive(Debug)]
pub struct Database {
    connection: Mutex<Connection>,
    file: PathBuf,
    /// Held shared as long as the database is open, so that no other process changes its schema.
    _big_lock: Option<FileLock>,
}

impl Database {
    /// Opens the database in `dir`, creating it or bringing it up to date if needed.
    ///
    /// # Errors
    /// If it cannot be opened or written, is damaged, or has a version that is not supported.
    pub fn open(dir: &Path, options: OpenOptions) -> Result<Self> {
        let file = dir.join("db.sqlite");
        let schema = dir.join("schema");
        let mut big_lock = None;
        if !options.read_only {
            use rustix::fs::{Access, access};
            access(dir, Access::READ_OK | Access::WRITE_OK)
                .map_err(Error::os("cannot write to the Nix database directory", dir))?;
            let mut lock = FileLock::open(&dir.join("big-lock"))?;
            lock.lock(LockKind::Shared)?;
            big_lock = Some(lock);
        }
        let mut version = read_version(&schema)?;
        if version > schema::VERSION {
            return Err(Error::SchemaTooNew { found: version, supported: schema::VERSION });
        }
        if options.read_only && version < schema::VERSION {
            return Err(Error::Format(
                if version == 0 {
                    "database does not exist, and cannot be created in read-only mode"
                } else {
                    "database schema needs migrating, but this cannot be done in read-only mode"
                }
                .to_owned(),
            ));
        }
        if version < schema::VERSION
            && let Some(lock) = &mut big_lock
        {
            // two processes may find the version missing at once: only one makes the tables
            lock.unlock()?;
            lock.lock(LockKind::Exclusive)?;
            version = read_version(&schema)?;
        }
        if version != 0 && version < schema::OLDEST {
            return Err(Error::SchemaTooOld { found: version });
        }
        if version != 0 && !file.exists() {
            return Err(Error::Io {
                action: "opening SQLite database",
                path: file,
                source: ErrorKind::NotFound.into(),
            });
        }
        let mut connection = connect(&file, options)?;
        prepare(&connection, &file, options)?;
        if version < schema::VERSION {
            create_or_upgrade(&mut connection, &file, version)?;
            write_version(&schema)?;
            if let Some(lock) = &mut big_lock {
                lock.unlock()?;
                lock.lock(LockKind::Shared)?;
            }
        }
        if !options.read_only {
            connection.execute_batch(schema::MIGRATIONS).map_err(failed("schema", &file))?;
        }
        if options.realisations && !options.read_only {
            create_realisations(&mut connection, &file)?;
        }
        Ok(Self { connection: Mutex::new(connection), file, _big_lock: big_lock })
    }

    /// Runs queries; waits and asks again where another process is writing.
    ///
    /// # Errors
    /// What `query` gives, or what SQLite says.
    pub fn read<T>(&self, mut query: impl FnMut(&Rows<'_>) -> Result<T>) -> Result<T> {
        let connection = self.connection.lock();
        retry(|| query(&Rows::new(&connection, &self.file)))
    }

    /// As [`Database::read`], in one transaction: with many queries that saves locking and unlocking the file for
    /// each.
    ///
    /// # Errors
    /// As [`Database::read`].
    pub fn read_together<T>(&self, mut query: impl FnMut(&Rows<'_>) -> Result<T>) -> Result<T> {
        let mut connection = self.connection.lock();
        retry(|| {
            let transaction = connection
                .transaction_with_behavior(TransactionBehavior::Deferred)
                .map_err(failed("transaction", &self.file))?;
            // Nothing was changed, so that it does not matter how the transaction ends.
            query(&Rows::new(&transaction, &self.file))
        })
    }

    /// Runs changes in one transaction: all of them happen, or none.
    ///
    /// # Errors
    /// What `change` gives, or what SQLite says; nothing is changed then.
    pub fn write<T>(&self, mut change: impl FnMut(&Rows<'_>) -> Result<T>) -> Result<T> {
        let mut connection = self.connection.lock();
        retry(|| {
            let transaction: Transaction<'_> = connection
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .map_err(failed("transaction", &self.file))?;
            let value = change(&Rows::new(&transaction, &self.file))?;
            transaction.commit().map_err(failed("commit", &self.file))?;
            Ok(value)
        })
    }

    /// Gives free pages back to the file system.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn vacuum(&self) -> Result<()> {
        self.connection.lock().execute_batch("vacuum").map_err(failed("vacuum", &self.file))
    }

    /// The database file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }
}

/// Makes the function that wraps an error of SQLite.
fn failed<'a>(
    action: &'static str,
    file: &'a Path,
) -> impl FnOnce(rusqlite::Error) -> Error + use<'a> {
    move |source| Error::Database { action, file: file.to_owned(), source }
}

fn connect(file: &Path, options: OpenOptions) -> Result<Connection> {
    let name: PathBuf;
    let mut flags = OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if options.read_only {
        // "immutable" keeps SQLite from making -wal and -shm files in a folder it cannot write
        let mut uri = b"file:".to_vec();
        for b in file.as_os_str().as_encoded_bytes() {
            if b.is_ascii_alphanumeric() || b"/._-".contains(b) {
                uri.push(*b);
            } else {
                let _ = write!(uri, "%{b:02X}");
            }
        }
        uri.extend(b"?immutable=1");
        name = PathBuf::from(String::from_utf8_lossy(&uri).into_owned());
        flags |= OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    } else {
        name = file.to_owned();
        flags |= OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    }
    Connection::open_with_flags(name, flags).map_err(failed("open", file))
}

fn prepare(connection: &Connection, file: &Path, options: OpenOptions) -> Result<()> {
    let error = || failed("pragma", file);
    connection.busy_timeout(BUSY).map_err(error())?;
    connection.set_prepared_statement_cache_capacity(32);
    connection.pragma_update(None, "foreign_keys", true).map_err(error())?;
    if options.read_only {
        return Ok(());
    }
    let sync = if options.sync { "normal" } else { "off" };
    connection.pragma_update(None, "synchronous", sync).map_err(error())?;
    let wanted = if options.wal { "wal" } else { "truncate" };
    let mode: String =
        connection.pragma_query_value(None, "journal_mode", |r| r.get(0)).map_err(error())?;
    if mode != wanted {
        retry(|| {
            connection
                .pragma_update_and_check(None, "journal_mode", wanted, |_| Ok(()))
                .map_err(failed("pragma", file))
        })?;
    }
    if options.wal {
        // few checkpoints, so that instantiating a system waits for the disk once; a limit makes
        // SQLite truncate the log at the end instead of leaving it at its largest size
        connection.pragma_update(None, "wal_autocheckpoint", 40_000).map_err(error())?;
        connection.pragma_update(None, "journal_size_limit", 1_i64 << 40).map_err(error())?;
    }
    Ok(())
}

fn create_or_upgrade(connection: &mut Connection, file: &Path, version: u64) -> Result<()> {
    retry(|| {
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed("transaction", file))?;
        if version == 0 {
            transaction.execute_batch(schema::CREATE).map_err(failed("schema", file))?;
        } else {
            for (to, text) in schema::UPGRADES.iter().filter(|(to, _)| *to > version) {
                debug_assert!(*to <= schema::VERSION);
                transaction.execute_batch(text).map_err(failed("schema upgrade", file))?;
            }
        }
        transaction.commit().map_err(failed("commit", file))
    })
}

fn create_realisations(connection: &mut Connection, file: &Path) -> Result<()> {
    let name = schema::REALISATIONS_MIGRATION;
    let known = |connection: &Connection| {
        connection
            .query_row("select 1 from SchemaMigrations where migration = ?1", [name], |_| Ok(()))
            .optional()
            .map_err(failed("statement", file))
    };
    if retry(|| known(connection))?.is_some() {
        return Ok(());
    }
    retry(|| {
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed("transaction", file))?;
        // another process may have been faster
        if known(&transaction)?.is_none() {
            transaction
                .execute_batch(schema::CREATE_REALISATIONS)
                .map_err(failed("schema", file))?;
            transaction
                .execute("insert into SchemaMigrations values (?1)", [name])
                .map_err(failed("statement", file))?;
        }
        transaction.commit().map_err(failed("commit", file))
    })
}

fn read_version(file: &Path) -> Result<u64> {
    match fs::read_to_string(file) {
        Ok(text) => text.trim().parse().map_err(|_| Error::CorruptFile { path: file.to_owned() }),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(0),
        Err(e) => Err(Error::io("reading file", file)(e)),
    }
}

fn write_version(file: &Path) -> Result<()> {
    crate::fs::write_atomically(file, schema::VERSION.to_string().as_bytes(), 0o644, true)
}

/// Runs `action` again as long as another process is in the way.
fn retry<T>(mut action: impl FnMut() -> Result<T>) -> Result<T> {
    let mut wait = Duration::from_millis(1);
    loop {
        match action() {
            Err(Error::Database { source, .. }) if is_busy(&source) => {
                std::thread::sleep(wait);
                wait = (wait * 2).min(Duration::from_millis(200));
            }
            other => return other,
        }
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked, FileLockingProtocolFailed};
    matches!(
        error.sqlite_error_code(),
        Some(DatabaseBusy | DatabaseLocked | FileLockingProtocolFailed)
    )
}
