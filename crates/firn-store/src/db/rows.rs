//! The statements: each method is one prepared statement. Paths are whole printed store paths.

use std::path::Path;

use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Params, Row, params};

use crate::error::{Error, Result};

/// A row of `ValidPaths`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathRow {
    /// Its number.
    pub id: i64,
    /// The NAR's hash, `sha256:` and base-16.
    pub hash: String,
    /// Seconds since 1970.
    pub registration_time: i64,
    /// The printed deriver.
    pub deriver: Option<String>,
    /// Bytes; 0 is unknown.
    pub nar_size: i64,
    /// Whether it was built here.
    pub ultimate: bool,
    /// Signatures between spaces.
    pub sigs: Option<String>,
    /// The content address.
    pub ca: Option<String>,
}

/// Statements on a connection or within a transaction.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'c> {
    connection: &'c Connection,
    file: &'c Path,
}

impl<'c> Rows<'c> {
    pub(super) fn new(connection: &'c Connection, file: &'c Path) -> Self {
        Self { connection, file }
    }

    fn error(&self, source: rusqlite::Error) -> Error {
        Error::Database { action: "statement", file: self.file.to_owned(), source }
    }

    fn prepare(&self, sql: &str) -> Result<CachedStatement<'c>> {
        self.connection.prepare_cached(sql).map_err(|e| self.error(e))
    }

    fn execute(&self, sql: &str, params: impl Params) -> Result<usize> {
        self.prepare(sql)?.execute(params).map_err(|e| self.error(e))
    }

    fn one<T>(
        &self,
        sql: &str,
        params: impl Params,
        map: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        self.prepare(sql)?.query_row(params, map).optional().map_err(|e| self.error(e))
    }

    fn many<T>(
        &self,
        sql: &str,
        params: impl Params,
        map: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        let mut statement = self.prepare(sql)?;
        let rows = statement.query_map(params, map).map_err(|e| self.error(e))?;
        rows.collect::<rusqlite::Result<_>>().map_err(|e| self.error(e))
    }

    /// The number of a valid path.
    pub fn id(&self, path: &str) -> Result<Option<i64>> {
        self.one("select id from ValidPaths where path = ?1", [path], |r| r.get(0))
    }

    /// A path's row.
    pub fn path(&self, path: &str) -> Result<Option<PathRow>> {
        self.one(
            "select id, hash, registrationTime, deriver, narSize, ultimate, sigs, ca \
             from ValidPaths where path = ?1",
            [path],
            |r| {
                Ok(PathRow {
                    id: r.get(0)?,
                    hash: r.get(1)?,
                    registration_time: r.get(2)?,
                    deriver: r.get(3)?,
                    nar_size: r.get::<_, Option<i64>>(4)?.unwrap_or(0),
                    ultimate: r.get::<_, Option<i64>>(5)?.unwrap_or(0) == 1,
                    sigs: r.get(6)?,
                    ca: r.get(7)?,
                })
            },
        )
    }

    /// Adds a path; gives its number. `row.id` is ignored.
    pub fn insert_path(&self, path: &str, row: &PathRow) -> Result<i64> {
        self.execute(
            "insert into ValidPaths \
             (path, hash, registrationTime, deriver, narSize, ultimate, sigs, ca) \
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                path,
                row.hash,
                row.registration_time,
                row.deriver,
                (row.nar_size != 0).then_some(row.nar_size),
                row.ultimate.then_some(1),
                row.sigs,
                row.ca,
            ],
        )?;
        Ok(self.connection.last_insert_rowid())
    }

    /// Changes what may change of a valid path: hash, size, whether it is ultimate, signatures,
    /// content address.
    pub fn update_path(&self, path: &str, row: &PathRow) -> Result<()> {
        self.execute(
            "update ValidPaths set narSize = ?2, hash = ?3, ultimate = ?4, sigs = ?5, ca = ?6 \
             where path = ?1",
            params![
                path,
                (row.nar_size != 0).then_some(row.nar_size),
                row.hash,
                row.ultimate.then_some(1),
                row.sigs,
                row.ca,
            ],
        )?;
        Ok(())
    }

    /// Removes a path if it is there; its references go with it. False if another path refers to it: then nothing is
    /// changed.
    pub fn delete_path(&self, path: &str) -> Result<bool> {
        match self.execute("delete from ValidPaths where path = ?1", [path]) {
            Ok(_) => Ok(true),
            Err(Error::Database { source, .. })
                if source.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation) =>
            {
                Ok(false)
            }
            Err(e) => Err(e),
        }
    }

    /// Adds a reference between two numbers.
    pub fn insert_reference(&self, referrer: i64, reference: i64) -> Result<()> {
        self.execute(
            "insert or replace into Refs (referrer, reference) values (?1, ?2)",
            [referrer, reference],
        )?;
        Ok(())
    }

    /// The paths that number `referrer` refers to.
    pub fn references(&self, referrer: i64) -> Result<Vec<String>> {
        self.many(
            "select path from Refs join ValidPaths on reference = id where referrer = ?1",
            [referrer],
            |r| r.get(0),
        )
    }

    /// The paths that refer to `path`.
    pub fn referrers(&self, path: &str) -> Result<Vec<String>> {
        self.many(
            "select path from Refs join ValidPaths on referrer = id \
             where reference = (select id from ValidPaths where path = ?1)",
            [path],
            |r| r.get(0),
        )
    }

    /// Notes that derivation number `drv` has `path` as its output `output`.
    pub fn insert_output(&self, drv: i64, output: &str, path: &str) -> Result<()> {
        self.execute(
            "insert or replace into DerivationOutputs (drv, id, path) values (?1, ?2, ?3)",
            params![drv, output, path],
        )?;
        Ok(())
    }

    /// The outputs of derivation number `drv`: names and paths.
    pub fn outputs(&self, drv: i64) -> Result<Vec<(String, String)>> {
        self.many("select id, path from DerivationOutputs where drv = ?1", [drv], |r| {
            Ok((r.get(0)?, r.get(1)?))
        })
    }

    /// The valid derivations that have `path` as an output.
    pub fn derivers(&self, path: &str) -> Result<Vec<String>> {
        self.many(
            "select v.path from DerivationOutputs d join ValidPaths v on d.drv = v.id \
             where d.path = ?1",
            [path],
            |r| r.get(0),
        )
    }

    /// Whether there is a table of this name.
    pub fn has_table(&self, name: &str) -> Result<bool> {
        let sql = "select 1 from sqlite_master where type = 'table' and name = ?1";
        Ok(self.one(sql, [name], |_| Ok(()))?.is_some())
    }

    /// What output `name` of the derivation with this hash came to be: the row's number, the path, and
    /// signatures with spaces between. Fails where there are no tables of realisations.
    pub fn realisation(
        &self,
        drv_hash: &str,
        name: &str,
    ) -> Result<Option<(i64, String, Option<String>)>> {
        self.one(
            "select r.id, v.path, r.signatures from Realisations r \
             join ValidPaths v on v.id = r.outputPath where r.drvPath = ?1 and r.outputName = ?2",
            [drv_hash, name],
            |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)),
        )
    }

    /// Notes that output `name` of the derivation with this hash is the valid path number `path`.
    pub fn insert_realisation(
        &self,
        drv_hash: &str,
        name: &str,
        path: i64,
        signatures: &str,
    ) -> Result<()> {
        self.execute(
            "insert into Realisations (drvPath, outputName, outputPath, signatures) \
             values (?1, ?2, ?3, ?4)",
            params![drv_hash, name, path, signatures],
        )?;
        Ok(())
    }

    /// Changes the signatures of realisation number `id`.
    pub fn update_realisation(&self, id: i64, signatures: &str) -> Result<()> {
        self.execute(
            "update Realisations set signatures = ?2 where id = ?1",
            params![id, signatures],
        )?;
        Ok(())
    }

    /// The first path that is not before `prefix`.
    pub fn first_from(&self, prefix: &str) -> Result<Option<String>> {
        self.one(
            "select path from ValidPaths where path >= ?1 order by path limit 1",
            [prefix],
            |r| r.get(0),
        )
    }

    /// All valid paths.
    pub fn all_paths(self) -> Result<Vec<String>> {
        self.many("select path from ValidPaths", [], |r| r.get(0))
    }

    /// The whole graph, for jobs that need all of it: numbers and paths with derivers.
    pub fn all_ids(&self) -> Result<Vec<(i64, String, Option<String>)>> {
        self.many("select id, path, deriver from ValidPaths", [], |r| {
            Ok((r.get(0)?, r.get(1)?, r.get(2)?))
        })
    }

    /// All references, as numbers of referrer and reference.
    pub fn all_references(&self) -> Result<Vec<(i64, i64)>> {
        self.many("select referrer, reference from Refs", [], |r| Ok((r.get(0)?, r.get(1)?)))
    }

    /// All outputs of derivations: the derivation's number and the output's path.
    pub fn all_outputs(&self) -> Result<Vec<(i64, String)>> {
        self.many("select drv, path from DerivationOutputs", [], |r| Ok((r.get(0)?, r.get(1)?)))
    }
}
